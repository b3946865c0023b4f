/**
 * Pages without screens, for `test_agreement.py`: what they are told to do comes in by lines of
 * JSON, [page, act, ...arguments], and is answered by lines, [result, commands, what went wrong].
 */

import { createInterface } from "node:readline";

import * as known from "../../web/state.js";
import { SIZES } from "../../web/state/window.js";
import { Desk } from "./desk.mjs";

Object.assign(SIZES, { window: 12, page: 4, followed: 8, aside: 4 });

const desks = new Map();

const acts = {
  open: (_, page, room) => void desks.set(page, new Desk(room)),
  dial: (desk) => desk.dial(),
  cut: (desk) => void desk.cut(),
  later: (desk, ms) => void desk.later(ms),
  do: (desk, what, ...rest) => void desk.do(what, ...rest),
  write: (desk, what, ...rest) => desk.write(what, ...rest),
  hear(desk, events) {
    for (const { event, data } of events) desk.hear(event, data);
  },

  /** What the user sees of a room. */
  essence(desk, name) {
    const room = desk.state.rooms[name];
    if (!room) return null;
    const { more, newer, last, read, told, unread, mentions, paging } = room;
    const [topic, messages] = [known.topicOf(desk.state, name), known.shown(desk.state, name)];
    const counts = { read, told, unread, mentions };
    return { topic, messages, more, newer, last, paging, ...counts, entered: room.entered };
  },

  /** What waits for an answer. */
  waiting({ state }) {
    const { outbox, inFlight, asked, rooms, current } = state;
    const joining = Object.values(rooms).filter((room) => room.joining);
    // What was written for a room that could not be entered waits until it can.
    const open = outbox.filter(({ failed, room }) => !failed && rooms[room]?.wanted);
    const asking = Object.keys(asked);
    return { current, open: open.length, inFlight, asked: asking, joining: joining.length };
  },

  /** Give up what was refused. */
  tidy(desk) {
    for (const { nonce, failed } of desk.state.outbox) if (failed) desk.do("discard", nonce);
  },
};

function answer(page, act, ...rest) {
  try {
    const desk = desks.get(page);
    const result = act === "open" ? acts.open(desk, page, ...rest) : acts[act](desk, ...rest);
    return [result ?? null, desks.get(page).took(), null];
  } catch (error) {
    return [null, [], error.stack];
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(...JSON.parse(line)))}\n`);
}
