/**
 * The window of a room: the piece of its messages that is at hand, by id and without one missing.
 *
 * `more`: there are older ones; `newer`: there are newer ones, and what comes live is not taken in.
 * `era` changes when another piece takes its place.
 */

import { changed } from "./changed.js";

/** Numbers of messages; tests make them small. */
export const SIZES = {
  window: 600, // at most
  page: 100, // asked for at once
  followed: 500, // kept where the reader is at the end, …
  aside: 100, // … and where the room is not shown: a page more until they are cut
};

/** The id of the newest message at hand, 0 without one. */
export const newest = (room) => room.messages.at(-1)?.id ?? 0;

/** The message of this id, if it is at hand. */
export function messageOf({ messages }, id) {
  const at = position(messages, id);
  return messages[at]?.id === id ? messages[at] : undefined;
}

/** How many of `messages` have a smaller id. */
function position(messages, id) {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * With what has just been said, if the window is at the end. Where it gets too long it is cut at
 * the end that nobody looks at; `follows`: the reader is at the end, too.
 */
export function appended(room, messages, { shown, follows }) {
  const end = newest(room);
  const unseen = room.newer ? [] : messages.filter(({ id }) => id > end);
  if (unseen.length === 0) return room;
  const all = [...room.messages, ...unseen];
  if (shown && !follows) return cutBelow(room, all);
  const keep = shown ? SIZES.followed : SIZES.aside;
  return all.length > keep + SIZES.page ? cutAbove(room, all, keep) : { ...room, messages: all };
}

function cutAbove(room, messages, keep) {
  if (messages.length <= keep) return { ...room, messages };
  return within({ ...room, messages: messages.slice(-keep), more: true });
}

function cutBelow(room, messages) {
  if (messages.length <= SIZES.window) return { ...room, messages };
  return within({ ...room, messages: messages.slice(0, SIZES.window), newer: true });
}

/** Notes go with the messages that they stand behind. */
function within(room) {
  const [first, last] = [room.messages[0].id, newest(room)];
  const notes = room.notes.filter(({ after }) => after >= first && after <= last);
  return notes.length === room.notes.length ? room : { ...room, notes };
}

/** With another piece of the log in place of the present one. */
export function replaced(room, { messages, more, newer = false }) {
  const { era } = room;
  return { ...room, messages, more, newer, era: era + 1, notes: [], paging: null, goal: null };
}

/** With a change applied to the message that it is about, where that is at hand. */
export function amended(room, event) {
  const { of } = event.data;
  const at = position(room.messages, of);
  const message = room.messages[at];
  if (message === undefined || message.id !== of) return room;
  const next = changed(message, event);
  return next === message ? room : { ...room, messages: room.messages.with(at, next) };
}

/** A room that is no longer shown keeps little: its newest messages, if they are at hand at all. */
export function aside(room) {
  if (room.newer) {
    return replaced(room, { messages: [], more: true, newer: true });
  }
  const kept =
    room.messages.length > SIZES.aside ? cutAbove(room, room.messages, SIZES.aside) : room;
  return kept.goal || kept.paging ? { ...kept, goal: null, paging: null } : kept;
}

// Getting other messages into the window.

/**
 * With a wish for more: "older" or "newer" ones, those "around" an id, or those at the "end". The
 * first two are granted when there are any and nothing else is under way.
 */
export function wished(room, kind, id = null) {
  if (kind === "older" || kind === "newer") {
    const there = kind === "older" ? room.more : room.newer;
    if (!there || room.paging !== null || room.messages.length === 0) return room;
    id = kind === "older" ? room.messages[0].id : newest(room);
  }
  return { ...room, paging: { kind, id, nonce: null, notBefore: 0 } };
}

/** The members of `history` that ask for what is wished. */
export function question({ kind, id }) {
  if (kind === "older") return { before: id, limit: SIZES.page };
  if (kind === "newer") return { after: id, limit: SIZES.page };
  return kind === "around" ? { around: id, limit: SIZES.page } : { limit: SIZES.page };
}

/** With the answer to what was wished. */
export function answered(room, page) {
  const { kind, id } = room.paging;
  const next = { ...room, paging: null };
  const { messages, more } = page;
  if (kind === "older") {
    if (room.messages[0]?.id !== id) return next; // it was cut meanwhile
    const older = messages.filter((message) => message.id < id);
    return cutBelow({ ...next, more: more && older.length > 0 }, [...older, ...room.messages]);
  }
  if (kind === "newer") {
    const newer = messages.filter((message) => message.id > id);
    const there = { ...next, newer: page.newer && newer.length > 0 };
    return cutAbove(there, [...room.messages, ...newer], SIZES.window);
  }
  return kind === "around" ? aimed(replaced(room, page), id) : replaced(room, page);
}

/** With the message `id`, or what is nearest to where it was, as what is to be looked at. */
export function aimed(room, id) {
  const goal = room.messages[position(room.messages, id)] ?? room.messages.at(-1);
  return goal ? { ...room, goal: { id: goal.id } } : room;
}
