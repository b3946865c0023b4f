import assert from "node:assert/strict";
import { test } from "node:test";

import * as known from "../../web/state.js";
import { ADA, BO, CY, Desk, ids, init, message, messages } from "./desk.mjs";

const own = (room, more = {}) => ({
  room,
  count: 1,
  last: 9,
  read: 9,
  unread: 0,
  mentions: 0,
  ...more,
});
const rooms = ({ state }) => Object.keys(state.rooms);

test("the user's rooms are entered, each where it was left", () => {
  const desk = new Desk();
  desk.dial();
  desk.hear("init", init());
  assert.deepEqual(desk.took("mine"), [{}]);
  const mine = [
    own("lobby"),
    own("tea", { topic: "Oolong", unread: 2 }),
    own("@1-2", { direct: BO }),
  ];
  desk.hear("mine", { rooms: mine });
  assert.deepEqual(desk.took("join"), [{ room: "tea" }, { room: "@1-2" }]);
  assert.deepEqual(desk.state.rooms.tea.topic, "Oolong");
  for (const room of ["tea", "@1-2"]) {
    const messages = [message(9, BO, { room })];
    desk.hear("init", init({ room, messages, read: 9, direct: room === "tea" ? undefined : BO }));
  }
  desk.cut();
  assert.deepEqual(desk.dial(), { room: "lobby", after: 0, epoch: "e" });
  desk.hear("init", init({ resumed: true }));
  assert.deepEqual(desk.took("join"), [
    { room: "tea", after: 9, epoch: "e" },
    { room: "@1-2", after: 9, epoch: "e" },
  ]);
});

test("a room that is entered on another device is entered here", () => {
  const desk = Desk.in().hear("mine", { rooms: [] });
  desk.took();
  desk.hear("read", { room: "tea", id: 9 });
  assert.deepEqual(desk.took("mine"), [{}]);
  desk.hear("mine", { rooms: [own("tea")] });
  assert.deepEqual(desk.took("join"), [{ room: "tea" }]);
});

test("a room that was left on another device is left here", () => {
  const desk = Desk.in({ messages: messages(1, 3), read: 3 });
  desk.hear("mine", { rooms: [own("lobby"), own("tea")] });
  desk.hear("init", init({ room: "tea", read: 9, last: 9 }));
  desk.do("show", "new").hear("init", init({ room: "new" }));
  desk.cut().dial();
  desk.hear("init", init({ room: "new", resumed: true }));
  desk.hear("mine", { rooms: [own("lobby")] });
  assert.deepEqual(rooms(desk), ["lobby", "new"]);
});

test("a room that cannot be entered is told of, and the others are entered all the same", () => {
  const desk = Desk.in();
  desk.hear("mine", { rooms: [own("a"), own("b")] });
  desk.do("show", "no such room");
  assert.deepEqual(desk.took("join").length, 2, "which error would be about which room?");
  desk.hear("init", init({ room: "a", last: 9, read: 9 }));
  desk.hear("init", init({ room: "b", last: 9, read: 9 }));
  assert.deepEqual(desk.took("join"), [{ room: "no such room" }]);
  desk.hear("error", { code: "bad_room", message: "", event: "join" });
  assert.equal(desk.state.notice.code, "bad_room");
  desk.later(60_000);
  assert.deepEqual(desk.took("join"), []);
});

test("while a room is entered that there may not be, no other is", () => {
  const desk = Desk.in().do("show", "no such room");
  assert.deepEqual(desk.took("join"), [{ room: "no such room" }]);
  desk.hear("mine", { rooms: [own("a")] });
  assert.deepEqual(desk.took("join"), []);
  desk.hear("error", { code: "bad_room", message: "", event: "join" });
  assert.deepEqual(desk.took("join"), [{ room: "a" }]);
});

test("rooms that cannot be entered now are entered later", () => {
  const desk = Desk.in().hear("mine", { rooms: [own("a")] });
  desk.took();
  desk.hear("error", { code: "rate_limited", message: "", event: "join", retry_after: 3 });
  desk.later(2_999);
  assert.deepEqual(desk.took("join"), []);
  desk.later(1);
  assert.deepEqual(desk.took("join"), [{ room: "a" }]);
});

test("many rooms are entered some at a time, and not more than one connection can be in", () => {
  const desk = Desk.in();
  const names = Array.from({ length: 120 }, (_, at) => `room-${at}`);
  desk.hear("mine", { rooms: names.map((room) => own(room)) });
  const joined = [];
  for (let asked = desk.took("join"); asked.length; asked = desk.took("join")) {
    assert.ok(asked.length <= 10);
    for (const { room } of asked) {
      desk.hear("init", init({ room, last: 9, read: 9 }));
      joined.push(room);
    }
  }
  assert.equal(joined.length, 94);
  assert.equal(rooms(desk).length, 121);
  desk.do("show", "room-119");
  assert.deepEqual(desk.took("join"), [{ room: "room-119" }], "what is shown is entered for sure");
});

test("who may not be in a direct room is in the lobby, and what is written does not come along", () => {
  const desk = new Desk("@1-2", 1);
  desk.write("say", { text: "for Bo alone" });
  desk.do("draft", { text: "more of it" });
  assert.deepEqual(desk.dial(), { room: "@1-2" });
  desk.hear("init", init({ self: { ...CY, token: "u" } }));
  desk.hear("error", { code: "forbidden", message: "" });
  assert.deepEqual(
    [desk.state.current, rooms(desk), desk.state.notice.code],
    ["lobby", ["lobby"], "forbidden"],
  );
  assert.equal(known.draftOf(desk.state).text, "");
  assert.deepEqual(
    desk.state.outbox.map(({ room, failed }) => [room, failed]),
    [["@1-2", true]],
  );
  desk.do("show", "@1-2");
  assert.deepEqual(desk.took("join"), [{ room: "@1-2" }]);
  desk.hear("error", { code: "forbidden", message: "", event: "join" });
  assert.deepEqual(desk.took("join"), []);
});

test("leaving shows another room, and one can come back at once", () => {
  const desk = Desk.in();
  desk
    .do("show", "tea")
    .hear("init", init({ room: "tea", messages: [message(1, BO, { room: "tea" })] }));
  desk.took();
  desk.do("leave", "tea");
  assert.deepEqual([desk.state.current, rooms(desk)], ["lobby", ["lobby"]]);
  assert.deepEqual(desk.took("exit"), [{ room: "tea" }]);
  desk.do("show", "tea").hear("exit", { room: "tea", ...ADA });
  desk.hear("init", init({ room: "tea" }));
  assert.deepEqual([desk.state.current, desk.room.entered], ["tea", true]);
  desk.cut();
  assert.equal(desk.do("leave", "tea").state.current, "tea", "not without a connection");
});

test("an answered message that is not at hand is asked for, once, and follows its changes", () => {
  const reply = message(90, BO, { reply: 7 });
  const desk = Desk.in({ messages: [reply, message(91, CY, { reply: 90 })], more: true });
  desk.hear("talk", message(92, BO, { reply: 8 }));
  const [asked, ...others] = Desk.in({ messages: [reply] })
    .do("show", "lobby")
    .took("history");
  assert.deepEqual([asked, others], [undefined, []], "it was asked for on entering");
  const ask = new Desk();
  ask.dial();
  ask.hear("init", init({ messages: [reply, message(91, CY, { reply: 90 })], more: true }));
  const [{ around, limit, nonce }, ...more] = ask.took("history");
  assert.deepEqual([around, limit, more], [7, 1, []]);
  assert.equal(known.replied(ask.state, "lobby", 7), undefined);
  assert.equal(known.replied(ask.state, "lobby", 90).id, 90);
  const page = { room: "lobby", messages: [message(7, CY)], more: true, newer: true, nonce };
  ask.hear("history", page);
  assert.equal(known.replied(ask.state, "lobby", 7).message, "text 7");
  assert.deepEqual([ask.took("history"), ask.ids], [[], [90, 91]]);
  ask.hear("delete", { id: 92, room: "lobby", of: 7, from: CY, time: "t" });
  assert.equal(known.replied(ask.state, "lobby", 7).deleted, true);
  ask.hear("talk", message(93, BO, { reply: 8 }));
  const [{ nonce: again }] = ask.took("history");
  ask.hear("history", { ...page, nonce: again });
  assert.equal(known.replied(ask.state, "lobby", 8), null, "there is no such message");
  assert.deepEqual(ask.took("history"), []);
});

test("pages of the room on the page come before messages that are answered", () => {
  const desk = Desk.in({ messages: [message(90, BO, { reply: 7 })], more: true });
  desk.do("page", "older");
  assert.deepEqual(desk.took("history"), [], "one question at a time");
  const { nonce } = desk.state.asked.history;
  const page = { room: "lobby", messages: [message(7)], more: true, newer: true, nonce };
  desk.hear("history", page);
  assert.equal(desk.took("history")[0].before, 90);
});

test("a search gives its hits page by page; the latest one counts", () => {
  const desk = Desk.in().do("search", "old", null);
  const [old] = desk.took("search");
  desk.do("search", "tea", "lobby");
  assert.deepEqual(desk.took("search"), [], "one question at a time");
  desk.hear("search", { query: "old", hits: [message(1)], nonce: old.nonce });
  assert.deepEqual([desk.state.search.hits, desk.state.search.waiting], [[], true]);
  const [{ nonce, ...asked }] = desk.took("search");
  assert.deepEqual(asked, { query: "tea", room: "lobby", limit: 20 });
  const page = messages(71, 90).reverse();
  desk.hear("search", { query: "tea", room: "lobby", hits: page, next: 71, nonce });
  assert.deepEqual([desk.state.search.hits, desk.state.search.next], [page, 71]);
  assert.deepEqual([desk.state.search.waiting, desk.took("search")], [false, []]);
  desk.do("searchMore").do("searchMore");
  const [more, ...others] = desk.took("search");
  assert.deepEqual([more.before, more.limit, others], [71, 20, []]);
  desk.hear("search", { query: "tea", hits: messages(3, 3), nonce: more.nonce });
  assert.deepEqual([ids(desk.state.search.hits.slice(20)), desk.state.search.next], [[3], null]);
  desk.do("searchMore");
  assert.deepEqual(desk.took("search"), []);
  desk.do("search", "x", null).hear("error", { code: "too_long", message: "", event: "search" });
  assert.deepEqual(
    [desk.state.search.problem.code, desk.state.search.waiting],
    ["too_long", false],
  );
  desk.do("search", "y", null).do("searchClose");
  desk.hear("search", { query: "y", hits: [], nonce: desk.took("search").at(-1).nonce });
  assert.equal(desk.state.search, null);
});

test("a search goes on by itself until there is a page of hits, or an end", () => {
  const desk = Desk.in().do("search", "tea", "lobby");
  const answer = (hits, next) => {
    const [{ nonce, before, limit }] = desk.took("search");
    desk.hear("search", { query: "tea", room: "lobby", hits, ...(next && { next }), nonce });
    const { search } = desk.state;
    return [before, limit, search.hits.length, search.waiting];
  };
  assert.deepEqual(answer([], 500), [undefined, 20, 0, true]);
  assert.deepEqual(answer(messages(400, 414).reverse(), 400), [500, 20, 15, true]);
  const { nonce } = desk.state.asked.search;
  desk.took();
  desk.hear("error", { code: "rate_limited", message: "", event: "search", nonce, retry_after: 2 });
  assert.deepEqual(desk.took("search"), [], "not so fast");
  assert.equal(desk.state.search.waiting, true);
  desk.later(10_000);
  assert.deepEqual(answer(messages(300, 304).reverse(), 300), [400, 5, 20, false]);
  desk.do("searchMore");
  assert.deepEqual(answer([], 200), [300, 20, 20, true]);
  assert.deepEqual(answer([], null), [200, 20, 20, false]);
  assert.deepEqual(desk.took("search"), []);
});

test("the list of rooms comes page by page", () => {
  const desk = Desk.in().do("list", "te");
  const listed = (room) => ({ room, count: 1, last: 2 });
  assert.deepEqual(desk.took("rooms"), [{ match: "te", limit: 100 }]);
  desk.hear("rooms", { rooms: [listed("tea")], more: true }).do("listMore");
  assert.deepEqual(desk.took("rooms"), [{ match: "te", limit: 100, after: "tea" }]);
  desk.do("list", "x").hear("rooms", { rooms: [listed("tent")], more: false });
  assert.deepEqual(desk.state.listing.rooms, [], "that is not what is wanted any more");
  assert.deepEqual(desk.took("rooms"), [{ match: "x", limit: 100 }]);
  desk.cut().dial();
  desk.hear("init", init({ resumed: true }));
  assert.deepEqual(desk.took("rooms"), [{ match: "x", limit: 100 }], "once more after a cut");
});

test("what a message said before is told, of the message that is looked at", () => {
  const desk = Desk.in({ messages: messages(1, 2) }).do("versions", 1);
  assert.deepEqual(desk.took("edits"), [{ room: "lobby", of: 1 }]);
  desk.hear("edits", { room: "lobby", of: 2, versions: [] });
  const list = [{ message: "a", type: "text", time: "t" }];
  desk.took();
  desk.do("versions", 1).hear("edits", { room: "lobby", of: 1, versions: list });
  assert.deepEqual(desk.state.versions.list, list);
  assert.equal(desk.do("versions", null).state.versions, null);
});
