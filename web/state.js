/**
 * What the page knows, as plain data, and how each thing that happens changes it.
 *
 * Every function here is pure: it takes a state and returns the next one, sharing what did not
 * change, so that a view sees by identity whether its part is still the same. Times are
 * milliseconds since 1970 and are passed in, as are nonces. The parts are in state/.
 */

import * as asking from "./state/asking.js";
import { overlay } from "./state/changed.js";
import * as outbox from "./state/outbox.js";
import * as rooms from "./state/room.js";
import { EMPTY, drop, put, table } from "./state/table.js";
import * as windows from "./state/window.js";
import { apply, isDirect, place, sameName, within } from "./state/wire.js";

export { replied } from "./state/asking.js";
export {
  discarded as discard,
  found,
  kept,
  progressed,
  retried as retry,
  unwanted,
  uploaded,
} from "./state/outbox.js";
export { mentioned } from "./state/room.js";
export { apply, isDirect };

export const LOBBY = "lobby";

const READ_PAUSE = 1_000; // ms from reading something to telling so

export const EMPTY_DRAFT = Object.freeze({
  text: "",
  reply: null, // id of the message that is answered
  editing: null, // id of the message whose text this is to be
  type: null,
  kept: null, // the draft that was put aside for `editing`
});

/** The state of a page that was just opened; `user`: the id that this browser had, if known. */
export function fresh(current = LOBBY, user = null) {
  return {
    online: false, // an `init` has come over the present connection
    link: { state: "closed", retryAt: null, closed: null, doubted: false },
    epoch: null, // what all ids of entries belong to
    self: null, // {id, name}
    user,
    limits: { message: 4000, name: 32, topic: 250, file: 0, types: ["text"], history: 50 },
    current, // the room on the page
    entering: null, // the room that the present connection was opened for
    leaving: [], // rooms to take leave of
    rooms: put(EMPTY, current, rooms.unknown(current)),
    old: null, // the own rooms as they were when the page was opened: name → {last}
    visible: true,
    atEnd: true, // the reader is at the end of what is drawn
    outbox: [],
    inFlight: null, // the nonce whose answer is awaited
    drafts: EMPTY,
    renaming: null, // {name, problem}: the wished name, until it is had
    notice: null, // an `error` to show, as it came
    ...asking.nothing,
  };
}

// Rooms.

/** The room on the page. */
export const room = (state) => state.rooms[state.current];

/** A direct room's name tells whose it is. */
export const directName = (a, b) => `@${Math.min(a, b)}-${Math.max(a, b)}`;

/**
 * Show the room `name`, which is entered if need be, and in it the message `at`. Who goes on in
 * the same room stays where they are.
 */
export function show(state, wish, at = null) {
  const name = Object.keys(state.rooms).find((other) => sameName(other, wish)) ?? wish;
  let next = state;
  if (name !== state.current || !state.rooms[name]) {
    const left = within(state, state.current, windows.aside);
    const before = left.rooms[name] ?? rooms.unknown(name);
    const entered = before.wanted ? before : { ...before, wanted: true };
    const rest = { ...left, current: name, atEnd: true, notice: null };
    next = { ...rest, rooms: put(left.rooms, name, entered) };
    next = within(next, state.current, (other) => rooms.placed(other, place(next, state.current)));
    if (entered.newer) next = within(next, name, (other) => windows.wished(other, "end"));
  }
  return at === null ? next : jump(next, at);
}

/** Show the message `id` of the room on the page among its neighbours. */
export function jump(state, id) {
  return within(state, state.current, (before) => {
    const there = windows.messageOf(before, id);
    return there ? windows.aimed(before, id) : windows.wished(before, "around", id);
  });
}

/** More of the log: "older" or "newer" messages, or those at the "end". */
export function page(state, kind) {
  return within(state, state.current, (before) =>
    kind === "end" && !before.newer ? before : windows.wished(before, kind),
  );
}

/** Leave a room for good, and show another if it was on the page. Needs a connection. */
export function leave(state, name) {
  if (!state.online || !state.rooms[name]) return state;
  const next = name === state.current ? show(state, elsewhere(state)) : state;
  if (next.current === name) return state; // the lobby alone: there is nowhere to go
  const drafts = drop(next.drafts, name);
  const kept = next.outbox.filter((entry) => entry.room !== name);
  const leaving = [...next.leaving, name];
  const inFlight = kept.some(({ nonce }) => nonce === next.inFlight) ? next.inFlight : null;
  return { ...next, rooms: drop(next.rooms, name), outbox: kept, inFlight, drafts, leaving };
}

/** The room to go to from the present one. */
function elsewhere({ rooms: all, current }) {
  const others = Object.keys(all).filter((name) => name !== current);
  return others.find((name) => name === LOBBY) ?? others[0] ?? LOBBY;
}

/** The rooms of the user: those that are open to all first. */
export function byPlace(state) {
  return Object.values(state.rooms).sort(
    (a, b) => isDirect(a.room) - isDirect(b.room) || (a.room < b.room ? -1 : 1),
  );
}

/** What is unread in all rooms; all that is said to one alone counts as a mention. */
export function totals(state) {
  const sum = { unread: 0, mentions: 0 };
  for (const { room: name, unread, mentions } of Object.values(state.rooms)) {
    sum.unread += unread;
    sum.mentions += isDirect(name) ? unread : mentions;
  }
  return sum;
}

/**
 * What `event`, which has just come, alerts the user of: {kind, message}, if anything. Of what was
 * missed in a room that is one message, the last one that was meant for the user if there is one.
 */
export function alert(before, state, { event, data }) {
  const messages = event === "talk" ? [data] : event === "init" ? data.messages : [];
  const news = messages
    .map((message) => ({ kind: concern(before, state, message), message }))
    .filter(({ kind }) => kind);
  return news.findLast(({ kind }) => kind !== "message") ?? news.at(-1);
}

/** How a message that has just come concerns the user; null if not, or if it is being looked at. */
function concern(before, state, message) {
  const { id, room: name, from, deleted } = message;
  if (id <= heard(before, state, name) || from.id === state.user || deleted) return null;
  if (place(state, name).follows) return null;
  if (isDirect(name)) return "direct";
  return rooms.mentioned(message, { id: state.user }) ? "mention" : "message";
}

/** The entry up to which what is said in the room `name` is not new. */
function heard(before, { old }, name) {
  const { begun, last } = before.rooms[name] ?? {};
  if (begun) return last;
  return isDirect(name) && old ? (old[name]?.last ?? 0) : Infinity; // somebody may have begun one
}

/** The user looks at the page or away, comes to the end of the log or leaves it. */
export function look(state, { visible = state.visible, atEnd = state.atEnd }) {
  return visible === state.visible && atEnd === state.atEnd ? state : { ...state, visible, atEnd };
}

// What is said, and what is changed about it.

/** The messages of a room as they will be once all has arrived. */
export function shown(state, name = state.current) {
  return overlay(state.rooms[name]?.messages ?? [], state.outbox, name, state.self);
}

/** What stands above a room, or will. */
export function topicOf(state, name = state.current) {
  const wish = state.outbox.findLast(
    ({ event, room: where, failed }) => event === "topic" && where === name && !failed,
  );
  return wish?.data.topic ?? state.rooms[name]?.topic ?? "";
}

const talks = new WeakMap(); // an outbox → what it has for each room

/** What was said in a room and has not come back yet. */
export function unsaid(state, name = state.current) {
  const known = talks.get(state.outbox) ?? new Map();
  talks.set(state.outbox, known);
  if (!known.has(name)) {
    known.set(
      name,
      state.outbox.filter(({ event, room: where }) => event === "talk" && where === name),
    );
  }
  return known.get(name);
}

/** The last message at hand that is the user's own. */
export function lastOwn(state, name = state.current) {
  return shown(state, name).findLast(({ from, deleted }) => from.id === state.user && !deleted);
}

/** Say `text` in the room on the page. */
export function say(state, { text, type = "text", reply = null, file = null }, nonce, now) {
  const data = { message: text, type, ...(reply !== null && { reply }) };
  const next = outbox.added(state, "talk", state.current, data, nonce, now, file);
  return page({ ...next, drafts: drop(next.drafts, state.current) }, "end");
}

/** Change the text of the message `of`. */
export function edit(state, of, text, type, nonce, now) {
  const next = stopEdit(state);
  const before = shown(state).find(({ id }) => id === of);
  if (before?.message === text && (type ?? before.type) === before.type) return next;
  const data = { of, message: text, ...(type && { type }) };
  return outbox.added(next, "edit", state.current, data, nonce, now);
}

export const remove = (state, of, nonce, now) =>
  outbox.added(state, "delete", state.current, { of }, nonce, now);

/** Give the message `of` an emoji, or take it away. */
export function react(state, of, emoji, on, nonce, now) {
  const undone = outbox.undone(state, state.current, of, emoji, on);
  if (undone) return outbox.discarded(state, undone.nonce);
  return outbox.added(state, "react", state.current, { of, emoji, on }, nonce, now);
}

export const topic = (state, text, nonce, now) =>
  outbox.added(state, "topic", state.current, { topic: text }, nonce, now);

// What is being written.

export const draftOf = (state, name = state.current) => state.drafts[name] ?? EMPTY_DRAFT;

/** With `changes` to what is being written in the room on the page. */
export function draft(state, changes) {
  const next = { ...draftOf(state), ...changes };
  const empty = Object.keys(EMPTY_DRAFT).every((key) => next[key] === EMPTY_DRAFT[key]);
  const { drafts, current } = state;
  return { ...state, drafts: empty ? drop(drafts, current) : put(drafts, current, next) };
}

/** Write on at the message `id`, or at the last one of one's own. */
export function startEdit(state, id = lastOwn(state)?.id) {
  const message = shown(state).find((other) => other.id === id);
  if (!message || message.deleted || message.from.id !== state.user) return state;
  const before = draftOf(state);
  const kept = before.editing === null ? before : before.kept;
  const { type } = message;
  return draft(state, { text: message.message, reply: null, editing: id, type, kept });
}

/** Go back to what was being written before. */
export function stopEdit(state) {
  const { editing, kept } = draftOf(state);
  return editing === null ? state : draft(state, { ...EMPTY_DRAFT, ...kept });
}

/** With what was not sent in an earlier visit. */
export function restored(state, entries) {
  const next = outbox.restored(state, entries);
  return state.self ? outbox.disowned(next, state.self.id) : next;
}

/** Write on at what could not be said. */
export function reopen(state, nonce) {
  const entry = state.outbox.find((other) => other.nonce === nonce);
  if (!entry) return state;
  const next = outbox.discarded(state, nonce);
  const { message = "", reply = null, type = null, of: editing = null } = entry.data;
  const before = draftOf(next);
  const gone = shown(next).some(({ id, deleted }) => id === editing && deleted);
  if (entry.event === "edit" && !gone) {
    return draft(next, { text: message, editing, type, reply: null, kept: before });
  }
  const text = [message, before.text].filter(Boolean).join("\n");
  return draft(next, { ...EMPTY_DRAFT, text, reply, type });
}

// What is asked for.

/** Look for words in a room, or in all that there are. */
export function search(state, query, name = null) {
  const since = state.serial + 1;
  const wish = { query, room: name, hits: [], next: null, wanted: asking.HITS, waiting: true, since };
  return { ...state, serial: since, search: { ...wish, problem: null } };
}

export function searchMore(state) {
  const { search: found } = state;
  if (!found || found.waiting || found.next === null) return state;
  const wanted = found.hits.length + asking.HITS;
  return { ...state, search: { ...found, wanted, waiting: true, problem: null } };
}

export const searchClose = (state) => ({ ...state, search: null });

/** The rooms that are open to all whose names contain `match`. */
export const list = (state, match) => ({
  ...state,
  listing: { match, rooms: [], more: false, waiting: true, problem: null },
});

export function listMore(state) {
  const { listing } = state;
  if (!listing || listing.waiting || !listing.more) return state;
  return { ...state, listing: { ...listing, waiting: true } };
}

/** What the message `of` has said at all times; null when that is no longer looked at. */
export function versions(state, of) {
  const wish = { room: state.current, of, list: null, waiting: true, problem: null };
  return { ...state, versions: of === null ? null : wish };
}

/** A wish for another name, null to give it up. */
export const wish = (state, name) => ({
  ...state,
  renaming: name === null ? null : { name, problem: null },
});

/** The user has read the notice. */
export const dismiss = (state) => ({ ...state, notice: null });

// The connection.

/** How the connection is: see `Connection.status`. */
export const linked = (state, link) => ({ ...(link.state === "open" ? state : cut(state)), link });

/** The connection is gone: nothing that was asked will be answered. */
export function cut(state) {
  if (!state.online && state.inFlight === null) return state;
  const all = table(Object.entries(state.rooms).map(([name, each]) => [name, rooms.cutOff(each)]));
  const next = { ...asking.unanswered(state), online: false, inFlight: null, leaving: [] };
  return { ...next, rooms: all };
}

/** A connection is being opened, for the room on the page. */
export const dialling = (state) => ({ ...state, entering: state.current });

/** What to open the connection with: {room, after?, epoch?}. */
export function entrance(state) {
  const { entering: name } = state;
  return asking.toEnter(state.rooms[name] ?? rooms.unknown(name), state.epoch);
}

/**
 * What the page does by itself at this moment: the next state, and the commands for the wire,
 * {event, data} each.
 */
export function step(state, now) {
  let next = state;
  for (const name of Object.keys(state.rooms)) {
    next = within(next, name, (each) => rooms.lapsed(each, now));
  }
  if (place(next, next.current).follows) {
    next = within(next, next.current, (each) =>
      rooms.seen(each, place(next, next.current), now + READ_PAUSE),
    );
  }
  if (!next.online) return { state: next, commands: [] };
  const commands = next.leaving.map((name) => ({ event: "exit", data: { room: name } }));
  if (commands.length) next = { ...next, leaving: [] };
  for (const each of asking.toJoin(next, now)) {
    commands.push({ event: "join", data: asking.toEnter(each, next.epoch) });
    next = within(next, each.room, (before) => ({ ...before, joining: true }));
  }
  for (const each of Object.values(next.rooms)) {
    const still = each.marking > now && place(next, each.room).follows;
    if (!each.entered || each.marking === null || still) continue; // who goes has read it
    commands.push({ event: "read", data: { room: each.room, id: each.read } });
    next = within(next, each.room, rooms.marked);
  }
  const entry = outbox.due(next, now);
  if (entry) {
    const { event, room: name, data, nonce } = entry;
    commands.push({ event, data: { room: name, ...data, nonce } });
    next = outbox.sent(next, nonce);
  }
  const questions = asking.asking(next, now);
  return { state: questions.state, commands: [...commands, ...questions.commands] };
}

/** When, without any event, there is next something to do; null for never. */
export function nextMoment(state, now) {
  const all = Object.values(state.rooms);
  const moments = all.flatMap(({ typing }) => typing.map(({ until }) => until));
  if (state.online) {
    moments.push(...asking.pausesOf(state), ...outbox.moments(state));
    for (const { marking, notBefore, wanted, entered } of all) {
      if (marking !== null) moments.push(marking);
      if (wanted && !entered) moments.push(notBefore);
    }
  }
  const ahead = moments.filter((moment) => moment > now);
  return ahead.length ? Math.min(...ahead) : null;
}
