/**
 * What is in a plain text: its links, and the names of whom it mentions.
 *
 * A link is found by one walk over the text, each character of it looked at a fixed number of
 * times. (The well-kept modules that do this are larger than all the rest of the room view: they
 * guess at links without a scheme, and know every top-level domain for it. Here a link says what
 * it is.)
 */

const SCHEMES = ["https:", "http:", "mailto:"];
// What is behind a link and not of it: it ends there, or these are its last characters.
const END = /[\s\p{Cc}\p{Cf}<>"“”‘’«»，。、；：！？（）［］【】《》〈〉「」『』〔〕…]/u;
const TAIL = ".,:;!?'*_~|";
const CLOSING = { ")": "(", "]": "[", "}": "{" };
// Chinese, Japanese and Korean are written without spaces: a word right behind a link is no part.
const UNSPACED = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}]/u;
const PLAIN = /[a-z\d]/i;
const WORD = /[\p{L}\p{N}_]/u;

/**
 * Cut `text` into parts, in order: `{text}`, `{text, href}` for a link, `{text, user}` where one of
 * `mentions` ({id, name}) is called by `@name`.
 */
export function parts(text, mentions = []) {
  const found = [];
  let done = 0;
  const take = (start, end, more) => {
    if (start > done) found.push(...named(text.slice(done, start), mentions));
    if (more) found.push({ text: text.slice(start, end), ...more });
    done = end;
  };
  for (let colon = text.indexOf(":"); colon >= 0; ) {
    const scheme = schemeAt(text, colon);
    let next = colon + 1;
    if (scheme && colon + 1 - scheme.length >= done) {
      const start = colon + 1 - scheme.length;
      next = endOf(text, next); // even if it is none: nothing is looked at twice
      const end = trimmed(text, start, next);
      const href = address(text.slice(start, end), scheme);
      if (href) take(start, end, { href });
    }
    colon = text.indexOf(":", next);
  }
  take(text.length, text.length);
  return found;
}

/** The scheme that the colon at `at` ends, if it is one of ours and no part of a longer word. */
function schemeAt(text, at) {
  for (const scheme of SCHEMES) {
    const start = at + 1 - scheme.length;
    if (start < 0 || text.slice(start, at + 1).toLowerCase() !== scheme) continue;
    if (start > 0 && /[a-z\d+.-]/i.test(text[start - 1])) return null;
    return scheme;
  }
  return null;
}

function endOf(text, from) {
  let last = "";
  for (let at = from; at < text.length; ) {
    const character = String.fromCodePoint(text.codePointAt(at));
    if (END.test(character) || (PLAIN.test(last) && UNSPACED.test(character))) return at;
    last = character;
    at += character.length;
  }
  return text.length;
}

/** The end without what rather belongs to the sentence: its punctuation, a bracket around. */
function trimmed(text, start, end) {
  const surplus = {};
  for (let at = start; at < end; at++) {
    for (const [close, open] of Object.entries(CLOSING)) {
      if (text[at] === close) surplus[close] = (surplus[close] ?? 0) + 1;
      if (text[at] === open) surplus[close] = (surplus[close] ?? 0) - 1;
    }
  }
  for (; end > start; end--) {
    const last = text[end - 1];
    if (TAIL.includes(last)) continue;
    if (!(surplus[last] > 0)) break;
    surplus[last]--;
  }
  return end;
}

function address(text, scheme) {
  if (scheme === "mailto:") return /^mailto:[^@]+@[^@]+$/i.test(text) ? text : null;
  if (!text.startsWith("//", scheme.length) || !URL.canParse(text)) return null;
  return new URL(text).hostname ? text : null;
}

/** Cut where somebody of `mentions` is called: the longest name first. */
function named(text, mentions) {
  if (mentions.length === 0) return [{ text }];
  const users = mentions.toSorted((a, b) => b.name.length - a.name.length);
  const found = [];
  let done = 0;
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    const user = users.find(({ name }) => calls(text, at, name));
    if (!user || at < done) continue;
    if (at > done) found.push({ text: text.slice(done, at) });
    done = at + 1 + user.name.length;
    found.push({ text: text.slice(at, done), user });
  }
  if (done < text.length) found.push({ text: text.slice(done) });
  return found;
}

function calls(text, at, name) {
  const called = text.slice(at + 1, at + 1 + name.length);
  if (called.toLowerCase() !== name.toLowerCase()) return false;
  const [before, last, behind] = [text[at - 1], called.at(-1), text[at + 1 + name.length]];
  if (before && PLAIN.test(before)) return false; // an address of mail
  return !(behind && WORD.test(behind) && WORD.test(last)) || UNSPACED.test(behind);
}

const FEW = 6; // so many emoji are shown large
const letters = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Whether `text` is nothing but a few emoji. */
export function onlyEmoji(text) {
  if (text.length > FEW * 30 || /\p{L}/u.test(text)) return false;
  const shown = [...letters.segment(text)].map(({ segment }) => segment);
  const pictures = shown.filter((character) => character.trim());
  return (
    pictures.length > 0 &&
    pictures.length <= FEW &&
    pictures.every((character) => /^\p{RGI_Emoji}$/v.test(character))
  );
}

const INLINE = /[*_`~[\]|\\]/;
const BLOCK = /^(?:\t| {4}| {0,3}(?:>|(?:#{1,6}|[+-]|\d{1,9}[.)])(?:\s|$)|(?:=+|-+)\s*$))/m;

/** Whether `text` could mean something as Markdown. Wrongly true does no harm. */
export const marked = (text) => INLINE.test(text) || BLOCK.test(text);

/** Characters as the server counts them: not UTF-16 units. */
export function length(text) {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
