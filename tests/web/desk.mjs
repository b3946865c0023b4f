/** A page without a screen: a state, what it sends, and the events that tests have it hear. */

import * as known from "../../web/state.js";

export const ADA = { id: 1, name: "Ada" };
export const BO = { id: 2, name: "Bo" };
export const CY = { id: 3, name: "Cy" };
export const TIME = "2026-01-02T03:04:05.000Z";

/** A message as the server tells it. */
export function message(id, from = BO, more = {}) {
  return { id, room: "lobby", message: `text ${id}`, type: "text", from, time: TIME, ...more };
}

export const messages = (first, last, from = BO, more = {}) =>
  Array.from({ length: last - first + 1 }, (_, at) => message(first + at, from, more));

/** The data of an `init`. */
export function init(more = {}) {
  const last = more.messages?.at(-1)?.id ?? 0;
  return {
    room: "lobby",
    self: { ...ADA, token: "t" },
    users: [ADA],
    count: 1,
    messages: [],
    resumed: false,
    more: false,
    epoch: "e",
    limits: {},
    last,
    ...more,
  };
}

export const ids = (list) => list.map(({ id }) => id);

/** Freeze all of `value`: whoever changes it throws. */
export function frozen(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(Object.freeze(value)).forEach(frozen);
  }
  return value;
}

export class Desk {
  now = 1_000_000;
  sent = [];
  #count = 0;

  constructor(room = "lobby", user = null) {
    this.state = known.fresh(room, user);
  }

  /** A page that has entered the lobby, by an `init` with `more`. */
  static in(more) {
    const desk = new Desk();
    desk.dial();
    desk.hear("init", init(more));
    desk.sent = [];
    return desk;
  }

  /** Connect; returns with what. */
  dial() {
    this.go(known.dialling(this.state));
    return known.entrance(this.state);
  }

  /** Go on from another state, as the page does. */
  go(next) {
    const { state, commands } = known.step(frozen(next), this.now);
    this.state = frozen(state);
    this.sent.push(...commands);
    return this;
  }

  /** Do one of the things that take a state first. */
  do(what, ...rest) {
    return this.go(known[what](this.state, ...rest));
  }

  /** Do one of the things that take a nonce and the time last; returns the nonce. */
  write(what, ...rest) {
    const nonce = `n${++this.#count}`;
    this.go(known[what](this.state, ...rest, nonce, this.now));
    return nonce;
  }

  hear(event, data) {
    return this.go(known.apply(this.state, frozen({ event, data }), this.now));
  }

  cut() {
    return this.go(known.cut(this.state));
  }

  /** Let time pass, to each moment at which the page would look. */
  later(ms) {
    const end = this.now + ms;
    for (;;) {
      const next = known.nextMoment(this.state, this.now);
      if (next === null || next > end) break;
      this.now = next;
      this.go(this.state);
    }
    this.now = end;
    return this.go(this.state);
  }

  /** What was sent since the last time, of the kind `event` if that is given. */
  took(event) {
    const took = this.sent.filter((command) => event === undefined || command.event === event);
    this.sent = this.sent.filter((command) => !took.includes(command));
    return event === undefined ? took : took.map(({ data }) => data);
  }

  get room() {
    return known.room(this.state);
  }

  get ids() {
    return ids(this.room.messages);
  }
}
