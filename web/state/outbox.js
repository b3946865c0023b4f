/**
 * What the user has said or changed and the server has not answered yet, in the order in which it
 * was done. One at a time is on its way, so that all stays in order, but for what waits for a file;
 * the nonce makes it safe to send it again.
 */

const LONGEST_WAIT = 30_000; // ms
const PASSING = new Set(["rate_limited", "unavailable"]);

/** Whether what was refused with this code may be granted later. */
export const passes = (code) => PASSING.has(code);

const UPLOADS = 3; // times that a file is sent again which the server no longer has

/** The events that an entry can be. */
export const KINDS = new Set(["talk", "edit", "delete", "react", "topic"]);

/** How long to wait after so many tries, where the server does not say so. */
export function pause(seconds, tries) {
  return seconds ? seconds * 1000 : Math.min(LONGEST_WAIT, 1000 * 2 ** (tries - 1));
}

/** With one more entry; `now` in ms. */
export function added(state, event, room, data, nonce, now, file = null) {
  const entry = {
    nonce,
    event,
    room,
    user: state.user,
    data,
    time: new Date(now).toISOString(),
    problem: null,
    failed: false,
    notBefore: 0,
    tries: 0,
    upload: file && {
      key: nonce, // under which the file is kept
      name: file.name,
      size: file.size,
      type: file.type,
      blob: file,
      progress: 0,
      done: false,
    },
  };
  return { ...state, outbox: [...state.outbox, entry], notice: null };
}

/** The entries that were kept from an earlier visit come before those of this one. */
export function restored(state, entries) {
  const known = new Set(state.outbox.map(({ nonce }) => nonce));
  const others = entries.filter(({ nonce }) => !known.has(nonce));
  return others.length ? { ...state, outbox: [...others, ...state.outbox] } : state;
}

/** What is kept of an entry between visits: the file itself is kept elsewhere. */
export function kept({ upload, ...entry }) {
  const bare = upload && { ...upload, blob: null, progress: upload.done ? 1 : 0 };
  return { ...entry, notBefore: 0, upload: bare };
}

function replacing(state, nonce, change) {
  const outbox = state.outbox.map((entry) => (entry.nonce === nonce ? change(entry) : entry));
  return { ...state, outbox };
}

/** Without the entry of this nonce. */
export function discarded(state, nonce) {
  const outbox = state.outbox.filter((entry) => entry.nonce !== nonce);
  if (outbox.length === state.outbox.length) return state;
  return { ...state, outbox, inFlight: state.inFlight === nonce ? null : state.inFlight };
}

/** One that has failed is to be tried once more, under the nonce `fresh` if its own is used up. */
export function retried(state, nonce, fresh) {
  return replacing(state, nonce, (entry) => ({
    ...entry,
    nonce: entry.problem === "nonce_reused" || entry.problem === "other_user" ? fresh : nonce,
    user: state.user,
    problem: null,
    failed: false,
    notBefore: 0,
    tries: 0,
  }));
}

/** A nonce is a secret until it is told, so that alone says that an event is one of ours. */
export function settled(state, events) {
  if (state.outbox.length === 0) return state;
  const told = new Set(events.map(({ event, data }) => `${event} ${data.nonce}`));
  const outbox = state.outbox.filter(({ event, nonce }) => !told.has(`${event} ${nonce}`));
  if (outbox.length === state.outbox.length) return state;
  const inFlight = outbox.some(({ nonce }) => nonce === state.inFlight) ? state.inFlight : null;
  return { ...state, outbox, inFlight, notice: null };
}

/** With what an `error` says of the entry of this nonce. */
export function refused(state, nonce, { code, retry_after: seconds }, now) {
  const { event, data } = state.outbox.find((entry) => entry.nonce === nonce);
  const gone = code === "no_such_message";
  // What is deleted already needs neither that nor an emoji.
  if (gone && (event === "delete" || event === "react")) return discarded(state, nonce);
  const next = replacing(state, nonce, (entry) => {
    const tries = entry.tries + 1;
    // The answer is worth something without what it answers.
    if (gone && data.reply) return { ...entry, tries, data: { ...data, reply: undefined } };
    if (passes(code)) {
      return { ...entry, tries, problem: code, notBefore: now + pause(seconds, tries) };
    }
    if (code === "no_such_file" && entry.upload?.blob && tries < UPLOADS) {
      return { ...entry, tries, upload: { ...entry.upload, progress: 0, done: false } };
    }
    return { ...entry, tries, problem: code, failed: true };
  });
  return { ...next, inFlight: state.inFlight === nonce ? null : state.inFlight };
}

/**
 * The browser is somebody else now: what another user wrote is not said in this one's name unless
 * this one wants it; what another user was about to change stays as it is.
 */
export function disowned(state, user) {
  const adopted = (entry) => (entry.user === null ? { ...entry, user } : entry);
  const foreign = (entry) => entry.user !== user;
  const outbox = state.outbox
    .map(adopted)
    .filter((entry) => entry.event === "talk" || !foreign(entry))
    .map((entry) =>
      foreign(entry) && !entry.failed ? { ...entry, failed: true, problem: "other_user" } : entry,
    );
  return { ...state, outbox };
}

/** Ids mean something else now: no change is about what it was about. */
export function unrelated(state) {
  const outbox = state.outbox
    .filter(({ event }) => event === "talk" || event === "topic")
    .map((entry) =>
      entry.data.reply ? { ...entry, data: { ...entry.data, reply: undefined } } : entry,
    );
  return { ...state, outbox };
}

const lane = ({ event, room }) => `${event === "talk"} ${room}`;

/**
 * The first entries of each room, of what is said and of what is changed in it. What has no file
 * does not wait for a file that has still to arrive; files wait for those before them.
 */
function heads(state) {
  const found = new Map();
  const waiting = new Set();
  for (const entry of state.outbox) {
    const name = lane(entry);
    if (entry.failed || found.has(name)) continue;
    if (!entry.upload || (entry.upload.done && !waiting.has(name))) found.set(name, entry);
    else waiting.add(name);
  }
  return [...found.values()].filter(({ room }) => state.rooms[room]?.entered);
}

/** The entry that should go out now, if any. */
export function due(state, now) {
  if (!state.online || state.inFlight !== null) return null;
  return heads(state).find(({ notBefore }) => notBefore <= now) ?? null;
}

/** The entry of this nonce has been sent. */
export const sent = (state, nonce) => ({ ...state, inFlight: nonce });

/** When an entry that has to wait may go out. */
export const moments = (state) => heads(state).map(({ notBefore }) => notBefore);

// Files. An entry waits until its file has arrived; what has none goes before it.

/** The file that was kept of an entry, null if it is lost. */
export function found(state, nonce, blob) {
  return replacing(state, nonce, (entry) => {
    if (blob) return { ...entry, upload: { ...entry.upload, blob } };
    return entry.upload.done ? entry : { ...entry, failed: true, problem: "no_such_file" };
  });
}

/** So much of it, from 0 to 1, is there. */
export function progressed(state, nonce, progress) {
  return replacing(state, nonce, (entry) => ({ ...entry, upload: { ...entry.upload, progress } }));
}

/** It is there, as the server's `file`. */
export function uploaded(state, nonce, { id }) {
  return replacing(state, nonce, (entry) => ({
    ...entry,
    problem: null,
    data: { ...entry.data, file: { id, name: entry.upload.name } },
    upload: { ...entry.upload, progress: 1, done: true },
  }));
}

/** It was refused for good. */
export function unwanted(state, nonce, code) {
  return replacing(state, nonce, (entry) => ({ ...entry, failed: true, problem: code }));
}

/** The user takes a reaction back, or gives it again, before it went out: nothing happens then. */
export function undone(state, room, of, emoji, on) {
  return state.outbox.findLast(
    (entry) =>
      entry.event === "react" &&
      entry.room === room &&
      entry.data.of === of &&
      entry.data.emoji === emoji &&
      entry.data.on !== on &&
      !entry.failed &&
      entry.tries === 0 &&
      entry.nonce !== state.inFlight,
  );
}
