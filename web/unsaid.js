import { copy, element, write } from "./dom.js";
import * as words from "./words.js";

/** The user's own messages that are not said yet, below the log. */
export class Unsaid {
  #list = element("unsaid");
  #rows = new Map(); // nonce → row
  #ways;

  /** `edit(entry)` and `discard(entry)` are the ways out for a message that was refused. */
  constructor(ways) {
    this.#ways = ways;
  }

  render({ outbox, room, online, limits }) {
    const here = outbox.filter((entry) => entry.room === room);
    const nonces = new Set(here.map((entry) => entry.nonce));
    for (const [nonce, row] of this.#rows) {
      if (nonces.has(nonce)) continue;
      row.remove();
      this.#rows.delete(nonce);
    }
    for (const entry of here) {
      const row = this.#rows.get(entry.nonce) ?? this.#add(entry);
      row.classList.toggle("failed", entry.failed);
      row.querySelector(".ways").hidden = !entry.failed;
      write(row.querySelector(".fate"), words.unsaid(entry, online, limits));
    }
  }

  #add(entry) {
    const row = copy("entry");
    row.querySelector(".text").textContent = entry.message;
    row.querySelector(".edit").addEventListener("click", () => this.#ways.edit(entry));
    row.querySelector(".discard").addEventListener("click", () => this.#ways.discard(entry));
    this.#rows.set(entry.nonce, row);
    this.#list.append(row);
    return row;
  }
}
