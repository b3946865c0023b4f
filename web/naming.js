import { paint } from "./avatar.js";
import { element, write } from "./dom.js";
import { problem, t } from "./words.js";

/** The user's own name, and the form that changes it. */
export class Naming {
  #form = element("naming");
  #input = element("name");
  #problem = element("name-problem");
  #self = element("self");
  #invited = false;
  #wished = null;
  #unsaid = 0;
  #actions;

  /** `rename(name)` asks for a name, null gives it up; `focus()` follows when the form closes. */
  constructor({ rename, focus }, rooms) {
    this.#actions = { rename, focus };
    this.#self.addEventListener("click", () => {
      if (this.#form.hidden) rooms.leave(() => this.open());
      else this.#close();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      if (name) rename(name);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#close();
    });
    element("name-cancel").addEventListener("click", () => this.#close());
  }

  /** Ask once for a name, and leave the focus where it is. */
  invite() {
    if (!this.#invited) this.#show("");
    this.#invited = true;
  }

  /** Let the user change the name. */
  open() {
    this.#show(element("self-name").textContent);
    this.#input.focus();
    this.#input.select();
  }

  #show(name) {
    this.#form.hidden = false;
    this.#self.ariaExpanded = true;
    this.#input.value = name;
  }

  #close() {
    if (this.#form.hidden) return;
    const focused = this.#form.contains(document.activeElement);
    this.#form.hidden = true;
    this.#self.ariaExpanded = false;
    this.#actions.rename(null);
    if (focused) this.#actions.focus();
  }

  render({ self, renaming, limits, online, outbox }) {
    this.#self.hidden = !self;
    if (self) paint(element("self-avatar"), self);
    write(element("self-name"), self?.name ?? "");
    this.#self.ariaLabel = t("naming.change", { name: self?.name ?? "" });
    write(this.#problem, told(renaming, online, limits));
    this.#input.ariaInvalid = Boolean(renaming?.problem);
    const had = this.#wished !== null && renaming === null;
    this.#wished = renaming;
    // Who says something without a name does not want to choose one now.
    const said = outbox.length > this.#unsaid && !renaming;
    this.#unsaid = outbox.length;
    if (had || said) this.#close();
  }
}

/** How it stands with a wish for another name. */
function told(wish, online, limits) {
  if (wish?.problem) return problem(wish.problem, limits);
  return wish && !online ? t("naming.later") : "";
}
