import { element, write } from "./dom.js";
import * as words from "./words.js";

/** The line that says when there is no connection, and when the next try is. */
export class LinkLine {
  #line = element("link");
  #retry = element("link-retry");
  #timer = null;

  constructor(retry) {
    this.#retry.addEventListener("click", retry);
  }

  render(status) {
    clearTimeout(this.#timer);
    const { text, detail } = words.connection(status, !navigator.onLine, Date.now());
    // The text is announced when it changes; the seconds beside it are only to be seen.
    write(element("link-text"), text);
    write(element("link-detail"), detail);
    this.#line.classList.toggle("quiet", text === "");
    this.#retry.hidden = status.state !== "waiting";
    if (status.state === "waiting") this.#timer = setTimeout(() => this.render(status), 500);
  }
}
