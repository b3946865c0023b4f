/** The page: its parts put together. */

import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { MessageLog } from "./log.js";
import { Memory } from "./memory.js";
import { Parcels } from "./parcels.js";
import { hashOf, routeOf } from "./route.js";
import { Shell } from "./shell.js";
import * as known from "./state.js";
import { Tab } from "./tab.js";
import { Unsent } from "./unsent.js";
import * as words from "./words.js";

const TYPING_PAUSE = 3_000; // ms between two `typing`
const PATIENCE = 10_000; // ms without an answer to an entry after which the connection is doubted

const path = new URL(".", location.href).pathname;
const memory = new Memory(() => localStorage, path);
const unsent = new Unsent(memory, new Tab(memory, path));
const parcels = new Parcels(path);
const route = routeOf(location);

let state = known.fresh(route.room || known.LOBBY, memory.user);
let uploads = null; // a promise of what sends files
let token = null; // shows who we are
let typedAt = 0;
let timer = null;
let drawing = false;

const connection = new Connection({ address, receive, changed });

/** What becomes of a file on its way. */
const ways = {
  token: () => token,
  progressed: (id, part) => update(known.progressed(state, id, part)),
  uploaded: (id, file) => update(known.uploaded(state, id, file)),
  refused: (id, code) => update(known.unwanted(state, id, code)),
};

/** What the views can have done. */
const actions = {
  open: go,
  direct: (id) => state.user !== null && id !== state.user && go(known.directName(state.user, id)),
  leave: (room) => update(known.leave(state, room)),
  link: (room, id) => hashOf(room, id),
  jump: (id) => update(known.jump(state, id)),
  older: () => update(known.page(state, "older")),
  newer: () => update(known.page(state, "newer")),
  toEnd() {
    update(known.page(state, "end"));
    toEnd();
  },
  atEnd: (atEnd) => update(known.look(state, { atEnd })),
  say,
  edit: (id, text, type) => update(known.edit(state, id, text, type, nonce(), Date.now())),
  remove: (id) => update(known.remove(state, id, nonce(), Date.now())),
  react: (id, emoji, on) => update(known.react(state, id, emoji, on, nonce(), Date.now())),
  topic: (text) => update(known.topic(state, text, nonce(), Date.now())),
  draft: (changes) => update(known.draft(state, changes)),
  startEdit: (id) => update(known.startEdit(state, id)),
  stopEdit: () => update(known.stopEdit(state)),
  retry: (id) => update(known.retry(state, id, nonce())),
  discard: (id) => update(known.discard(state, id)),
  reopen(id) {
    update(known.reopen(state, id));
    composer.focus();
  },
  typing,
  versions: (id) => update(known.versions(state, id)),
  rename,
  list: (match) => update(known.list(state, match)),
  listMore: () => update(known.listMore(state)),
  search: (query, room) => update(known.search(state, query, room)),
  searchMore: () => update(known.searchMore(state)),
  searchClose: () => update(known.searchClose(state)),
  dismiss: () => update(known.dismiss(state)),
  reconnect: () => connection.open(),
  focus: () => composer.focus(),
};

await words.begin();
const log = new MessageLog(actions);
const composer = new Composer({ ...actions, failed: (text) => shell.tell(text) });
const shell = new Shell(actions);

function address() {
  state = known.dialling(state);
  const url = new URL("ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  const { name, token: before } = memory;
  const query = { ...(name && { name }), ...(before && { token: before }) };
  url.search = new URLSearchParams({ ...query, ...known.entrance(state) });
  return url.href;
}

function changed(link) {
  update(known.linked(state, link));
}

function receive(event) {
  const before = state;
  update(known.apply(state, event, Date.now()));
  if (event.event === "init" && !before.online) greet(event.data.self);
  if (before.renaming && !state.renaming && state.self) memory.name = state.self.name;
  const news = known.alert(before, state, event);
  if (news) soon(() => shell.arrived(news.kind, news.message)); // once its room is drawn
}

function greet(self) {
  token = self.token;
  if (memory.token !== token) memory.token = token;
  if (memory.user !== self.id) memory.user = self.id;
  const { renaming } = state;
  if (renaming && !renaming.problem) connection.send("rename", { name: renaming.name });
  if (!memory.name) shell.invite();
}

/** Go to a room, or to the message `at` there. The way back is the browser's. */
function go(room, at = null) {
  const hash = hashOf(room, at);
  if (hash !== location.hash)
    location.hash = hash; // `hashchange` follows
  else update(known.show(state, room, at));
}

function follow() {
  const { room, at } = routeOf(location);
  if (room === null) {
    update({ ...state, notice: { code: "bad_room" } });
    return rewrite();
  }
  const name = room || known.LOBBY;
  if (at === null && name === state.current) actions.toEnd(); // back from what was linked to
  else update(known.show(state, name, at));
}

/** The end is shown, and no more what the address may link to. */
function toEnd() {
  if (routeOf(location).at !== null) history.replaceState(null, "", hashOf(state.current));
  log.toEnd();
}

function say(message) {
  const id = nonce();
  if (message.file) parcels.put(id, message.file);
  update(known.say(state, message, id, Date.now()));
  toEnd();
}

/** 128 random bits; `crypto.randomUUID` is not there on a page without TLS. */
function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function rename(name) {
  update(known.wish(state, name));
  if (name !== null) connection.send("rename", { name });
}

function typing() {
  const now = Date.now();
  if (now - typedAt < TYPING_PAUSE) return;
  typedAt = now;
  connection.send("typing", { room: state.current });
}

/** Go on from another state: do what is due, draw soon, and look again at the next moment. */
function update(next) {
  if (next === state) return;
  const before = state;
  const now = Date.now();
  const { state: after, commands } = known.step(next, now);
  state = after;
  for (const { event, data } of commands) connection.send(event, data);
  if (state.inFlight !== null && state.inFlight !== before.inFlight) doubt(state.inFlight);
  if (state.outbox !== before.outbox) release(before.outbox, state.outbox);
  if (state.current !== before.current) rewrite();
  unsent.keep(state);
  if (state.outbox !== before.outbox || state.online !== before.online) upload();
  wake(now);
  if (!drawing) soon(draw);
  drawing = true;
}

function wake(now) {
  clearTimeout(timer);
  const moment = known.nextMoment(state, now);
  if (moment !== null) timer = setTimeout(() => update({ ...state }), moment - now);
}

/** An entry that is not answered for long shows that the connection may be dead. */
function doubt(id) {
  setTimeout(() => {
    if (state.inFlight === id) connection.probe();
  }, PATIENCE);
}

/** Have files sent; what does that is loaded with the first one. */
async function upload() {
  if (!uploads && !state.outbox.some((entry) => entry.upload)) return;
  uploads ??= import("./uploads.js").then(
    ({ Uploads }) => new Uploads(ways),
    (lost) => {
      console.info("Files have to wait:", lost.message);
      return null;
    },
  );
  const loaded = await uploads;
  if (loaded) loaded.look(state);
  else uploads = null; // until the next connection
}

/** The files of entries that are gone are not needed any more. */
function release(before, after) {
  const keys = new Set(after.map((entry) => entry.upload?.key));
  for (const entry of before) {
    const key = entry.upload?.key;
    if (key !== undefined && !keys.has(key)) parcels.drop(key);
  }
}

/** The address names the room on the page, whoever has changed it. */
function rewrite() {
  const { room } = routeOf(location);
  if (room === state.current || (room === "" && state.current === known.LOBBY)) return;
  history.replaceState(null, "", hashOf(state.current));
}

function soon(act) {
  const later = document.hidden ? setTimeout : requestAnimationFrame; // no frames while hidden
  later(act);
}

function draw() {
  drawing = false;
  for (const view of [shell, composer, log]) view.render(state);
}

/** What was not sent in an earlier visit is sent now, with the files that were kept for it. */
function adopt(entries) {
  update(known.restored(state, entries));
  for (const { nonce: id, upload } of entries) {
    if (upload) parcels.get(upload.key).then((blob) => update(known.found(state, id, blob)));
  }
}

function look() {
  const visible = !document.hidden && document.hasFocus(); // beside another window it is not read
  update(known.look(state, { visible }));
  if (visible) connection.wake();
}

addEventListener("hashchange", follow);
addEventListener("online", () => connection.wake());
addEventListener("offline", () => connection.probe());
addEventListener("pageshow", ({ persisted }) => persisted && look());
addEventListener("pagehide", () => {
  update(known.look(state, { visible: false })); // tells what was read
  unsent.flush();
});
addEventListener("beforeunload", (event) => {
  if (!memory.lasting && state.outbox.length) event.preventDefault();
});
document.addEventListener("visibilitychange", look);
for (const type of ["focus", "blur"]) addEventListener(type, () => setTimeout(look)); // when it is so
memory.onToken((other) => {
  // Another tab was new at the same time: both decide for the token that sorts first.
  if (!state.online || other === token) return;
  memory.token = other < token ? other : token;
  if (other < token) connection.open();
});

update({ ...state, drafts: unsent.drafts(state.user) });
look();
follow();
const early = document.getElementById("text").value; // was written while the page was loading
if (early && !known.draftOf(state).text) update(known.draft(state, { text: early }));
unsent.begin(adopt);
connection.open();
if (matchMedia("(hover: hover)").matches) composer.focus(); // elsewhere it would open a keyboard
