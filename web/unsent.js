/**
 * What is not sent yet, and what is being written, kept over a reload and a crash.
 *
 * Each tab keeps its own outbox; when it is gone for good another tab takes that over. What is
 * being written in a room is kept once for all tabs: the last one who writes there is right.
 */

import { EMPTY, drop, put, table } from "./state/table.js";
import { kept } from "./state.js";

const OUTBOX = "outbox ";
const DRAFTS = "drafts";
const LATER = 300; // ms from writing something to keeping it

export class Unsent {
  #memory;
  #tab;
  #id = null;
  #outbox = []; // as it was looked at last …
  #kept = "[]"; // … and as it is kept
  #drafts = EMPTY;
  #state = null; // what is to be kept
  #timer = null;
  #watched = new Set();

  constructor(memory, tab) {
    this.#memory = memory;
    this.#tab = tab;
  }

  /** What was being written by this user, or by who was nobody yet: {[room]: draft}. */
  drafts(user) {
    const found = this.#memory.recall(DRAFTS);
    if (found === null || (found.user !== user && found.user !== null)) return EMPTY;
    this.#drafts = table(found.drafts);
    return this.#drafts;
  }

  /** Call `adopt(entries)` with what this tab had not sent before, and what others leave behind. */
  async begin(adopt) {
    this.#id = await this.#tab.begin();
    const own = this.#take(this.#id);
    this.#kept = JSON.stringify(own);
    if (own.length) adopt(own);
    for (const key of this.#memory.keys(OUTBOX)) this.#watch(key, adopt);
    this.#memory.onKept(OUTBOX, (key) => this.#watch(key, adopt));
    this.flush();
  }

  /** Keep what there is to keep of `state`: the outbox at once, what is being written soon. */
  keep(state) {
    this.#state = state;
    if (state.outbox !== this.#outbox) this.flush();
    else if (state.drafts !== this.#drafts) this.#timer ??= setTimeout(() => this.flush(), LATER);
  }

  /** Keep all of it now. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#state === null) return;
    const { outbox, drafts, user } = this.#state;
    if (drafts !== this.#drafts) this.#keepDrafts(drafts, user);
    if (outbox !== this.#outbox && this.#id !== null) {
      this.#outbox = outbox;
      const entries = outbox.map(kept);
      const text = JSON.stringify(entries);
      if (text === this.#kept) return; // only the progress of a file is another
      this.#kept = text;
      this.#memory.keep(OUTBOX + this.#id, entries.length ? entries : null);
    }
  }

  #keepDrafts(drafts, user) {
    const before = this.#drafts;
    this.#drafts = drafts;
    const rooms = new Set([...Object.keys(before), ...Object.keys(drafts)]);
    const others = [...rooms].filter((room) => drafts[room] !== before[room]);
    if (others.length === 0) return;
    const found = this.#memory.recall(DRAFTS);
    let all = found && (found.user === user || found.user === null) ? table(found.drafts) : EMPTY;
    for (const room of others) {
      all = drafts[room] ? put(all, room, drafts[room]) : drop(all, room);
    }
    this.#memory.keep(DRAFTS, { user, drafts: Object.entries(all) });
  }

  #watch(key, adopt) {
    const id = key.slice(OUTBOX.length);
    if (id === this.#id || this.#watched.has(id)) return;
    this.#watched.add(id);
    this.#tab.whenGone(id, () => {
      this.#watched.delete(id);
      const entries = this.#take(id);
      if (entries.length) adopt(entries);
      this.#memory.keep(key, null);
    });
  }

  #take(id) {
    return this.#memory.recall(OUTBOX + id) ?? [];
  }
}
