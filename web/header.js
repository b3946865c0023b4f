import { element, write } from "./dom.js";
import { LOBBY, room, topicOf } from "./state.js";
import { t } from "./words.js";

/** What stands above the room: its name and topic, and what can be done with it. */
export class Header {
  #title = element("room");
  #topic = element("topic");

  constructor({ leave }, panels) {
    new Menu(element("menu-toggle"), element("menu"));
    const on = (id, act) => element(id).addEventListener("click", act);
    on("topic", () => panels.open("topic"));
    on("menu-topic", () => panels.open("topic"));
    on("menu-invite", () => panels.open("invite"));
    on("menu-leave", () => leave(this.#title.dataset.room));
    on("menu-keys", () => panels.open("shortcuts"));
    on("menu-settings", () => panels.open("settings"));
    on("settings", () => panels.open("settings"));
  }

  render(state) {
    const { room: name, direct } = room(state);
    const topic = topicOf(state, name);
    write(this.#title, direct?.name ?? name);
    this.#title.classList.toggle("direct", direct !== null);
    this.#title.dataset.room = name;
    write(this.#topic, topic);
    this.#topic.hidden = topic === "";
    this.#topic.title = topic;
    this.#topic.ariaLabel = t("topic.change", { topic });
    for (const id of ["menu-topic", "menu-invite", "menu-leave"]) {
      element(id).hidden = direct !== null;
    }
    const alone = name === LOBBY && Object.keys(state.rooms).length === 1;
    element("menu-leave").disabled = !state.online || alone;
  }
}

/** A menu below its button, with the keys that one knows from menus (WAI-ARIA practices). */
class Menu {
  #toggle;
  #list;

  constructor(toggle, list) {
    this.#toggle = toggle;
    this.#list = list;
    toggle.addEventListener("click", () => (list.hidden ? this.#open(0) : this.close()));
    toggle.addEventListener("keydown", (event) => {
      const at = { ArrowDown: 0, ArrowUp: -1 }[event.key];
      if (at === undefined) return;
      event.preventDefault();
      this.#open(at);
    });
    list.addEventListener("keydown", (event) => this.#move(event));
    list.addEventListener("click", () => this.close());
    list.parentElement.addEventListener("focusout", ({ relatedTarget }) => {
      if (!list.parentElement.contains(relatedTarget)) this.#hide();
    });
  }

  close() {
    if (this.#list.contains(document.activeElement)) this.#toggle.focus();
    this.#hide();
  }

  get #items() {
    return [...this.#list.querySelectorAll("[role=menuitem]:not([hidden], :disabled)")];
  }

  #open(at) {
    this.#list.hidden = false;
    this.#toggle.ariaExpanded = true;
    this.#items.at(at).focus();
  }

  #hide() {
    this.#list.hidden = true;
    this.#toggle.ariaExpanded = false;
  }

  #move(event) {
    const items = this.#items;
    const at = items.indexOf(document.activeElement);
    const next = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (next !== undefined) items[next].focus();
    else if (event.key === "Escape") this.close();
    else return;
    event.preventDefault();
  }
}
