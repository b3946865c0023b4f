import { h } from "./dom.js";
import { icon } from "./icon.js";
import { fileAddress } from "./upload.js";
import { t } from "./words.js";

/**
 * Show a picture over the page, as large as it fits. Escape or a click takes it away. It is drawn by
 * lightbox.css.
 */
export function lightbox(file) {
  const close = h(
    "button",
    { type: "button", class: "icon", autofocus: true, "aria-label": t("close") },
    icon("close"),
  );
  const name = h("bdi", { class: "name" }, file.name);
  const link = { href: fileAddress(file), target: "_blank", rel: "noopener" };
  const node = h(
    "dialog",
    { class: "lightbox", "aria-label": file.name },
    h("div", { class: "bar" }, name, h("a", link, t("file.original")), close),
    h("img", {
      src: fileAddress(file),
      alt: t("file.image", { name: file.name }),
      width: file.width,
      height: file.height,
    }),
  );
  node.addEventListener("click", ({ target, detail }) => {
    // The second click of two is still one on the picture in the log.
    if (detail < 2 && !target.closest("a, .name")) node.close();
  });
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
}
