import assert from "node:assert/strict";
import { test } from "node:test";

import * as known from "../../web/state.js";
import { BO, Desk, ids, message, messages } from "./desk.mjs";

/** Answer the last `history` that was asked for. */
function answer(desk, list, { more = true, newer = true } = {}) {
  const { nonce } = desk.took("history").at(-1);
  return desk.hear("history", { room: "lobby", messages: list, more, newer, nonce });
}

const range = (first, last) => ids(messages(first, last));

test("older messages go before what there is, once for each question", () => {
  const desk = Desk.in({ messages: messages(8, 9), more: true });
  desk.do("page", "older").do("page", "older");
  const [asked, ...others] = desk.took("history");
  assert.deepEqual([asked.before, asked.room, others], [8, "lobby", []]);
  desk.sent.push({ event: "history", data: asked });
  answer(desk, messages(5, 7));
  assert.deepEqual(desk.ids, range(5, 9));
  answer(desk.do("page", "older"), messages(1, 4), { more: false });
  assert.deepEqual([desk.ids, desk.room.more], [range(1, 9), false]);
  desk.do("page", "older");
  assert.deepEqual(desk.took("history"), [], "there are none");
});

test("nobody's answer is nobody's page", () => {
  const desk = Desk.in({ messages: messages(8, 9), more: true });
  const { state } = desk;
  const page = { room: "lobby", messages: messages(1, 7), more: false, newer: true };
  assert.equal(desk.hear("history", { ...page, nonce: "other" }).state, state);
  assert.equal(desk.hear("history", page).state, state);
});

test("an answer to a question about a log that was replaced is not used", () => {
  const desk = Desk.in({ messages: messages(50, 51), more: true }).do("page", "older");
  const data = { messages: messages(90, 91), more: true, resumed: false };
  desk.hear("init", { ...initData(), ...data });
  answer(desk, messages(40, 49));
  assert.deepEqual(desk.ids, [90, 91]);
  desk.do("page", "older");
  assert.equal(desk.took("history")[0].before, 90, "and the right question can be asked");
});

const initData = () => ({
  room: "lobby",
  self: { id: 1, name: "Ada", token: "t" },
  users: [],
  count: 1,
  epoch: "e",
  limits: {},
  last: 91,
});

test("an answer that would not join what is at hand any more is not used", () => {
  const desk = Desk.in({ messages: messages(101, 150), more: true }).do("page", "older");
  for (const each of messages(151, 800)) desk.hear("talk", each);
  const before = desk.ids;
  assert.ok(before[0] > 101, "the oldest ones were cut");
  answer(desk, messages(1, 100), { more: false });
  assert.deepEqual([desk.ids, desk.room.more, desk.room.paging], [before, true, null]);
});

test("what is refused for the moment is asked for again when the time has come", () => {
  const desk = Desk.in({ messages: messages(50, 51), more: true }).do("page", "older");
  desk.took();
  desk.hear("error", { code: "rate_limited", message: "", event: "history", retry_after: 2 });
  desk.later(1_999);
  assert.deepEqual(desk.took("history"), []);
  desk.later(1);
  assert.equal(desk.took("history")[0].before, 50);
  desk.hear("error", { code: "bad_message", message: "", event: "history" });
  assert.deepEqual([desk.room.paging, desk.state.notice.code], [null, "bad_message"]);
});

test("a cut makes the page ask again", () => {
  const desk = Desk.in({ messages: messages(50, 51), more: true }).do("page", "older");
  desk.cut().took();
  desk.dial();
  assert.deepEqual(desk.took("history"), []);
  desk.hear("init", { ...initData(), messages: [], resumed: true });
  answer(desk, messages(40, 49));
  assert.deepEqual(desk.ids, range(40, 51));
});

test("the window is cut at the end that nobody looks at, and filled again from there", () => {
  const desk = Desk.in({ messages: messages(1001, 1100), more: true });
  desk.do("look", { atEnd: false });
  for (let first = 901; first > 301; first -= 100) {
    answer(desk.do("page", "older"), messages(first, first + 99), { newer: true });
  }
  assert.deepEqual([desk.ids, desk.room.newer], [range(401, 1000), true]);
  desk.hear("talk", message(1101));
  assert.equal(desk.room.messages.at(-1).id, 1000, "there is a gap before what is said now");
  assert.deepEqual([desk.room.last, desk.room.unread], [1101, 1]);
  answer(desk.do("page", "newer"), messages(1001, 1100), { newer: true });
  assert.deepEqual([desk.ids, desk.room.more], [range(501, 1100), true]);
  answer(desk.do("page", "newer"), messages(1101, 1101), { newer: false });
  assert.deepEqual([desk.ids, desk.room.newer], [range(502, 1101), false]);
  desk.do("look", { atEnd: true }).hear("talk", message(1102));
  assert.deepEqual([desk.ids, desk.room.newer], [range(603, 1102), false]);
});

test("who follows the end keeps the newest; who reads above keeps what is there", () => {
  const desk = Desk.in({ messages: messages(1, 50) });
  for (const each of messages(51, 700)) desk.hear("talk", each);
  assert.deepEqual([desk.ids.at(-1), desk.room.more, desk.room.newer], [700, true, false]);
  assert.ok(desk.ids.length >= 500 && desk.ids.length <= 600);
  const first = desk.ids[0];
  desk.do("look", { atEnd: false });
  for (const each of messages(701, 1500)) desk.hear("talk", each);
  assert.deepEqual([desk.ids[0], desk.ids.length, desk.room.newer], [first, 600, true]);
  assert.deepEqual([desk.room.last, desk.room.unread], [1500, 800]);
});

test("a room that is not shown keeps little", () => {
  const desk = Desk.in({ messages: messages(1, 50) });
  for (const each of messages(51, 400)) desk.hear("talk", each);
  desk.do("show", "tea");
  assert.deepEqual(ids(desk.state.rooms.lobby.messages), range(301, 400));
  for (const each of messages(401, 900)) desk.hear("talk", each);
  assert.ok(desk.state.rooms.lobby.messages.length <= 200);
  assert.equal(desk.state.rooms.lobby.messages.at(-1).id, 900);
  assert.equal(desk.state.rooms.lobby.more, true);
});

test("notes leave the window with their messages", () => {
  const desk = Desk.in({ messages: messages(1, 10) });
  desk.hear("join", { room: "lobby", ...BO });
  for (const each of messages(11, 620)) desk.hear("talk", each);
  desk.hear("exit", { room: "lobby", ...BO });
  assert.deepEqual(
    desk.room.notes.map(({ after }) => after),
    [620],
  );
});

test("a jump within the window moves nothing, one beyond it puts another piece in its place", () => {
  const desk = Desk.in({ messages: messages(901, 950), more: true });
  const { era } = desk.room;
  desk.do("jump", 910);
  assert.deepEqual([desk.room.goal, desk.room.era, desk.took("history")], [{ id: 910 }, era, []]);
  const { goal } = desk.room;
  desk.do("jump", 910);
  assert.notEqual(desk.room.goal, goal, "it is looked at once more");
  desk.do("jump", 300);
  assert.equal(desk.sent[0].data.around, 300);
  answer(
    desk,
    messages(250, 349).filter(({ id }) => id !== 300),
  );
  assert.deepEqual([desk.room.goal, desk.room.newer, desk.room.more], [{ id: 301 }, true, true]);
  assert.notEqual(desk.room.era, era);
  assert.equal(desk.ids.length, 99);
});

test("from a jump it goes back to the newest, where what comes is seen again", () => {
  const desk = Desk.in({ messages: messages(901, 950), more: true }).do("jump", 300);
  answer(desk, messages(250, 349));
  desk.hear("talk", message(951));
  desk.do("page", "end");
  assert.deepEqual(Object.keys(desk.sent.at(-1).data).sort(), ["limit", "nonce", "room"]);
  answer(desk, messages(902, 951), { newer: false });
  desk.hear("talk", message(952));
  assert.deepEqual([desk.ids, desk.room.newer], [range(902, 952), false]);
  desk.took();
  assert.deepEqual(desk.do("page", "end").took("history"), [], "one is there");
});

test("saying something goes to the newest, too", () => {
  const desk = Desk.in({ messages: messages(901, 950), more: true }).do("jump", 300);
  answer(desk, messages(250, 349));
  desk.write("say", { text: "hi" });
  assert.equal(desk.took("history")[0].around, undefined);
});

test("a page that knows more than we have heard does not make a message come twice", () => {
  const desk = Desk.in({ messages: messages(1, 50) }).do("jump", 300);
  answer(desk, messages(45, 53), { newer: false });
  assert.equal(desk.room.last, 50, "what has been changed meanwhile is still to be heard");
  for (const id of [51, 52, 53, 54]) desk.hear("talk", message(id));
  assert.deepEqual([desk.ids, desk.room.last], [range(45, 54), 54]);
});

test("what is linked to is shown as soon as the room is entered", () => {
  const far = new Desk().do("show", "lobby", 300);
  far.dial();
  far.hear("init", { ...initData(), messages: messages(901, 950), more: true, resumed: false });
  answer(far, messages(250, 349));
  assert.deepEqual(far.room.goal, { id: 300 });
  const near = new Desk().do("show", "lobby", 910);
  near.dial();
  near.hear("init", { ...initData(), messages: messages(901, 950), more: true, resumed: false });
  assert.deepEqual([near.room.goal, near.took("history")], [{ id: 910 }, []]);
});

test("who comes back to a room that was left above its end sees the end", () => {
  const desk = Desk.in({ messages: messages(901, 950), more: true }).do("jump", 300);
  answer(desk, messages(250, 349));
  desk.do("show", "tea");
  assert.deepEqual(desk.state.rooms.lobby.messages, []);
  desk.do("show", "lobby");
  answer(desk, messages(901, 950), { newer: false });
  assert.deepEqual([desk.ids, desk.room.newer], [range(901, 950), false]);
});

test("an empty answer ends the asking", () => {
  const desk = Desk.in({ messages: messages(8, 9), more: true }).do("page", "older");
  answer(desk, [], { more: true });
  assert.equal(desk.room.more, false);
  assert.equal(known.room(desk.do("page", "older").state).paging, null);
});
