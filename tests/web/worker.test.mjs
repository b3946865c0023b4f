import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

// The rest of the worker is tested in a browser. But there only a real click on a notification may
// open a window, or bring one to the front.

const SOURCE = readFileSync(new URL("../../web/worker.js", import.meta.url), "utf8");
const PAGE = "https://chat.example/a/";

/** What the worker does when a notification with `data` is clicked while `pages` are open. */
async function clicked(data, pages) {
  const done = [];
  const heard = {};
  const self = {
    registration: { scope: PAGE },
    addEventListener: (name, act) => (heard[name] = act),
    clients: {
      matchAll: async () =>
        pages.map((url) => ({
          url,
          postMessage: (message) => done.push(["told", url, structuredClone(message)]),
          focus: async () => done.push(["focus", url]),
        })),
      openWindow: async (url) => done.push(["open", url]),
    },
  };
  runInNewContext(SOURCE, { self, URL, console });
  let waiting;
  const notification = { data, close: () => done.push(["close"]) };
  heard.notificationclick({ notification, waitUntil: (promise) => (waiting = promise) });
  await waiting;
  return done;
}

test("a click on a notification opens the room where no page is open", async () => {
  const elsewhere = ["https://chat.example/", "https://chat.example/a/health", "https://b.example/a/"];
  assert.deepEqual(await clicked({ room: "tea", id: 7 }, elsewhere), [
    ["close"],
    ["open", `${PAGE}#/tea?at=7`],
  ]);
  assert.deepEqual((await clicked({ room: "@1-2", id: 7 }, []))[1], ["open", `${PAGE}#/@1-2?at=7`]);
  assert.deepEqual((await clicked(null, []))[1], ["open", PAGE]);
});

test("a click on a notification goes to the page that is open", async () => {
  const told = { open: { room: "tea", id: 7 } };
  assert.deepEqual(await clicked({ room: "tea", id: 7 }, [`${PAGE}#/lobby`, PAGE]), [
    ["close"],
    ["told", `${PAGE}#/lobby`, told],
    ["focus", `${PAGE}#/lobby`],
  ]);
});

test("the page that shows the room comes before others", async () => {
  const pages = [`${PAGE}#/lobby`, `${PAGE}#/tea`];
  assert.deepEqual((await clicked({ room: "tea", id: 7 }, pages)).at(-1), ["focus", pages[1]]);
  const direct = [`${PAGE}#/tea`, `${PAGE}#/@1-2`];
  assert.deepEqual((await clicked({ room: "@1-2", id: 7 }, direct)).at(-1), ["focus", direct[1]]);
});
