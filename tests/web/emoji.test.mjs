import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { Emoji, load } from "../../web/emoji/emoji.js";

const file = (name) => readFileSync(new URL(`../../web/emoji/${name}.json`, import.meta.url));
const data = (name) => JSON.parse(file(name));
const made = (language) => new Emoji(data("emoji"), data(language), language);

const EN = made("en");
const ZH = made("zh-CN");
const all = (emoji) => emoji.groups.flatMap((group) => group.emoji);
const found = (emoji, query, limit) => emoji.find(query, limit).map((entry) => entry.emoji);

test("the files of both languages fit the list, and none is large", () => {
  const count = data("emoji").groups.flat().length;
  assert.ok(count > 1800, String(count));
  for (const name of ["emoji", "en", "zh-CN"]) {
    assert.ok(gzipSync(file(name)).length < 25_000, name);
  }
  for (const name of ["en", "zh-CN"]) {
    assert.equal(data(name).words.length, count, name);
    assert.equal(data(name).groups.length, data("emoji").groups.length, name);
  }
});

for (const [language, emoji] of Object.entries({ en: EN, "zh-CN": ZH })) {
  test(`in ${language} each emoji stands there once, with a name and a shortcode`, () => {
    const entries = all(emoji);
    assert.equal(new Set(entries.map((entry) => entry.emoji)).size, entries.length);
    for (const { emoji, name, names, label } of entries) {
      assert.match(emoji, /^\p{RGI_Emoji}$/v); // fully qualified: the same text from everybody
      assert.doesNotMatch(emoji, /[\u{1f3fb}-\u{1f3ff}]/u); // no skin tones
      assert.equal(name, names[0]);
      for (const known of names) assert.match(known, /^[a-z0-9_+-]+$/, emoji);
      assert.ok(label.trim() && label !== "undefined", emoji);
    }
    for (const { name, emoji: those } of emoji.groups) assert.ok(name && those.length > 50, name);
  });
}

test("names are in the language", () => {
  const label = (emoji, name) => emoji.named(name).label;
  assert.equal(label(EN, "tada"), "party popper");
  assert.match(label(ZH, "tada"), /^\p{Script=Han}+$/u);
  assert.equal(label(EN, "flag_de"), "Germany");
  assert.equal(label(ZH, "flag_de"), "德国");
  const han = all(ZH).filter(({ label }) => /\p{Script=Han}/u.test(label));
  assert.ok(han.length > 0.99 * all(ZH).length, String(all(ZH).length - han.length));
});

test("the shortcodes that people know", () => {
  const known = {
    smile: "😄", "+1": "👍", thumbsup: "👍", "-1": "👎", tada: "🎉", heart: "❤️", joy: "😂",
    rocket: "🚀", eyes: "👀", fire: "🔥", pray: "🙏", thinking: "🤔", white_check_mark: "✅",
    100: "💯", wave: "👋", clap: "👏", slight_smile: "🙂", man_facepalming: "🤦‍♂️", shrug: "🤷",
  };
  for (const [name, emoji] of Object.entries(known)) assert.equal(EN.named(name)?.emoji, emoji, name);
  assert.equal(EN.named("nothing_of_that_name"), undefined);
  assert.equal(EN.named("constructor"), undefined);
});

test("what is looked for is found, the best first", () => {
  const first = { smile: "😄", ":smil": "😄", thumbs: "👍", "thumbs up": "👍", germany: "🇩🇪", 100: "💯" };
  for (const [query, emoji] of Object.entries(first)) assert.equal(found(EN, query)[0], emoji, query);
  assert.deepEqual(found(EN, "heart", 1), ["❤️"]);
  assert.equal(found(EN, "HEART eyes")[0], "😍");
  assert.ok(found(EN, "yes", 5).includes("👍"));
  assert.ok(found(EN, "party", 3).includes("🎉"));
  assert.deepEqual(found(EN, "👍"), ["👍"]);
  assert.ok(found(ZH, "赞", 3).includes("👍"));
  assert.ok(found(ZH, "生日").includes("🎂"));
  assert.equal(found(ZH, "火")[0], "🔥");
  assert.equal(found(ZH, "德国")[0], "🇩🇪");
  assert.equal(found(ZH, "tada")[0], "🎉");
});

test("what is not there is not found", () => {
  for (const query of ["", "  ", ":", "_", "qqqq", "smile qqqq", "\0", "[", "\\"]) {
    assert.deepEqual(found(EN, query), [], query);
  }
  assert.equal(EN.find("a").length, 50);
  assert.equal(EN.find("a", 8).length, 8);
});

test("names in a text become emoji", () => {
  const texts = {
    "Hi :smile:": "Hi 😄",
    ":+1::tada:!": "👍🎉!",
    "(:tada:) 好:tada:。": "(🎉) 好🎉。",
    ":TADA: :flag-de:": "🎉 🇩🇪",
  };
  for (const [text, with_] of Object.entries(texts)) assert.equal(EN.replace(text), with_);
});

test("what is no name stays", () => {
  for (const text of [
    "", ":", "::", ":nope:", "10:100:20", "std::star::x", "a:smile:", ":smile:s", "https://a.b/:smile:",
    "https://a.b/?q=(:smile:)", "`:smile:`", "```\n:smile:\n```", "``a ` :smile:``", ": smile :",
  ]) {
    assert.equal(EN.replace(text), text);
  }
  assert.equal(EN.replace("`a` :smile: `:smile:`"), "`a` 😄 `:smile:`");
});

test("a file is loaded once, when it is first used, and again after a failure", async () => {
  const asked = [];
  let broken = true;
  const get = async (address) => {
    const name = address.pathname.match(/\/web\/emoji\/([\w-]+)\.json$/)[1];
    asked.push(name);
    return { ok: !broken, status: 503, json: async () => data(name) };
  };
  await assert.rejects(load("en", get), /503/);
  broken = false;
  asked.length = 0;
  assert.equal((await load(null, get)).replace(":tada:"), "🎉");
  assert.deepEqual(asked, ["emoji"]);
  const [en, again, zh, other] = await Promise.all(
    ["en", "en", "zh-CN", "xx"].map((language) => load(language, get)),
  );
  assert.deepEqual(asked, ["emoji", "en", "zh-CN"]);
  assert.equal(zh.groups[0].name, "表情");
  for (const one of [en, again, other]) assert.equal(one.groups[0].name, "Smileys");
});
