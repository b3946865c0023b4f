import { dialog } from "./dialog.js";
import { h } from "./dom.js";
import { sheet } from "./sheet.js";
import { t } from "./words.js";

/** Ask `question` about what `text` says; the promise is for whether the answer is `yes`. */
export async function confirm(question, text, yes) {
  await sheet("panels.css");
  return new Promise((answer) => {
    const sure = h("button", { type: "button", class: "danger" }, yes);
    const no = h("button", { type: "button", autofocus: true }, t("cancel"));
    const node = dialog(
      question,
      text && h("blockquote", { class: "about", dir: "auto" }, text),
      h("div", { class: "row answers" }, no, sure),
    );
    let decided = false;
    sure.addEventListener("click", () => {
      decided = true;
      node.close();
    });
    no.addEventListener("click", () => node.close());
    node.addEventListener("close", () => answer(decided));
  });
}
