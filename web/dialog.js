import { h } from "./dom.js";
import { icon } from "./icon.js";
import { t } from "./words.js";

/**
 * Open a dialog of this title over the page. It has the focus until it is closed: by Escape, by its
 * button, or by a click beside it; then it is gone, and the focus is where it was.
 */
export function dialog(title, ...content) {
  const label = h("h2", { id: "dialog-title" }, title);
  const close = h(
    "button",
    { class: "icon", type: "button", "aria-label": t("close") },
    icon("close"),
  );
  const node = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h("div", { class: "bar" }, label, close),
    h("div", { class: "content" }, ...content),
  );
  close.addEventListener("click", () => node.close());
  // What is beside the content counts as the dialog itself. The second click of two is not meant
  // for what the first one has opened.
  node.addEventListener("mousedown", ({ target, detail }) => {
    if (target === node && detail < 2) node.close();
  });
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
  return node;
}
