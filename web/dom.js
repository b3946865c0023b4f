/** The element of this id. */
export const element = (id) => document.getElementById(id);

/** Set a text only where it differs: a live region speaks at each change. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * A new element. `props`: `on…` with a function listens (`onclick`), `data` is for `dataset`, what
 * the element has as a property is set as one (`hidden`, `type`, `htmlFor`), all else is an
 * attribute (`class`, `aria-label`); null, undefined and false attributes are left out.
 * Children are nodes, texts, numbers or lists of such; null, undefined and false are nothing.
 */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for a drawing: `svg("svg", { viewBox: "0 0 20 20" }, svg("path", { d }))`. */
export function svg(tag, props, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (name === "data") Object.assign(node.dataset, value);
    else if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-")) node.setAttribute(name, value);
    else if (name in node && !(node instanceof SVGElement)) node[name] = value;
    else if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  const wanted = children.flat(Infinity);
  node.append(
    ...wanted.filter((child) => child !== null && child !== undefined && child !== false),
  );
  return node;
}
