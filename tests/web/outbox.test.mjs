import assert from "node:assert/strict";
import { test } from "node:test";

import * as known from "../../web/state.js";
import { ADA, BO, Desk, init, message, messages } from "./desk.mjs";

const say = (desk, text, more = {}) => desk.write("say", { text, ...more });
const nonces = ({ state }) => state.outbox.map(({ nonce }) => nonce);
const refuse = (desk, nonce, code, seconds) =>
  desk.hear("error", { code, message: "", nonce, event: "talk", retry_after: seconds });
const sentNonces = (desk) => desk.took().flatMap(({ data }) => data.nonce ?? []);

test("messages go out one by one, in order, over any number of connections", () => {
  const desk = new Desk();
  const [one, two] = [say(desk, "one"), say(desk, "two")];
  assert.deepEqual(desk.took(), [], "not before the connection stands");
  desk.dial();
  desk.hear("init", init());
  assert.deepEqual(desk.took("talk"), [
    { room: "lobby", message: "one", type: "text", nonce: one },
  ]);
  desk.cut().dial();
  desk.hear("init", init({ resumed: true }));
  assert.equal(desk.took("talk")[0].nonce, one, "nobody knows whether it was said: once more");
  desk.hear("talk", message(1, ADA, { nonce: one }));
  assert.equal(desk.took("talk")[0].nonce, two);
  desk.hear("talk", message(2, ADA, { nonce: two }));
  assert.deepEqual([desk.state.outbox, desk.state.inFlight, desk.ids], [[], null, [1, 2]]);
});

test("a message that was said before the cut leaves the outbox, in `init` or as an answer", () => {
  const desk = Desk.in();
  const nonce = say(desk, "hi");
  desk.cut().dial();
  const mine = message(3, ADA, { nonce });
  const there = desk.state;
  assert.deepEqual(desk.hear("init", init({ messages: [mine] })).state.outbox, []);
  desk.go(there).hear("init", init({ messages: messages(80, 81), more: true }));
  desk.hear("talk", mine);
  assert.deepEqual([desk.state.outbox, desk.state.inFlight, desk.ids], [[], null, [80, 81]]);
});

test("a change that was made before the cut leaves the outbox among the changes that were missed", () => {
  const desk = Desk.in({ messages: messages(1, 2) });
  const nonce = desk.write("react", 1, "👍", true);
  desk.cut().dial();
  const data = { id: 3, room: "lobby", of: 1, emoji: "👍", on: true, from: ADA, time: "t", nonce };
  desk.hear("init", init({ resumed: true, changes: [{ event: "react", data }], last: 3 }));
  assert.deepEqual([desk.state.outbox, desk.room.messages[0].changed], [[], 3]);
});

test("a nonce counts for its own kind of event, and a discarded one is nobody's", () => {
  const desk = Desk.in({ messages: messages(1, 2, ADA) });
  const nonce = desk.write("remove", 1);
  desk.hear("talk", message(3, BO, { nonce }));
  assert.equal(desk.state.outbox.length, 1);
  desk.do("discard", nonce);
  assert.deepEqual([desk.state.outbox, desk.state.inFlight], [[], null]);
  desk.hear("delete", { id: 4, room: "lobby", of: 1, from: ADA, time: "t", nonce });
  assert.equal(desk.room.messages[0].deleted, true, "it had gone out");
});

test("what is refused for the moment waits in its place; what is refused for good stands aside", () => {
  const desk = Desk.in();
  const [one, two] = [say(desk, "one"), say(desk, "two")];
  desk.took();
  refuse(desk, one, "rate_limited", 2.5);
  assert.equal(desk.state.outbox[0].problem, "rate_limited");
  desk.later(2_499);
  assert.deepEqual(desk.took("talk"), []);
  desk.later(1);
  assert.deepEqual(sentNonces(desk), [one]);
  refuse(desk, one, "unavailable");
  desk.later(1_999);
  assert.deepEqual(desk.took("talk"), []);
  desk.later(1);
  assert.deepEqual(sentNonces(desk), [one], "a wait that doubles where none is given");
  desk.hear("error", { code: "too_long", message: "", event: "talk" }); // without the nonce
  assert.deepEqual([desk.state.outbox[0].failed, desk.state.outbox[0].problem], [true, "too_long"]);
  assert.deepEqual(sentNonces(desk), [two]);
});

test("what has failed is tried again, written again or given up", () => {
  const desk = Desk.in({ messages: messages(1, 2) });
  const one = say(desk, "one", { reply: 2 });
  refuse(desk, one, "forbidden");
  desk.took();
  desk.do("retry", one, "fresh");
  assert.deepEqual(sentNonces(desk), [one], "under its own nonce: it may have been said");
  refuse(desk, one, "nonce_reused");
  desk.do("retry", one, "fresh");
  assert.deepEqual(sentNonces(desk), ["fresh"]);
  refuse(desk, "fresh", "too_long");
  desk.do("reopen", "fresh");
  const { text, reply } = known.draftOf(desk.state);
  assert.deepEqual([text, reply, desk.state.outbox], ["one", 2, []]);
});

test("rooms wait for nobody, and what is changed does not wait for what is said", () => {
  const desk = Desk.in({ messages: messages(1, 2) });
  const first = say(desk, "one");
  desk.took();
  refuse(desk, first, "unavailable", 60);
  const change = desk.write("react", 1, "👍", true);
  assert.deepEqual(sentNonces(desk), [change]);
  const like = { id: 3, room: "lobby", of: 1, emoji: "👍", on: true, from: ADA, nonce: change };
  desk.hear("react", like);
  say(desk, "two");
  assert.deepEqual(sentNonces(desk), [], "but what is said there stays in order");
  desk.do("show", "tea");
  const tea = say(desk, "three");
  assert.deepEqual(sentNonces(desk), [], "not before one is in the room");
  desk.hear("init", init({ room: "tea" }));
  assert.deepEqual(
    sentNonces(desk).filter((nonce) => nonce.startsWith("n")),
    [tea],
  );
});

test("changes of one's own are shown at once, and come true", () => {
  const reactions = [{ emoji: "🎉", users: [BO] }];
  const desk = Desk.in({ messages: [...messages(1, 2, ADA), message(3, BO, { reactions })] });
  const before = known.shown(desk.state);
  assert.equal(before, desk.room.messages);
  desk.write("edit", 1, "other", undefined);
  desk.write("remove", 2);
  desk.write("react", 3, "🎉", true);
  desk.write("react", 3, "👍", true);
  desk.write("topic", "Tea");
  const shown = known.shown(desk.state);
  assert.deepEqual(
    shown.map(({ message: text, deleted = false, pending }) => [text, deleted, pending.length]),
    [
      ["other", false, 1],
      ["", true, 1],
      ["text 3", false, 2],
    ],
  );
  assert.ok(shown[0].edited);
  assert.deepEqual(shown[2].reactions, [
    { emoji: "🎉", users: [BO, ADA] },
    { emoji: "👍", users: [ADA] },
  ]);
  assert.equal(known.topicOf(desk.state), "Tea");
  const [nonce] = nonces(desk);
  const edit = { room: "lobby", of: 1, message: "other", type: "text", from: ADA, time: "later" };
  desk.hear("edit", { ...edit, id: 4, nonce });
  const after = known.shown(desk.state);
  assert.deepEqual(
    [after[0].message, after[0].edited, after[0].pending],
    ["other", "later", undefined],
  );
  assert.equal(after[1], shown[1], "what is the same is the same");
  desk.hear("typing", { room: "lobby", ...BO });
  assert.equal(known.shown(desk.state), after);
});

test("a change that was refused is not shown, but told of", () => {
  const desk = Desk.in({ messages: messages(1, 1) });
  const nonce = desk.write("react", 1, "👍", true);
  desk.hear("error", { code: "too_many_reactions", message: "", nonce, event: "react" });
  const [shown] = known.shown(desk.state);
  assert.deepEqual([shown.reactions, shown.pending[0].problem], [undefined, "too_many_reactions"]);
  desk.do("discard", nonce);
  assert.equal(known.shown(desk.state), desk.room.messages);
});

test("a reaction that is taken back before it went out never goes out", () => {
  const desk = Desk.in({ messages: messages(1, 1) });
  desk.write("react", 1, "👍", true);
  desk.took();
  desk.write("react", 1, "👍", false);
  desk.write("react", 1, "👍", true);
  assert.deepEqual(
    desk.state.outbox.map(({ data }) => data.on),
    [true],
    "the first one is on its way",
  );
});

test("what was said as somebody else is not said in one's own name unasked", () => {
  const desk = Desk.in({ messages: messages(1, 1) });
  desk.cut();
  const nonce = say(desk, "as Ada");
  desk.write("react", 1, "👍", true);
  desk.dial();
  desk.hear("init", init({ self: { ...BO, token: "u" } }));
  assert.deepEqual(
    desk.state.outbox.map(({ problem, failed }) => [problem, failed]),
    [["other_user", true]],
  );
  assert.deepEqual(sentNonces(desk), []);
  desk.do("retry", nonce, "fresh");
  assert.deepEqual(sentNonces(desk), ["fresh"]);
});

test("what a new visitor writes before there is a name is the visitor's own", () => {
  const desk = new Desk();
  const nonce = say(desk, "early");
  desk.dial();
  desk.hear("init", init());
  assert.deepEqual(desk.took("talk")[0].nonce, nonce);
});

test("what is kept between visits comes before what is written now, once", () => {
  const before = Desk.in();
  say(before, "one");
  say(before, "two", { file: new File(["x"], "x.txt", { type: "text/plain" }) });
  const entries = JSON.parse(JSON.stringify(before.state.outbox.map(known.kept)));
  assert.deepEqual(entries[1].upload.name, "x.txt");
  const desk = new Desk("lobby", 1);
  desk.write("say", { text: "now" });
  desk.go({
    ...desk.state,
    outbox: desk.state.outbox.map((entry) => ({ ...entry, nonce: "now" })),
  });
  desk.do("restored", entries).do("restored", entries);
  assert.deepEqual(
    desk.state.outbox.map(({ data }) => data.message),
    ["one", "two", "now"],
  );
  desk.do("found", entries[1].nonce, null);
  assert.equal(desk.state.outbox[1].problem, "no_such_file");
  desk.do("found", entries[1].nonce, new File(["x"], "x.txt"));
});

test("an entry waits until its file is there", () => {
  const desk = Desk.in();
  const file = new File(["…"], "photo.jpg", { type: "image/jpeg" });
  const first = say(desk, "", { file });
  const second = say(desk, "", { file });
  desk.do("uploaded", second, { id: "def" });
  assert.deepEqual(sentNonces(desk), [], "files stay in their order");
  desk.do("progressed", first, 0.5);
  assert.equal(known.unsaid(desk.state)[0].upload.progress, 0.5);
  desk.do("uploaded", first, { id: "abc", name: "photo.jpg", size: 1, type: "image/jpeg" });
  const [sent] = desk.took("talk");
  assert.deepEqual(sent.file, { id: "abc", name: "photo.jpg" });
  desk.hear("error", { code: "no_such_file", message: "", nonce: first, event: "talk" });
  assert.equal(desk.state.outbox[0].upload.done, false, "it is uploaded once more");
  desk.do("uploaded", first, { id: "abc" });
  desk.hear("talk", message(1, ADA, { nonce: first }));
  assert.deepEqual(sentNonces(desk), [first, second]);
  const third = say(desk, "", { file });
  desk.do("unwanted", third, "too_large");
  assert.deepEqual(
    [desk.state.outbox[1].failed, desk.state.outbox[1].problem],
    [true, "too_large"],
  );
});

test("what has no file goes before what waits for one, and behind what does not any more", () => {
  const desk = Desk.in();
  const file = new File(["…"], "photo.jpg", { type: "image/jpeg" });
  const picture = say(desk, "", { file });
  const [one, two] = [say(desk, "one"), say(desk, "two")];
  assert.deepEqual(sentNonces(desk), [one]);
  desk.do("uploaded", picture, { id: "abc" });
  desk.hear("talk", message(1, ADA, { nonce: one }));
  assert.deepEqual(sentNonces(desk), [picture]);
  assert.deepEqual(nonces(desk), [picture, two]);
  refuse(desk, picture, "rate_limited", 5);
  assert.deepEqual(sentNonces(desk), [], "nothing but its file is worth going before it");
  desk.later(5_000);
  desk.hear("talk", message(2, ADA, { nonce: picture }));
  assert.deepEqual(sentNonces(desk), [picture, two]);
});

test("who answers what was deleted meanwhile says it all the same", () => {
  const desk = Desk.in({ messages: messages(1, 2) });
  const nonce = say(desk, "yes", { reply: 1 });
  assert.equal(desk.took("talk")[0].reply, 1);
  refuse(desk, nonce, "no_such_message");
  const [said] = desk.took("talk");
  assert.deepEqual([said.message, said.reply, said.nonce], ["yes", undefined, nonce]);
});

test("what was deleted meanwhile needs no change but the text that was to be its next", () => {
  const desk = Desk.in({ messages: messages(1, 3, ADA) });
  const gone = (nonce, event) =>
    desk.hear("error", { code: "no_such_message", message: "", nonce, event });
  gone(desk.write("remove", 1), "delete");
  gone(desk.write("react", 2, "👍", true), "react");
  assert.deepEqual([desk.state.outbox, desk.state.inFlight], [[], null]);
  const edit = desk.write("edit", 3, "better", "text");
  gone(edit, "edit");
  assert.equal(desk.state.outbox[0].failed, true);
  desk.hear("delete", { id: 4, room: "lobby", of: 3, from: ADA, time: "t" });
  desk.do("reopen", edit);
  assert.deepEqual([desk.state.outbox, known.draftOf(desk.state).editing], [[], null]);
  assert.equal(known.draftOf(desk.state).text, "better");
});

test("what is written on goes before what is being written", () => {
  const desk = Desk.in();
  const nonce = say(desk, "first");
  refuse(desk, nonce, "bad_message");
  desk.do("draft", { text: "second" }).do("reopen", nonce);
  assert.equal(known.draftOf(desk.state).text, "first\nsecond");
});

test("what is on its way to a room that is left holds nothing else up", () => {
  const desk = Desk.in();
  desk.do("show", "tea");
  desk.hear("init", init({ room: "tea" }));
  say(desk, "one");
  assert.notEqual(desk.state.inFlight, null);
  desk.do("leave", "tea");
  assert.deepEqual([desk.state.outbox, desk.state.inFlight], [[], null]);
  desk.took();
  say(desk, "two");
  assert.equal(desk.took("talk").length, 1);
});
