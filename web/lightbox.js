import { h } from "./dom.js";
import { icon } from "./icon.js";
import { sheet } from "./sheet.js";
import { fileAddress } from "./upload.js";
import { t } from "./words.js";

/** Show a picture over the page, as large as it fits. Escape or a click takes it away. */
export async function lightbox(file) {
  await sheet("lightbox.css");
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
  node.addEventListener("click", ({ target }) => target.closest("a, .name") ?? node.close());
  node.addEventListener("close", () => node.remove());
  document.body.append(node);
  node.showModal();
}
