/**
 * The nodes of a message that the server has rendered.
 *
 * The server lets nothing dangerous through. This is the second lock: of the parsed HTML only what
 * is listed here is built again, so that no mistake there becomes a script here.
 */

const CLASSES = {
  P: /^h[1-6]$/,
  SPAN: /^[a-z]{1,2}$/,
  TH: /^(?:left|center|right)$/,
  TD: /^(?:left|center|right)$/,
};
const ELEMENTS = new Set([
  ...["P", "BR", "HR", "STRONG", "EM", "S", "A", "BLOCKQUOTE", "UL", "OL", "LI"],
  ...["PRE", "CODE", "SPAN", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"],
]);
const LINKED = new Set(["http:", "https:", "mailto:"]);
const DEEPEST = 100;

/**
 * What `html` shows, as a list of nodes. `prose(text)` makes the nodes of a text that is neither
 * code nor part of a link.
 */
export function nodes(html, prose) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  return built(body, prose, false, 0);
}

/** What `html` says, without its form. */
export const plain = (html) =>
  new DOMParser().parseFromString(html, "text/html").body.textContent;

function built(parent, prose, literal, depth) {
  const found = [];
  for (const child of parent.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      if (literal) found.push(document.createTextNode(child.data));
      else found.push(...prose(child.data));
    } else if (child.nodeType === Node.ELEMENT_NODE && depth < DEEPEST) {
      const node = ELEMENTS.has(child.tagName) ? copied(child) : null;
      const inner = built(child, prose, literal || /^(?:A|CODE)$/.test(child.tagName), depth + 1);
      if (node) node.append(...inner);
      found.push(...(node ? [node] : inner));
    }
  }
  return found;
}

function copied(source) {
  const node = document.createElement(source.tagName);
  if (source.tagName === "A") {
    if (!URL.canParse(source.getAttribute("href"))) return null;
    const { protocol, href } = new URL(source.getAttribute("href"));
    if (!LINKED.has(protocol)) return null;
    lead(node, href);
  }
  if (source.tagName === "OL" && source.start !== 1) node.start = source.start;
  if (CLASSES[source.tagName]?.test(source.className)) node.className = source.className;
  return node;
}

/** Make `node`, an `a`, lead to `href`, away from this page, without telling where from. */
export function lead(node, href) {
  node.href = href;
  node.target = "_blank";
  node.rel = "noopener noreferrer nofollow";
}
