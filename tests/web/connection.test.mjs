import assert from "node:assert/strict";
import { test } from "node:test";

import { ANSWER, BASE, CAP, Connection, IDLE, OPENING, STABLE } from "../../web/connection.js";

const INIT = { event: "init", data: {} };

/** A clock that goes on only when it is told to. */
class Clock {
  time = 0;
  #timers = new Set();

  now = () => this.time;

  after = (ms, act) => {
    const timer = { at: this.time + ms, act };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  advance(ms) {
    const end = this.time + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (!next || next.at > end) break;
      this.#timers.delete(next);
      this.time = next.at;
      next.act();
    }
    this.time = end;
  }
}

/** One that records what is done to it, and says what it is told to. */
class Socket {
  static opened = [];
  sent = [];
  closedWith = null;

  constructor(address, protocol) {
    Object.assign(this, { address, protocol });
    Socket.opened.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
  }

  says(event) {
    this.onmessage?.({ data: JSON.stringify(event) });
  }

  ends(code, reason = "") {
    this.onclose?.({ code, reason });
  }
}

function start({ random = () => 0.5 } = {}) {
  Socket.opened = [];
  const clock = new Clock();
  const received = [];
  const states = [];
  const connection = new Connection({
    address: () => `ws://room/ws?n=${Socket.opened.length}`,
    receive: (event) => received.push(event),
    changed: ({ state }) => states.push(state),
    WebSocket: Socket,
    clock,
    random,
  });
  connection.open();
  return { clock, connection, received, states, last: () => Socket.opened.at(-1) };
}

test("it is open with the first event, not before", () => {
  const { connection, received, states, last } = start();
  assert.equal(last().protocol, "chat.v1");
  assert.equal(connection.send("talk", {}), false);
  last().says(INIT);
  assert.equal(connection.send("talk", { message: "hi" }), true);
  assert.deepEqual(last().sent, [{ event: "talk", data: { message: "hi" } }]);
  assert.deepEqual([states, received], [["connecting", "open"], [INIT]]);
});

test("waits are a random part of a bound that doubles up to its cap", () => {
  const shares = [0, 0.25, 0.999];
  for (const share of shares) {
    const { clock, connection, last } = start({ random: () => share });
    for (const losses of Array(12).keys()) {
      last().ends(1006);
      const wait = share * Math.min(CAP, BASE * 2 ** losses);
      assert.equal(connection.status.retryAt, clock.time + wait);
      clock.advance(wait);
      assert.equal(Socket.opened.length, losses + 2);
    }
  }
});

test("only a connection that lasted makes the next wait short again", () => {
  const { clock, connection, last } = start();
  const wait = () => connection.status.retryAt - clock.time;
  for (const expected of [0.5, 1, 2].map((factor) => factor * BASE)) {
    last().says(INIT);
    last().ends(1006);
    assert.equal(wait(), expected);
    clock.advance(expected);
  }
  last().says(INIT);
  clock.advance(STABLE);
  last().ends(1012);
  assert.equal(wait(), 0.5 * BASE);
});

test("a server that closes by its rules is asked again slowly, and why is known", () => {
  const { clock, connection, last } = start();
  last().says(INIT);
  last().ends(1008, "too many errors");
  assert.deepEqual(connection.status.closed, { code: 1008, reason: "too many errors" });
  clock.advance(CAP - 1);
  assert.equal(Socket.opened.length, 1);
  clock.advance(CAP);
  assert.equal(Socket.opened.length, 2);
});

test("waking up connects at once, and only once", () => {
  const { clock, connection, last } = start();
  last().ends(1006);
  connection.wake();
  connection.wake();
  assert.equal(Socket.opened.length, 2);
  last().says(INIT);
  clock.advance(CAP);
  assert.equal(Socket.opened.length, 2, "the wait that there was is off");
});

test("a connection that gives no sign of life after waking up is given up", () => {
  const { clock, connection, last } = start();
  const dead = last();
  dead.says(INIT);
  connection.wake();
  connection.wake();
  assert.deepEqual(dead.sent, [{ event: "ping", data: {} }]);
  clock.advance(ANSWER);
  assert.equal(connection.status.state, "waiting");
  assert.notEqual(dead.closedWith, null);
  dead.says({ event: "talk", data: {} });
  dead.ends(1006);
  clock.advance(BASE);
  assert.equal(Socket.opened.length, 2, "the late end of the dead one changes nothing");
});

test("anything the server says is a sign of life", () => {
  const { clock, connection, last } = start();
  last().says(INIT);
  connection.probe();
  assert.equal(connection.status.doubted, true);
  clock.advance(ANSWER - 1);
  last().says({ event: "talk", data: {} });
  assert.equal(connection.status.doubted, false);
  clock.advance(ANSWER);
  assert.equal(connection.status.state, "open");
});

test("a long silence is asked about, counted from the last word", () => {
  const { clock, last } = start();
  last().says(INIT);
  clock.advance(IDLE - 1);
  last().says({ event: "talk", data: {} });
  clock.advance(IDLE - 1);
  assert.deepEqual(last().sent, []);
  clock.advance(1);
  assert.deepEqual(last().sent, [{ event: "ping", data: {} }]);
  last().says({ event: "pong", data: {} });
  clock.advance(IDLE);
  assert.equal(last().sent.length, 2);
});

test("a connection that never says `init` is given up", () => {
  const { clock, connection, last } = start();
  clock.advance(OPENING);
  assert.equal(connection.status.state, "waiting");
  assert.notEqual(last().closedWith, null);
});

test("opening again leaves the old connection with a goodbye", () => {
  const { connection, received, last } = start();
  const old = last();
  old.says(INIT);
  connection.open();
  assert.equal(old.closedWith, 1000);
  old.says({ event: "talk", data: {} });
  assert.deepEqual(received, [INIT]);
});
