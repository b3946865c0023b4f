import assert from "node:assert/strict";
import { test } from "node:test";

import * as known from "../../web/state.js";
import { ADA, BO, CY, Desk, ids, init, message, messages } from "./desk.mjs";

test("every event leaves the state before it as it was, and changes something", () => {
  const desk = Desk.in({ messages: messages(5, 9), more: true });
  desk.write("say", { text: "hi" });
  desk.do("page", "older");
  const [{ nonce }] = desk.took("history");
  for (const [event, data] of [
    ["talk", message(10)],
    ["history", { room: "lobby", messages: messages(1, 4), more: false, newer: true, nonce }],
    ["join", { room: "lobby", ...BO }],
    ["typing", { room: "lobby", ...BO }],
    ["rename", { room: "lobby", id: 2, name: "Bob", was: "Bo" }],
    ["exit", { room: "lobby", id: 2, name: "Bob" }],
    ["presence", { room: "lobby", count: 4, joined: [BO], left: [] }],
    ["edit", { id: 11, room: "lobby", of: 5, message: "x", type: "text", from: BO, time: "t" }],
    ["react", { id: 12, room: "lobby", of: 5, emoji: "x", on: true, from: BO, time: "t" }],
    ["delete", { id: 13, room: "lobby", of: 5, from: BO, time: "t" }],
    ["topic", { id: 14, room: "lobby", topic: "Tea", from: BO, time: "t" }],
    ["error", { code: "too_long", message: "", nonce: "n1" }],
    ["direct", { room: "@1-2", with: BO }],
    ["init", init({ resumed: true, messages: messages(15, 16) })],
    ["init", init({ room: "@1-2", direct: BO })],
    ["init", init()],
  ]) {
    const { state } = desk;
    desk.hear(event, data); // which freezes all there is
    assert.notEqual(desk.state, state, event);
  }
});

test("what is unknown, or of a room that is not ours, changes nothing", () => {
  const desk = Desk.in({ users: [ADA, BO], count: 2 });
  const { state } = desk;
  const data = { ...BO, room: "elsewhere", count: 9, messages: [], of: 1, with: BO };
  for (const event of ["join", "exit", "typing", "presence", "history", "edit", "topic"]) {
    assert.equal(desk.hear(event, data).state, state, event);
  }
  assert.equal(desk.hear("talk", message(1, BO, { room: "elsewhere" })).state, state);
  for (const event of ["dance", "constructor", "__proto__", "pong"]) {
    assert.equal(desk.hear(event, data).state, state, event);
  }
  assert.deepEqual(desk.hear("talk", message(1, BO, { later: true })).ids, [1]);
});

test("a message that comes twice is shown once", () => {
  const desk = Desk.in({ messages: messages(1, 3) });
  for (const id of [3, 4, 4]) desk.hear("talk", message(id));
  assert.deepEqual(desk.ids, [1, 2, 3, 4]);
});

test("resumed: what was missed comes after what there was, at any time", () => {
  const desk = Desk.in({ messages: messages(4, 6), more: true });
  desk.hear("init", init({ resumed: true, messages: messages(7, 8), users: [ADA, BO], count: 2 }));
  desk.cut();
  assert.deepEqual(desk.dial(), { room: "lobby", after: 8, epoch: "e" });
  desk.hear("init", init({ resumed: true, messages: messages(8, 9) }));
  assert.deepEqual(desk.ids, [4, 5, 6, 7, 8, 9]);
  assert.equal(desk.room.more, true, "the older ones are still there");
  assert.deepEqual(desk.room.users, [ADA], "who is here is replaced");
});

test("resumed: changes that were missed are applied once, wherever they are contained already", () => {
  const desk = Desk.in({ messages: messages(1, 2), topic: "Tea" });
  desk.cut().dial();
  const edit = { room: "lobby", type: "text", from: BO, time: "later" };
  const changes = [
    { event: "edit", data: { ...edit, id: 4, of: 1, message: "changed" } },
    { event: "react", data: { id: 5, room: "lobby", of: 3, emoji: "👍", on: true, from: BO } },
    { event: "topic", data: { id: 6, room: "lobby", topic: "Coffee" } },
  ];
  const reactions = [{ emoji: "👍", users: [BO] }];
  const missed = [message(3, BO, { reactions, changed: 5 })];
  const data = { resumed: true, messages: missed, changes, last: 6, topic: "Coffee" };
  desk.hear("init", init(data));
  const [first, , third] = desk.room.messages;
  assert.deepEqual([first.message, first.edited, first.changed], ["changed", "later", 4]);
  assert.deepEqual(third.reactions, reactions);
  assert.deepEqual([desk.room.last, desk.room.topic], [6, "Coffee"]);
  const { state } = desk;
  for (const { event, data: again } of changes) desk.hear(event, again);
  assert.equal(desk.state, state);
  assert.deepEqual(desk.cut().dial(), { room: "lobby", after: 6, epoch: "e" });
});

test("not resumed: the room starts afresh, and the views can tell", () => {
  const desk = Desk.in({ messages: messages(4, 6) });
  const { era } = desk.hear("join", { room: "lobby", ...BO }).room;
  desk.cut().dial();
  desk.hear("init", init({ messages: messages(90, 99), more: true, topic: "Tea" }));
  assert.deepEqual(desk.ids, ids(messages(90, 99)));
  assert.deepEqual([desk.room.more, desk.room.notes, desk.room.topic], [true, [], "Tea"]);
  assert.notEqual(desk.room.era, era);
});

test("a page that has nothing starts afresh whatever the server says", () => {
  const desk = Desk.in({ resumed: true, messages: messages(5, 6), more: true });
  assert.deepEqual([desk.ids, desk.room.more], [[5, 6], true]);
});

test("under another epoch nothing is kept, in no room, and no change is made by old ids", () => {
  const desk = Desk.in({ messages: messages(1, 2) });
  desk.do("show", "tea").hear("init", init({ room: "tea", messages: [message(1)] }));
  desk.cut();
  desk.write("say", { text: "hi", reply: 1 });
  desk.write("react", 1, "👍", true);
  desk.dial();
  desk.hear("init", init({ room: "tea", epoch: "other", messages: [message(1)] }));
  assert.deepEqual(desk.state.rooms.lobby.messages, []);
  assert.deepEqual(desk.took("join").at(-1), { room: "lobby" });
  assert.deepEqual(
    desk.state.outbox.map(({ event, data }) => [event, data.reply]),
    [["talk", undefined]],
  );
});

test("the server may write a room's name in another way", () => {
  const desk = new Desk("LOBBY");
  desk.write("say", { text: "hi" });
  desk.do("draft", { text: "more" });
  desk.dial();
  desk.hear("init", init());
  assert.deepEqual(desk.took("talk")[0].room, "lobby");
  desk.hear("talk", message(1));
  assert.deepEqual(
    [desk.state.current, desk.ids, Object.keys(desk.state.rooms)],
    ["lobby", [1], ["lobby"]],
  );
  assert.equal(known.draftOf(desk.state).text, "more");
  desk.do("show", "Lobby");
  assert.deepEqual([desk.state.current, desk.took("join")], ["lobby", []]);
  desk.do("show", "ＴＥＡ"); // whatever else it takes for the same
  desk.hear("init", init({ room: "tea" }));
  assert.deepEqual([desk.state.current, Object.keys(desk.state.rooms)], ["tea", ["lobby", "tea"]]);
});

test("a room may have any name", () => {
  const desk = Desk.in();
  for (const name of ["constructor", "__proto__", "toString"]) {
    desk.do("show", name).hear("init", init({ room: name }));
    desk.hear("talk", message(1, BO, { room: name }));
    desk.do("draft", { text: name });
    assert.deepEqual([desk.state.current, desk.ids], [name, [1]]);
    assert.equal(known.draftOf(desk.state).text, name);
  }
  assert.equal(Object.keys(desk.state.rooms).length, 4);
});

test("who is here follows join, exit, rename and presence", () => {
  const desk = Desk.in();
  for (const user of [BO, BO, CY]) desk.hear("join", { room: "lobby", ...user });
  desk.hear("rename", { room: "lobby", id: 2, name: "Bob", was: "Bo" });
  desk.hear("exit", { room: "lobby", ...CY });
  assert.deepEqual([desk.room.users, desk.room.count], [[ADA, { id: 2, name: "Bob" }], 2]);
  const joined = [{ id: 7, name: "Di" }];
  desk.hear("presence", { room: "lobby", count: 812, joined, left: [{ id: 2, name: "Bob" }] });
  assert.deepEqual([desk.room.users, desk.room.count], [[ADA, ...joined], 812]);
});

test("a note tells once what is different from one message to the next", () => {
  const desk = Desk.in({ messages: messages(1, 2) });
  const hear = (event, data) => desk.hear(event, { room: "lobby", ...data });
  const told = () => desk.room.notes.map(({ after, changes }) => [after, ...changes]);
  hear("join", BO);
  assert.deepEqual(told(), [[2, { kind: "join", ...BO }]]);
  hear("rename", { id: 2, name: "Bob", was: "Bo" });
  assert.deepEqual(told(), [[2, { kind: "join", id: 2, name: "Bob" }]]);
  hear("exit", { id: 2, name: "Bob" });
  assert.deepEqual(told(), [], "came and went");
  hear("rename", { id: 1, name: "Ada", was: "Ada" });
  assert.deepEqual(told(), [], "a new name that is the old one");
  hear("rename", { id: 1, name: "A", was: "Ada" });
  hear("rename", { id: 1, name: "Ann", was: "A" });
  assert.deepEqual(told(), [[2, { kind: "rename", id: 1, name: "Ann", was: "Ada" }]]);
  hear("talk", message(3));
  hear("join", BO);
  hear("talk", message(4));
  hear("exit", BO);
  assert.deepEqual(told().slice(1), [
    [3, { kind: "join", ...BO }],
    [4, { kind: "exit", ...BO }],
  ]);
});

test("typing lapses, and ends with the message and with the user", () => {
  const desk = Desk.in();
  const typing = () => desk.room.typing.map(({ name }) => name);
  const types = (user) => desk.hear("typing", { room: "lobby", ...user });
  types(BO);
  assert.deepEqual(typing(), ["Bo"]);
  desk.later(5_999);
  assert.deepEqual(typing(), ["Bo"]);
  desk.later(1);
  assert.deepEqual(typing(), []);
  types(BO);
  desk.hear("talk", message(1));
  assert.deepEqual(typing(), []);
  types(BO);
  types(ADA);
  assert.deepEqual(typing(), ["Bo"], "oneself is not told");
  desk.hear("exit", { room: "lobby", ...BO });
  assert.deepEqual(typing(), []);
});

test("a wished name is had, refused, or had without us hearing of it", () => {
  const desk = Desk.in().do("wish", "Ann");
  const error = { code: "name_taken", message: "taken", event: "rename" };
  desk.hear("error", error);
  assert.deepEqual(
    [desk.state.renaming, desk.state.notice],
    [{ name: "Ann", problem: error }, null],
  );
  desk.do("wish", "Ann").hear("rename", { room: "lobby", id: 1, name: "Ann", was: "Ada" });
  assert.deepEqual([desk.state.self, desk.state.renaming], [{ id: 1, name: "Ann" }, null]);
  desk.do("wish", "Anna").cut().dial();
  desk.hear("init", init({ self: { id: 1, name: "Anna", token: "t" } }));
  assert.equal(desk.state.renaming, null);
  desk.hear("rename", { id: 1, name: "A", was: "Anna" });
  assert.equal(desk.state.self.name, "A", "without a room, too");
});

test("an error that belongs to nothing here is shown until something works", () => {
  const error = { code: "bad_name", message: "no" };
  const desk = Desk.in().hear("error", error);
  assert.equal(desk.state.notice.code, "bad_name");
  assert.equal(desk.do("dismiss").state.notice, null);
  desk.hear("error", error).write("say", { text: "hi" });
  assert.equal(desk.state.notice, null);
  assert.equal(desk.hear("error", { ...error, event: "typing" }).state.notice, null);
});

test("what is being written belongs to its room", () => {
  const desk = Desk.in();
  const untouched = known.draftOf(desk.state);
  desk.do("draft", { text: "in the lobby", reply: 3 }).do("show", "tea");
  assert.equal(known.draftOf(desk.state), untouched);
  desk.do("draft", { text: "in tea" }).do("show", "lobby");
  assert.equal(known.draftOf(desk.state).text, "in the lobby");
  desk.write("say", { text: "in the lobby", reply: 3 });
  assert.equal(known.draftOf(desk.state), untouched, "it was said");
  assert.equal(known.draftOf(desk.state, "tea").text, "in tea");
  assert.deepEqual(Object.keys(desk.do("show", "tea").do("draft", { text: "" }).state.drafts), []);
});

test("editing puts aside what was being written", () => {
  const own = message(2, ADA);
  const desk = Desk.in({
    messages: [message(1), own, message(3), message(4, ADA, { deleted: true })],
  });
  desk.do("draft", { text: "half a", reply: 1 });
  assert.equal(known.lastOwn(desk.state).id, 2);
  desk.do("startEdit");
  const { text, editing, reply } = known.draftOf(desk.state);
  assert.deepEqual([text, editing, reply], ["text 2", 2, null]);
  const same = desk.state;
  assert.equal(desk.do("startEdit", 3).state, same, "what others say is theirs");
  assert.equal(desk.do("startEdit", 4).state, same, "nothing is left of what was deleted");
  desk.do("stopEdit");
  assert.deepEqual(
    [known.draftOf(desk.state).text, known.draftOf(desk.state).reply],
    ["half a", 1],
  );
  desk.do("startEdit", 2);
  desk.write("edit", 2, "text 2", "text");
  assert.deepEqual([known.draftOf(desk.state).text, desk.state.outbox], ["half a", []]);
});
