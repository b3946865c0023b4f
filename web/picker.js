/** Choose an emoji: a grid of all of them, with a search. */

import { h } from "./dom.js";
import { load } from "./emoji/emoji.js";
import { sheet } from "./sheet.js";
import { language, t } from "./words.js";

const COLUMNS = 8; // as many as picker.css has
const KEPT = 16; // emoji that were used lately
const FOUND = 80;

let emoji;
let pressed = null; // by which a picker is closed: the click that follows does not open another

const press = ({ type, target }) => {
  const open = type === "pointerdown" && document.querySelector("#picker:popover-open");
  pressed = open ? target : null;
};
for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, press, true);

/**
 * Let the user choose, beside `button`. The promise is for the emoji, or null when the user thought
 * better of it. The focus goes back to where it was.
 */
export async function pick(button) {
  if (button.contains(pressed)) {
    pressed = null; // a click that a screen reader makes comes without a press
    return null;
  }
  const [all] = await Promise.all([load(language), sheet("picker.css")]);
  if (!button.isConnected) return null;
  emoji = all;
  return new Promise((choose) => new Picker(button, choose));
}

class Picker {
  #choose;
  #search;
  #grid = h("div", { class: "grid", role: "grid", "aria-label": t("picker.title") });
  #name = h("p", { class: "faint", "aria-hidden": "true" });
  #none = h("p", { class: "none", role: "status" });
  #node;
  #chosen = null;

  constructor(button, choose) {
    this.#choose = choose;
    this.#search = h("input", {
      type: "search",
      placeholder: t("picker.search"),
      "aria-label": t("picker.search"),
      autocomplete: "off",
      spellcheck: false,
    });
    this.#node = h(
      "div",
      { id: "picker", popover: "auto", role: "dialog", "aria-label": t("picker.title") },
      this.#search,
      this.#grid,
      this.#none,
      this.#name,
    );
    this.#search.addEventListener("input", () => this.#draw());
    this.#node.addEventListener("keydown", (event) => this.#key(event));
    this.#grid.addEventListener("click", ({ target }) => this.#take(target.closest("button")));
    const told = ({ target }) => {
      const cell = target.closest("button");
      if (cell) this.#name.textContent = cell.title;
    };
    this.#grid.addEventListener("pointerover", told);
    this.#grid.addEventListener("focusin", told);
    this.#draw();
    document.body.append(this.#node);
    const focused = document.activeElement;
    this.#node.addEventListener("toggle", ({ newState }) => {
      if (newState === "open") return;
      this.#node.remove();
      if (focused?.isConnected && !isWorkedIn(document.activeElement)) {
        focused.focus({ preventScroll: true });
      }
      this.#choose(this.#chosen);
    });
    this.#node.showPopover();
    this.#place(button.getBoundingClientRect());
    // Where there is a finger the search would open a keyboard over all of it.
    const [first] = matchMedia("(pointer: coarse)").matches ? this.#cells : [this.#search];
    first.focus();
  }

  /** Near the button, wherever there is room; a phone's style sheet has a place of its own. */
  #place(beside) {
    const { offsetWidth: width, offsetHeight: height } = this.#node;
    const left = Math.max(8, Math.min(beside.left, innerWidth - width - 8));
    const below = beside.bottom + 4;
    const top = below + height < innerHeight ? below : Math.max(8, beside.top - height - 4);
    this.#node.style.setProperty("--left", `${left}px`);
    this.#node.style.setProperty("--top", `${top}px`);
  }

  #draw() {
    const query = this.#search.value.trim();
    const groups = query ? [{ name: "", emoji: emoji.find(query, FOUND) }] : [recent(), ...emoji.groups];
    this.#grid.replaceChildren(
      ...groups.filter((group) => group.emoji.length).map((group) => drawn(group)),
    );
    const first = this.#cells[0];
    if (first) first.tabIndex = 0;
    this.#none.textContent = first ? "" : t("picker.none");
    this.#name.textContent = query && first ? first.title : "";
  }

  get #cells() {
    return [...this.#grid.querySelectorAll("button")];
  }

  #take(cell) {
    if (!cell) return;
    this.#chosen = cell.dataset.emoji;
    remember(this.#chosen);
    this.#node.hidePopover();
  }

  #key(event) {
    const cells = this.#cells;
    const at = cells.indexOf(document.activeElement);
    const { key } = event;
    if (document.activeElement === this.#search) {
      if (key === "Enter" && !event.isComposing && event.keyCode !== 229) this.#take(cells[0]);
      else if (key === "ArrowDown") this.#go(event, cells[0]);
      else return;
      event.preventDefault();
    } else if (at >= 0) {
      if (key === "ArrowUp" && cells[at].closest(".cells").parentNode === this.#grid.firstChild) {
        const place = [...cells[at].closest(".cells").querySelectorAll("button")].indexOf(cells[at]);
        if (place < COLUMNS) return this.#go(event, this.#search);
      }
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: cells.length - 1 }[key];
      const vertical = { ArrowUp: -1, ArrowDown: 1 }[key];
      if (to !== undefined) this.#go(event, cells[Math.max(0, to)]);
      else if (vertical) this.#go(event, beyond(cells, at, vertical));
    }
  }

  #go(event, node) {
    event.preventDefault();
    if (!node) return;
    for (const cell of this.#grid.querySelectorAll("[tabindex='0']")) cell.tabIndex = -1;
    if (node !== this.#search) node.tabIndex = 0;
    node.focus();
  }
}

/** The nearest cell in the next row, above or below. */
function beyond(cells, at, step) {
  const from = cells[at].getBoundingClientRect();
  let found;
  let best = Infinity;
  for (let next = at + step; cells[next]; next += step) {
    const box = cells[next].getBoundingClientRect();
    if (Math.abs(box.top - from.top) < 4) continue;
    if (found && Math.abs(box.top - found.getBoundingClientRect().top) > 4) break;
    const distance = Math.abs(box.left - from.left);
    if (distance < best) [found, best] = [cells[next], distance];
  }
  return found;
}

function drawn({ name, emoji: entries }) {
  const rows = [];
  for (let start = 0; start < entries.length; start += COLUMNS) {
    const cells = entries.slice(start, start + COLUMNS).map(({ emoji: character, name: code, label }) =>
      h(
        "button",
        {
          type: "button",
          role: "gridcell",
          tabIndex: -1,
          title: `${label} :${code}:`,
          "aria-label": label,
          data: { emoji: character },
        },
        character,
      ),
    );
    rows.push(h("div", { role: "row" }, cells));
  }
  const title = name && h("p", { class: "group", "aria-hidden": "true" }, name);
  return h("div", { role: "rowgroup", "aria-label": name || null }, title, h("div", { class: "cells" }, rows));
}

const isWorkedIn = (node) => node !== document.body && node !== null && !node.closest("#picker");

// What was used lately, the last first.

const key = () => `chatroom ${new URL(".", location.href).pathname} emoji`;

function recent() {
  const entries = kept().map((character) => emoji.find(character, 1)[0]);
  return { name: t("picker.recent"), emoji: entries.filter(Boolean) };
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(key())) ?? [];
  } catch (denied) {
    console.info("No emoji are remembered:", denied.message);
    return [];
  }
}

function remember(character) {
  const characters = [character, ...kept().filter((other) => other !== character)];
  try {
    localStorage.setItem(key(), JSON.stringify(characters.slice(0, KEPT)));
  } catch (denied) {
    console.info("No emoji are remembered:", denied.message);
  }
}
