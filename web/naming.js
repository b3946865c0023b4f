import { element, write } from "./dom.js";
import * as words from "./words.js";

/** The user's own name at the top, and the form that changes it. */
export class Naming {
  #form = element("naming");
  #input = element("name");
  #problem = element("name-problem");
  #save = element("name-save");
  #self = element("self");
  #invited = false;
  #wished = null;
  #parts;

  /** `wish(name)` asks for a name, `wish(null)` gives it up; `done()` follows when the form closes. */
  constructor(parts) {
    this.#parts = parts;
    this.#self.addEventListener("click", () => {
      if (this.#form.hidden) this.#open();
      else this.close();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      if (name) parts.wish(name);
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
    element("name-cancel").addEventListener("click", () => this.close());
  }

  /** Ask once for a name, and leave the focus where it is. */
  invite() {
    if (!this.#invited) this.#show("");
    this.#invited = true;
  }

  #open() {
    this.#show(element("self-name").textContent);
    this.#input.focus();
    this.#input.select();
  }

  #show(name) {
    this.#form.hidden = false;
    this.#self.ariaExpanded = true;
    this.#input.value = name;
  }

  close() {
    if (this.#form.hidden) return;
    const focused = this.#form.contains(document.activeElement);
    this.#form.hidden = true;
    this.#self.ariaExpanded = false;
    this.#parts.wish(null);
    if (focused) this.#parts.done();
  }

  render({ self, renaming, limits, online }) {
    this.#self.hidden = !self;
    write(element("self-name"), self?.name ?? "");
    const { problem } = renaming ?? {};
    write(this.#problem, words.renaming(renaming, online, limits));
    this.#input.ariaInvalid = Boolean(problem);
    this.#save.disabled = Boolean(renaming && !problem);
    const had = this.#wished !== null && renaming === null;
    this.#wished = renaming;
    if (had) this.close();
  }
}
