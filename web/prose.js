/** The nodes of what a message says. */

import { h } from "./dom.js";
import { lead, nodes } from "./html.js";
import { icon } from "./icon.js";
import { parts } from "./text.js";
import { t } from "./words.js";

/** As a list of nodes; mentions of the user with the id `me` are marked as such. */
export function prose({ html, message, mentions }, me) {
  const plain = (text) => drawn(text, mentions, me);
  return html ? framed(nodes(html, plain)) : plain(message);
}

function drawn(text, mentions, me) {
  return parts(text, mentions).map((part) => {
    if (part.user) {
      return h("span", { class: part.user.id === me ? "mention me" : "mention" }, part.text);
    }
    if (!part.href) return document.createTextNode(part.text);
    const link = h("a", {}, part.text);
    lead(link, part.href);
    return link;
  });
}

/** The same nodes, each block of code and each table in a frame that scrolls by itself. */
function framed(list) {
  const holder = h("div", {}, list);
  for (const code of holder.querySelectorAll("pre")) {
    const frame = h("div", { class: "code" });
    code.replaceWith(frame);
    const copy = { type: "button", class: "icon", "aria-label": t("message.code"), data: { act: "code" } };
    frame.append(code, h("button", copy, icon("copy")));
  }
  for (const table of holder.querySelectorAll("table")) {
    const frame = h("div", { class: "table", tabIndex: 0 });
    table.replaceWith(frame);
    frame.append(table);
  }
  return [...holder.childNodes];
}
