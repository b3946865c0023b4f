/**
 * What the page knows, as plain data, and how each thing that happens changes it.
 *
 * Every function here is pure: it takes a state and returns the next one, sharing what did not
 * change, so that a view sees by identity whether its part is still the same. Times are
 * milliseconds and are passed in.
 */

/** How long somebody counts as typing after the last word of it. */
export const TYPING_LAPSE = 6_000;

const LONGEST_WAIT = 30_000;
const PASSING = new Set(["rate_limited", "unavailable"]);

/** The state of a page that has just entered `room`; unsent messages come along. */
export function fresh(room, before = { outbox: [], era: 0 }) {
  return {
    room,
    online: false, // an `init` has come over the present connection
    epoch: null, // the one that the ids in `messages` belong to
    self: null, // {id, name}
    limits: { message: 4000, name: 32 },
    users: [], // {id, name}; a sample of them in a big room
    count: 0, // how many are here, in any room
    messages: [], // by id, without a hole; `era` changes when they are not the same log any more
    era: before.era + 1,
    more: false, // there are older ones than the first of `messages`
    older: { before: null, notBefore: 0 }, // the page of history that is asked for
    notes: [], // {after, changes}: who came, went, was renamed after the message of that id
    typing: [], // {id, name, until}
    outbox: before.outbox, // {nonce, room, message, problem, notBefore, tries, failed}
    inFlight: null, // the nonce whose answer is awaited
    renaming: null, // {name, problem}: the wished name, until it is had
    notice: null, // an `error` to show, as it came
  };
}

/** The id of the newest message at hand, 0 without one. */
export function newest(state) {
  return state.messages.at(-1)?.id ?? 0;
}

/** The next state after an event from the wire. What is unknown or of another room changes nothing. */
export function apply(state, { event, data }, now) {
  return Object.hasOwn(wire, event) ? wire[event](state, data, now) : state;
}

const wire = {
  init(state, data) {
    if (state.online && data.room !== state.room) return state;
    const resumed = data.resumed && data.room === state.room && state.epoch !== null;
    const log = resumed ? {} : { messages: [], notes: [], more: data.more, era: state.era + 1 };
    const { id, name } = data.self;
    // The server may write the room's name in another way than its address did.
    const moved = (entry) => (entry.room === state.room ? { ...entry, room: data.room } : entry);
    return take(
      {
        ...state,
        ...log,
        online: true,
        room: data.room,
        outbox: state.outbox.map(moved),
        epoch: data.epoch,
        self: { id, name },
        limits: { ...state.limits, ...data.limits },
        users: data.users,
        count: data.count ?? data.users.length,
        typing: [],
        renaming: state.renaming?.name === name ? null : state.renaming,
      },
      data.messages,
    );
  },

  talk(state, message) {
    return message.room === state.room ? take(state, [message]) : settle(state, [message]);
  },

  history(state, data) {
    if (data.room !== state.room || state.older.before === null) return state;
    const first = state.messages[0]?.id;
    const asked = state.older.before;
    const answered = { ...state, older: { before: null, notBefore: 0 } };
    if (asked !== first) return answered; // the log was replaced after the question
    const messages = data.messages.filter((message) => message.id < first);
    return {
      ...answered,
      messages: [...messages, ...state.messages],
      more: data.more && messages.length > 0,
    };
  },

  join(state, { room, id, name }) {
    if (room !== state.room || state.users.some((user) => user.id === id)) return state;
    const users = [...state.users, { id, name }];
    return note({ ...state, users, count: state.count + 1 }, { kind: "join", id, name });
  },

  exit(state, { room, id, name }) {
    if (room !== state.room) return state;
    const users = without(state.users, [id]);
    const typing = without(state.typing, [id]);
    const count = Math.max(state.count - 1, users.length);
    return note({ ...state, users, typing, count }, { kind: "exit", id, name });
  },

  rename(state, { room, id, name, was }) {
    if (room !== state.room) return state;
    const renamed = (user) => (user.id === id ? { ...user, name } : user);
    const mine = state.self?.id === id;
    const next = {
      ...state,
      users: state.users.map(renamed),
      typing: state.typing.map(renamed),
      self: mine ? { id, name } : state.self,
      renaming: mine ? null : state.renaming,
      notice: mine ? null : state.notice,
    };
    return note(next, { kind: "rename", id, name, was });
  },

  presence(state, { room, count, joined = [], left = [] }) {
    if (room !== state.room) return state;
    const changed = [...joined, ...left].map((user) => user.id);
    return { ...state, count, users: [...without(state.users, changed), ...joined] };
  },

  typing(state, { room, id, name }, now) {
    if (room !== state.room || id === state.self?.id) return state;
    const typing = [...without(state.typing, [id]), { id, name, until: now + TYPING_LAPSE }];
    return { ...state, typing };
  },

  error(state, error, now) {
    const { code, event, nonce, retry_after: seconds } = error;
    const about = nonce ?? (event === "talk" ? state.inFlight : null);
    if (state.outbox.some((entry) => entry.nonce === about)) {
      return refused(state, about, code, seconds, now);
    }
    if (event === "rename" && state.renaming) {
      return { ...state, renaming: { ...state.renaming, problem: error } };
    }
    if (event === "history") {
      const notBefore = now + wait(seconds, 1);
      return { ...state, older: { before: null, notBefore } };
    }
    return event === "typing" || event === "ping" ? state : { ...state, notice: error };
  },
};

function without(users, ids) {
  return users.some((user) => ids.includes(user.id))
    ? users.filter((user) => !ids.includes(user.id))
    : users;
}

/** Messages in the room's order: those not seen yet are appended, and the outbox loses its own. */
function take(state, messages) {
  const last = newest(state);
  const unseen = messages.filter((message) => message.id > last);
  if (unseen.length === 0) return settle(state, messages);
  const writers = unseen.map((message) => message.from.id);
  return settle(
    {
      ...state,
      messages: [...state.messages, ...unseen],
      typing: without(state.typing, writers),
    },
    messages,
  );
}

/** A nonce is a secret until it is said, so that alone tells that a message is one of ours. */
function settle(state, messages) {
  if (state.outbox.length === 0) return state;
  const said = new Set(messages.map((message) => message.nonce));
  if (!state.outbox.some((entry) => said.has(entry.nonce))) return state;
  return {
    ...state,
    outbox: state.outbox.filter((entry) => !said.has(entry.nonce)),
    inFlight: said.has(state.inFlight) ? null : state.inFlight,
    notice: null,
  };
}

function refused(state, nonce, code, seconds, now) {
  const outbox = state.outbox.map((entry) => {
    if (entry.nonce !== nonce) return entry;
    const tries = entry.tries + 1;
    return PASSING.has(code)
      ? { ...entry, tries, problem: code, notBefore: now + wait(seconds, tries) }
      : { ...entry, tries, problem: code, failed: true };
  });
  return { ...state, outbox, inFlight: state.inFlight === nonce ? null : state.inFlight };
}

function wait(seconds, tries) {
  return seconds ? seconds * 1000 : Math.min(LONGEST_WAIT, 1000 * 2 ** (tries - 1));
}

/**
 * One note stands between two messages, and says what is different from the one to the other:
 * who came and went again in between is not mentioned.
 */
function note(state, change) {
  const after = newest(state);
  const open = state.notes.at(-1)?.after === after ? state.notes.at(-1) : { after, changes: [] };
  const earlier = open.changes.find(({ id }) => id === change.id);
  const changes = open.changes.filter((other) => other !== earlier);
  const told = both(earlier, change);
  if (told) changes.push(told);
  const notes = state.notes.filter((other) => other !== open);
  if (changes.length) notes.push({ after, changes });
  return { ...state, notes };
}

function both(earlier, later) {
  if (later.kind === "rename") {
    const whole = { ...(earlier ?? later), name: later.name };
    return whole.was === whole.name ? null : whole;
  }
  return earlier && earlier.kind !== "rename" ? null : later;
}

// What the page does by itself.

/** The connection is gone: nothing that was asked will be answered. */
export function cut(state) {
  if (!state.online && state.inFlight === null) return state;
  const older = { before: null, notBefore: 0 };
  return { ...state, online: false, inFlight: null, older, typing: [] };
}

/** A message to be said; `nonce` names it until it is. */
export function say(state, nonce, message) {
  const entry = { nonce, room: state.room, message, problem: null, notBefore: 0, tries: 0 };
  return { ...state, outbox: [...state.outbox, { ...entry, failed: false }], notice: null };
}

/** Take a message back that is not said. */
export function discard(state, nonce) {
  return { ...state, outbox: state.outbox.filter((entry) => entry.nonce !== nonce) };
}

/** The message that should go out now, if any: one at a time, so that they stay in order. */
export function due(state, now) {
  if (!state.online || state.inFlight !== null) return null;
  const head = waiting(state)[0];
  return head && head.notBefore <= now ? head : null;
}

function waiting(state) {
  return state.outbox.filter((entry) => entry.room === state.room && !entry.failed);
}

/** The message of this nonce has been sent. */
export function sent(state, nonce) {
  return { ...state, inFlight: nonce };
}

/** Whether an older page of history can be asked for. */
export function hasOlder(state, now) {
  const { before, notBefore } = state.older;
  return state.online && state.more && before === null && notBefore <= now && newest(state) > 0;
}

/** The page before the first message at hand has been asked for. */
export function askedOlder(state) {
  return { ...state, older: { before: state.messages[0].id, notBefore: 0 } };
}

/** A wish for another name, null to give it up. */
export function wish(state, name) {
  return { ...state, renaming: name === null ? null : { name, problem: null } };
}

/** The user has read the notice. */
export function dismiss(state) {
  return { ...state, notice: null };
}

/** Those whose typing has lapsed are no longer typing. */
export function lapse(state, now) {
  const typing = state.typing.filter((user) => user.until > now);
  return typing.length === state.typing.length ? state : { ...state, typing };
}

/** When, without any event, there is next something to do; null for never. */
export function nextMoment(state, now) {
  const moments = state.typing.map((user) => user.until);
  if (state.online) {
    moments.push(state.older.notBefore, waiting(state)[0]?.notBefore ?? 0);
  }
  const ahead = moments.filter((moment) => moment > now);
  return ahead.length ? Math.min(...ahead) : null;
}
