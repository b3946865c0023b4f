/** What could be meant by the word that is being written: a name behind `@`, an emoji behind `:`. */

import { paint } from "./avatar.js";
import { h } from "./dom.js";
import { language, t } from "./words.js";

const MOST = 8; // proposals at once
const LONGEST = 40; // characters of a name
const CODE = /(?:^|[\s\p{Script=Han}]|(?!:)\p{P})(:[\p{L}\p{N}_+-]{2,40}:?)$/u;

/**
 * Proposals above the field `text`. Arrow keys choose, Enter and Tab take one, Escape none
 * (WAI-ARIA practices: a list that the field has `aria-activedescendant` for).
 */
export class Completion {
  #text;
  #list = h("ul", { id: "completion", role: "listbox", "aria-label": t("complete.title"), hidden: true });
  #count = h("p", { class: "unseen", role: "status" });
  #people;
  #changed;
  #emoji = null;
  #found = []; // {start, end, insert, node}
  #at = 0;
  #refused = null; // where the word begins for which Escape was pressed

  /** `people()` are whom one may mean, the likeliest first; `changed()` follows what was put in. */
  constructor(text, { people, changed }) {
    this.#text = text;
    this.#people = people;
    this.#changed = changed;
    text.setAttribute("aria-autocomplete", "list");
    text.setAttribute("aria-controls", "completion");
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault()); // keep the focus
    this.#list.addEventListener("click", ({ target }) => {
      const place = this.#found.findIndex(({ node }) => node.contains(target));
      if (place >= 0) this.#take(place);
    });
    text.addEventListener("blur", () => this.close());
    text.addEventListener("selectionchange", () => this.#open && this.look());
  }

  /** The nodes that belong into the page. */
  get nodes() {
    return [this.#list, this.#count];
  }

  get #open() {
    return this.#found.length > 0;
  }

  /** See what stands before the caret. */
  look() {
    const { selectionStart: end, selectionEnd, value } = this.#text;
    if (end !== selectionEnd) return this.close();
    const before = value.slice(Math.max(0, end - LONGEST - 1), end);
    const code = CODE.exec(before)?.[1];
    if (code) return this.#codes(code, end);
    this.#propose(this.#names(before, end));
  }

  #names(before, end) {
    const at = before.lastIndexOf("@");
    if (at < 0 || /[a-z\d]/i.test(before[at - 1] ?? "") || before.includes("\n", at)) return [];
    const begun = before.slice(at + 1).toLowerCase();
    const start = end - (before.length - at);
    const fits = ({ name }) => name.toLowerCase().startsWith(begun);
    const within = ({ name }) => begun && name.toLowerCase().includes(` ${begun}`);
    const people = this.#people();
    const found = [...people.filter(fits), ...people.filter((user) => !fits(user) && within(user))];
    if (begun && found.every(({ name }) => name.toLowerCase() === begun.trimEnd())) return [];
    return found.slice(0, MOST).map((user) => {
      const face = h("span", { class: "avatar", "aria-hidden": "true" });
      paint(face, user);
      const node = [face, h("bdi", { class: "name" }, user.name)];
      return { start, end, insert: `@${user.name} `, node };
    });
  }

  async #codes(code, end) {
    if (!this.#emoji) {
      const { load } = await import("./emoji/emoji.js");
      this.#emoji = await load(language);
      return this.look();
    }
    const start = end - code.length;
    if (code.endsWith(":")) {
      const whole = this.#emoji.named(code);
      this.close();
      if (whole) this.#insert({ start, end, insert: whole.emoji });
      return;
    }
    this.#propose(
      this.#emoji.find(code.slice(1), MOST).map(({ emoji, name }) => ({
        start,
        end,
        insert: emoji,
        node: [h("span", { class: "emoji", "aria-hidden": "true" }, emoji), `:${name}:`],
      })),
    );
  }

  #propose(found) {
    if (found.length === 0 || found[0].start === this.#refused) {
      if (found.length === 0) this.#refused = null;
      return this.#show([]);
    }
    const told = h("p", {}, t("complete.count", { count: found.length }));
    if (!this.#open) this.#count.replaceChildren(told);
    this.#show(
      found.map((one, place) => {
        const id = `completion-${place}`;
        return { ...one, node: h("li", { id, role: "option" }, one.node) };
      }),
    );
  }

  #show(found) {
    this.#found = found;
    this.#list.replaceChildren(...found.map(({ node }) => node));
    this.#list.hidden = found.length === 0;
    if (found.length === 0) this.#count.replaceChildren();
    this.#choose(0);
  }

  #choose(place) {
    this.#at = place;
    for (const [other, { node }] of this.#found.entries()) node.ariaSelected = other === place;
    const chosen = this.#found[place]?.node;
    if (chosen) this.#text.setAttribute("aria-activedescendant", chosen.id);
    else this.#text.removeAttribute("aria-activedescendant");
  }

  close() {
    if (this.#open) this.#show([]);
  }

  /** A key was pressed in the field; returns whether it was meant for the proposals. */
  key(event) {
    if (!this.#open || event.isComposing || event.keyCode === 229) return false;
    const count = this.#found.length;
    const { key, shiftKey } = event;
    if (key === "ArrowDown") this.#choose((this.#at + 1) % count);
    else if (key === "ArrowUp") this.#choose((this.#at - 1 + count) % count);
    else if (!shiftKey && (key === "Enter" || key === "Tab")) this.#take(this.#at);
    else if (key === "Escape") {
      this.#refused = this.#found[0].start;
      this.close();
    } else return false;
    event.preventDefault();
    return true;
  }

  #take(place) {
    const taken = this.#found[place];
    this.close();
    this.#insert(taken);
  }

  #insert({ start, end, insert }) {
    this.#text.setRangeText(insert, start, end, "end");
    this.#changed();
  }
}
