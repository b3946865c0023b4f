/**
 * What the page asks the server for: one question of each kind at a time, so that an error is
 * known to be about it. A wish stays until it is answered, over any number of connections.
 */

import { pause } from "./outbox.js";
import { EMPTY, put } from "./table.js";
import { messageOf, question } from "./window.js";

const LIST = 100; // rooms at once
export const HITS = 20;
const JOINED = 95; // rooms of one connection; the server allows 100
const AT_ONCE = 10; // rooms that are entered at the same time

/** What there is before anything is asked. */
export const nothing = {
  asked: {}, // event → what was asked, until it is answered
  pauses: {}, // event → when it may be asked again
  tries: {}, // event → how often it was refused in a row
  serial: 0, // makes the nonces of questions
  own: false, // the list of one's own rooms is wished for
  listing: null,
  search: null,
  versions: null,
  replies: EMPTY, // room → id of a message that is answered → MESSAGE, null where there is none
};

/** The connection is gone: all that was not answered is to be asked again. */
export const unanswered = (state) => ({ ...state, asked: {}, pauses: {}, tries: {}, own: false });

/** A question of the kind `event` was answered. */
export function heard(state, event) {
  const { [event]: _, ...asked } = state.asked;
  const { [event]: __, ...tries } = state.tries;
  return { ...state, asked, tries };
}

/** A question of the kind `event` cannot be answered now. */
export function postponed(state, event, seconds, now) {
  const count = (state.tries[event] ?? 0) + 1;
  const { [event]: _, ...asked } = state.asked;
  const pauses = { ...state.pauses, [event]: now + pause(seconds, count) };
  return { ...state, asked, pauses, tries: { ...state.tries, [event]: count } };
}

// Each kind: what to ask now, as {data, about}, if anything.

const kinds = {
  mine: ({ own }) => own && { data: {} },

  history(state, nonce) {
    const wishing = Object.values(state.rooms).filter(({ entered, paging }) => entered && paging);
    const room = wishing.find((other) => other.room === state.current) ?? wishing[0];
    const id = room ? null : lacking(state);
    if (!room && id === null) return null;
    const { room: name } = room ?? state.rooms[state.current];
    const wish = room ? question(room.paging) : { around: id, limit: 1 };
    return { data: { room: name, ...wish, nonce }, about: { room: name, reply: id } };
  },

  search({ search }, nonce) {
    if (!search?.waiting) return null;
    const { query, room, hits, next, wanted, since } = search;
    const where = { ...(room !== null && { room }), ...(next !== null && { before: next }) };
    return { data: { query, limit: wanted - hits.length, ...where, nonce }, about: { since } };
  },

  rooms({ listing }) {
    if (!listing?.waiting) return null;
    const { match, rooms } = listing;
    const behind = rooms.length ? { after: rooms.at(-1).room } : {};
    return { data: { match, limit: LIST, ...behind }, about: { match } };
  },

  edits({ versions }) {
    if (!versions?.waiting) return null;
    const { room, of } = versions;
    return { data: { room, of } };
  },
};

/** The first message that is answered in the room on the page, and not at hand. */
function lacking(state) {
  const room = state.rooms[state.current];
  if (!room?.entered) return null;
  const known = state.replies[room.room] ?? {};
  const answer = room.messages.findLast(
    ({ reply }) => reply && !(reply in known) && !messageOf(room, reply),
  );
  return answer?.reply ?? null;
}

/** All that is to be asked now: the next state, and the commands for the wire. */
export function asking(state, now) {
  const commands = [];
  for (const [event, ask] of Object.entries(kinds)) {
    if (state.asked[event] || state.pauses[event] > now) continue;
    const nonce = `${event} ${state.serial + 1}`;
    const found = ask(state, nonce);
    if (!found) continue;
    commands.push({ event, data: found.data });
    const asked = { ...state.asked, [event]: { nonce, ...found.about } };
    state = { ...state, asked, serial: state.serial + 1 };
    if (event === "history" && found.about.reply === null) {
      const room = state.rooms[found.about.room];
      const paging = { ...room.paging, nonce };
      state = { ...state, rooms: put(state.rooms, room.room, { ...room, paging }) };
    }
  }
  return { state, commands };
}

/** When a question may be asked again. */
export const pausesOf = (state) => Object.values(state.pauses);

// Entering rooms. An error does not say which room it is about: what nobody has been in yet is
// entered alone.

/** The rooms that are to be entered now. */
export function toJoin({ rooms, current }, now) {
  const all = Object.values(rooms);
  const joining = all.filter((room) => room.joining);
  if (joining.some(doubtful)) return [];
  const missing = all.filter((room) => room.wanted && !room.entered && !room.joining);
  missing.sort((a, b) => (b.room === current) - (a.room === current));
  const there = all.filter(({ entered }) => entered).length + joining.length;
  const due = missing
    .filter(({ notBefore }) => notBefore <= now)
    .filter(
      ({ room }, at) => at < AT_ONCE - joining.length && (at < JOINED - there || room === current),
    );
  if (due.length && doubtful(due[0])) return joining.length ? [] : [due[0]];
  return due.filter((room) => !doubtful(room));
}

const doubtful = ({ begun, told, direct }) => !begun && told === null && direct === null;

/** `join` for a room, going on where it was left. */
export function toEnter({ room, begun, last }, epoch) {
  return begun ? { room, after: last, epoch } : { room };
}

/** The message `id` of a room: undefined while it is not known, null where there is none. */
export function replied(state, name, id) {
  const room = state.rooms[name];
  return (room && messageOf(room, id)) ?? state.replies[name]?.[id];
}

/** With the message that is answered, as `history` around it has it. */
export function withReply(state, { room, messages }, id) {
  const found = messages.find((message) => message.id === id) ?? null;
  const known = { ...state.replies[room], [id]: found };
  return { ...state, replies: put(state.replies, room, known) };
}

/** Whether the answer that came is the one to the present question. */
export const answers = ({ asked }, event, nonce) =>
  asked[event] !== undefined && asked[event].nonce === nonce;
