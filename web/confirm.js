import { dialog } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./words.js";

/**
 * Ask `question` about what `text` says; the promise is for whether the answer is `yes`. It is drawn
 * by panels.css.
 */
export function confirm(question, text, yes) {
  return new Promise((answer) => {
    const sure = h("button", { type: "button", class: "danger" }, yes);
    const no = h("button", { type: "button", autofocus: true }, t("cancel"));
    const node = dialog(
      question,
      text && h("blockquote", { class: "about", dir: "auto" }, text),
      h("div", { class: "row answers" }, no, sure),
    );
    let decided = false;
    sure.addEventListener("click", ({ detail }) => {
      if (detail > 1) return; // of a double click on what has asked
      decided = true;
      node.close();
    });
    no.addEventListener("click", () => node.close());
    node.addEventListener("close", () => answer(decided));
  });
}
