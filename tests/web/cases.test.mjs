import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as known from "../../web/state.js";
import { changed } from "../../web/state/changed.js";
import { Desk } from "./desk.mjs";

// What a client hears, and what it knows then. test_agreement.py has the server's own rules agree.
const cases = JSON.parse(readFileSync(new URL("cases.json", import.meta.url), "utf-8"));

const plain = (value) => JSON.parse(JSON.stringify(value));

for (const { name, events, essence } of cases) {
  test(name, () => {
    const desk = new Desk();
    desk.dial();
    for (const { event, data } of events) desk.hear(event, data);
    const { last } = desk.room;
    const [topic, messages] = [known.topicOf(desk.state), known.shown(desk.state)];
    assert.deepEqual(plain({ messages, last, topic }), essence);
  });
}

test("a reaction more than a message may have changes nothing else", () => {
  const react = (id, emoji, user, on = true) => ({
    event: "react",
    data: { id, room: "lobby", of: 1, emoji, on, from: { id: user, name: `u${user}` } },
  });
  const given = Array.from({ length: 500 }, (_, n) => react(2 + n, n % 2 ? "👍" : "🎉", n));
  const full = given.reduce(changed, { id: 1, message: "" });
  assert.deepEqual(full.reactions.map(({ users }) => users.length), [250, 250]);
  for (const emoji of ["👍", "🍵"]) {
    assert.deepEqual(changed(full, react(1000, emoji, 501)), { ...full, changed: 1000 });
  }
  const less = changed(full, react(1000, "🎉", 0, false));
  assert.deepEqual(
    changed(less, react(1001, "🍵", 501)).reactions.map(({ users }) => users.length),
    [249, 250, 1],
  );
});
