import { h } from "./dom.js";

/** Copy a text, and return whether that could be done. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (denied) {
    console.info("Copied in the old way:", denied.message); // a page without TLS has no clipboard
    return copyField(text);
  }
}

function copyField(text) {
  const focused = document.activeElement;
  const field = h("textarea", { class: "unseen", readOnly: true, value: text });
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}
