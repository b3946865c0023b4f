import assert from "node:assert/strict";
import { test } from "node:test";

import * as known from "../../web/state.js";

const ADA = { id: 1, name: "Ada" };
const BO = { id: 2, name: "Bo" };

function message(id, from = BO, more = {}) {
  const time = "2026-01-02T03:04:05.000Z";
  return { id, room: "lobby", message: `text ${id}`, type: "text", from, time, ...more };
}

const messages = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, index) => message(first + index));

function init(more = {}) {
  const data = { room: "lobby", self: { ...ADA, token: "t" }, users: [ADA], count: 1 };
  Object.assign(data, { messages: [], resumed: false, more: false, epoch: "e", limits: {} }, more);
  return { event: "init", data };
}

const at = (event, data) => ({ event, data: { room: "lobby", ...data } });
const play = (state, ...events) =>
  events.reduce((before, event) => known.apply(before, event, 0), state);
const entered = (more) => play(known.fresh("lobby"), init(more));
const ids = (state) => state.messages.map(({ id }) => id);

function frozen(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(Object.freeze(value)).forEach(frozen);
  }
  return value;
}

test("every event leaves the state before it as it was", () => {
  let state = frozen(known.say(entered({ messages: messages(5, 9), more: true }), "n", "hi"));
  state = frozen(known.askedOlder(known.sent(state, "n")));
  for (const event of [
    at("talk", message(10)),
    at("history", { messages: messages(1, 4), more: false }),
    at("join", BO),
    at("typing", BO),
    at("rename", { id: 2, name: "Bob", was: "Bo" }),
    at("exit", { id: 2, name: "Bob" }),
    at("presence", { count: 4, joined: [BO], left: [] }),
    at("error", { code: "too_long", message: "", nonce: "n" }),
    init({ resumed: true, messages: messages(11, 12) }),
    init(),
  ]) {
    const next = frozen(known.apply(state, event, 5));
    assert.notEqual(next, state, event.event);
    state = next;
  }
});

test("what is unknown, or of another room, changes nothing", () => {
  const state = entered({ users: [ADA, BO], count: 2 });
  for (const event of ["join", "exit", "rename", "typing", "presence", "history", "init"]) {
    const data = { ...init().data, ...BO, room: "elsewhere", count: 9, messages: [] };
    assert.equal(known.apply(state, { event, data }, 0), state, event);
  }
  assert.equal(known.apply(state, at("talk", { ...message(1), room: "elsewhere" }), 0), state);
  for (const event of ["dance", "constructor", "__proto__", "pong"]) {
    assert.equal(known.apply(state, at(event, {}), 0), state, event);
  }
  assert.deepEqual(ids(play(state, at("talk", message(1, BO, { later: true })))), [1]);
});

test("a message that comes twice is shown once", () => {
  const state = entered({ messages: messages(1, 3) });
  const next = play(state, at("talk", message(3)), at("talk", message(4)), at("talk", message(4)));
  assert.deepEqual(ids(next), [1, 2, 3, 4]);
});

test("resumed: the messages come after what there was, at any time", () => {
  let state = entered({ messages: messages(4, 6), more: true });
  state = play(state, init({ resumed: true, messages: messages(7, 8), users: [ADA, BO], count: 2 }));
  state = play(known.cut(state), init({ resumed: true, messages: messages(8, 9) }));
  assert.deepEqual(ids(state), [4, 5, 6, 7, 8, 9]);
  assert.equal(state.more, true, "the older ones are still there");
  assert.deepEqual(state.users, [ADA], "who is here is replaced");
});

test("not resumed: the page starts afresh, and the views can tell", () => {
  const before = play(entered({ messages: messages(4, 6) }), at("join", BO));
  const after = play(known.cut(before), init({ messages: messages(90, 99), more: true }));
  assert.deepEqual(ids(after), ids({ messages: messages(90, 99) }));
  assert.equal(after.more, true);
  assert.deepEqual(after.notes, []);
  assert.notEqual(after.era, before.era);
});

test("a page that has nothing starts afresh whatever the server says", () => {
  const state = entered({ resumed: true, messages: messages(5, 6), more: true });
  assert.deepEqual([ids(state), state.more], [[5, 6], true]);
});

test("the server may know the room by another name", () => {
  const early = known.say(known.fresh("LOBBY"), "n", "hi");
  const state = play(early, init({ room: "lobby" }), at("talk", message(1)));
  assert.deepEqual([state.room, ids(state)], ["lobby", [1]]);
  assert.equal(known.due(state, 0).nonce, "n");
});

test("history goes before what there is, once for each question", () => {
  let state = entered({ messages: messages(8, 9), more: true });
  assert.equal(known.hasOlder(state, 0), true);
  assert.equal(play(state, at("history", { messages: messages(1, 7), more: false })), state);
  state = known.askedOlder(state);
  assert.equal(known.hasOlder(state, 0), false, "one question at a time");
  state = play(state, at("history", { messages: messages(5, 8), more: true }));
  assert.deepEqual(ids(state), [5, 6, 7, 8, 9]);
  state = play(known.askedOlder(state), at("history", { messages: messages(1, 4), more: false }));
  assert.deepEqual(ids(state), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(known.hasOlder(state, 0), false);
});

test("an answer to a question about a log that was replaced is not used", () => {
  const asked = known.askedOlder(entered({ messages: messages(50, 51), more: true }));
  const replaced = play(asked, init({ messages: messages(90, 91), more: true }));
  const answered = play(replaced, at("history", { messages: messages(40, 49), more: true }));
  assert.deepEqual(ids(answered), [90, 91]);
  assert.equal(known.hasOlder(answered, 0), true, "and the right question can be asked");
});

test("history that is refused is asked for again when the time has come", () => {
  const asked = known.askedOlder(entered({ messages: messages(50, 51), more: true }));
  const error = { code: "rate_limited", message: "", event: "history", retry_after: 2 };
  const state = known.apply(asked, { event: "error", data: error }, 1000);
  assert.equal(known.hasOlder(state, 2999), false);
  assert.equal(known.nextMoment(state, 1000), 3000);
  assert.equal(known.hasOlder(state, 3000), true);
});

test("who is here follows join, exit, rename and presence", () => {
  const state = play(
    entered(),
    at("join", BO),
    at("join", BO),
    at("join", { id: 3, name: "Cy" }),
    at("rename", { id: 2, name: "Bob", was: "Bo" }),
    at("exit", { id: 3, name: "Cy" }),
  );
  assert.deepEqual([state.users, state.count], [[ADA, { id: 2, name: "Bob" }], 2]);
  const joined = [{ id: 7, name: "Di" }];
  const big = play(state, at("presence", { count: 812, joined, left: [{ id: 2, name: "Bob" }] }));
  assert.deepEqual([big.users, big.count], [[ADA, ...joined], 812]);
});

test("a note tells once what is different from one message to the next", () => {
  const told = (state) => state.notes.map(({ after, changes }) => [after, ...changes]);
  let state = play(entered({ messages: messages(1, 2) }), at("join", BO));
  assert.deepEqual(told(state), [[2, { kind: "join", ...BO }]]);
  state = play(state, at("rename", { id: 2, name: "Bob", was: "Bo" }));
  assert.deepEqual(told(state), [[2, { kind: "join", id: 2, name: "Bob" }]]);
  state = play(state, at("exit", { id: 2, name: "Bob" }));
  assert.deepEqual(told(state), [], "came and went");
  state = play(state, at("rename", { id: 1, name: "Ada", was: "Ada" }));
  assert.deepEqual(told(state), [], "a new name that is the old one");
  state = play(state, at("rename", { id: 1, name: "A", was: "Ada" }));
  state = play(state, at("rename", { id: 1, name: "Ann", was: "A" }));
  assert.deepEqual(told(state), [[2, { kind: "rename", id: 1, name: "Ann", was: "Ada" }]]);
  state = play(state, at("talk", message(3)), at("join", BO), at("talk", message(4)));
  state = play(state, at("exit", BO));
  assert.deepEqual(told(state).slice(1), [
    [3, { kind: "join", ...BO }],
    [4, { kind: "exit", ...BO }],
  ]);
});

test("typing lapses, and ends with the message and with the user", () => {
  const typing = (state) => state.typing.map(({ name }) => name);
  const state = known.apply(entered(), at("typing", BO), 1000);
  assert.deepEqual(typing(state), ["Bo"]);
  assert.equal(known.nextMoment(state, 1000), 7000);
  assert.deepEqual(typing(known.lapse(state, 6999)), ["Bo"]);
  assert.deepEqual(typing(known.lapse(state, 7000)), []);
  assert.deepEqual(typing(play(state, at("talk", message(1)))), []);
  assert.deepEqual(typing(play(state, at("exit", BO))), []);
  assert.deepEqual(typing(play(state, at("typing", ADA))), ["Bo"], "oneself is not told");
});

test("messages go out one by one, in order, over any number of connections", () => {
  let state = known.say(known.say(known.fresh("lobby"), "n1", "one"), "n2", "two");
  assert.equal(known.due(state, 0), null, "not before the connection stands");
  state = play(state, init());
  assert.equal(known.due(state, 0).nonce, "n1");
  state = known.sent(state, "n1");
  assert.equal(known.due(state, 0), null);
  state = play(known.cut(state), init());
  assert.equal(known.due(state, 0).nonce, "n1", "nobody knows whether it was said: once more");
  state = known.sent(state, "n1");
  state = play(state, at("talk", message(1, ADA, { nonce: "n1" })));
  assert.equal(known.due(state, 0).nonce, "n2");
  state = play(known.sent(state, "n2"), at("talk", message(2, ADA, { nonce: "n2" })));
  assert.deepEqual([state.outbox, state.inFlight, ids(state)], [[], null, [1, 2]]);
});

test("a message that was said before the cut leaves the outbox, in `init` or as an answer", () => {
  const mine = message(3, ADA, { nonce: "n" });
  const state = known.cut(known.sent(known.say(entered(), "n", "hi"), "n"));
  assert.deepEqual(play(state, init({ messages: [mine] })).outbox, []);
  const afresh = play(state, init({ messages: messages(80, 81), more: true }));
  const answered = play(known.sent(afresh, "n"), at("talk", mine));
  assert.deepEqual([answered.outbox, answered.inFlight, ids(answered)], [[], null, [80, 81]]);
});

test("what is refused for the moment waits at the head; what is refused for good stands aside", () => {
  const refuse = (state, error) => known.apply(state, { event: "error", data: error }, 1000);
  let state = known.say(known.say(entered(), "n1", "one"), "n2", "two");
  state = refuse(known.sent(state, "n1"), { code: "rate_limited", nonce: "n1", retry_after: 2.5 });
  assert.equal(known.due(state, 3499), null);
  assert.equal(known.nextMoment(state, 1000), 3500);
  assert.equal(known.due(state, 3500).nonce, "n1");
  state = refuse(known.sent(state, "n1"), { code: "unavailable", nonce: "n1" });
  assert.equal(known.nextMoment(state, 1000), 3000, "a bound that doubles where none is given");
  state = refuse(known.sent(state, "n1"), { code: "too_long", event: "talk" });
  assert.equal(state.outbox[0].failed, true);
  assert.equal(known.due(state, 1000).nonce, "n2");
  assert.deepEqual(
    known.discard(state, "n1").outbox.map(({ nonce }) => nonce),
    ["n2"],
  );
});

test("unsent messages of a room wait until the user is back in it", () => {
  let state = known.fresh("garden", known.say(known.fresh("lobby"), "n", "hi"));
  state = play(state, init({ room: "garden" }));
  assert.equal(known.due(state, 0), null);
  state = play(known.fresh("lobby", known.cut(state)), init());
  assert.equal(known.due(state, 0).nonce, "n");
});

test("a wished name is had, refused, or had without us hearing of it", () => {
  const wished = known.wish(entered(), "Ann");
  const had = play(wished, at("rename", { id: 1, name: "Ann", was: "Ada" }));
  assert.deepEqual([had.self, had.renaming], [{ id: 1, name: "Ann" }, null]);
  const error = { code: "name_taken", message: "taken", event: "rename" };
  const refused = play(wished, { event: "error", data: error });
  assert.deepEqual([refused.renaming, refused.notice], [{ name: "Ann", problem: error }, null]);
  const self = { id: 1, name: "Ann", token: "t" };
  assert.equal(play(known.cut(wished), init({ self })).renaming, null);
});

test("an error that belongs to nothing here is shown until something works", () => {
  const error = { code: "bad_room", message: "no" };
  const state = play(entered(), { event: "error", data: error });
  assert.equal(state.notice, error);
  assert.equal(known.dismiss(state).notice, null);
  assert.equal(known.say(state, "n", "hi").notice, null);
  assert.equal(play(entered(), { event: "error", data: { ...error, event: "typing" } }).notice, null);
});
