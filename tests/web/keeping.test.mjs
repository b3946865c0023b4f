import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Memory } from "../../web/memory.js";
import { Tab } from "../../web/tab.js";
import { Unsent } from "../../web/unsent.js";
import { ADA, Desk } from "./desk.mjs";

/** What a browser has for all its tabs: storage and locks. */
class Browser {
  #kept = new Map();
  #held = new Map(); // name of a lock → those who wait for it
  #tabs = new Set();

  get storage() {
    const kept = this.#kept;
    return {
      get length() {
        return kept.size;
      },
      key: (at) => [...kept.keys()][at],
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, String(value)),
      removeItem: (key) => kept.delete(key),
    };
  }

  get keys() {
    return [...this.#kept.keys()];
  }

  session(before = {}) {
    const kept = new Map(Object.entries(before));
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      all: () => Object.fromEntries(kept),
    };
  }

  /** A tab with its part of the lock manager; `close()` lets go of all it has. */
  tab(session = this.session(), { locked = true } = {}) {
    const memory = new Memory(() => this.storage, "/");
    const holder = { freed: new Set() };
    const locks = locked ? { request: (...rest) => this.#request(holder, ...rest) } : null;
    const unsent = new Unsent(memory, new Tab(memory, "/", { session, locks }));
    const adopted = [];
    const close = () => holder.freed.forEach((free) => free());
    this.#tabs.add(holder);
    return {
      unsent,
      adopted,
      session,
      memory,
      close,
      begin: () => unsent.begin((entries) => adopted.push(...entries)),
    };
  }

  async #request(holder, name, options, act = options) {
    const { ifAvailable = false, signal } = act === options ? {} : options;
    if (ifAvailable && this.#held.has(name)) return act(null);
    while (this.#held.has(name)) {
      const alive = signal && setInterval(() => {}, 1_000); // a signal keeps no process waiting
      const freed = new Promise((free) => this.#held.get(name).push(free));
      const late = new Promise((_, reject) => signal?.addEventListener("abort", reject));
      await Promise.race([freed, late]).finally(() => clearInterval(alive));
    }
    this.#held.set(name, []);
    const gone = new Promise((free) => holder.freed.add(free));
    const result = await Promise.race([act({ name }), gone]);
    const waiting = this.#held.get(name);
    this.#held.delete(name);
    for (const free of waiting) free();
    return result;
  }
}

globalThis.addEventListener = () => {};

const turns = async (count = 20) => {
  for (let turn = 0; turn < count; turn++) await null;
};

function holding(...texts) {
  const desk = Desk.in();
  desk.cut();
  for (const text of texts) desk.write("say", { text });
  return desk.state;
}

const said = (entries) => entries.map(({ data }) => data.message);

test("what a tab has not sent is there again after its reload", async () => {
  const browser = new Browser();
  const before = browser.tab();
  await before.begin();
  before.unsent.keep(holding("one", "two"));
  before.close();
  await turns();
  const after = browser.tab(before.session);
  await after.begin();
  assert.deepEqual(said(after.adopted), ["one", "two"]);
  after.unsent.keep(holding());
  assert.deepEqual(browser.keys, [], "nothing is kept of nothing");
});

test("each tab has its own; what a closed one leaves goes to one of the others, after a while", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const browser = new Browser();
    const [first, second, third] = [browser.tab(), browser.tab(), browser.tab()];
    await first.begin();
    first.unsent.keep(holding("left"));
    await second.begin();
    await third.begin();
    await turns();
    assert.deepEqual([second.adopted, third.adopted], [[], []], "its owner is there");
    first.close();
    await turns();
    assert.deepEqual([second.adopted, third.adopted], [[], []], "it may be back from a reload");
    mock.timers.tick(3_000);
    await turns();
    assert.deepEqual(said([...second.adopted, ...third.adopted]), ["left"]);
    assert.deepEqual(browser.keys, []);
  } finally {
    mock.timers.reset();
  }
});

test("a tab that is back from a reload keeps what is its own", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const browser = new Browser();
    const [first, second] = [browser.tab(), browser.tab()];
    await first.begin();
    first.unsent.keep(holding("mine"));
    await second.begin();
    first.close();
    await turns();
    const again = browser.tab(first.session);
    await again.begin();
    mock.timers.tick(3_000);
    await turns();
    assert.deepEqual([said(again.adopted), second.adopted], [["mine"], []]);
    again.close();
    await turns();
    mock.timers.tick(3_000);
    await turns();
    assert.deepEqual(said(second.adopted), ["mine"], "but not for ever");
  } finally {
    mock.timers.reset();
  }
});

test("a duplicated tab is another one", async () => {
  const browser = new Browser();
  const first = browser.tab();
  await first.begin();
  first.unsent.keep(holding("one"));
  const twin = browser.tab(browser.session(first.session.all()));
  await twin.begin();
  assert.deepEqual(twin.adopted, []);
  twin.unsent.keep(holding("two"));
  assert.equal(browser.keys.length, 2);
});

test("without locks a tab is gone when it has been silent for long", async () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  try {
    const browser = new Browser();
    const first = browser.tab(undefined, { locked: false });
    await first.begin();
    first.unsent.keep(holding("left"));
    const second = browser.tab(undefined, { locked: false });
    await second.begin();
    mock.timers.tick(600_000);
    assert.deepEqual(second.adopted, []);
    mock.timers.reset(); // and with that all that would give a sign of life
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 700_000 });
    const third = browser.tab(undefined, { locked: false });
    await third.begin();
    mock.timers.tick(200_000);
    assert.deepEqual(said(third.adopted), ["left"]);
  } finally {
    mock.timers.reset();
  }
});

test("what is being written is kept for all tabs, room by room, and for its writer alone", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const browser = new Browser();
    const [first, second] = [browser.tab(), browser.tab()];
    await Promise.all([first.begin(), second.begin()]);
    const desk = Desk.in().do("draft", { text: "in the lobby" });
    first.unsent.keep(holding());
    first.unsent.keep(desk.state);
    mock.timers.tick(300);
    const other = Desk.in().do("show", "tea").do("draft", { text: "in tea" });
    second.unsent.keep(holding());
    second.unsent.keep(other.state);
    second.unsent.flush();
    const texts = (drafts) => Object.entries(drafts).map(([room, { text }]) => [room, text]);
    const third = browser.tab();
    assert.deepEqual(texts(third.unsent.drafts(ADA.id)), [
      ["lobby", "in the lobby"],
      ["tea", "in tea"],
    ]);
    assert.deepEqual(texts(browser.tab().unsent.drafts(2)), []);
    first.unsent.keep(desk.do("draft", { text: "" }).state);
    first.unsent.flush();
    assert.deepEqual(texts(browser.tab().unsent.drafts(ADA.id)), [["tea", "in tea"]]);
  } finally {
    mock.timers.reset();
  }
});

test("where the browser keeps nothing, or no more, it is known that nothing lasts", (context) => {
  context.mock.method(console, "info", () => {});
  context.mock.method(console, "warn", () => {});
  const denied = new Memory(() => {
    throw new Error("denied");
  }, "/");
  denied.token = "t";
  denied.keep("outbox 1", [1]);
  assert.deepEqual([denied.token, denied.recall("outbox 1"), denied.lasting], ["t", [1], false]);
  assert.deepEqual(denied.keys("outbox "), ["outbox 1"]);
  const { storage } = new Browser();
  const full = new Memory(() => ({ ...storage, setItem: () => assert.fail("full") }), "/");
  assert.equal(full.lasting, true);
  full.keep("outbox 1", [1]);
  assert.equal(full.lasting, false);
});

test("what was remembered and cannot be read is nothing", (context) => {
  const warned = context.mock.method(console, "warn", () => {});
  const { storage } = new Browser();
  storage.setItem("chatroom / drafts", "{");
  const memory = new Memory(() => storage, "/");
  assert.deepEqual([memory.recall("drafts"), memory.recall("other")], [null, null]);
  assert.equal(warned.mock.callCount(), 1);
});
