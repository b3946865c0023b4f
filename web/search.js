import { paint } from "./avatar.js";
import { h, write } from "./dom.js";
import { plain } from "./html.js";
import { icon } from "./icon.js";
import { problem, t, when } from "./words.js";

const PAUSE = 250; // ms after the last letter, before the server is asked
const BEFORE = 60; // characters that are shown before the first word that was found
const LENGTH = 240;

/** The search, beside the room: what was said, and the way there. */
export default class Search {
  #actions;
  #drawer;
  #field = h("input", {
    id: "search-field",
    type: "search",
    autocomplete: "off",
    autofocus: true,
    maxLength: 250, // as the server has it
  });
  #everywhere = h("input", { type: "radio", name: "scope", value: "everywhere" });
  #here = h("input", { type: "radio", name: "scope", value: "here", checked: true });
  #told = h("p", { class: "faint", role: "status" });
  #hits = h("ol", { class: "hits" });
  #more = h("button", { type: "button", hidden: true }, t("search.more"));
  #timer = null;
  #state = null;
  #search = null;
  #asked = "";

  constructor(panel, actions, drawer) {
    this.#actions = actions;
    this.#drawer = drawer;
    const form = h(
      "form",
      { class: "fields", role: "search" },
      h("label", { htmlFor: "search-field", class: "unseen" }, t("search.field")),
      this.#field,
      h(
        "fieldset",
        null,
        h("legend", { class: "unseen" }, t("search.scope")),
        h(
          "div",
          { class: "choice" },
          h("label", null, this.#here, h("span", null, t("search.here"))),
          h("label", null, this.#everywhere, h("span", null, t("search.everywhere"))),
        ),
      ),
    );
    this.#field.placeholder = t("search.field");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    this.#field.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(), PAUSE);
    });
    for (const scope of [this.#here, this.#everywhere]) {
      scope.addEventListener("change", () => this.#ask());
    }
    this.#more.addEventListener("click", () => actions.searchMore());
    this.#hits.addEventListener("click", (event) => this.#jump(event));
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault();
      drawer.hide();
    });
    panel.replaceChildren(
      h(
        "div",
        { class: "bar" },
        h("h2", null, t("search")),
        h(
          "button",
          { class: "icon close", type: "button", "aria-label": t("close") },
          icon("close"),
        ),
      ),
      form,
      h("div", { class: "results" }, this.#told, this.#hits, this.#more),
    );
  }

  focus() {
    this.#field.focus();
    this.#field.select();
    this.#ask(); // what was found is forgotten with each way out
  }

  render(state) {
    const moved = this.#state && this.#state.current !== state.current;
    this.#state = state;
    if (moved && this.#here.checked) this.#ask();
    if (state.search === this.#search) return;
    const goneOn = state.search && state.search.since === this.#search?.since;
    this.#search = state.search;
    this.#draw(goneOn ? this.#hits.children.length : 0);
  }

  #ask() {
    clearTimeout(this.#timer);
    const query = this.#field.value.trim();
    const room = this.#here.checked ? this.#state.current : null;
    const asked = JSON.stringify([query, room]);
    if (asked === this.#asked && this.#search && !this.#search.problem) return;
    this.#asked = asked;
    if (query) this.#actions.search(query, room);
    else this.#actions.searchClose();
  }

  /** Show what was found, of which the first `there` are on the page. */
  #draw(there) {
    const {
      query = "",
      hits = [],
      next = null,
      waiting = false,
      problem: wrong,
    } = this.#search ?? {};
    if (there === 0) this.#hits.replaceChildren();
    const pattern = words(query);
    this.#hits.append(...hits.slice(there).map((hit) => this.#row(hit, pattern)));
    // While more are on their way the button stays, and the focus on it.
    const focused = document.activeElement === this.#more;
    this.#more.hidden = next === null || (waiting && hits.length === 0);
    if (focused && this.#more.hidden) this.#hits.querySelector("li:last-child a")?.focus();
    if (wrong) write(this.#told, problem(wrong, this.#state.limits));
    else if (!this.#search) write(this.#told, "");
    else if (waiting) write(this.#told, t("search.waiting"));
    else if (hits.length === 0) write(this.#told, t("search.none"));
    else
      write(
        this.#told,
        t(next === null ? "search.count" : "search.newest", { count: hits.length }),
      );
  }

  #row(hit, pattern) {
    const { id, room, from, time, message, html, file } = hit;
    const face = h("span", { class: "avatar", "aria-hidden": "true" });
    paint(face, from);
    const place = this.#state.rooms[room]?.direct ? t("search.direct") : `#${room}`;
    const text = html ? plain(html).trim() : message;
    return h(
      "li",
      null,
      h(
        "a",
        { href: this.#actions.link(room, id), data: { room, id } },
        face,
        h(
          "span",
          { class: "head" },
          h("bdi", { class: "name" }, from.name),
          " ",
          h("time", { dateTime: time }, when(new Date(time))),
          this.#search.room === null ? h("span", { class: "place" }, " ", place) : null,
        ),
        h("span", { class: "text", dir: "auto" }, marked(text || file?.name || "", pattern)),
      ),
    );
  }

  #jump(event) {
    const hit = event.target.closest("a");
    if (!hit || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { room, id } = hit.dataset;
    this.#drawer.leave(() => this.#actions.open(room, Number(id)));
  }
}

/** The words of a query, as a pattern of what is marked; null without any. */
function words(query) {
  const parts = query.match(/[\p{L}\p{M}\p{N}\p{So}]+/gu) ?? [];
  return parts.length ? new RegExp(parts.join("|"), "giu") : null;
}

/** The piece of `text` around the first word that was found, with all of them marked. */
function marked(text, pattern) {
  const found = pattern ? text.search(pattern) : -1;
  const far = found > BEFORE ? found - BEFORE : 0;
  const space = far ? text.indexOf(" ", far) : -1;
  const start = space !== -1 && space < found ? space + 1 : far;
  // Cut, it may begin or end with half a character.
  const piece = text.slice(start, start + LENGTH).replace(/^[\uDC00-\uDFFF]|[\uD800-\uDBFF]$/g, "");
  const parts = [start ? "… " : ""];
  let at = 0;
  for (const { 0: word, index } of pattern ? piece.matchAll(pattern) : []) {
    parts.push(piece.slice(at, index), h("mark", null, word));
    at = index + word.length;
  }
  parts.push(piece.slice(at), start + LENGTH < text.length ? " …" : "");
  return parts;
}
