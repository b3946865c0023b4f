/** Where the user writes. */

import { element, h, write } from "./dom.js";
import { icon } from "./icon.js";
import { gist } from "./message.js";
import { prefer, preferences } from "./preferences.js";
import { sheet } from "./sheet.js";
import * as known from "./state.js";
import { length, marked } from "./text.js";
import { apart, named, t } from "./words.js";

const NEAR = 0.9; // part of the limit from which the length is shown

const tool = (id, picture, label, props) =>
  h("button", { type: "button", class: "icon", id, title: label, "aria-label": label, ...props }, icon(picture));

/** Enter sends, Shift+Enter breaks the line, Up in an empty field edits the last own message. */
export class Composer {
  #actions;
  #form = element("composer");
  #text = element("text");
  #length = element("text-length");
  #send = element("send");
  #typing = element("typing");
  #about = h("div", { id: "about", hidden: true });
  #files = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1 });
  #attach = tool("attach", "attach", t("composer.attach"));
  #smile = tool("smile", "smile", t("composer.emoji"));
  #markdown = tool("markdown", "markdown", t("composer.markdown"));
  #completion = null; // comes with the first @ or :
  #tray = null; // comes with the first file
  #coming = null; // a promise that files are in the tray
  #state = null;
  #draft = known.EMPTY_DRAFT;
  #shown = null; // what the line above the field was drawn from

  constructor(actions) {
    this.#actions = actions;
    const text = this.#text;
    const row = h("div", { class: "row" });
    text.before(this.#about, row);
    row.append(this.#attach, text, this.#length, this.#markdown, this.#smile, this.#send, this.#files);
    this.#markdown.ariaPressed = preferences().markdown;
    this.#listen();
  }

  #listen() {
    const text = this.#text;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    text.addEventListener("input", () => this.#written());
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("paste", (event) => this.#take(event, event.clipboardData));
    this.#attach.addEventListener("click", () => this.#files.click());
    this.#files.addEventListener("change", () => {
      this.#add([...this.#files.files]);
      this.#files.value = "";
      this.focus();
    });
    this.#smile.addEventListener("click", () => this.#pick());
    this.#markdown.addEventListener("click", () => {
      const on = this.#markdown.ariaPressed !== "true";
      this.#markdown.ariaPressed = on;
      prefer({ markdown: on });
      this.focus();
    });
    const { body } = document; // the whole page takes what is dropped: else it opens in a new tab
    body.addEventListener("dragover", (event) => {
      const { dataTransfer: data, target } = event;
      if (!data.types.includes("Files")) return;
      // A field has use for a text.
      if (data.types.includes("text/plain") && target.matches?.("input, textarea")) return;
      event.preventDefault();
      const away = document.querySelector("dialog[open]");
      if (away) data.dropEffect = "none";
      body.classList.toggle("drop", !away);
    });
    for (const end of ["dragleave", "drop"]) {
      body.addEventListener(end, ({ relatedTarget }) => {
        if (end === "drop" || !body.contains(relatedTarget)) body.classList.remove("drop");
      });
    }
    body.addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
  }

  render(state) {
    const came = state.current !== this.#state?.current;
    this.#state = state;
    this.#tray?.render(state);
    this.#attach.hidden = !state.limits.file;
    const draft = known.draftOf(state, state.current);
    if (came) this.#completion?.close();
    if (draft !== this.#draft || came) {
      this.#draft = draft;
      if (draft.text !== this.#text.value) this.#write(draft.text);
    }
    this.#drawAbout(draft, state);
    write(this.#typing, typing(known.room(state).typing));
    this.#fit(false);
  }

  focus() {
    this.#text.focus();
  }

  #write(text) {
    this.#text.value = text;
    this.#text.setSelectionRange(text.length, text.length);
    this.#fit();
  }

  #written() {
    const { value } = this.#text;
    this.#fit();
    this.#actions.draft({ text: value });
    if (value.trim()) this.#actions.typing();
    if (this.#completion) this.#completion.look();
    else if (/[@:]/.test(value)) this.#complete();
  }

  async #complete() {
    const { Completion } = await import("./complete.js");
    if (this.#completion) return;
    this.#completion = new Completion(this.#text, {
      people: () => this.#people(),
      changed: () => this.#written(),
    });
    this.#about.before(...this.#completion.nodes);
    this.#completion.look();
  }

  #add(files, folders) {
    const { current } = this.#state;
    this.#coming = this.#open().then(() => this.#tray.add(files, folders, current));
    const over = (error) => {
      this.#coming = null;
      if (error instanceof SyntaxError) throw error; // the notice tells
      if (error) this.#actions.failed(t("panel.failed"));
    };
    this.#coming.then(() => over(), over);
  }

  async #open() {
    const [{ Tray }] = await Promise.all([import("./tray.js"), sheet("panels.css")]);
    if (this.#tray) return;
    this.#tray = new Tray(() => this.#fit());
    this.#tray.render(this.#state);
    this.#about.after(this.#tray.told, this.#tray.node);
  }

  #submit() {
    const { current } = this.#state;
    // What was chosen is to go with it.
    const later = () => current === this.#state.current && this.#submit();
    if (this.#coming) return void this.#coming.then(later, () => {});
    const { editing, reply } = this.#draft;
    const text = whole(this.#text.value.trimEnd());
    const said = text.trim() !== "";
    if (length(text) > this.#state.limits.message) return;
    const was = this.#edited; // what Markdown meant something in, or did not, goes on like that
    const pressed = this.#markdown.ariaPressed === "true";
    const wanted = was && marked(was.message) ? was.type === "markdown" : pressed;
    const type = wanted && marked(text) ? "markdown" : "text";
    this.#completion?.close();
    if (editing !== null) {
      if (said || this.#edited?.file) this.#actions.edit(editing, text, type);
      return;
    }
    const files = this.#tray?.empty() ?? [];
    if (!said && files.length === 0) return;
    this.#write("");
    const [first = null, ...more] = files;
    this.#actions.say({ text: said ? text : "", type, reply, file: first });
    for (const file of more) this.#actions.say({ text: "", file });
  }

  get #empty() {
    return !this.#text.value.trim() && !this.#tray?.files.length;
  }

  get #edited() {
    const { editing } = this.#draft;
    return known.shown(this.#state, this.#state.current).find(({ id }) => id === editing);
  }

  #key(event) {
    if (this.#completion?.key(event)) return;
    // While an input method composes, the keys are its own (keyCode 229 in Safari).
    if (event.isComposing || event.keyCode === 229) return;
    const { key, shiftKey } = event;
    const { editing, reply } = this.#draft;
    if (key === "Enter" && !shiftKey) {
      event.preventDefault();
      this.#form.requestSubmit();
    } else if (key === "ArrowUp" && this.#empty && editing === null && !held(event)) {
      event.preventDefault();
      this.#actions.startEdit();
    } else if (key === "Escape" && (editing !== null || reply !== null)) {
      event.preventDefault();
      event.stopPropagation();
      this.#cancel();
    }
  }

  #cancel() {
    if (this.#draft.editing !== null) this.#actions.stopEdit();
    else this.#actions.draft({ reply: null });
    this.focus();
  }

  #take(event, data) {
    const items = [...data.items].filter(({ kind }) => kind === "file");
    // Who copies from a document may mean its text: that comes with a picture of it.
    if (items.length === 0 || data.getData("text/plain")) return;
    event.preventDefault();
    const files = items.filter((item) => !item.webkitGetAsEntry()?.isDirectory);
    this.#add(files.map((item) => item.getAsFile()), items.length > files.length);
    this.focus();
  }

  async #pick() {
    const { selectionStart, selectionEnd } = this.#text;
    const { pick } = await import("./picker.js");
    const emoji = await pick(this.#smile);
    this.focus();
    if (!emoji) return;
    this.#text.setRangeText(emoji, selectionStart, selectionEnd, "end");
    this.#written();
  }

  /** Whom one may mean: who spoke lately, then who else is here. */
  #people() {
    const { self, current } = this.#state;
    const people = new Map();
    const names = new Map(known.room(this.#state).users.map((user) => [user.id, user]));
    for (const { from } of known.shown(this.#state, current).toReversed()) {
      if (!people.has(from.id)) people.set(from.id, names.get(from.id) ?? from);
    }
    for (const user of names.values()) if (!people.has(user.id)) people.set(user.id, user);
    people.delete(self?.id);
    return [...people.values()];
  }

  /** The line that says what is edited or answered. */
  #drawAbout({ editing, reply }, state) {
    const about = editing ?? reply;
    const message = about === null ? null : (this.#edited ?? known.replied(state, state.current, about));
    const key = about === null ? null : `${editing} ${reply} ${message?.message}`;
    if (key === this.#shown) return;
    this.#shown = key;
    const focused = this.#about.contains(document.activeElement);
    this.#about.hidden = about === null;
    if (about === null) return focused && this.focus();
    const name = message ? apart(message.from.name) : "";
    this.#about.replaceChildren(
      icon(editing === null ? "reply" : "pencil"),
      h("span", {}, editing === null ? t("composer.answer", { name }) : t("composer.editing")),
      h("span", { class: "gist", dir: "auto" }, message && editing === null ? gist(message) : ""),
      h(
        "button",
        { type: "button", class: "icon", "aria-label": t("cancel"), onclick: () => this.#cancel() },
        icon("close"),
      ),
    );
  }

  /** Give the field the height of its text, and tell its length when that comes near the limit. */
  #fit(sized = true) {
    const text = this.#text;
    if (sized) {
      text.style.blockSize = "auto";
      text.style.blockSize = `${text.scrollHeight}px`;
    }
    const limit = this.#state?.limits.message ?? Infinity;
    // In fact no text has more characters than UTF-16 units.
    const long = text.value.length >= limit * NEAR;
    const count = long ? length(text.value.trimEnd()) : 0;
    write(this.#length, count >= limit * NEAR ? t("composer.length", { count, limit }) : "");
    text.ariaInvalid = count > limit;
    this.#send.classList.toggle("idle", this.#empty || count > limit);
  }
}

/** A text without halves of characters: they cannot be sent. */
const whole = (text) => text.toWellFormed?.() ?? text;

const held = ({ altKey, ctrlKey, metaKey, shiftKey }) => altKey || ctrlKey || metaKey || shiftKey;

/** Who is typing; empty when nobody is. */
function typing(users) {
  if (users.length === 0) return "";
  if (users.length > 3) return t("typing.several");
  return t("typing", { count: users.length, names: named(users) });
}
