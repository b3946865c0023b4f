import assert from "node:assert/strict";
import { test } from "node:test";

import * as known from "../../web/state.js";
import { ADA, BO, CY, Desk, init, message, messages } from "./desk.mjs";

const counts = ({ unread, mentions }) => [unread, mentions];
const lobby = ({ state }) => state.rooms.lobby;
const away = (more) => Desk.in(more).do("look", { visible: false });

test("what is looked at is read, and the server is told a moment later, once", () => {
  const desk = Desk.in({ messages: messages(1, 3), read: 3 });
  assert.deepEqual(counts(desk.room), [0, 0]);
  desk.hear("talk", message(4)).hear("talk", message(5));
  assert.deepEqual([desk.room.read, ...counts(desk.room)], [5, 0, 0]);
  assert.deepEqual(desk.took("read"), []);
  desk.later(1_000);
  assert.deepEqual(desk.took("read"), [{ room: "lobby", id: 5 }]);
  desk.hear("read", { room: "lobby", id: 5 }).later(60_000);
  assert.deepEqual(desk.took("read"), []);
});

test("of one's own words nobody has to be told, but of a room that one has come to", () => {
  const desk = Desk.in({ messages: messages(1, 3), read: 3 });
  desk.hear("talk", message(4, ADA)).later(5_000);
  assert.deepEqual(desk.took("read"), []);
  const first = Desk.in({ messages: messages(1, 3, ADA) }).later(1_000);
  assert.deepEqual(first.took("read"), [{ room: "lobby", id: 3 }]);
});

test("a room in which nothing was said is told of once something is, however late", () => {
  for (const pause of [0, 5_000]) {
    const desk = Desk.in().later(pause);
    assert.deepEqual(desk.took("read"), []);
    desk.hear("talk", message(1, ADA)).later(1_000);
    assert.deepEqual(desk.took("read"), [{ room: "lobby", id: 1 }]);
  }
  const told = Desk.in({ read: 0 }).hear("talk", message(1, ADA)).later(1_000);
  assert.deepEqual(told.took("read"), [{ room: "lobby", id: 1 }], "the server keeps no 0");
});

test("who looks away has read what there was", () => {
  const leave = [
    (desk) => desk.do("look", { visible: false }),
    (desk) => desk.do("show", "tea"),
    (desk) => desk.do("look", { atEnd: false }),
  ];
  for (const leaves of leave) {
    const desk = Desk.in({ messages: messages(1, 3), read: 3 }).hear("talk", message(4));
    assert.deepEqual(desk.took("read"), []);
    assert.deepEqual(leaves(desk).took("read"), [{ room: "lobby", id: 4 }]);
  }
});

test("what comes while nobody looks is counted, without one's own and what was taken back", () => {
  const desk = away({ messages: messages(1, 3), read: 3 });
  desk.hear("talk", message(4));
  desk.hear("talk", message(5, ADA));
  desk.hear("talk", message(6, BO, { mentions: [ADA] }));
  desk.hear("talk", message(7, BO, { mentions: [BO] }));
  assert.deepEqual(counts(desk.room), [3, 1]);
  assert.deepEqual([desk.room.line, desk.room.firstUnread], [3, 4]);
  desk.hear("delete", { id: 8, room: "lobby", of: 6, from: BO });
  assert.deepEqual(counts(desk.room), [2, 0]);
  const edit = { room: "lobby", of: 7, from: BO, message: "@Ada", type: "text", time: "t" };
  desk.hear("edit", { ...edit, id: 9, mentions: [ADA] });
  assert.deepEqual(counts(desk.room), [2, 1]);
  desk.later(60_000);
  assert.deepEqual(desk.took("read"), []);
  desk.do("look", { visible: true });
  assert.deepEqual([desk.room.read, ...counts(desk.room)], [9, 0, 0]);
  assert.deepEqual([desk.room.line, desk.room.firstUnread], [3, 4], "the line stays");
  desk.later(1_000);
  assert.deepEqual(desk.took("read"), [{ room: "lobby", id: 9 }]);
});

test("who reads above the end has not read what comes below", () => {
  const desk = Desk.in({ messages: messages(1, 3), read: 3 }).do("look", { atEnd: false });
  desk.hear("talk", message(4));
  assert.deepEqual(counts(desk.room), [1, 0]);
  desk.do("look", { atEnd: true });
  assert.deepEqual(counts(desk.room), [0, 0]);
});

test("the line moves when something new is unread, and goes with who leaves the room", () => {
  const desk = away({ messages: messages(1, 3), read: 3 });
  desk.hear("talk", message(4)).do("look", { visible: true });
  assert.equal(desk.room.firstUnread, 4);
  desk.hear("talk", message(5)).do("look", { visible: false }).hear("talk", message(6, ADA));
  desk.hear("talk", message(7));
  assert.deepEqual([desk.room.line, desk.room.firstUnread], [5, 7]);
  desk.do("look", { visible: true }).do("show", "tea").do("show", "lobby");
  assert.deepEqual([desk.room.line, desk.room.firstUnread], [null, null]);
});

test("the server tells how far one has read, and one comes to the line", () => {
  const desk = new Desk();
  desk.do("look", { visible: false }).dial();
  desk.hear("init", init({ messages: messages(1, 9), read: 6 }));
  assert.deepEqual([...counts(desk.room), desk.room.firstUnread], [3, 0, 7]);
  desk.do("look", { visible: true });
  assert.deepEqual([...counts(desk.room), desk.room.firstUnread], [0, 0, 7]);
});

test("the line may be above what is at hand", () => {
  const desk = new Desk().do("look", { visible: false });
  desk.dial();
  desk.hear("init", init({ messages: messages(51, 90), more: true, read: 6 }));
  assert.deepEqual([desk.room.line, desk.room.firstUnread], [6, null]);
  desk.do("page", "older");
  const { nonce } = desk.took("history")[0];
  const page = { room: "lobby", messages: messages(1, 50), more: false, newer: true, nonce };
  assert.equal(desk.hear("history", page).room.firstUnread, 7);
});

test("in a room in which one was never before nothing is unread, in a direct one all is", () => {
  const desk = new Desk().do("look", { visible: false });
  desk.dial();
  desk.hear("init", init({ messages: messages(1, 9) }));
  assert.deepEqual(counts(desk.room), [0, 0]);
  desk.hear("direct", { room: "@1-2", with: BO });
  assert.deepEqual(desk.took("join"), [{ room: "@1-2" }]);
  const said = messages(1, 2, BO, { room: "@1-2" });
  desk.hear("init", init({ room: "@1-2", direct: BO, messages: said }));
  assert.deepEqual(counts(desk.state.rooms["@1-2"]), [2, 0]);
  assert.deepEqual(known.totals(desk.state), { unread: 2, mentions: 2 });
});

test("what was read on another device is read here", () => {
  const desk = away({ messages: messages(1, 3), read: 3 });
  for (const id of [4, 5, 6]) desk.hear("talk", message(id, BO, { mentions: [ADA] }));
  desk.hear("read", { room: "lobby", id: 5 });
  assert.deepEqual([desk.room.read, ...counts(desk.room)], [5, 1, 1]);
  desk.hear("read", { room: "lobby", id: 4 });
  assert.deepEqual([desk.room.read, ...counts(desk.room)], [5, 1, 1], "nobody reads backwards");
  desk.hear("read", { room: "lobby", id: 6 });
  assert.deepEqual(counts(desk.room), [0, 0]);
});

test("what cannot be counted here is counted by the server", () => {
  const desk = new Desk().do("look", { visible: false });
  desk.dial();
  desk.hear("init", init({ messages: messages(51, 90), more: true, read: 6, last: 90 }));
  const own = { room: "lobby", count: 1, last: 90, read: 6, unread: 84, mentions: 2 };
  desk.hear("mine", { rooms: [own] });
  assert.deepEqual(counts(desk.room), [84, 2]);
  desk.took();
  desk.hear("read", { room: "lobby", id: 20 });
  assert.deepEqual(desk.took("mine"), [{}]);
  desk.hear("mine", { rooms: [{ ...own, read: 20, unread: 70, mentions: 1 }] });
  assert.deepEqual([desk.room.read, ...counts(desk.room)], [20, 70, 1]);
});

test("what the server has counted is not counted again when it is heard of, before or after", () => {
  const own = { room: "tea", count: 1, last: 5, read: 3, unread: 2, mentions: 0 };
  const said = (first, last) => messages(first, last, BO, { room: "tea" });
  const enter = (desk, last) =>
    desk.hear("init", init({ room: "tea", messages: said(1, last), read: 3, last }));
  const before = Desk.in().hear("mine", { rooms: [own] });
  assert.deepEqual(counts(before.state.rooms.tea), [2, 0]);
  enter(before, 6);
  assert.deepEqual(counts(before.state.rooms.tea), [3, 0]);
  before.hear("talk", said(7, 7)[0]);
  assert.deepEqual(counts(before.state.rooms.tea), [4, 0]);
  const after = Desk.in().do("show", "tea").do("show", "lobby");
  enter(after, 6).hear("mine", { rooms: [own] });
  assert.deepEqual(counts(after.state.rooms.tea), [3, 0]);
  after.cut().dial();
  after.hear("init", init({ resumed: true }));
  after.hear("mine", { rooms: [{ ...own, last: 8, unread: 5 }] });
  after.hear("init", init({ room: "tea", resumed: true, messages: said(7, 9), read: 3, last: 9 }));
  assert.deepEqual(counts(after.state.rooms.tea), [6, 0]);
});

test("what the server has taken back and not counted is not taken off again", () => {
  const desk = away({ messages: messages(1, 3), read: 3 });
  for (const id of [4, 5]) desk.hear("talk", message(id));
  const own = { room: "lobby", count: 1, last: 6, read: 3, unread: 1, mentions: 0 };
  desk.hear("mine", { rooms: [own] });
  desk.hear("delete", { id: 6, room: "lobby", of: 5, from: BO });
  assert.deepEqual(counts(desk.room), [1, 0]);
});

test("what was missed during a cut is unread where nobody looks", () => {
  const desk = Desk.in({ messages: messages(1, 3), read: 3 });
  desk.do("show", "tea").hear("init", init({ room: "tea" }));
  desk.hear("talk", message(4)).cut().dial();
  desk.hear("init", init({ room: "tea", resumed: true })).took();
  desk.hear("init", init({ resumed: true, messages: messages(5, 6), read: 3, last: 6 }));
  assert.deepEqual(counts(lobby(desk)), [3, 0]);
});

test("a mark that was lost with the connection is made again", () => {
  const desk = Desk.in({ messages: messages(1, 3), read: 3 });
  desk.hear("talk", message(4)).cut().dial();
  desk.later(60_000);
  assert.deepEqual(desk.took("read"), []);
  desk.hear("init", init({ resumed: true, read: 3, last: 4 })).later(1_000);
  assert.deepEqual(desk.took("read"), [{ room: "lobby", id: 4 }]);
});

/** How the page alerts of what `desk` hears: [kind, id of the message]. */
function alerted(desk, event, data) {
  const { state } = desk;
  desk.hear(event, data);
  const { kind, message: said } = known.alert(state, desk.state, { event, data }) ?? {};
  return kind ? [kind, said.id] : null;
}

test("only what somebody else says unseen is worth an alert", () => {
  const desk = Desk.in({ messages: messages(1, 3) });
  const alert = (said) => alerted(desk, "talk", said);
  assert.equal(alert(message(4)), null, "one is looking at it");
  desk.do("look", { visible: false });
  assert.equal(alert(message(4)), null, "it is old");
  assert.deepEqual(alert(message(5)), ["message", 5]);
  assert.equal(alert(message(6, ADA)), null);
  assert.deepEqual(alert(message(7, BO, { mentions: [ADA] })), ["mention", 7]);
  assert.equal(alerted(desk, "presence", { room: "lobby", count: 3 }), null);
  desk.hear("direct", { room: "@1-2", with: BO }).hear("init", init({ room: "@1-2", direct: BO }));
  assert.deepEqual(alert(message(1, BO, { room: "@1-2" })), ["direct", 1]);
});

test("of what was said during a cut one alert tells, of what calls the user if anything does", () => {
  const desk = Desk.in({ messages: messages(1, 3) }).do("look", { visible: false });
  const back = (missed, more = { resumed: true }) => {
    desk.cut().dial();
    return alerted(desk, "init", init({ messages: missed, ...more }));
  };
  assert.equal(back(messages(4, 4, ADA)), null);
  assert.deepEqual(back(messages(5, 7)), ["message", 7]);
  assert.deepEqual(
    back([message(8, BO, { mentions: [ADA] }), message(9), message(10, BO, { deleted: true })]),
    ["mention", 8],
  );
  assert.deepEqual(back(messages(9, 60), { more: true }), ["message", 60], "too much to resume");
  desk.do("look", { visible: true });
  assert.equal(back(messages(61, 62)), null, "one looks at it");
});

test("the first message of a direct room is alerted of, and none from before the page", () => {
  const direct = (pair, last, of) => ({
    room: pair,
    direct: BO,
    messages: messages(1, last, BO, { room: pair }),
    ...of,
  });
  const own = { room: "@1-2", direct: BO, count: 1, last: 4, read: 1, unread: 3, mentions: 0 };
  const opened = new Desk("lobby", 1).do("look", { visible: false });
  opened.dial();
  assert.equal(alerted(opened, "init", init({ messages: messages(1, 3) })), null);
  opened.hear("direct", { room: "@1-9", with: CY });
  assert.equal(alerted(opened, "init", init(direct("@1-9", 1))), null, "who knows how old it is");
  assert.equal(alerted(opened, "mine", { rooms: [own] }), null);
  const desk = new Desk().go(opened.state);
  assert.equal(alerted(desk, "init", init(direct("@1-2", 4))), null, "it was there before");
  assert.deepEqual(alerted(new Desk().go(opened.state), "init", init(direct("@1-2", 5))), [
    "direct",
    5,
  ]);
  desk.hear("direct", { room: "@1-3", with: CY });
  assert.deepEqual(alerted(desk, "init", init(direct("@1-3", 1))), ["direct", 1]);
  desk.cut().dial();
  desk.hear("init", init({ resumed: true }));
  desk.hear("mine", { rooms: [own, { ...own, room: "@1-4", last: 1, read: 0, unread: 1 }] });
  assert.deepEqual(alerted(desk, "init", init(direct("@1-4", 1))), ["direct", 1], "during a cut");
  const tea = { room: "tea", messages: messages(1, 2, BO, { room: "tea" }) };
  assert.equal(alerted(desk.do("show", "tea"), "init", init(tea)), null, "a room one comes into");
});
