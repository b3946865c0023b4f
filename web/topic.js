import { dialog } from "./dialog.js";
import { h, write } from "./dom.js";
import { topicOf } from "./state.js";
import { t } from "./words.js";

/** What the room is about, to be changed. */
export default class Topic {
  #field = h("textarea", { id: "topic-field", rows: 3, dir: "auto", autofocus: true });
  #length = h("span", { class: "faint", role: "status" });
  #limit = 0;
  #current;

  constructor({ topic }, state) {
    const { current: room } = state;
    const save = h("button", { class: "primary" }, t("topic.save"));
    const form = h(
      "form",
      { class: "fields" },
      h("label", { htmlFor: "topic-field" }, t("topic.label")),
      this.#field,
      h("div", { class: "row end" }, this.#length, save),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text;
      if ([...text].length > this.#limit) return;
      this.node.close();
      if (this.#current === room) topic(text);
    });
    this.#field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.#field.addEventListener("input", () => this.#count());
    this.#field.value = topicOf(state, room);
    this.node = dialog(t("topic.edit"), form);
    this.#field.select();
  }

  render({ current, limits }) {
    this.#current = current;
    this.#limit = limits.topic;
    this.#count();
  }

  get #text() {
    return this.#field.value.replaceAll(/[\s\p{Cc}]+/gu, " ").trim(); // one line, without controls
  }

  #count() {
    const count = [...this.#text].length;
    this.#field.ariaInvalid = count > this.#limit;
    write(this.#length, t("topic.length", { count, limit: this.#limit }));
  }
}
