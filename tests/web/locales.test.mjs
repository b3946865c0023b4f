import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import * as words from "../../web/words.js";

const WEB = new URL("../../web/", import.meta.url);
const catalogues = new Map();
for (const name of Object.keys(words.LANGUAGES)) {
  const { default: texts } = await import(new URL(`locales/${name}.js`, WEB));
  catalogues.set(name, texts);
}
const english = catalogues.get("en");
const forms = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry));
const places = (entry) =>
  [
    ...new Set(
      forms(entry)
        .join()
        .match(/\{\w+\}/g),
    ),
  ].sort();

/** What the page's own modules and its frame say, as {keys, beginnings of keys}. */
function said() {
  const used = { keys: new Set(), beginnings: new Set() };
  for (const file of readdirSync(WEB)) {
    if (!/\.(js|html)$/.test(file)) continue;
    const source = readFileSync(new URL(file, WEB), "utf8");
    for (const [, key] of source.matchAll(/(?:\bt\(\s*|data-t(?:-\w+)?=)"([\w.]+)"/g)) {
      used.keys.add(key);
    }
    for (const [, start] of source.matchAll(/`([\w.]+\.)\$\{/g)) used.beginnings.add(start);
    // A choice between two texts: t(a ? "one" : "other")
    for (const [, choice] of source.matchAll(/\bt\(([^()"]*\?[^()]*)[),]/g)) {
      for (const [, key] of choice.matchAll(/"([\w.]+)"/g)) used.keys.add(key);
    }
  }
  return used;
}

test("every language has a file, and no file is without a language", () => {
  const files = readdirSync(new URL("locales/", WEB)).map((file) => file.replace(/\.js$/, ""));
  assert.deepEqual(files.sort(), [...catalogues.keys()].sort());
});

for (const [name, texts] of catalogues) {
  test(`${name} says the same as English, in the plural forms that it has`, () => {
    assert.deepEqual(Object.keys(texts).sort(), Object.keys(english).sort());
    const { pluralCategories } = new Intl.PluralRules(name).resolvedOptions();
    for (const [key, entry] of Object.entries(texts)) {
      assert.deepEqual(places(entry), places(english[key]), key);
      assert.equal(typeof entry, typeof english[key], key);
      for (const form of forms(entry)) assert.ok(form.trim(), `${key} is empty`);
      if (typeof entry === "string") continue;
      assert.deepEqual(Object.keys(entry).sort(), [...pluralCategories].sort(), key);
    }
  });
}

test("every text that is said exists, and every text that exists is said", () => {
  const { keys, beginnings } = said();
  assert.ok(keys.size > 20);
  for (const key of keys) assert.ok(Object.hasOwn(english, key), `${key} is in no catalogue`);
  const begun = (key) => [...beginnings].some((start) => key.startsWith(start));
  const unused = Object.keys(english).filter((key) => !keys.has(key) && !begun(key));
  assert.deepEqual(unused, []);
});

test("the first language of the browser that there are texts in is spoken", () => {
  assert.equal(words.chosen(["zh-Hans-SG", "en"]), "zh-CN");
  assert.equal(words.chosen(["zh"]), "zh-CN");
  assert.equal(words.chosen(["zh-CN"]), "zh-CN");
  assert.equal(words.chosen(["zh-TW", "en-GB"]), "en");
  assert.equal(words.chosen(["de-AT", "zh-CN", "en"]), "zh-CN");
  assert.equal(words.chosen(["de"]), "en");
  assert.equal(words.chosen([]), "en");
});

test("numbers, plurals and lists are the language's own", async () => {
  await words.load("en");
  assert.equal(words.t("people.here", { count: 1 }), "1 person here");
  assert.equal(words.t("people.here", { count: 1234 }), "1,234 people here");
  const users = (count) => Array.from({ length: count }, (_, id) => ({ id, name: `n${id}` }));
  const bare = (text) => text.replaceAll(/[\u2068\u2069]/g, "");
  assert.equal(bare(words.named(users(2))), "n0 and n1");
  assert.equal(bare(words.named(users(9))), "n0, n1, n2, n3, and 5 others");
  assert.equal(words.duration(0.2), "1 second");
  assert.equal(words.size(10485760), "10.5 MB");
  await words.load("zh-CN");
  assert.equal(words.t("people.here", { count: 1 }), "1 人在线");
  assert.equal(bare(words.named(users(2))), "n0和n1");
  assert.match(words.day(new Date(2026, 1, 3)), /2026年2月3日/);
});
