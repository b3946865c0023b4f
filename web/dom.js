/** The element of this id. */
export const element = (id) => document.getElementById(id);

/** A copy of what the template of this id holds. */
export const copy = (id) => element(id).content.firstElementChild.cloneNode(true);

/** Set a text only where it differs: a live region speaks at each change. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
