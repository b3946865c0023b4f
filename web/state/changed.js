/** What a message is after changes: those that came, and one's own that are still on their way. */

/** How many different emoji a message has at most, and how many reactions in all. */
const EMOJI = 20;
const GIVEN = 500;

/**
 * `message` after `change`, an event of the wire (`{event, data}`) that is about it. What is
 * contained already changes nothing, nor does a change of what was deleted. A reaction that would be
 * one too many changes nothing but `changed`.
 */
export function changed(message, { event, data }) {
  if (message.deleted || (message.changed ?? 0) >= data.id) return message;
  const next = Object.hasOwn(kinds, event) ? kinds[event](message, data) : message;
  return next === message ? message : { ...next, changed: data.id };
}

const kinds = {
  edit(message, { message: text, type, html, mentions, time }) {
    return { ...message, message: text, type, html, mentions, edited: time };
  },

  delete({ id, room, type, from, time, nonce }) {
    return { id, room, message: "", type, from, time, nonce, deleted: true };
  },

  react(message, { emoji, on, from }) {
    const reactions = reacted(message.reactions ?? [], emoji, on, from);
    return { ...message, reactions: reactions.length ? reactions : undefined };
  },
};

/** Reactions in the order in which each emoji was first given. */
function reacted(reactions, emoji, on, user) {
  const given = reactions.find((reaction) => reaction.emoji === emoji);
  const users = (given?.users ?? []).filter(({ id }) => on || id !== user.id);
  if (on && !users.some(({ id }) => id === user.id)) {
    if (full(reactions, given)) return reactions;
    users.push(user);
  }
  const next = { emoji, users };
  const all = given ? reactions.map((other) => (other === given ? next : other)) : [...reactions];
  if (!given) all.push(next);
  return all.filter(({ users: left }) => left.length > 0);
}

function full(reactions, given) {
  const count = reactions.reduce((sum, { users }) => sum + users.length, 0);
  return count >= GIVEN || (!given && reactions.length >= EMOJI);
}

// What was laid over what, so that the same comes out for the same.
const overlaid = new WeakMap(); // message → {entries, result}
const windows = new WeakMap(); // array of messages → {entries, result}

const same = (a, b) => a.length === b.length && a.every((entry, at) => entry === b[at]);

/** The messages of `room` as they will be after `outbox`, whose entries wait to be told. */
export function overlay(messages, outbox, room, self) {
  const entries = outbox.filter((entry) => entry.data.of !== undefined && entry.room === room);
  if (entries.length === 0) return messages;
  const before = windows.get(messages);
  if (before && same(before.entries, entries)) return before.result;
  const about = grouped(entries);
  const result = messages.map((message) => {
    const own = about.get(message.id);
    return own ? laidOver(message, own, self) : message;
  });
  windows.set(messages, { entries, result });
  return result;
}

function grouped(entries) {
  const about = new Map();
  for (const entry of entries) {
    const { of } = entry.data;
    about.set(of, [...(about.get(of) ?? []), entry]);
  }
  return about;
}

function laidOver(message, entries, self) {
  const before = overlaid.get(message);
  if (before && same(before.entries, entries)) return before.result;
  const applied = entries
    .filter(({ failed }) => !failed)
    .reduce((next, entry) => expected(next, entry, self), message);
  const result = { ...applied, pending: entries };
  overlaid.set(message, { entries, result });
  return result;
}

/** What `entry` will make of `message`; the HTML of a text is known to the server alone. */
function expected(message, { event, data, time }, self) {
  const type = data.type ?? message.type;
  const told = { ...data, type, time, from: self, id: Infinity };
  const next = changed({ ...message, changed: 0 }, { event, data: told });
  return { ...next, changed: message.changed };
}
