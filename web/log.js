import { paint } from "./avatar.js";
import { copy, element, write } from "./dom.js";
import * as words from "./words.js";

const END = 40; // px from the end that still count as the end
const AHEAD = 1.5; // screens of older messages that are kept ready above
const PAUSE = 5 * 60_000; // ms after which the same speaker is named again
const BLOCK = 50; // rows in a list of their own: what is new moves only the rows of its list
const SPOKEN = 3; // messages at once that a screen reader is told in full

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en", { dateStyle: "full" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "full", timeStyle: "medium" });

/**
 * The log of the room. Only what is new is ever added to the page, and what the reader looks at
 * stays where it is; at the end, the reader stays at the end.
 */
export class MessageLog {
  #scroller = element("log");
  #list = element("messages");
  #top = element("log-top");
  #jump = element("newest");
  #announcer = element("announcer");
  #era = null;
  #shown = []; // the messages on the page
  #rows = new Map(); // id of a message → its row
  #notes = new Map(); // id of a message → the note after it, as {note, row}
  #shownNotes = null;
  #atEnd = true;
  #unseen = 0;

  /** `scrolled()` is called when the reader has moved. */
  constructor(scrolled) {
    this.#scroller.addEventListener("scroll", () => {
      this.#look();
      scrolled();
    });
    this.#jump.addEventListener("click", () => {
      this.toEnd();
      this.#scroller.focus({ preventScroll: true });
    });
    new ResizeObserver(() => this.#settle()).observe(this.#scroller);
  }

  /** Whether the reader will soon see the first message on the page. */
  get nearTop() {
    return this.#scroller.scrollTop < this.#scroller.clientHeight * AHEAD;
  }

  /** Go to the newest message, and stay at the end. */
  toEnd() {
    this.#atEnd = true;
    this.#settle();
  }

  render(state) {
    const anchor = this.#list.querySelector(".message .text");
    const height = anchor?.getBoundingClientRect().top;
    const begins = state.era !== this.#era;
    if (begins) this.#clear(state.era);
    const arrived = this.#renderMessages(state);
    if (!begins) this.#announce(arrived.filter((message) => message.from.id !== state.self.id));
    this.#renderNotes(state.notes);
    write(this.#top, words.top(state));
    if (anchor?.isConnected && !this.#atEnd) {
      this.#scroller.scrollTop += anchor.getBoundingClientRect().top - height;
    }
    this.#settle();
  }

  #clear(era) {
    this.#era = era;
    this.#shown = [];
    this.#shownNotes = null;
    this.#rows.clear();
    this.#notes.clear();
    this.#list.replaceChildren();
    this.#announcer.replaceChildren();
    this.#atEnd = true;
    this.#unseen = 0;
  }

  /** Add what is not on the page yet, and return what of it came after the rest. */
  #renderMessages({ messages, notes }) {
    if (messages === this.#shown) return [];
    const shown = this.#shown;
    this.#shown = messages;
    const first = shown.length ? messages.findIndex(({ id }) => id === shown[0].id) : 0;
    const newer = messages.slice(first + shown.length);
    const noted = new Set(notes.map(({ after }) => after));

    this.#list.prepend(...blocksOf(this.#rowsOf(messages.slice(0, first), noted)));
    if (first > 0) relate(this.#rows.get(shown[0].id), shown[0], messages[first - 1]);
    const rows = this.#rowsOf(newer, noted, shown.at(-1));
    const last = this.#list.lastElementChild;
    last?.append(...rows.splice(0, BLOCK - last.childElementCount));
    this.#list.append(...blocksOf(rows));
    return newer;
  }

  #rowsOf(messages, noted, previous) {
    return messages.map((message) => {
      const row = draw(message);
      relate(row, message, previous, noted.has(previous?.id));
      this.#rows.set(message.id, row);
      previous = message;
      return row;
    });
  }

  #announce(messages) {
    if (messages.length === 0) return;
    if (!this.#atEnd) this.#unseen += messages.length;
    const spoken =
      messages.length > SPOKEN ? [words.newMessages(messages.length)] : messages.map(words.said);
    this.#announcer.replaceChildren(
      ...spoken.map((text) => {
        const line = document.createElement("p");
        line.textContent = text;
        return line;
      }),
    );
  }

  #renderNotes(notes) {
    if (notes === this.#shownNotes) return;
    this.#shownNotes = notes;
    const last = notes.at(-1);
    for (const [after, { row }] of this.#notes) {
      if (after > (last?.after ?? -1)) {
        row.remove();
        this.#notes.delete(after);
      }
    }
    for (const note of notes) {
      const shown = this.#notes.get(note.after);
      if (shown?.note === note) continue;
      const row = shown?.row ?? copy("note");
      row.textContent = words.changes(note.changes);
      if (!shown) this.#place(row, this.#rows.get(note.after));
      this.#notes.set(note.after, { note, row });
    }
  }

  #place(row, message) {
    if (message) message.after(row);
    else this.#list.append(...blocksOf([row]));
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < END;
    this.#showJump();
  }

  #settle() {
    if (this.#atEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#showJump();
  }

  #showJump() {
    if (this.#atEnd) this.#unseen = 0;
    this.#jump.hidden = this.#atEnd;
    write(this.#jump, words.newMessages(this.#unseen));
  }
}

function blocksOf(rows) {
  const blocks = [];
  for (let start = 0; start < rows.length; start += BLOCK) {
    const block = document.createElement("ol");
    block.append(...rows.slice(start, start + BLOCK));
    blocks.push(block);
  }
  return blocks;
}

function draw(message) {
  const row = copy("message");
  const time = row.querySelector("time");
  const date = new Date(message.time);
  row.dataset.id = message.id;
  paint(row.querySelector(".avatar"), message.from);
  row.querySelector(".name").textContent = message.from.name;
  row.querySelector(".name").dataset.hue = row.querySelector(".avatar").dataset.hue;
  row.querySelector(".text").textContent = message.message;
  time.dateTime = message.time;
  time.textContent = clock.format(date);
  time.title = moment.format(date);
  return row;
}

/** A row after `previous`: a new day has its line, a new speaker has a head. */
function relate(row, message, previous, noted = false) {
  const date = new Date(message.time);
  const before = previous && new Date(previous.time);
  const sameDay = before?.toDateString() === date.toDateString();
  row.querySelector(".day").textContent = sameDay ? "" : day.format(date);
  row.classList.toggle(
    "follows",
    sameDay &&
      !noted &&
      previous.from.id === message.from.id &&
      previous.from.name === message.from.name &&
      date - before < PAUSE,
  );
}
