import assert from "node:assert/strict";
import { test } from "node:test";

import { hashOf, routeOf } from "../../web/route.js";

const route = (hash, search = "") => routeOf({ hash, search });

test("an address leads where it was made for", () => {
  for (const [room, at] of [
    ["lobby", null],
    ["@3-7", 42],
    ["茶室", null],
    ["a.b_c-d", 2 ** 53 - 1],
    ["__proto__", 1],
  ]) {
    assert.deepEqual(route(hashOf(room, at)), { room, at });
  }
  assert.equal(hashOf("@3-7", 42), "#/@3-7?at=42");
});

test("an address may be written in other ways", () => {
  assert.deepEqual(route("#tea"), { room: "tea", at: null });
  assert.deepEqual(route("", "?room=tea"), { room: "tea", at: null });
  assert.deepEqual(route("#/tea", "?room=coffee"), { room: "tea", at: null });
  assert.deepEqual(route("#/%40" + "3-7"), { room: "@3-7", at: null });
  assert.deepEqual(route("#/"), { room: "", at: null });
});

test("what leads nowhere is known to", () => {
  for (const hash of [
    "#/no such room",
    "#/%",
    "#/a/b",
    "#/..",
    `#/${"x".repeat(65)}`,
    "#/@3",
    "#/@a-b",
  ]) {
    assert.equal(route(hash).room, null, hash);
  }
  for (const at of ["", "x", "-1", "0", "1.5", "1e99"]) {
    assert.deepEqual(route(`#/tea?at=${at}`), { room: "tea", at: null }, at);
  }
});
