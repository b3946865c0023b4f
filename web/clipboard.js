import { h } from "./dom.js";
import { icon } from "./icon.js";

const DONE = 1_500; // ms for which a button shows that it has done it

/** Copy a text for `button`, which shows so for a while in place of `picture`; `tell(copied)` follows. */
export async function copy(text, button, picture, tell) {
  const copied = await copyText(text);
  tell(copied);
  if (!copied) return;
  button.replaceChildren(icon("check"));
  setTimeout(() => button.replaceChildren(icon(picture)), DONE);
}

async function copyText(text) {
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
  (focused?.closest("dialog") ?? document.body).append(field); // all else is inert behind a dialog
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return copied;
}
