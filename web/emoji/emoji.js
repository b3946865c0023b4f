/** Emoji by name, from files that are loaded when they are first used (see tools/emoji.mjs). */

const LANGUAGES = ["en", "zh-CN"];
const COUNTRY = /^\p{Regional_Indicator}{2}$/u;
/** What stays as it is, code and addresses; or a run of `:name:`s that stands by itself. */
const NAMED = /(`+)[^]*?\1|\w+:\/\/\S+|(?<![\w/:])(?::[a-z0-9_+-]+:)+(?![\w:])/gi;

const reading = new Map();

/**
 * The emoji with words in `language`, or in English where there is no file for it; with `null` only
 * shortcodes, for `named` and `replace`. A file is loaded once; after a failure the next call tries
 * again. `get` is `fetch`.
 */
export async function load(language, get = fetch) {
  const known = LANGUAGES.includes(language) ? language : LANGUAGES[0];
  const [list, words] = await Promise.all([
    read("emoji.json", get),
    language === null ? null : read(`${known}.json`, get),
  ]);
  return new Emoji(list, words, known);
}

function read(name, get) {
  if (!reading.has(name)) {
    const file = fetched(new URL(name, import.meta.url), get);
    file.catch(() => reading.delete(name));
    reading.set(name, file);
  }
  return reading.get(name);
}

async function fetched(address, get) {
  const answer = await get(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

export class Emoji {
  /**
   * `[{name, emoji: [ENTRY, …]}, …]` in the order of a picker, with
   * `ENTRY = {emoji: "👍", name: "+1", names: ["+1", "thumbsup"], label: "thumbs up"}`.
   */
  groups;
  #all;
  #named = new Map();

  constructor({ groups }, words, language) {
    let at = 0;
    const regions = new Intl.DisplayNames([language], { type: "region" });
    this.groups = groups.map((emoji, index) => ({
      name: words?.groups[index] ?? "",
      emoji: emoji.map((row) => entry(row, words?.words[at++], regions)),
    }));
    this.#all = this.groups.flatMap((group) => group.emoji);
    // The neutral one stands before those of a gender that share its name.
    for (const one of this.#all) {
      for (const name of one.names) if (!this.#named.has(name)) this.#named.set(name, one);
    }
  }

  /** The entry whose shortcode is `name`, with colons or without; or undefined. */
  named(name) {
    const bare = name.toLowerCase().replace(/^:|:$/g, "");
    return this.#named.get(bare) ?? this.#named.get(bare.replace("flag-", "flag_"));
  }

  /**
   * At most `limit` entries that `query` is about, the best first: the one of that shortcode or name,
   * shortcodes that begin so, the shortest first, then where all its words are found, whole ones before beginnings before parts.
   */
  find(query, limit = 50) {
    const wanted = fold(query).replace(/^:|:$/g, "");
    const words = wanted.split(/[\s_]+/).filter(Boolean);
    if (words.length === 0) return [];
    const hits = [];
    for (const one of this.#all) {
      const rank = one.emoji === query.trim() ? 0 : rankOf(one, wanted, words);
      if (rank < Infinity) hits.push({ one, rank });
    }
    // Sorting is stable: what is equally good stays in the order of the picker.
    hits.sort((a, b) => a.rank - b.rank);
    return hits.slice(0, limit).map(({ one }) => one);
  }

  /** `text` with each `:name:` that is one as its emoji, but not in `code` and addresses. */
  replace(text) {
    return text.replace(NAMED, (run) => {
      if (!run.startsWith(":")) return run;
      return run.replace(/:([^:]+):/g, (whole, name) => this.named(name)?.emoji ?? whole);
    });
  }
}

function entry(row, words, regions) {
  const [emoji, ...names] = row.split(" ");
  let [label, more = ""] = (words ?? "").split("|");
  if (COUNTRY.test(emoji)) {
    const region = letters(emoji);
    label = regions.of(region);
    names.push(`flag_${region.toLowerCase()}`);
  }
  const parts = fold(`${names.join(" ")} ${label}`).split(/[\s_]+/);
  return { emoji, name: names[0], names, label: label || names[0], parts, more: fold(more).split(" ") };
}

/** The two letters that the flag of a country is made of. */
function letters(flag) {
  const first = "🇦".codePointAt(0);
  return Array.from(flag, (part) => String.fromCharCode(65 + part.codePointAt(0) - first)).join("");
}

function fold(text) {
  return text.normalize("NFKC").toLowerCase().trim();
}

/** How well `one` fits, 0 the best; Infinity: not at all. */
function rankOf(one, wanted, words) {
  if (one.names.includes(wanted) || fold(one.label) === wanted) return 0;
  const begun = one.names.filter((name) => name.startsWith(wanted));
  if (begun.length > 0) return 1 + Math.min(...begun.map((name) => name.length)) / 1000;
  return Math.max(...words.map((word) => rankOfWord(one, word)));
}

function rankOfWord({ parts, more }, word) {
  if (parts.includes(word)) return 2;
  if (more.includes(word)) return 3;
  if (parts.some((part) => part.startsWith(word))) return 4;
  if (more.some((part) => part.startsWith(word))) return 5;
  if (parts.some((part) => part.includes(word))) return 6;
  if (more.some((part) => part.includes(word))) return 7;
  return Infinity;
}
