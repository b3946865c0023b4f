/**
 * A room: who is here, what is said and how far it was read.
 *
 * `place` says from where it is looked at: {me: one's own id, shown: it is the room on the page,
 * follows: its end is being looked at}.
 */

import { aimed, amended, answered, appended, messageOf, newest, replaced } from "./window.js";

/** How long somebody counts as typing after the last word of it. */
export const TYPING_LAPSE = 6_000;

/** A room that nothing is known of but its name. */
export const unknown = (name) => ({
  room: name,
  topic: "",
  direct: null, // {id, name}: with whom one is alone
  wanted: true, // to be entered whenever there is a connection
  joining: false, // that was asked for
  entered: false, // `init` has come for it over the present connection
  begun: false, // or over an earlier one: from then on it can be resumed
  notBefore: 0, // when to ask for it again
  users: [], // {id, name}; a sample of them in a crowd
  count: 0,
  messages: [],
  era: 1,
  more: false,
  newer: false,
  last: 0, // id of the last entry heard of
  paging: null, // {kind, id, nonce, notBefore}
  goal: null, // {id}
  notes: [], // {after, changes}: who came, went, was renamed after the message of that id
  typing: [], // {id, name, until}
  read: null, // up to this entry it was read
  told: null, // and the server knows it up to this one
  marking: null, // when it is to be told
  unread: 0, // messages of others behind `read`
  mentions: 0, // those in which one is mentioned
  counted: 0, // up to this entry the server has counted them
  line: null, // the entry behind which the unread ones began
  firstUnread: null, // the message at hand that this line stands before
});

export const mentioned = ({ mentions = [] }, user) => mentions.some(({ id }) => id === user?.id);

// Reading.

const NOTHING = { unread: 0, mentions: 0 };

/** What `messages` add to the counts of a room that is read up to `read`. */
function counts(messages, read, me) {
  const unread = messages.filter(
    ({ id, from, deleted }) => id > read && from.id !== me && !deleted,
  );
  const mentions = unread.filter((message) => mentioned(message, { id: me }));
  return { unread: unread.length, mentions: mentions.length };
}

/** Whether all is at hand that there is behind the entry `id`. */
function reaches({ messages, more, newer }, id) {
  return !newer && (!more || (messages.length > 0 && messages[0].id <= id + 1));
}

/** With the line where the unread messages begin, once there are any. */
function lined(before, room, { me, shown }) {
  let { line } = room;
  if (room.unread > 0 && (before.unread === 0 || line === null)) line = room.read;
  else if (room.unread === 0 && !shown) line = null;
  const firstUnread = firstBehind(room, line, me);
  const same = line === room.line && firstUnread === room.firstUnread;
  return same ? room : { ...room, line, firstUnread };
}

function firstBehind({ messages, more, firstUnread, line: before }, line, me) {
  if (line === null || messages.length === 0) return null;
  if (more && messages[0].id > line + 1) return null; // it may be above
  const still =
    line === before && firstUnread >= messages[0].id && firstUnread <= messages.at(-1).id;
  if (firstUnread !== null && still) return firstUnread;
  return (
    messages.find(({ id, from, deleted }) => id > line && from.id !== me && !deleted)?.id ?? null
  );
}

/** Whether the server takes something of somebody else for unread, or does not know of the room. */
function owes({ told, unread, messages, last }, me) {
  if (!told) return last > 0; // it keeps nothing of a room in which nothing was said
  if (unread > 0) return last > 0;
  for (let at = messages.length - 1; at >= 0 && messages[at].id > told; at--) {
    if (messages[at].from.id !== me) return true;
  }
  return false;
}

/** The end is being looked at: all is read, which is to be told at `due`, if not before. */
export function seen(room, place, due) {
  if (!room.entered) return room;
  const { last, read, unread } = room;
  const marking = room.marking ?? (owes(room, place.me) ? due : null);
  if (read === last && unread === 0 && marking === room.marking) return room;
  return lined(room, { ...room, read: last, ...NOTHING, marking }, place);
}

/** The server is being told how far the room is read. */
export const marked = (room) => ({ ...room, told: room.read, marking: null });

/** The user has read up to the entry `id` on this or another device. */
export function readTo(room, id, place) {
  const told = Math.max(id, room.told ?? 0);
  if (room.read !== null && id <= room.read) return { ...room, told };
  const left = id >= room.last ? NOTHING : counts(room.messages, id, place.me);
  return lined(room, { ...room, told, read: id, ...left }, place);
}

/** Whether what `readTo` counts is all that there is. */
export const countable = (room, id) => id >= room.last || reaches(room, id);

/** What the server knows of a room of ours: it has counted what is unread up to `last`. */
export function reviewed(room, own, place) {
  const { topic = "", count, direct = null, read, last } = own;
  const next = { ...room, topic, direct, wanted: true, told: read };
  if (!room.entered) next.count = count;
  if (room.read !== null && room.read > read) return next; // it will hear of it
  const since = counts(room.messages, Math.max(read, last), place.me);
  next.read = read;
  next.unread = own.unread + since.unread;
  next.mentions = own.mentions + since.mentions;
  next.counted = Math.max(room.counted, last);
  return lined(room, next, place);
}

// Entering.

/** `init`: one is in the room, from the beginning or from where one was. */
export function entered(room, data, place) {
  const resumed = data.resumed && room.begun;
  const { topic = "", users, last, direct = null } = data;
  const here = {
    ...room,
    topic,
    users,
    direct,
    count: data.count ?? users.length,
    wanted: true,
    joining: false,
    entered: true,
    begun: true,
    typing: [],
  };
  const next = resumed ? resume(here, data, place) : begin(here, data, place);
  return { ...next, last: Math.max(resumed ? next.last : 0, last ?? newest(data)) };
}

function resume(room, { messages, changes = [], read }, place) {
  const told = talked({ ...room, told: read ?? null }, messages, place);
  // They may be older than the last message; what of them is contained already is known by id.
  const next = changes.reduce((before, change) => applied(before, change, place), told);
  return read > (next.read ?? 0) ? readTo(next, read, place) : next;
}

function begin(room, data, place) {
  const last = data.last ?? newest(data);
  const told = data.read ?? null;
  // Where one was never before, what was said until now is not new; what is said to one alone is.
  const read = Math.max(told ?? (data.direct ? 0 : last), room.read ?? 0);
  const next = replaced({ ...room, told, read }, data);
  const all = counts(data.messages, read, place.me);
  const since = counts(data.messages, Math.max(read, room.counted), place.me);
  const exact = reaches(next, read) || room.counted === 0;
  next.unread = exact ? all.unread : room.unread + since.unread;
  next.mentions = exact ? all.mentions : room.mentions + since.mentions;
  return lined({ ...room, unread: 0 }, kept(room.paging, next), place);
}

/** What was linked to is still to be looked at. */
function kept(paging, room) {
  if (paging?.kind !== "around") return room;
  const { id } = paging;
  const there = messageOf(room, id) !== undefined;
  return there ? aimed(room, id) : { ...room, paging: { ...paging, nonce: null } };
}

/** The ids of the log mean something else now: nothing of it is kept. */
export function forgotten(room) {
  const { room: name, era, direct, wanted, topic } = room;
  return { ...unknown(name), direct, wanted, topic, era: era + 1 };
}

/** The connection is gone: nothing that was asked will be answered. */
export function cutOff(room) {
  const paging = room.paging && { ...room.paging, nonce: null };
  return { ...room, entered: false, joining: false, notBefore: 0, typing: [], paging };
}

// What is said, and what is changed about it.

/** Messages that were said, of which some may be known. */
export function talked(room, messages, place) {
  const unheard = messages.filter(({ id }) => id > room.last);
  if (unheard.length === 0) return room;
  const last = unheard.at(-1).id;
  const read = place.follows ? last : room.read;
  const since = counts(unheard, Math.max(read ?? 0, room.counted), place.me);
  const heard = {
    ...room,
    last,
    read,
    typing: without(
      room.typing,
      unheard.map(({ from }) => from.id),
    ),
    unread: room.unread + since.unread,
    mentions: room.mentions + since.mentions,
  };
  return lined(room, appended(heard, unheard, place), place);
}

/** `edit`, `delete`, `react` or `topic`, in its place among the entries. */
export function altered(room, event, place) {
  const { id, topic } = event.data;
  if (id <= room.last) return room;
  const heard = { ...room, last: id };
  return event.event === "topic" ? { ...heard, topic } : applied(heard, event, place);
}

function applied(room, event, place) {
  const { id, of } = event.data;
  const next = amended(room, event);
  if (next === room || of <= (room.read ?? 0) || id <= room.counted) return next;
  const was = counts(find(room, of), 0, place.me);
  const is = counts(find(next, of), 0, place.me);
  next.unread = Math.max(0, room.unread + is.unread - was.unread);
  next.mentions = Math.max(0, room.mentions + is.mentions - was.mentions);
  return lined(room, next, place);
}

const find = ({ messages }, wanted) => messages.filter(({ id }) => id === wanted);

/** The piece of history that was asked for. */
export const paged = (room, page, place) => lined(room, answered(room, page), place);

/** With the line as it is from another place. */
export const placed = (room, place) => lined(room, room, place);

// Who is here.

export function came(room, { id, name }) {
  if (room.users.some((user) => user.id === id)) return room;
  const users = [...room.users, { id, name }];
  return noted({ ...room, users, count: room.count + 1 }, { kind: "join", id, name });
}

export function went(room, { id, name }) {
  const users = without(room.users, [id]);
  const typing = without(room.typing, [id]);
  const count = Math.max(room.count - 1, users.length);
  return noted({ ...room, users, typing, count }, { kind: "exit", id, name });
}

export function renamed(room, { id, name, was }) {
  const other = (user) => (user.id === id ? { ...user, name } : user);
  const next = { ...room, users: room.users.map(other), typing: room.typing.map(other) };
  if (room.direct) next.direct = other(room.direct);
  return noted(next, { kind: "rename", id, name, was });
}

export function summed(room, { count, joined = [], left = [] }) {
  const changed = [...joined, ...left].map((user) => user.id);
  return { ...room, count, users: [...without(room.users, changed), ...joined] };
}

export function typed(room, { id, name }, now) {
  const typing = [...without(room.typing, [id]), { id, name, until: now + TYPING_LAPSE }];
  return { ...room, typing };
}

/** Those whose typing has lapsed are no longer typing. */
export function lapsed(room, now) {
  const typing = room.typing.filter((user) => user.until > now);
  return typing.length === room.typing.length ? room : { ...room, typing };
}

function without(users, ids) {
  return users.some((user) => ids.includes(user.id))
    ? users.filter((user) => !ids.includes(user.id))
    : users;
}

/**
 * One note stands between two messages, and says what is different from the one to the other:
 * who came and went again in between is not mentioned.
 */
function noted(room, change) {
  if (room.newer) return room;
  const after = newest(room);
  const open = room.notes.at(-1)?.after === after ? room.notes.at(-1) : { after, changes: [] };
  const earlier = open.changes.find(({ id }) => id === change.id);
  const changes = open.changes.filter((other) => other !== earlier);
  const told = both(earlier, change);
  if (told) changes.push(told);
  const notes = room.notes.filter((other) => other !== open);
  if (changes.length) notes.push({ after, changes });
  return { ...room, notes };
}

function both(earlier, later) {
  if (later.kind === "rename") {
    const whole = { ...(earlier ?? later), name: later.name };
    return whole.was === whole.name ? null : whole;
  }
  return earlier && earlier.kind !== "rename" ? null : later;
}
