/** The one module that knows WebSocket: a connection that comes back by itself. */

export const BASE = 500; // ms; the first wait is a random part of it, and each later bound doubles
export const CAP = 30_000; // ms; no bound is longer
export const OPENING = 15_000; // ms within which a new connection has to say `init`
export const IDLE = 60_000; // ms without a word after which the server is asked for one
export const ANSWER = 5_000; // ms within which it has to answer
export const STABLE = 5_000; // ms after which a connection counts as a success

const GOODBYE = 1000; // RFC 6455, section 7.4.1: leave at once
const POLICY = 1008; // the server does not want us like this: no hurry to ask again
const ABNORMAL = 1006;
const NO_ANSWER = 4000;

const realClock = {
  now: () => Date.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Connects to `address()`, asked anew each time, and gives each event that comes to `receive`.
 *
 * Whenever `status` changes `changed(status)` is called. It has `state`: "connecting" until the
 * first event, then "open", "waiting" until `retryAt` (ms since 1970) after a loss, "closed" before
 * `open()`; `closed`: code and reason of the last loss, null before; and
 * `doubted`: whether an answer is awaited that shows that the connection still lives.
 */
export class Connection {
  status = { state: "closed", retryAt: null, closed: null, doubted: false };
  #socket = null;
  #cancel = () => {};
  #losses = 0;
  #openedAt = 0;
  #heardAt = 0;
  #parts;

  constructor({ address, receive, changed, ...parts }) {
    const real = { WebSocket: globalThis.WebSocket, clock: realClock, random: Math.random };
    this.#parts = { ...real, ...parts, address, receive, changed };
  }

  /** Connect now; a connection that there was is left with a goodbye. */
  open() {
    this.#release(GOODBYE);
    const socket = new this.#parts.WebSocket(this.#parts.address(), "chat.v1");
    socket.onmessage = ({ data }) => this.#heard(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#lost({ code, reason });
    this.#socket = socket;
    this.#after(OPENING, () => this.#drop());
    this.#change({ state: "connecting", retryAt: null, doubted: false });
  }

  /** Send one event, and return whether there was a connection to send it over. */
  send(event, data) {
    if (this.status.state !== "open") return false;
    this.#socket.send(JSON.stringify({ event, data }));
    return true;
  }

  /** The network is back, or the machine has slept: connect at once, or see who is still there. */
  wake() {
    if (this.status.state === "waiting") this.open();
    else this.probe();
  }

  /** Ask for a sign of life; without one the connection is given up. */
  probe() {
    if (this.status.doubted || !this.send("ping", {})) return;
    this.#after(ANSWER, () => this.#drop());
    this.#change({ doubted: true });
  }

  #heard(event) {
    const now = this.#parts.clock.now();
    this.#heardAt = now;
    if (this.status.state === "connecting") {
      this.#openedAt = now;
      this.#after(IDLE, () => this.#idle());
      this.#change({ state: "open", closed: null });
    } else if (this.status.doubted) {
      this.#after(IDLE, () => this.#idle());
      this.#change({ doubted: false });
    }
    this.#parts.receive(event);
  }

  #idle() {
    const quiet = this.#parts.clock.now() - this.#heardAt;
    if (quiet >= IDLE) this.probe();
    else this.#after(IDLE - quiet, () => this.#idle());
  }

  /** A dead connection takes minutes to close: it is not waited for. */
  #drop() {
    this.#release(NO_ANSWER);
    this.#lost({ code: ABNORMAL, reason: "" });
  }

  #lost(closed) {
    const { clock, random } = this.#parts;
    const now = clock.now();
    if (this.status.state === "open" && now - this.#openedAt >= STABLE) this.#losses = 0;
    this.#release(GOODBYE);
    const bound = Math.min(CAP, BASE * 2 ** this.#losses++);
    const wait = closed.code === POLICY ? CAP * (1 + random()) : bound * random();
    this.#after(wait, () => this.open());
    this.#change({ state: "waiting", retryAt: now + wait, closed, doubted: false });
  }

  #release(code) {
    this.#cancel();
    if (this.#socket === null) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(code);
    this.#socket = null;
  }

  #after(ms, act) {
    this.#cancel();
    this.#cancel = this.#parts.clock.after(ms, act);
  }

  #change(difference) {
    this.status = { ...this.status, ...difference };
    this.#parts.changed(this.status);
  }
}
