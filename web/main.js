/** The page: its parts put together. */

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { element, write } from "./dom.js";
import { LinkLine } from "./link.js";
import { MessageLog } from "./log.js";
import { Memory } from "./memory.js";
import { Naming } from "./naming.js";
import { Notice } from "./notice.js";
import { People } from "./people.js";
import * as known from "./state.js";
import { Unsaid } from "./unsaid.js";
import * as words from "./words.js";

const PAGE = 100; // messages of history at once
const TYPING_PAUSE = 3_000; // ms between two `typing`
const LOBBY = "lobby";
const ROOM = /^(?!\.+$)[\p{L}\p{M}\p{Nd}_.-]{1,64}$/u; // the server refuses to connect to others
const PATIENCE = 10_000; // ms without an answer to a message after which the connection is doubted

const memory = new Memory(() => localStorage, new URL(".", location.href).pathname);
let state = enter();
let token = null; // shows who we are
let lastTyping = 0;
let timer = null;
let drawing = false;

const connection = new Connection({ address, receive, changed });
const link = new LinkLine(() => connection.open());
const log = new MessageLog(readAhead);
const composer = new Composer({ say, typing });
const naming = new Naming({ wish, done: () => composer.focus() });
const notice = new Notice(() => update(known.dismiss(state)));
const unsaid = new Unsaid({
  edit(entry) {
    composer.write(entry.message);
    update(known.discard(state, entry.nonce));
  },
  discard(entry) {
    composer.focus();
    update(known.discard(state, entry.nonce));
  },
});
const views = [unsaid, log, new People(), composer, naming, notice];

/** The state with which the room that the page's address names is entered. */
function enter(before) {
  const { hash, search } = location;
  const linked = new URLSearchParams(`room=${hash.replace(/^#\/?/, "")}`).get("room");
  const room = linked || new URLSearchParams(search).get("room") || LOBBY;
  if (ROOM.test(room)) return known.fresh(room, before);
  return { ...known.fresh(LOBBY, before), notice: { code: "bad_room" } };
}

function address() {
  const url = new URL("ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const { searchParams: query } = url;
  query.set("room", state.room);
  if (memory.name) query.set("name", memory.name);
  if (memory.token) query.set("token", memory.token);
  if (state.epoch !== null) {
    query.set("after", known.newest(state));
    query.set("epoch", state.epoch);
  }
  return url.href;
}

function changed(status) {
  link.render(status);
  if (status.state !== "open") update(known.cut(state));
}

function receive(event) {
  const { renaming } = state;
  update(known.apply(state, event, Date.now()));
  if (event.event === "init") greet(event.data.self);
  if (renaming && !state.renaming) memory.name = state.self.name;
}

function greet(self) {
  token = self.token;
  if (memory.token !== token) memory.token = token;
  const { renaming } = state;
  if (renaming && !renaming.problem) connection.send("rename", { name: renaming.name });
  if (!memory.name) naming.invite();
}

function say(message) {
  update(known.say(state, nonce(), message));
  if (!state.renaming) naming.close();
  log.toEnd();
}

/** 128 random bits; `crypto.randomUUID` is not there on a page without TLS. */
function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function wish(name) {
  update(known.wish(state, name));
  if (name !== null) connection.send("rename", { name });
}

function typing() {
  const now = Date.now();
  if (now - lastTyping < TYPING_PAUSE) return;
  lastTyping = now;
  connection.send("typing", { room: state.room });
}

/** Go on from another state: send what is due, draw soon, and look again at the next moment. */
function update(next) {
  const now = Date.now();
  state = known.lapse(next, now);
  deliver(known.due(state, now));
  clearTimeout(timer);
  const moment = known.nextMoment(state, now);
  if (moment !== null) timer = setTimeout(() => update(state), moment - now);
  if (!drawing) soon(draw);
  drawing = true;
}

function deliver(entry) {
  if (entry === null) return;
  const { room, message, nonce } = entry;
  connection.send("talk", { room, message, nonce });
  state = known.sent(state, nonce);
  setTimeout(() => {
    if (state.inFlight === nonce) connection.probe();
  }, PATIENCE);
}

function soon(act) {
  const later = document.hidden ? setTimeout : requestAnimationFrame; // no frames while hidden
  later(act);
}

function draw() {
  drawing = false;
  document.title = `${state.room} · chatroom`;
  write(element("room"), state.room);
  write(element("typing"), words.typing(state.typing));
  for (const view of views) view.render(state);
  readAhead();
}

function readAhead() {
  if (!log.nearTop || !known.hasOlder(state, Date.now())) return;
  state = known.askedOlder(state);
  const { before } = state.older;
  connection.send("history", { room: state.room, before, limit: PAGE });
}

addEventListener("online", () => connection.wake());
addEventListener("offline", () => connection.probe());
addEventListener("pageshow", ({ persisted }) => persisted && connection.wake());
document.addEventListener("visibilitychange", () => document.hidden || connection.wake());
addEventListener("beforeunload", (event) => state.outbox.length && event.preventDefault());
memory.onToken((other) => {
  // Another tab was new at the same time: both decide for the token that sorts first.
  if (!state.online || other === token) return;
  memory.token = other < token ? other : token;
  if (other < token) connection.open();
});
addEventListener("hashchange", () => {
  state = enter(state);
  connection.open();
});

connection.open();
if (matchMedia("(hover: hover)").matches) composer.focus(); // elsewhere it would open a keyboard
