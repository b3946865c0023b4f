/** What one does with the messages of the log: by mouse, by touch and by keyboard. */

import { copy } from "./clipboard.js";
import { h, svg } from "./dom.js";
import { icon } from "./icon.js";
import { gist } from "./message.js";
import { sheet } from "./sheet.js";
import { isDirect } from "./state.js";
import { t } from "./words.js";

const QUICK = ["👍", "❤️", "😂"];

/** A picture that is needed here alone: the others come with the page. */
const envelope = () =>
  svg(
    "svg",
    { "aria-hidden": "true", viewBox: "0 0 20 20" },
    svg("path", { d: "M3.5 5h13v10h-13ZM3.5 5.5 10 10.5l6.5-5" }),
  );

/**
 * One toolbar for all messages: it is in the row that the pointer is over or that has the focus.
 * Arrow keys go from row to row, Enter to the toolbar of a row, Escape back.
 */
export class MessageActions {
  #log;
  #actions;
  #bar;
  #row = null;
  #self = null;
  #limits = {};
  #room = "";
  #versions = null;
  #loading = false;
  #walking = false; // from row to row by keyboard: letters mean something then

  /**
   * `actions` are the page's, and `announce(text)`, and `shown()`: the messages on the page.
   */
  constructor(log, actions) {
    this.#log = log;
    this.#actions = actions;
    this.#bar = this.#toolbar();
    const pointer = ["pointerover", "pointerleave", "pointerdown"];
    for (const type of [...pointer, "focusin", "focusout", "keydown", "click"]) {
      log.addEventListener(type, (event) => this.take(event));
    }
  }

  /** Something has happened in the log. */
  take(event) {
    const { type, target, pointerType, relatedTarget } = event;
    const hovers = pointerType !== "touch"; // a finger is gone before its click comes
    if (type === "pointerover" && hovers) this.#offer(target);
    else if (type === "pointerdown") this.#walking = false;
    else if (type === "focusin" && target.matches(":focus-visible")) this.#offer(target, true);
    else if (type === "keydown") this.#key(event);
    else if (type === "click") this.#act(target.closest("[data-act]"), event);
    else if (type === "pointerleave" && hovers) this.#withdraw();
    else if (type === "focusout" && !this.#log.contains(relatedTarget)) this.#withdraw();
  }

  render(state) {
    this.#self = state.self;
    this.#room = state.current;
    this.#versions?.render(state);
  }

  /** The rows are all taken away. */
  clear() {
    const row = this.#row;
    this.#row = null; // first: to take what has the focus away is to be told of it
    row?.classList.remove("chosen");
    this.#bar.remove();
  }

  /** This row is taken away. */
  leave(row) {
    if (row === this.#row) this.clear();
  }

  #toolbar() {
    const tool = (act, picture, label) =>
      h(
        "button",
        { type: "button", class: "icon", title: label, "aria-label": label, tabindex: -1, data: { act } },
        picture,
      );
    const quick = QUICK.map((emoji) =>
      h(
        "button",
        {
          type: "button",
          class: "icon emoji",
          "aria-label": t("message.quick", { emoji }),
          tabindex: -1,
          data: { act: "toggle", emoji },
        },
        emoji,
      ),
    );
    return h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": t("message.actions") },
      quick,
      tool("react", icon("react"), t("message.react")),
      tool("reply", icon("reply"), t("message.reply")),
      tool("direct", envelope(), t("message.direct")),
      tool("change", icon("pencil"), t("message.edit")),
      tool("link", icon("link"), t("message.link")),
      tool("remove", icon("trash"), t("message.delete")),
    );
  }

  /** Put the toolbar into the row that `target` is in. */
  #offer(target, focused = false) {
    const row = target.closest?.(".message");
    if (!row || row === this.#row) return;
    if (!focused && this.#row?.querySelector(":focus-visible")) return;
    this.#withdraw();
    const message = this.#message(row);
    if (!message || message.deleted) return;
    const mine = message.from.id === this.#self?.id;
    for (const act of ["change", "remove"]) {
      this.#bar.querySelector(`[data-act=${act}]`).hidden = !mine;
    }
    this.#bar.querySelector("[data-act=direct]").hidden = mine || isDirect(this.#room);
    this.#tools.forEach((button, place) => (button.tabIndex = place === 0 ? 0 : -1));
    row.append(this.#bar);
    row.classList.add("chosen");
    this.#row = row;
  }

  /** Take the toolbar away, but not from one who has come to this row by keyboard. */
  #withdraw() {
    const row = this.#row;
    if (!row || row.matches(":focus-visible") || row.querySelector(":focus-visible")) return;
    const focused = this.#bar.contains(document.activeElement);
    this.clear();
    if (focused) row.focus({ preventScroll: true });
  }

  get #tools() {
    return [...this.#bar.querySelectorAll("button:not([hidden])")];
  }

  #message(row) {
    const id = Number(row?.dataset.id);
    return id ? this.#actions.shown().find((message) => message.id === id) : undefined;
  }

  // By keyboard.

  #key(event) {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#bar.contains(target)) return this.#keyInBar(event);
    const row = target.closest(".message");
    if (target === this.#log && key === "ArrowUp") {
      this.#go(event, this.#lastInView());
    } else if (target === this.#log && key.length === 1 && key !== " ") {
      this.#actions.focus();
    } else if (row === target) {
      this.#keyInRow(event, row);
    } else if (row && key === "Escape") {
      this.#go(event, row);
    }
  }

  #keyInRow(event, row) {
    const rows = [...this.#log.querySelectorAll(".message")];
    const at = rows.indexOf(row);
    const to = {
      ArrowUp: rows[at - 1],
      ArrowDown: rows[at + 1],
      Home: rows[0],
      End: rows.at(-1),
    };
    const menu =
      ["Enter", "ContextMenu"].includes(event.key) || (event.shiftKey && event.key === "F10");
    const message = this.#message(row);
    if (Object.hasOwn(to, event.key)) this.#go(event, to[event.key] ?? row);
    else if (event.key === "Escape") this.#actions.focus();
    else if (menu) this.#open(event);
    else if (event.key.length === 1 || event.key === "Delete") this.#letter(event, message, row);
  }

  /** A letter is a tool for who walks through the messages; else it is the beginning of a text. */
  #letter(event, message, row) {
    const act = { r: "reply", e: "change", Delete: "remove", "+": "react" }[event.key];
    const tool = this.#tools.find((button) => button.dataset.act === act);
    if (this.#walking && message && !message.deleted && tool) {
      event.preventDefault();
      this.#do(act, message, row, tool);
    } else if (event.key.length === 1 && event.key !== " ") this.#actions.focus();
  }

  #open(event) {
    event.preventDefault();
    this.#tools[0]?.focus();
  }

  #keyInBar(event) {
    const tools = this.#tools;
    const at = tools.indexOf(event.target);
    const back = getComputedStyle(this.#bar).direction === "rtl" ? 1 : -1;
    const to = {
      ArrowLeft: tools.at((at + back) % tools.length),
      ArrowRight: tools.at((at - back) % tools.length),
      Home: tools[0],
      End: tools.at(-1),
    };
    if (event.key === "Escape") return this.#go(event, this.#row);
    if (!Object.hasOwn(to, event.key)) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    to[event.key].tabIndex = 0;
    to[event.key].focus();
  }

  #go(event, row) {
    if (!row) return;
    event.preventDefault();
    this.#walking = true;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  #lastInView() {
    const { bottom } = this.#log.getBoundingClientRect();
    const rows = [...this.#log.querySelectorAll(".message")];
    return rows.findLast((row) => row.getBoundingClientRect().top < bottom - 10);
  }

  // What is done.

  #act(part, event) {
    if (!part) return;
    const row = part.closest(".message");
    const { act } = part.dataset;
    if (act === "retry") return this.#actions.retry(part.dataset.nonce);
    if (act === "edit") return this.#actions.reopen(part.dataset.nonce);
    if (act === "discard") return this.#actions.discard(part.dataset.nonce);
    if (act === "code") {
      const code = part.parentNode.querySelector("code");
      return this.#copy(code.textContent, t("message.copied"), part, "copy");
    }
    const message = this.#message(row);
    if (!message) return;
    if (act === "image" && (event.ctrlKey || event.metaKey || event.shiftKey)) return; // in a new tab
    if (act === "image") event.preventDefault();
    this.#do(act, message, row, part);
  }

  #do(act, message, row, part) {
    const { id } = message;
    const mine = message.from.id === this.#self?.id;
    const ways = {
      more: () => {
        this.#offer(row, true);
        this.#tools[0]?.focus();
      },
      toggle: () => this.#toggle(message, part.dataset.emoji),
      react: () => this.#pick(message, row, part),
      reply: () => {
        this.#actions.draft({ reply: id });
        this.#actions.focus();
      },
      direct: () => {
        this.#actions.direct(message.from.id);
        this.#actions.focus();
      },
      change: () => {
        if (!mine) return;
        this.#actions.startEdit(id);
        this.#actions.focus();
      },
      remove: () => mine && this.#remove(message, row),
      link: () => this.#copy(this.#address(id), t("message.linked"), part, "link"),
      quote: () => this.#actions.jump(message.reply),
      versions: () => this.#versionsOf(id),
      image: () => this.#view(message.file),
    };
    ways[act]();
  }

  #address(id) {
    return new URL(this.#actions.link(this.#room, id), location.href).href;
  }

  #toggle({ id, reactions = [] }, emoji) {
    const users = reactions.find((reaction) => reaction.emoji === emoji)?.users ?? [];
    this.#actions.react(id, emoji, !users.some((user) => user.id === this.#self?.id));
  }

  async #pick(message, row, button) {
    const room = this.#room;
    const { pick } = await import("./picker.js");
    const emoji = await pick(button);
    this.#stay(row);
    if (!emoji || room !== this.#room) return;
    const now = this.#actions.shown().find(({ id }) => id === message.id);
    const given = now?.reactions?.find((reaction) => reaction.emoji === emoji)?.users ?? [];
    if (!given.some(({ id }) => id === this.#self?.id)) this.#actions.react(message.id, emoji, true);
  }

  async #remove(message, row) {
    const room = this.#room;
    const there = await this.#load(() => import("./confirm.js"), "panels.css");
    if (!there) return;
    const sure = await there.confirm(t("message.delete.sure"), gist(message), t("message.delete"));
    this.#stay(row);
    if (sure && room === this.#room) this.#actions.remove(message.id);
  }

  async #versionsOf(id) {
    const there = await this.#load(() => import("./versions.js"), "panels.css");
    if (there) this.#versions = await there.Versions.open(this.#actions, id);
  }

  async #view(file) {
    const there = await this.#load(() => import("./lightbox.js"), "lightbox.css");
    there?.lightbox(file);
  }

  /**
   * The module that opens a dialog, which a style sheet draws; null if it is not to be opened when
   * both are there: over another dialog, or over another room than it was asked for.
   */
  async #load(module, style) {
    if (this.#loading) return null;
    this.#loading = true;
    const room = this.#room;
    try {
      const [there] = await Promise.all([module(), sheet(style)]);
      return room === this.#room && !document.querySelector("dialog[open]") ? there : null;
    } finally {
      this.#loading = false;
    }
  }

  /** Keep the focus in the row where it was, or in the log, if its button is gone meanwhile. */
  #stay(row) {
    if (document.activeElement !== document.body) return;
    (row.isConnected ? row : this.#log).focus({ preventScroll: true });
  }

  #copy(text, told, button, picture) {
    return copy(text, button, picture, (copied) => {
      this.#actions.announce(copied ? told : t("problem"));
    });
  }
}
