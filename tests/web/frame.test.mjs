import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { graph, preloaded } from "../../tools/preload.mjs";

const WEB = new URL("../../web/", import.meta.url);
const read = (file) => readFileSync(new URL(file, WEB), "utf8");
const html = read("index.html");
const all = (pattern) => [...html.matchAll(pattern)].map(([, found]) => found);

test("what main.js needs is loaded at once, and nothing else", () => {
  const named = all(/<link rel="modulepreload" href="([^"]+)">/g);
  assert.deepEqual(named.sort(), preloaded("main.js"), "node tools/preload.mjs");
});

test("what is loaded later is kept for when there is no network", () => {
  const [, list] = /const LATER = ([^;]+);/.exec(read("install.js"));
  const named = [...list.matchAll(/"([\w/.]+)"/g)].map(([, name]) => name);
  const kept = new Set(named.map((name) => (/\.(css|json)$/.test(name) ? name : `${name}.js`)));
  const atOnce = graph("main.js");
  const known = new Set(atOnce);
  for (const file of known) {
    for (const [, name] of read(file).matchAll(/(?:import|sheet)\("(?:\.\/)?([\w/.]+)"\)/g)) {
      if (name.endsWith("js")) graph(name, known);
      else assert.ok(kept.has(name), name);
    }
  }
  const later = [...known].filter((file) => !atOnce.has(file) && file !== "install.js");
  assert.deepEqual(later.sort(), [...kept].filter((file) => file.endsWith("js")).sort());
});

test("what the frame names is there", () => {
  const files = all(/(?:href|src)="([^"#][^"]*)"/g);
  assert.ok(files.length > 10);
  for (const file of files) assert.ok(existsSync(new URL(file, WEB)), file);
  const ids = new Set(all(/\bid="([^"]+)"/g));
  assert.equal(ids.size, all(/\bid="([^"]+)"/g).length, "an id is there twice");
  const named = all(/(?:for|aria-controls|aria-describedby|href)="#?([\w-]+)"/g);
  for (const id of named) assert.ok(ids.has(id) || files.includes(id), id);
});

test("every picture that a module asks for is in the frame", () => {
  const ids = new Set(all(/<symbol id="([\w-]+)-icon"/g));
  for (const file of graph("main.js")) {
    for (const [, name] of read(file).matchAll(/\bicon\("([\w-]+)"\)/g)) {
      assert.ok(ids.has(name), `${file} wants ${name}`);
    }
  }
});

test("the frame has neither scripts nor styles of its own", () => {
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|javascript:/);
  for (const [, script] of html.matchAll(/<script([^>]*)>/g)) assert.match(script, /\bsrc=/);
});
