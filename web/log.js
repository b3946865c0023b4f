/** The log of the room that is shown. */

import { element, h, write } from "./dom.js";
import { Row, fate, pending, said } from "./message.js";
import * as known from "./state.js";
import { apart, named, t } from "./words.js";

const END = 40; // px from the end that still count as the end
const AHEAD = 1.5; // screens of messages that are kept ready above and below
const PAUSE = 5 * 60_000; // ms after which the same speaker is named again
const BLOCK = 50; // rows in a list of their own: what is new moves only the rows of its list
const SPOKEN = 3; // messages at once that a screen reader is told in full
const EVENTS = ["pointerover", "focusin", "keydown", "click"];
const PRECEDING = 2; // Node.DOCUMENT_POSITION_PRECEDING
const LINE = 0.2; // of the height: where the line of unread messages stands when the room is entered

/**
 * The log of the room. What changes is changed in its place, and what the reader looks at stays
 * where it is; at the end, the reader stays at the end.
 */
export class MessageLog {
  #scroller = element("log");
  #list = element("messages");
  #top = element("log-top");
  #jump = element("newest");
  #announcer = element("announcer");
  #unsaid = h("ol", { id: "unsaid" });
  #missed = h("button", { type: "button", id: "missed", hidden: true }, t("log.missed"));
  #actions;
  #acts = null; // what one does with messages, once somebody does
  #state = null;
  #room = {}; // as it was drawn last
  #messages = [];
  #rows = new Map(); // id of a message → its row
  #waiting = new Map(); // nonce of an entry of the outbox → its row
  #reached = new WeakSet(); // goals
  #drawn = null; // what the rows were drawn from
  #opening = null; // the note before all messages
  #anchor = null; // what the reader looks at: {node, top}, when the log was scrolled to `at`
  #at = 0;
  #stuck = true; // the reader is at the end of the room, and stays there
  #left = new Map(); // name of a room → where its reader was when another was shown

  constructor(actions) {
    this.#actions = actions;
    element("unsaid")?.remove();
    this.#scroller.append(this.#unsaid);
    this.#scroller.after(this.#missed);
    this.#wake();
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#jump.addEventListener("click", () => {
      actions.toEnd();
      this.#scroller.focus({ preventScroll: true });
    });
    this.#missed.addEventListener("click", () => actions.jump(this.#room.line + 1));
    const sizes = new ResizeObserver(() => this.#keep());
    for (const node of [this.#scroller, this.#list, this.#unsaid]) sizes.observe(node);
  }

  /** Have what one does with messages come with the first pointer, key or focus on them. */
  #wake() {
    const events = [];
    const wait = async (event) => {
      events.push(event);
      if (event.type === "click" && event.target.closest("[data-act]")) event.preventDefault();
      if (events.length > 1) return;
      const { MessageActions } = await import("./actions.js").catch((lost) => {
        events.length = 0; // the next event tries it again
        if (lost instanceof SyntaxError) throw lost; // the notice tells
        console.info("What one does with messages has to wait:", lost.message);
        return {};
      });
      if (!MessageActions) return;
      for (const type of EVENTS) this.#scroller.removeEventListener(type, wait);
      this.#acts = new MessageActions(this.#scroller, {
        ...this.#actions,
        announce: (text) => this.#say([text]),
        shown: () => this.#messages,
      });
      this.#acts.render(this.#state);
      for (const missed of events) this.#acts.take(missed);
    };
    for (const type of EVENTS) this.#scroller.addEventListener(type, wait);
  }

  /** Go to the end of what is drawn, and stay there. */
  toEnd() {
    this.#stuck = true;
    this.#keep();
  }

  render(state) {
    const room = known.room(state);
    const was = this.#room;
    const begins = room.room !== was.room || room.era !== was.era;
    if (begins) this.#begin(room);
    this.#state = state;
    this.#room = room;
    const messages = known.shown(state, state.current);
    const own = room.newer ? [] : known.unsaid(state, state.current);
    const arrived = begins ? [] : messages.filter(({ id }) => id > was.last);
    this.#draw(messages, room, state);
    this.#drawUnsaid(own, messages.at(-1), state);
    write(this.#top, above(room, state));
    this.#acts?.render(state);
    if (begins) this.#enter(room);
    if (room.goal && !this.#reached.has(room.goal)) this.#reach(room.goal);
    else this.#keep();
    this.#announce(arrived.filter((message) => message.from.id !== state.self?.id));
    this.#ahead();
  }

  #begin(room) {
    const focused = this.#scroller.contains(document.activeElement);
    if (this.#room.room !== room.room && this.#room.room !== undefined) {
      const { room: name, era } = this.#room;
      const { node, top } = this.#anchor ?? {};
      const id = Number(node?.dataset.id ?? node?.previousElementSibling?.dataset.id);
      this.#left.set(name, this.#stuck ? null : { era, id, top });
    }
    if (this.#room.room !== room.room) this.#announcer.replaceChildren();
    this.#messages = [];
    this.#anchor = null;
    this.#drawn = null;
    this.#opening = null;
    this.#rows.clear();
    this.#acts?.clear();
    this.#list.replaceChildren();
    if (focused) this.#scroller.focus({ preventScroll: true });
    this.#stuck = true;
  }

  /** Where the reader stands in a room that is shown: where it was left, at the line, at the end. */
  #enter(room) {
    const left = this.#left.get(room.room);
    const row = left?.era === room.era && this.#rows.get(left.id);
    if (row) {
      this.#show(row.node, left.top);
    } else if (room.firstUnread !== null && this.#rows.has(room.firstUnread)) {
      const { node } = this.#rows.get(room.firstUnread);
      this.#show(node, this.#scroller.clientHeight * LINE);
    }
  }

  #draw(messages, room, state) {
    const { notes, firstUnread, more } = room;
    const drawn = this.#drawn;
    if (
      drawn?.messages === messages &&
      drawn.notes === notes &&
      drawn.firstUnread === firstUnread &&
      drawn.replies === state.replies &&
      drawn.self === state.self
    ) {
      return;
    }
    this.#drawn = { messages, notes, firstUnread, replies: state.replies, self: state.self };
    this.#forget(messages);
    const noted = new Map(notes.map((note) => [note.after, note]));
    const fresh = []; // rows that come before those on the page, or behind them
    let last = null;
    let previous = null;
    const seat = () => {
      if (fresh.length === 0) return;
      if (last) fill(last, fresh);
      else this.#list.prepend(...blocksOf(fresh).map(laidOut));
      fresh.length = 0;
    };
    for (const message of messages) {
      let row = this.#rows.get(message.id);
      const there = row !== undefined;
      if (there) seat();
      else this.#rows.set(message.id, (row = new Row(message)));
      const quoted = message.reply && known.replied(state, state.current, message.reply);
      if (row.message !== message || row.quoted !== quoted || row.self !== state.self) {
        row.render(message, state.self, quoted);
        row.fate(pending(message.pending, state));
      }
      const note = noted.get(previous?.id ?? (more ? undefined : 0));
      const unread = message.id === firstUnread;
      if (row.previous !== previous?.id || row.above !== note || row.unread !== unread) {
        Object.assign(row, { previous: previous?.id, above: note, unread });
        row.relate(relation(message, previous, note, unread));
      }
      this.#note(row, noted.get(message.id));
      if (there) last = row.tail;
      else fresh.push(row.node, ...(row.note ? [row.note] : []));
      previous = message;
    }
    seat();
    this.#first(more ? null : noted.get(0));
    this.#messages = messages;
  }

  #first(note) {
    if (!note) {
      this.#opening?.remove();
      this.#opening = null;
      return;
    }
    this.#opening ??= h("ol", {}, h("li", { class: "note" }));
    write(this.#opening.firstChild, changes(note.changes));
    if (this.#list.firstChild !== this.#opening) this.#list.prepend(this.#opening);
  }

  #note(row, note) {
    if (row.told === note) return;
    row.told = note;
    if (!note) {
      row.note?.remove();
      row.note = null;
      return;
    }
    const line = row.note ?? h("li", { class: "note" });
    write(line, changes(note.changes));
    if (!row.note && row.node.parentNode) row.node.after(line);
    row.note = line;
  }

  /** Take away what is not among the messages any more. */
  #forget(messages) {
    if (messages === this.#messages) return;
    const kept = new Set(messages.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (kept.has(id)) continue;
      this.#rows.delete(id);
      const block = row.node.parentNode;
      if (row.node.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
      this.#acts?.leave(row.node);
      row.note?.remove();
      row.node.remove();
      if (block && !block.firstChild) block.remove();
    }
  }

  #drawUnsaid(entries, previous, state) {
    const nonces = new Set(entries.map(({ nonce }) => nonce));
    for (const [nonce, { row }] of this.#waiting) {
      if (nonces.has(nonce)) continue;
      if (row.node.contains(document.activeElement)) this.#actions.focus();
      row.node.remove();
      row.release();
      this.#waiting.delete(nonce);
    }
    this.#unsaid.hidden = entries.length === 0;
    this.#unsaid.ariaLabel = t("unsaid.label");
    for (const entry of entries) {
      const shown = this.#waiting.get(entry.nonce) ?? { row: new Row({}) };
      const blob = entry.upload?.blob; // after a reload it comes later, as `self` does
      if (shown.self !== state.self || shown.blob !== blob) {
        Object.assign(shown, { message: draft(entry, state), self: state.self, blob });
      }
      const { row, message } = shown;
      if (!row.node.parentNode) {
        row.node.dataset.nonce = entry.nonce;
        this.#unsaid.append(row.node);
        this.#waiting.set(entry.nonce, shown);
      }
      const quoted = message.reply && known.replied(state, entry.room, message.reply);
      row.render(message, state.self, quoted);
      row.relate(relation(message, previous, null, false));
      row.fate(fate(entry, state));
      previous = message;
    }
  }

  #announce(messages) {
    if (messages.length === 0) return;
    this.#say(
      messages.length > SPOKEN
        ? [t("log.new", { count: messages.length })]
        : messages.map((message) =>
            t("log.said", { name: message.from.name, text: said(message) }),
          ),
    );
  }

  #say(lines) {
    this.#announcer.replaceChildren(...lines.map((text) => h("p", {}, text)));
  }

  #reach(goal) {
    this.#reached.add(goal);
    const id = this.#messages.find((message) => message.id >= goal.id)?.id;
    const row = this.#rows.get(id ?? this.#messages.at(-1)?.id);
    if (!row) return;
    const { node } = row;
    const space = this.#scroller.clientHeight - node.offsetHeight;
    this.#show(node, Math.max(0, space / 2));
    this.#keep();
    node.focus({ preventScroll: true });
    node.classList.remove("goal");
    void node.offsetWidth; // so that its animation begins again
    node.classList.add("goal");
  }

  #scrolled() {
    // At the end, what is not a way up is something that has grown.
    if (this.#stuck && this.#scroller.scrollTop >= this.#at) this.#keep();
    else this.#hold();
    this.#look();
    this.#ahead();
  }

  /** Have the next pages come before the reader is there. */
  #ahead() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (this.#messages.length === 0) return;
    if (scrollTop < clientHeight * AHEAD && this.#room.more) this.#actions.older();
    const below = scrollHeight - scrollTop - clientHeight;
    if (below < clientHeight * AHEAD && this.#room.newer) this.#actions.newer();
  }

  /** Have the reader stay at the end, or see the same as before. */
  #keep() {
    if (this.#stuck) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else this.#hold();
    this.#look();
  }

  /** Put what the reader looks at where it was, but for what the reader has scrolled since then. */
  #hold() {
    const { node, top } = this.#anchor ?? {};
    if (!node?.isConnected) return;
    const { scrollTop } = this.#scroller;
    const shift = this.#topOf(node) - top + scrollTop - this.#at;
    if (Math.abs(shift) > 0.5) this.#scroller.scrollTop = scrollTop + shift;
  }

  /** Have what is said in the row `node` stand so far below the top, when all is drawn. */
  #show(node, top) {
    this.#stuck = false;
    this.#anchor = { node, top };
    this.#at = this.#scroller.scrollTop;
  }

  /** See where the reader is, and what ways there are from here. */
  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    const { line, firstUnread, more, newer, unread = 0 } = this.#room;
    const end = scrollHeight - scrollTop - clientHeight < END;
    this.#stuck = end && !newer;
    this.#actions.atEnd(end);
    const node = this.#firstInView();
    this.#anchor = node ? { node, top: this.#topOf(node) } : null;
    this.#at = scrollTop;
    this.#jump.hidden = this.#stuck;
    write(this.#jump, unread ? t("log.new", { count: unread }) : t("log.newest"));
    const row = this.#rows.get(firstUnread);
    const above = row ? node.compareDocumentPosition(row.node) & PRECEDING : more;
    const inView = row && !above && this.#topOf(row.node) < clientHeight;
    if (inView && this.#state.visible) row.met = true;
    this.#missed.hidden = !above || line === null || row?.met;
  }

  /** Where the text in a row is: what stands above it there may come and go. */
  #topOf(row) {
    const part = row.querySelector(".text:not([hidden]), .file") ?? row;
    return part.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
  }

  /** What the reader sees first. Lists out of sight are not measured inside: they are not laid out. */
  #firstInView() {
    const block = this.#below(this.#list.children);
    return block ? (this.#below(block.children) ?? null) : null;
  }

  /** The first of `nodes`, one below the other, that ends in view; else the last. */
  #below(nodes) {
    let [from, to] = [0, nodes.length - 1];
    const { top } = this.#scroller.getBoundingClientRect();
    while (from < to) {
      const middle = (from + to) >> 1;
      if (nodes[middle].getBoundingClientRect().bottom > top + 1) to = middle;
      else from = middle + 1;
    }
    return nodes[from];
  }
}

/** Put rows behind `last`, the newest of its list: what the list cannot hold has lists of its own. */
function fill(last, rows) {
  const block = last.parentNode;
  if (last.nextSibling || block.nextSibling) return last.after(...rows);
  const fit = Math.max(0, BLOCK - block.childElementCount);
  block.append(...rows.slice(0, fit));
  block.after(...blocksOf(rows.slice(fit)));
}

function blocksOf(rows) {
  const blocks = [];
  for (let start = 0; start < rows.length; start += BLOCK) {
    blocks.push(h("ol", {}, rows.slice(start, start + BLOCK)));
  }
  return blocks;
}

/** `block`, laid out at once and until its size is known: who reads below it may be there next. */
function laidOut(block) {
  block.style.contentVisibility = "visible";
  requestAnimationFrame(() => requestAnimationFrame(() => (block.style.contentVisibility = "")));
  return block;
}

/** How a row stands to the one before: a new day has its line, a new speaker a head. */
function relation(message, previous, note, unread) {
  const date = new Date(message.time);
  const before = previous && new Date(previous.time);
  const sameDay = before?.toDateString() === date.toDateString();
  const follows =
    sameDay &&
    !note &&
    !unread &&
    !message.reply &&
    previous.from.id === message.from.id &&
    previous.from.name === message.from.name &&
    date - before < PAUSE;
  return { follows, unread, date: sameDay ? null : date };
}

/** A message as it will be when it is said. */
function draft({ data, time, upload }, { self }) {
  const { message, reply } = data;
  return { message, reply, time, from: self ?? { id: 0, name: "?" }, preview: upload };
}

function above({ paging, more, entered, messages }, { online }) {
  if (paging?.kind === "older") return t("log.loading");
  if (more) return online ? "" : t("log.later");
  return entered || messages.length ? t("log.begin") : "";
}

/** What a note tells: who came, went, was renamed. */
function changes(all) {
  const of = (kind) => all.filter((change) => change.kind === kind);
  const sentences = of("rename").map(({ was, name }) =>
    t("note.rename", { was: apart(was), name: apart(name) }),
  );
  if (of("join").length) sentences.unshift(t("note.join", { names: named(of("join")) }));
  if (of("exit").length) sentences.push(t("note.exit", { names: named(of("exit")) }));
  return sentences.join(" · ");
}
