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
  #rooms = []; // those of the last answer
  #timer = null;
  #taking = false; // Enter was pressed before the list was there
  #known = {};

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
      this.#take();
    });
    this.#field.addEventListener("input", () => {
      this.#taking = false;
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
    this.node.addEventListener("keydown", (event) => this.#step(event));
    this.node.addEventListener("close", () => clearTimeout(this.#timer));
    actions.list("");
  }

  render({ listing, rooms }) {
    this.#known = rooms;
    if (listing === this.#listing) return;
    this.#listing = listing;
    if (listing && !listing.waiting) this.#rooms = listing.rooms;
    this.#draw();
    if (this.#taking && this.node.open) this.#take();
  }

  /** What is in the field as the name of a room. */
  get #wished() {
    return this.#field.value.trim().replaceAll(/\s+/g, "-");
  }

  /** Go to the room of just this name, else to the first of the list, once that is there. */
  #take() {
    const wished = this.#wished.toLowerCase();
    const { match, rooms = [], waiting } = this.#listing ?? {};
    const names = [...Object.keys(this.#known), ...rooms.map(({ room }) => room)];
    const room = names.find((name) => name.toLowerCase() === wished);
    this.#taking = !room && (match !== this.#wished || (waiting && rooms.length === 0));
    if (this.#taking) return;
    const first = room ?? this.#list.querySelector("a")?.dataset.room;
    if (first) this.#go(first);
  }

  /** Up and down between the field and what is below it. */
  #step(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step || event.isComposing || event.keyCode === 229) return;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const stops = [this.#field, ...this.#list.querySelectorAll("a"), this.#more];
    const at = stops.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    stops[at + step]?.focus();
  }

  #go(room) {
    this.node.close();
    this.#actions.open(room);
    this.#actions.focus();
  }

  #draw() {
    const { more = false, waiting = true, problem = null } = this.#listing ?? {};
    const rooms = this.#rooms; // until there is an answer, what fits of the one before
    const wished = this.#wished;
    const fits = (room) => room.toLowerCase().includes(wished.toLowerCase());
    const found = rooms.filter(({ room }) => fits(room));
    const rows = found.map((room) => this.#row(room));
    const known = rooms.some(({ room }) => room.toLowerCase() === wished.toLowerCase());
    if (!known && ROOM.test(wished)) rows.push(this.#create(wished));
    this.#put(rows);
    const focused = document.activeElement === this.#more;
    this.#more.hidden = !more;
    if (focused && !more) this.#list.querySelector("li:last-child a")?.focus();
    if (problem) write(this.#told, t("problem"));
    else if (wished && !ROOM.test(wished)) write(this.#told, t("browse.rule"));
    else
      write(this.#told, waiting ? t("browse.waiting") : t("browse.count", { count: found.length }));
  }

  /** Have these rows in the list; the same ones stay, for somebody may just be about to click. */
  #put(rows) {
    const { children } = this.#list;
    const same = (row, at) => row.isEqualNode(children[at]);
    if (rows.length === children.length && rows.every(same)) return;
    const at = document.activeElement?.closest(".found a")?.dataset.room;
    this.#list.replaceChildren(...rows);
    if (at === undefined) return;
    const links = [...this.#list.querySelectorAll("a")];
    (links.find(({ dataset }) => dataset.room === at) ?? links[0] ?? this.#field).focus();
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
