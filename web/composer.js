import { element, write } from "./dom.js";
import * as words from "./words.js";

const NEAR = 0.9; // part of the limit from which the length is shown

/** Where the user writes. Enter sends, Shift+Enter breaks the line. */
export class Composer {
  #text = element("text");
  #length = element("text-length");
  #limit = Infinity;

  /** `say(text)` takes what is ready; `typing()` is called while something is being written. */
  constructor({ say, typing }) {
    const form = element("composer");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value.trimEnd();
      if (!text.trim() || this.#count(text) > this.#limit) return;
      this.write("");
      say(text.toWellFormed?.() ?? text);
    });
    this.#text.addEventListener("input", () => {
      this.#fit();
      if (this.#text.value.trim()) typing();
    });
    this.#text.addEventListener("keydown", (event) => {
      // While an input method composes, Enter takes its proposal (keyCode 229 in Safari).
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) {
        return;
      }
      event.preventDefault();
      form.requestSubmit();
    });
  }

  render({ limits }) {
    if (limits.message === this.#limit) return;
    this.#limit = limits.message;
    this.#fit();
  }

  /** Put a text into the field, with the focus. */
  write(text) {
    this.#text.value = text;
    this.#fit();
    this.focus();
  }

  focus() {
    this.#text.focus();
  }

  #count(text) {
    return [...text].length; // characters as the server counts them, not UTF-16 units
  }

  #fit() {
    this.#text.style.blockSize = "auto";
    this.#text.style.blockSize = `${this.#text.scrollHeight}px`;
    const count = this.#count(this.#text.value.trimEnd());
    const near = count >= this.#limit * NEAR;
    write(this.#length, near ? words.length(count, this.#limit) : "");
    this.#text.ariaInvalid = count > this.#limit;
  }
}
