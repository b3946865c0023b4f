import { paint } from "./avatar.js";
import { copy, element } from "./dom.js";
import * as words from "./words.js";

const SHOWN = 200;
const { compare } = new Intl.Collator(undefined, { numeric: true });

/** Who is here: how many, and a list with oneself first. */
export class People {
  #panel = element("people");
  #toggle = element("people-toggle");
  #list = element("users");
  #more = element("users-more");
  #users = null;
  #count = null;

  constructor() {
    this.#toggle.addEventListener("click", () => this.#open(!this.#isOpen));
    document.addEventListener("click", ({ target }) => {
      const inside = this.#panel.contains(target) || this.#toggle.contains(target);
      if (!inside && this.#isOpen) this.#open(false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#isOpen) this.#open(false);
    });
  }

  render({ users, count, self }) {
    if (users === this.#users && count === this.#count) return;
    this.#users = users;
    this.#count = count;
    const me = (user) => user.id === self?.id;
    const sorted = [...users].sort((a, b) => me(b) - me(a) || compare(a.name, b.name));
    const rows = sorted.slice(0, SHOWN).map((user) => draw(user, me(user)));
    this.#list.replaceChildren(...rows);
    this.#more.hidden = count <= rows.length;
    this.#more.textContent = words.others(count - rows.length);
    element("people-title").textContent = words.peopleHere(count);
    element("people-count").textContent = count;
    this.#toggle.ariaLabel = words.peopleHere(count);
  }

  get #isOpen() {
    return this.#toggle.ariaExpanded === "true";
  }

  #open(open) {
    this.#toggle.ariaExpanded = open;
    this.#panel.classList.toggle("open", open);
  }
}

function draw(user, me) {
  const row = copy("user");
  paint(row.querySelector(".avatar"), user);
  row.querySelector(".name").textContent = user.name;
  row.querySelector(".you").hidden = !me;
  return row;
}
