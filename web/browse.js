import { dialog } from "./dialog.js";
import { h, write } from "./dom.js";
import { icon } from "./icon.js";
import { number, t } from "./words.js";

const PAUSE = 150; // ms after the last letter, before the server is asked
const ROOM = /^(?!\.+$)[\p{L}\p{M}\p{Nd}_.-]{1,64}$/u; // as chatroom/names.py has it

/** All rooms that there are: to go to one, or to make another one. */
export default class Browse {
  #actions;
  #field = h("input", {
    id: "browse-field",
    autocomplete: "off",
    spellcheck: false,
    maxLength: 80,
    autofocus: true,
  });
  #list = h("ul", { class: "found" });
  #told = h("p", { class: "faint", role: "status" });
  #more = h("button", { type: "button", hidden: true }, t("browse.more"));
  #listing = null;
  #timer = null;

  constructor(actions) {
    this.#actions = actions;
    const form = h(
      "form",
      { class: "fields" },
      h("label", { htmlFor: "browse-field" }, t("browse.field")),
      this.#field,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#wished;
      const first = this.#listing?.rooms[0];
      if (ROOM.test(name)) this.#go(name);
      else if (first && name === "") this.#go(first.room);
    });
    this.#field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => actions.list(this.#wished), PAUSE);
      this.#draw();
    });
    this.#more.addEventListener("click", () => actions.listMore());
    this.#list.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link) return;
      event.preventDefault();
      this.#go(link.dataset.room);
    });
    this.node = dialog(t("browse"), form, this.#told, this.#list, this.#more);
    this.node.addEventListener("close", () => clearTimeout(this.#timer));
    actions.list("");
  }

  render({ listing }) {
    if (listing === this.#listing) return;
    this.#listing = listing;
    this.#draw();
  }

  /** What is in the field as the name of a room. */
  get #wished() {
    return this.#field.value.trim().replaceAll(/\s+/g, "-");
  }

  #go(room) {
    this.node.close();
    this.#actions.open(room);
    this.#actions.focus();
  }

  #draw() {
    const { rooms = [], more = false, waiting = true, problem = null } = this.#listing ?? {};
    const wished = this.#wished;
    const fits = (room) => room.toLowerCase().includes(wished.toLowerCase());
    const found = rooms.filter(({ room }) => fits(room));
    const rows = found.map((room) => this.#row(room));
    const known = rooms.some(({ room }) => room.toLowerCase() === wished.toLowerCase());
    if (!known && ROOM.test(wished)) rows.push(this.#create(wished));
    this.#list.replaceChildren(...rows);
    const focused = document.activeElement === this.#more;
    this.#more.hidden = !more;
    if (focused && !more) this.#list.querySelector("li:last-child a")?.focus();
    if (problem) write(this.#told, t("problem"));
    else if (wished && !ROOM.test(wished)) write(this.#told, t("browse.rule"));
    else
      write(this.#told, waiting ? t("browse.waiting") : t("browse.count", { count: found.length }));
  }

  #row({ room, topic, count }) {
    return h(
      "li",
      null,
      h(
        "a",
        { href: this.#actions.link(room), data: { room } },
        h("span", { class: "hash", "aria-hidden": "true" }, "#"),
        h(
          "span",
          { class: "what" },
          h("bdi", { class: "name" }, room),
          topic && h("span", { class: "faint", dir: "auto" }, topic),
        ),
        h(
          "span",
          { class: "faint", title: t("people.here", { count }) },
          icon("people"),
          h("span", { "aria-hidden": "true" }, number(count)),
          h("span", { class: "unseen" }, t("people.here", { count })),
        ),
      ),
    );
  }

  #create(room) {
    return h(
      "li",
      null,
      h(
        "a",
        { href: this.#actions.link(room), data: { room } },
        icon("plus"),
        h("span", { class: "what" }, t("browse.create", { room })),
      ),
    );
  }
}
