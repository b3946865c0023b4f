const HUES = 12; // as many as style.css has
const letters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** A colour of its own for each user, as a number that style.css knows. */
export function hue(id) {
  let sum = 0;
  for (const character of String(id)) sum = (sum * 31 + character.codePointAt(0)) >>> 0;
  return (sum * 5) % HUES;
}

/** Draw the picture of a user: the first letter of the name, in the user's colour. */
export function paint(node, { id, name }) {
  const [first] = letters.segment(name);
  // It is no text of the page: the name stands beside it.
  node.dataset.letter = (first?.segment ?? "?").toUpperCase();
  node.dataset.hue = hue(id);
}
