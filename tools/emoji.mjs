/**
 * Makes emoji.json, en.json and zh-CN.json in web/emoji/ from the data of Emojibase, and their LICENSE:
 *
 *     npm pack emojibase-data@17.0.0 && tar xf emojibase-data-17.0.0.tgz
 *     npm pack cldr-core@48.2.0 && tar xOf cldr-core-48.2.0.tgz package/LICENSE >unicode.txt
 *     node tools/emoji.mjs package unicode.txt
 *
 * (The second package is only there for the licence of CLDR, from which Emojibase has its words.)
 *
 * emoji.json is the same for all languages:
 *
 *     { "groups": [["😀 grinning", "😃 smiley", "👍 +1 thumbsup", …], …] }
 *
 * : in the order of a picker each emoji as it is sent, fully qualified in Unicode's sense, so that it
 * is the same text from everybody; then its shortcodes, the best known first. The flags of countries
 * have theirs from their letters, `flag_nz`, and their names from the browser.
 *
 * A language's file has the names of the groups, and for each emoji in the same order its name and
 * further words to find it by:
 *
 *     { "groups": ["Smileys", …], "words": ["party popper|birthday celebrate …", …] }
 *
 * Shortcodes are those of GitHub, Slack (iamcal) and Discord (the first of JoyPixels). Left out: the
 * skin tones (each emoji stands there once, without one), what only makes up others (hair, letters of
 * flags), and what is too new for many devices to draw.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const NEWEST = 15.1; // version of Emoji, of 2023
const SOURCES = ["github", "iamcal", "joypixels"]; // whose shortcodes, the best known first
const MOST = 4; // further words of an emoji
const COUNTRY = /^\p{Regional_Indicator}{2}$/u;
const GENDER = /\u200d[♀♂]|^[👨👩]\u200d/u; // found by its name; the one without has the words
// The groups by Emojibase's numbers, in the order of the picker.
const GROUPS = {
  0: { en: "Smileys", zh: "表情" },
  1: { en: "People", zh: "人物" },
  3: { en: "Animals and nature", zh: "动物与自然" },
  4: { en: "Food and drink", zh: "食物与饮料" },
  5: { en: "Travel and places", zh: "旅行与地点" },
  6: { en: "Activities", zh: "活动" },
  7: { en: "Objects", zh: "物品" },
  8: { en: "Symbols", zh: "符号" },
  9: { en: "Flags", zh: "旗帜" },
};

const [folder, unicode] = process.argv.slice(2);
if (!unicode) {
  console.error("say where emojibase-data and the licence of Unicode are: see the top of this file");
  process.exit(2);
}
const out = join(import.meta.dirname, "..", "web", "emoji");
const read = (...path) => JSON.parse(readFileSync(join(folder, ...path), "utf8"));
const codes = SOURCES.map((source) => read("en", "shortcodes", `${source}.json`));

const inOrder = shown("en");
const write = (name, value) =>
  writeFileSync(join(out, name), `${JSON.stringify(value).replaceAll('",', '",\n')}\n`);
write("emoji.json", {
  groups: Object.keys(GROUPS).map((group) =>
    inOrder
      .filter((entry) => entry.group === Number(group))
      .map((entry) => [qualified(entry.emoji), ...shortcodes(entry)].join(" ")),
  ),
});
for (const [from, language] of [
  ["en", "en"],
  ["zh", "zh-CN"],
]) {
  const said = new Map(shown(from).map((entry) => [entry.hexcode, entry]));
  write(`${language}.json`, {
    groups: Object.values(GROUPS).map((name) => name[from]),
    words: inOrder.map(({ hexcode }) => words(said.get(hexcode))),
  });
}
const notice = [
  "The JSON files here are made from emojibase-data, which has this licence:",
  readFileSync(join(folder, "LICENSE"), "utf8").trim(),
  "Its names and words come from the Unicode Common Locale Data Repository (CLDR):",
  readFileSync(unicode, "utf8").trim(),
];
writeFileSync(join(out, "LICENSE"), `${notice.join("\n\n")}\n`);

/** The entries of the picker, in its order. */
function shown(language) {
  const known = read(language, "data.json").filter(
    ({ group, version }) => group in GROUPS && version <= NEWEST,
  );
  return known.sort((a, b) => a.group - b.group || a.order - b.order);
}

function shortcodes({ emoji, hexcode }) {
  if (COUNTRY.test(emoji)) return [codes[0][hexcode] ?? []].flat().filter((name) => /^..$/.test(name));
  const [github, slack, [discord]] = codes.map((source) => [source[hexcode] ?? []].flat());
  return [...new Set([...github, ...slack, discord].filter(Boolean))];
}

/** The name of an entry and further words, the shortest: these are what people type. */
function words(entry) {
  if (COUNTRY.test(entry.emoji)) return "";
  if (GENDER.test(entry.emoji)) return entry.label;
  const said = `${entry.label} ${shortcodes(entry).join(" ")}`.split(/[\s_]/);
  const parts = (entry.tags ?? []).flatMap((tag) => tag.split(" "));
  const more = [...new Set(parts)].filter((word) => !said.includes(word));
  more.sort((a, b) => a.length - b.length);
  return `${entry.label}|${more.slice(0, MOST).join(" ")}`.replace(/\|$/, "");
}

/** The emoji with U+FE0F only behind what is text without it (Unicode's emoji-test.txt). */
function qualified(emoji) {
  return emoji.replace(/(\p{Emoji_Presentation})\ufe0f/gu, "$1");
}
