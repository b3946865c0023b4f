/** What each event of the wire changes. What is unknown, or of an unknown room, changes nothing. */

import * as asking from "./asking.js";
import { changed } from "./changed.js";
import * as outbox from "./outbox.js";
import * as rooms from "./room.js";
import { EMPTY, drop, put, table } from "./table.js";

/** From where the room `name` is looked at. */
export function place(state, name) {
  const shown = name === state.current;
  const newer = state.rooms[name]?.newer ?? false;
  return {
    me: state.user,
    shown,
    follows: shown && state.visible && state.atEnd && !newer,
  };
}

/** With `change(room, place)` in place of the room `name`. */
export function within(state, name, change) {
  const room = state.rooms[name];
  if (!room) return state;
  const next = change(room, place(state, name));
  return next === room ? state : { ...state, rooms: put(state.rooms, name, next) };
}

/** The next state after an event from the wire. */
export function apply(state, { event, data }, now) {
  return Object.hasOwn(wire, event) ? wire[event](state, data, now) : state;
}

const change = (event) => (state, data) =>
  altered(outbox.settled(state, [{ event, data }]), event, data);

const wire = {
  init(state, data) {
    const first = !state.online;
    let next = identified(renumbered(state, data.epoch), data.self);
    if (first) next = refusedEntrance(next, data.room);
    next = spelled(next, asked(next, data.room, first), data.room);
    next = {
      ...next,
      online: true,
      own: first || next.own,
      entering: null,
      epoch: data.epoch,
      limits: { ...next.limits, ...data.limits },
      rooms: put(next.rooms, data.room, next.rooms[data.room] ?? rooms.unknown(data.room)),
    };
    const events = data.messages.map((message) => ({ event: "talk", data: message }));
    next = outbox.settled(next, [...events, ...(data.changes ?? [])]);
    next = (data.changes ?? []).reduce((before, told) => requoted(before, told), next);
    return within(next, data.room, (room, from) => rooms.entered(room, data, from));
  },

  talk(state, message) {
    const next = outbox.settled(state, [{ event: "talk", data: message }]);
    return within(next, message.room, (room, from) => rooms.talked(room, [message], from));
  },

  edit: change("edit"),
  delete: change("delete"),
  react: change("react"),
  topic: change("topic"),

  join: (state, data) =>
    within(state, data.room, (room) => (room.entered ? rooms.came(room, data) : room)),

  exit(state, data) {
    if (data.id !== state.user) return within(state, data.room, (room) => rooms.went(room, data));
    const left = (room) => (room.entered ? { ...rooms.cutOff(room), wanted: false } : room);
    return within(state, data.room, left);
  },

  rename(state, data) {
    const { id, name } = data;
    let next = within(state, data.room, (room) => rooms.renamed(room, data));
    for (const { room, direct } of Object.values(next.rooms)) {
      if (direct?.id !== id || direct.name === name) continue;
      next = within(next, room, (other) => ({ ...other, direct: { id, name } }));
    }
    if (id !== state.self?.id) return next;
    return { ...next, self: { id, name }, renaming: null, notice: null };
  },

  presence: (state, data) => within(state, data.room, (room) => rooms.summed(room, data)),

  typing(state, data, now) {
    if (data.id === state.user) return state;
    return within(state, data.room, (room) => rooms.typed(room, data, now));
  },

  history(state, data) {
    if (!asking.answers(state, "history", data.nonce)) return state;
    const { reply } = state.asked.history;
    const next = asking.heard(state, "history");
    if (reply !== null) return asking.withReply(next, data, reply);
    return within(next, data.room, (room, from) =>
      room.paging?.nonce === data.nonce ? rooms.paged(room, data, from) : room,
    );
  },

  read(state, { room: name, id }) {
    const room = state.rooms[name];
    if (!room) return { ...state, own: true }; // it was entered on another device
    const next = within(state, name, (before, from) => rooms.readTo(before, id, from));
    return rooms.countable(room, id) ? next : { ...next, own: true };
  },

  mine(state, data) {
    const own = named(data.rooms);
    const next = { ...asking.heard(state, "mine"), own: false, old: state.old ?? own };
    // Which was marked as read here and is not among them was left on another device.
    const left = ({ room, told }) => told > 0 && !own[room] && room !== state.current;
    const kept = Object.values(next.rooms).filter((room) => !left(room));
    const all = named([
      ...kept,
      ...data.rooms.map(({ room }) => next.rooms[room] ?? rooms.unknown(room)),
    ]);
    return data.rooms.reduce(
      (before, entry) =>
        within(before, entry.room, (room, from) => rooms.reviewed(room, entry, from)),
      { ...next, rooms: all },
    );
  },

  direct(state, data) {
    if (state.rooms[data.room])
      return within(state, data.room, (room) => ({ ...room, wanted: true }));
    const room = { ...rooms.unknown(data.room), direct: data.with };
    return { ...state, rooms: put(state.rooms, data.room, room) };
  },

  rooms(state, data) {
    const next = asking.heard(state, "rooms");
    const { listing } = state;
    if (!listing || state.asked.rooms?.match !== listing.match) return next;
    const all = [...listing.rooms, ...data.rooms];
    return { ...next, listing: { ...listing, rooms: all, more: data.more, waiting: false } };
  },

  search(state, data) {
    if (!asking.answers(state, "search", data.nonce)) return state;
    const next = asking.heard(state, "search");
    const { search, asked } = state;
    if (search?.since !== asked.search.since) return next; // something else is searched for now
    const hits = [...search.hits, ...data.hits];
    const older = data.next ?? null;
    // It may have had no time for more.
    const waiting = older !== null && hits.length < search.wanted;
    return { ...next, search: { ...search, hits, next: older, waiting } };
  },

  edits(state, { room, of, versions: list }) {
    const next = asking.heard(state, "edits");
    const { versions } = state;
    if (versions?.room !== room || versions.of !== of) return next;
    return { ...next, versions: { ...versions, list, waiting: false } };
  },

  error: failed,
};

const named = (list) => table(list.map((room) => [room.room, room]));

function altered(state, event, data) {
  const next = within(state, data.room, (room, from) => rooms.altered(room, { event, data }, from));
  return requoted(next, { event, data });
}

/** A message that others answer is quoted as it is now. */
function requoted(state, event) {
  const { room, of } = event.data;
  const quoted = state.replies[room]?.[of];
  if (!quoted) return state;
  const known = { ...state.replies[room], [of]: changed(quoted, event) };
  return { ...state, replies: put(state.replies, room, known) };
}

/** Under another epoch ids mean something else. */
function renumbered(state, epoch) {
  if (state.epoch === null || state.epoch === epoch) return state;
  const all = named(Object.values(state.rooms).map(rooms.forgotten));
  return { ...outbox.unrelated(state), rooms: all, replies: EMPTY, versions: null };
}

function identified(state, { id, name }) {
  const renaming = state.renaming?.name === name ? null : state.renaming;
  return { ...outbox.disowned(state, id), self: { id, name }, user: id, renaming };
}

/** Rooms of two have names of their own. */
export const isDirect = (name) => name.startsWith("@");

const fold = (name) => name.normalize("NFKC").toLowerCase();

/** Whether the server takes both for names of one room, as far as a page can know. */
export const sameName = (a, b) => a === b || fold(a) === fold(b);

/** Who may not be in a direct room is in the lobby instead; what was written for it stays. */
function refusedEntrance(state, name) {
  const { entering, current } = state;
  if (entering === null || isDirect(entering) === isDirect(name)) return state;
  const rooms = drop(state.rooms, entering);
  return { ...state, rooms, entering: null, current: current === entering ? name : current };
}

/** The name by which the room was asked for that the server calls `name`. */
function asked(state, name, first) {
  if (first && state.entering !== null) return state.entering;
  const joining = Object.values(state.rooms).filter((room) => room.joining);
  const found = joining.find(({ room }) => sameName(room, name));
  if (found || state.rooms[name]) return found?.room ?? name;
  return joining.length === 1 ? joining[0].room : name;
}

/** The server may write a room's name in another way than it was asked for. */
function spelled(state, was, name) {
  if (was === name) return state;
  const { [was]: before, [name]: there } = state.rooms;
  const { [was]: draft } = state.drafts;
  const drafts = drop(state.drafts, was);
  const room = there ?? { ...(before ?? rooms.unknown(name)), room: name };
  return {
    ...state,
    rooms: put(drop(state.rooms, was), name, room),
    current: state.current === was ? name : state.current,
    drafts: draft && !drafts[name] ? put(drafts, name, draft) : drafts,
    outbox: state.outbox.map((entry) => (entry.room === was ? { ...entry, room: name } : entry)),
  };
}

const QUIET = new Set(["typing", "ping", "read"]);

function failed(state, error, now) {
  const { code, event, nonce, retry_after: seconds } = error;
  const about = nonce ?? (outbox.KINDS.has(event) ? state.inFlight : null);
  if (state.outbox.some((entry) => entry.nonce === about)) {
    return outbox.refused(state, about, error, now);
  }
  if (event === "rename" && state.renaming) {
    return { ...state, renaming: { ...state.renaming, problem: error } };
  }
  if (event === "join") return unjoined(state, error, now);
  if (state.asked[event]) {
    const passing = outbox.passes(code);
    return passing ? asking.postponed(state, event, seconds, now) : unanswerable(state, error);
  }
  return QUIET.has(event) ? state : { ...state, notice: error };
}

/** A question that has no answer is not asked again; whoever asked it is told why. */
function unanswerable(state, error) {
  const { event } = error;
  const next = asking.heard(state, event);
  const { room: name, reply } = state.asked[event];
  const given = (part) => part && { ...part, waiting: false, problem: error };
  if (event === "mine") return { ...next, own: false };
  if (event === "search") return { ...next, search: given(next.search) };
  if (event === "rooms") return { ...next, listing: given(next.listing) };
  if (event === "edits") return { ...next, versions: given(next.versions) };
  if (reply !== null) return asking.withReply(next, { room: name, messages: [] }, reply);
  return { ...within(next, name, (room) => ({ ...room, paging: null })), notice: error };
}

/** Whichever of the rooms that are being entered it was: later, or alone, or not at all. */
function unjoined(state, error, now) {
  const { code, retry_after: seconds } = error;
  const joining = Object.values(state.rooms).filter((room) => room.joining);
  const alone = joining.length === 1 && !outbox.passes(code);
  const notBefore = now + outbox.pause(seconds, 1);
  const later = (room) => (room.joining ? { ...room, joining: false, notBefore } : room);
  const given = (room) => (room.joining ? { ...room, joining: false, wanted: false } : room);
  const next = named(Object.values(state.rooms).map(alone ? given : later));
  const back = alone && Object.keys(state.rooms).find((name) => state.rooms[name].entered);
  if (back && !joining[0].begun && joining[0].room === state.current) {
    return { ...state, rooms: drop(next, state.current), current: back, atEnd: true, notice: error };
  }
  return { ...state, rooms: next, notice: alone ? error : state.notice };
}
