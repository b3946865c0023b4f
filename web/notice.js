import { element, write } from "./dom.js";
import * as words from "./words.js";

/** A problem that the user should know of. */
export class Notice {
  #box = element("notice");

  constructor(dismiss) {
    element("notice-close").addEventListener("click", dismiss);
  }

  render({ notice, self, limits }) {
    this.#box.hidden = notice === null;
    write(element("notice-text"), notice ? words.notice(notice, self, limits) : "");
  }
}
