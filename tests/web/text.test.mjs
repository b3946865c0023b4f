import assert from "node:assert/strict";
import { test } from "node:test";

import { length, marked, onlyEmoji, parts } from "../../web/text.js";

const links = (text) => parts(text).flatMap(({ text, href }) => (href ? [text] : []));
const whole = (text) =>
  parts(text)
    .map((part) => part.text)
    .join("");

test("a link is where a scheme of ours begins, and ends before the sentence goes on", () => {
  for (const [text, ...expected] of [
    ["see https://example.com/a?b=c#d for more", "https://example.com/a?b=c#d"],
    ["https://example.com.", "https://example.com"],
    ["(https://example.com/a_(b))", "https://example.com/a_(b)"],
    ["[https://example.com/], yes?!", "https://example.com/"],
    ["<http://localhost:8080/x>", "http://localhost:8080/x"],
    ['"https://example.com/"', "https://example.com/"],
    ["HTTPS://EXAMPLE.COM", "HTTPS://EXAMPLE.COM"],
    ["mailto:a@example.com, mailto:b@example.com", "mailto:a@example.com", "mailto:b@example.com"],
    ["http://a.example http://b.example", "http://a.example", "http://b.example"],
    ["https://[::1]:80/ there", "https://[::1]:80/"],
    ["**https://example.com**", "https://example.com"],
    ["https://example.com/\nhttps://example.org/", "https://example.com/", "https://example.org/"],
  ]) {
    assert.deepEqual(links(text), expected, text);
    assert.equal(whole(text), text);
  }
});

test("in a text without spaces a link ends where the language goes on", () => {
  for (const [text, ...expected] of [
    ["请看https://example.com/a谢谢", "https://example.com/a"],
    ["请看：https://example.com/a，谢谢。", "https://example.com/a"],
    ["（https://example.com）", "https://example.com"],
    ["https://例子.中国/路径", "https://例子.中国/路径"],
    ["https://zh.wikipedia.org/wiki/聊天室", "https://zh.wikipedia.org/wiki/聊天室"],
  ]) {
    assert.deepEqual(links(text), expected, text);
    assert.equal(whole(text), text);
  }
});

test("what only looks like a link is none", () => {
  for (const text of [
    "javascript:alert(1)",
    "data:text/html,<b>",
    "xhttps://example.com",
    "git+https://example.com",
    "https:/example.com",
    "https://",
    "http://:80/",
    "mailto:nobody",
    "mailto:",
    "file:///etc/passwd",
    "https : //example.com",
    "a\u200bhttps:\u200b//example.com",
    "www.example.com",
  ]) {
    assert.deepEqual(links(text), [], text);
    assert.equal(whole(text), text);
  }
});

test("an invisible character ends a link", () => {
  assert.deepEqual(links("https://example.com/\u202egpj.exe"), ["https://example.com/"]);
  assert.deepEqual(links("https://exam\u200bple.com/"), ["https://exam"]);
});

test("the walk is linear: a text made to be slow takes no longer per character", () => {
  const time = (text) => {
    const start = process.cpuUsage().user;
    parts(text);
    return process.cpuUsage().user - start;
  };
  for (const piece of ["http://", "http://:", "(http://a)", "mailto:@", "https://a.b/)", "@a "]) {
    parts(piece.repeat(2_000));
    const [short, long] = [time(piece.repeat(10_000)), time(piece.repeat(80_000))];
    assert.ok(long < 8 * 5 * Math.max(short, 2_000), `${piece}: ${short} µs, then ${long} µs`);
  }
});

test("a mention is a name of one who is mentioned, the longest that fits", () => {
  const ada = { id: 1, name: "Ada" };
  const lovelace = { id: 2, name: "Ada Lovelace" };
  const li = { id: 3, name: "小李" };
  const found = (text, ...mentions) =>
    parts(text, mentions).flatMap((part) => (part.user ? [[part.text, part.user.id]] : []));
  assert.deepEqual(found("@Ada hello @ada lovelace!", ada, lovelace), [
    ["@Ada", 1],
    ["@ada lovelace", 2],
  ]);
  assert.deepEqual(found("@Adam @Ada", ada), [["@Ada", 1]]);
  assert.deepEqual(found("a@Ada.example", ada), []);
  assert.deepEqual(found("你好@小李你在吗", li), [["@小李", 3]]);
  assert.deepEqual(found("@Ada在吗", ada), [["@Ada", 1]]);
  assert.deepEqual(found("https://example.com/@Ada", ada), [], "in a link");
  assert.deepEqual(parts("@Ada", []), [{ text: "@Ada" }]);
  assert.deepEqual(parts("", []), []);
});

test("a few emoji alone are large", () => {
  for (const text of ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🇨🇳 🇩🇪", "❤️", "1️⃣", "😀😀😀😀😀😀"]) {
    assert.ok(onlyEmoji(text), text);
  }
  for (const text of ["", " ", "1", "#", "😀a", "hello", "😀".repeat(7), "©"]) {
    assert.ok(!onlyEmoji(text), text);
  }
});

test("a text is Markdown only if it has marks of it", () => {
  for (const text of ["*a*", "`a`", "# a", "- a", "1. a", "> a", "a\n- b", "[a](b)", "~~a~~"]) {
    assert.ok(marked(text), text);
  }
  for (const text of ["hello", "2 - 1 = 1", "C# and F#", "你好！", "a > b", "12.5"]) {
    assert.ok(!marked(text), text);
  }
});

test("a length is one in characters", () => {
  assert.equal(length("a😀中"), 3);
});
