import { element } from "./dom.js";
import { preferences } from "./preferences.js";
import { placed } from "./rooms.js";
import { sheet } from "./sheet.js";
import { t } from "./words.js";

const FIELD = "input, textarea, select, [contenteditable]";

const DIALOGS = {
  browse: () => import("./browse.js"),
  invite: () => import("./invite.js"),
  settings: () => import("./settings.js"),
  shortcuts: () => import("./shortcuts.js"),
  topic: () => import("./topic.js"),
};

/** What is loaded when it is first wanted: the dialogs, and the search. */
export class Panels {
  #actions;
  #parts;
  #state;
  #dialog = null;
  #search = null;

  constructor(actions, parts) {
    this.#actions = actions;
    this.#parts = parts;
  }

  /** Open the dialog of this name; there is one at a time. */
  open(name) {
    return this.#parts.rooms.leave(() => this.#load(DIALOGS[name], (Dialog) => this.#show(Dialog)));
  }

  /** Go to the field of the search. */
  find() {
    if (this.#parts.search.isOpen) this.#search?.focus();
    else this.#parts.search.show();
  }

  /** The search has been opened or closed. */
  async search(open) {
    if (!open) return this.#actions.searchClose();
    await this.#load(
      () => import("./search.js"),
      (Search) => {
        this.#search ??= new Search(element("search"), this.#actions, this.#parts.search);
        this.#search.render(this.#state);
        this.#search.focus();
      },
    );
  }

  render(state) {
    this.#state = state;
    this.#dialog?.render(state);
    if (this.#parts.search.isOpen) this.#search?.render(state);
  }

  async #load(module, use) {
    try {
      const [{ default: Panel }] = await Promise.all([module(), sheet("panels.css")]);
      use(Panel);
    } catch (error) {
      if (error instanceof SyntaxError) throw error; // the notice tells
      console.error(error);
      this.#parts.failed(t("panel.failed"));
    }
  }

  #show(Dialog) {
    if (this.#dialog) return;
    this.#dialog = new Dialog(this.#actions, this.#state);
    this.#dialog.render(this.#state);
    this.#dialog.node.addEventListener("close", () => (this.#dialog = null));
  }
}

/** What keys do wherever one is on the page; shortcuts.js tells of them. */
export class Keys {
  #open;
  #panels;
  #state;

  constructor({ open }, panels) {
    this.#open = open;
    this.#panels = panels;
    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || event.isComposing) return;
      if (document.querySelector("dialog[open]")) return;
      const act = this.#asked(event);
      if (!act) return;
      event.preventDefault();
      act();
    });
  }

  render(state) {
    this.#state = state;
  }

  #asked({ key, ctrlKey, metaKey, altKey, shiftKey, target }) {
    const panels = this.#panels;
    const letter = key.toLowerCase();
    if ((ctrlKey || metaKey) && !altKey) {
      if (letter === "k" && !shiftKey) return () => panels.open("browse");
      if (letter === "f" && shiftKey) return () => panels.find();
      return letter === "/" ? () => panels.open("shortcuts") : null;
    }
    const step = { ArrowUp: -1, ArrowDown: 1 }[key];
    if (altKey) return step ? () => this.#step(step, shiftKey) : null;
    // Keys alone are in the way of those who speak to their computer: they can be turned off.
    if (target.closest(FIELD) || !preferences().keys) return null;
    if (key === "/") return () => panels.find();
    return key === "?" ? () => panels.open("shortcuts") : null;
  }

  /** Go to the room below or above the present one, or to the next of them that is unread. */
  #step(step, unread) {
    const rooms = placed(this.#state);
    let at = rooms.findIndex(({ room }) => room === this.#state.current) + step;
    while (unread && rooms[at] && !rooms[at].unread) at += step;
    if (rooms[at]) this.#open(rooms[at].room);
  }
}
