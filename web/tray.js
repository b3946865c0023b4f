/** The files that will go with the next message. */

import { element, h } from "./dom.js";
import { icon } from "./icon.js";
import { size, t } from "./words.js";

const PICTURE = /^image\/(?:png|jpeg|gif|webp)$/;

/** Files by room, above the field where one writes. */
export class Tray {
  node = h("ul", { id: "tray", "aria-label": t("tray.title"), hidden: true });
  told = h("p", { id: "tray-told", role: "status" });
  #files = new Map(); // name of a room → its files
  #room = "";
  #limit = 0;
  #changed;

  /** `changed()` follows when there are other files. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** The files for the present room, which are the tray's no more. */
  empty() {
    const files = this.files;
    this.#files.delete(this.#room);
    this.told.textContent = "";
    this.#draw();
    return files;
  }

  get files() {
    return this.#files.get(this.#room) ?? [];
  }

  render({ current, limits }) {
    this.#limit = limits.file;
    if (current === this.#room) return;
    this.#room = current;
    this.told.textContent = "";
    this.#draw();
  }

  /**
   * Take these files for a room, but not what the server would refuse; tell of that, and of
   * `folders`.
   */
  add(files, folders, room) {
    const fits = files.filter((file) => file.size > 0 && file.size <= this.#limit);
    const refused = files.filter((file) => !fits.includes(file));
    const whys = new Set(refused.map((file) => this.#why(file)));
    if (folders) whys.add(t("tray.folder"));
    this.told.textContent = [...whys].join("\n");
    if (fits.length === 0) return;
    this.#files.set(room, [...(this.#files.get(room) ?? []), ...fits.map(named)]);
    this.#draw();
    this.node.scrollTop = this.node.scrollHeight;
    this.#changed();
  }

  #why({ name, size: bytes }) {
    if (this.#limit === 0) return t("tray.none");
    if (bytes === 0) return t("tray.empty", { name });
    return t("tray.large", { name, size: size(bytes), limit: size(this.#limit) });
  }

  #draw() {
    for (const image of this.node.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    this.node.hidden = this.files.length === 0;
    this.node.replaceChildren(...this.files.map((file) => this.#item(file)));
  }

  #item(file) {
    const remove = h(
      "button",
      { type: "button", class: "icon", "aria-label": t("tray.remove", { name: file.name }) },
      icon("close"),
    );
    remove.addEventListener("click", () => {
      const { scrollTop } = this.node;
      const place = this.files.indexOf(file);
      this.#files.set(this.#room, this.files.toSpliced(place, 1));
      this.#draw();
      this.#changed();
      this.node.scrollTop = scrollTop;
      const { [place]: next = this.node.lastElementChild } = this.node.children;
      (next?.querySelector("button") ?? element("text")).focus();
    });
    const picture = PICTURE.test(file.type)
      ? h("img", { src: URL.createObjectURL(file), alt: "" })
      : icon("file");
    return h(
      "li",
      {},
      picture,
      h("bdi", { class: "name" }, file.name),
      h("span", { class: "size" }, size(file.size)),
      remove,
    );
  }
}

/** What is pasted has no name of its own, or the same one each time. */
function named(file) {
  if (file.name && file.name !== "image.png") return file;
  const [, kind = "png"] = file.type.split("/");
  const now = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  return new File([file], `${t("tray.pasted")} ${now}.${kind}`, { type: file.type });
}
