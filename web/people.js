import { paint } from "./avatar.js";
import { element, h, write } from "./dom.js";
import { room } from "./state.js";
import { compare, number, t } from "./words.js";

const SHOWN = 200;

/** Who is here: how many, and a list with oneself first; the others can be written to. */
export class People {
  #list = element("users");
  #users = null;
  #count = null;
  #write;

  /** `write(id)` goes to where one writes to that user alone. */
  constructor(write) {
    this.#write = write;
  }

  render(state) {
    const { users, count } = room(state);
    if (users === this.#users && count === this.#count) return;
    this.#users = users;
    this.#count = count;
    const me = (user) => user.id === state.self?.id;
    const sorted = [...users].sort((a, b) => me(b) - me(a) || compare(a.name, b.name));
    const focused = document.activeElement?.dataset.user;
    this.#list.replaceChildren(...sorted.slice(0, SHOWN).map((user) => this.#row(user, me(user))));
    if (focused) {
      const still = this.#list.querySelector(`[data-user="${focused}"]`);
      (still ?? this.#list.querySelector("button") ?? element("people-toggle")).focus();
    }
    const shown = Math.min(sorted.length, SHOWN);
    element("users-more").hidden = count <= shown;
    write(element("users-more"), t("people.more", { count: count - shown }));
    write(element("people-title"), t("people.here", { count }));
    write(element("people-count"), number(count));
    element("people-toggle").ariaLabel = t("people.here", { count });
  }

  #row(user, me) {
    const face = h("span", { class: "avatar", "aria-hidden": "true" });
    paint(face, user);
    const name = h("bdi", { class: "name" }, user.name);
    if (me) {
      const you = h("span", { class: "you" }, t("you"));
      return h("li", { class: "user" }, h("div", { class: "row" }, face, name, you));
    }
    const label = t("people.write", { name: user.name });
    const row = { class: "row", type: "button", ariaLabel: label, data: { user: user.id } };
    row.onclick = () => this.#write(user.id);
    return h("li", { class: "user" }, h("button", row, face, name));
  }
}
