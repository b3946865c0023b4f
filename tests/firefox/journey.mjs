/**
 * Two people in Firefox. It runs beside `node_modules`, and is told where the room is, where
 * Firefox, and where a picture. What it wants done with the server it prints ("kill", "start"), and
 * goes on when it reads a line.
 */

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import puppeteer from "puppeteer-core";

const [url, executablePath, picture] = process.argv.slice(2);
const PATIENT = 60_000; // ms: others have the machine, too
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1000, height: 700 };
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const LOST = /^(?:Firefox can’t establish a connection|The connection to ws:\S+ was interrupted)/;
const complaints = [];
let gone = false; // the server is, and Firefox may say so

function complain(text) {
  if (!(gone && LOST.test(text))) complaints.push(text);
}

async function server(what) {
  console.log(what);
  await answers.next();
}

/** Somebody with a browser of their own. */
async function visitor(browser, room) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage({ type: "window" }); // in a tab behind another nothing moves
  page.setDefaultTimeout(PATIENT);
  await page.setViewport(DESKTOP);
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) complain(message.text());
  });
  page.on("pageerror", ({ message }) => complain(message));
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
      console.error("violated:", violatedDirective, blockedURI),
    );
  });
  await page.goto(new URL(`#/${room}`, url).href);
  await page.waitForFunction(() => document.querySelector("#self-name").textContent !== "");
  return page;
}

async function called(page, name) {
  await page.locator("#name").fill(name);
  await page.locator("#naming .primary").click();
  await reads(page, "#self-name", [name]);
}

const textsOf = (selector) =>
  [...document.querySelectorAll(selector)].map(({ textContent }) => textContent.trim());

/** Wait until the nodes of `selector` have exactly these texts. */
async function reads(page, selector, texts) {
  const same = (selector, texts) => {
    const nodes = [...document.querySelectorAll(selector)];
    return (
      nodes.length === texts.length &&
      nodes.every(({ textContent }, at) => textContent.trim() === texts[at])
    );
  };
  try {
    await page.waitForFunction(same, {}, selector, texts);
  } catch {
    assert.deepEqual(await page.evaluate(textsOf, selector), texts);
  }
}

async function hidden(page, selector) {
  const unseen = (selector) =>
    getComputedStyle(document.querySelector(selector)).visibility === "hidden";
  await page.waitForFunction(unseen, {}, selector);
}

const SAID = "#messages .text";

async function write(page, text) {
  await page.focus("#text");
  for (const [at, line] of text.split("\n").entries()) {
    if (at > 0) {
      await page.keyboard.down("Shift");
      await page.keyboard.press("Enter");
      await page.keyboard.up("Shift");
    }
    await page.keyboard.type(line);
  }
}

async function say(page, text) {
  await write(page, text);
  await page.keyboard.press("Enter");
}

/** Do with the message that says `text` what its toolbar has as `act`. */
async function act(page, text, act) {
  const row = await page.waitForFunction(
    (text) =>
      [...document.querySelectorAll("#messages .message")].find((row) =>
        row.querySelector(".text").textContent.startsWith(text),
      ),
    {},
    text,
  );
  await row.hover();
  await page.locator(`.toolbar [data-act="${act}"]`).click();
}

const journey = {
  async "what the policy forbids is seen"({ ada }) {
    const title = await ada.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'it ran'";
      document.body.append(script);
      return document.title;
    });
    assert.equal(title, "lake · chatroom");
    const deadline = Date.now() + PATIENT;
    while (complaints.length === 0 && Date.now() < deadline) await ada.evaluate(() => 0);
    assert.match(complaints.splice(0).join(), /violated: script-src-elem inline/);
  },

  async "names"({ ada, bo }) {
    await called(ada, "Ada");
    await called(bo, "Bo");
    await reads(ada, "#users .name", ["Ada", "Bo"]);
  },

  async "talk"({ ada, bo }) {
    await say(ada, "Who comes to the lake?");
    await say(bo, "**Me**, with `bread`:\n\n```python\ndef swim():\n    return 19\n```");
    const code = "def swim():\n    return 19";
    for (const page of [ada, bo]) {
      await reads(page, `${SAID} strong`, ["Me"]);
      await reads(page, `${SAID} pre code`, [code]);
      await reads(page, `${SAID} pre .k`, ["def", "return"]);
    }
  },

  async "an answer"({ ada, bo }) {
    await act(bo, "Who comes", "reply");
    await reads(bo, "#about .gist", ["Who comes to the lake?"]);
    await say(bo, "And the tent");
    await reads(ada, "#messages .quote .gist", ["Who comes to the lake?"]);
  },

  async "reactions"({ ada, bo }) {
    await act(bo, "Who comes", "toggle");
    await reads(ada, ".reactions .count", ["1"]);
    await ada.locator(".reactions [data-emoji]").click();
    for (const page of [ada, bo]) await reads(page, ".reactions .count", ["2"]);
  },

  async "another text"({ ada, bo }) {
    await bo.focus("#text");
    await bo.keyboard.press("ArrowUp");
    await bo.waitForFunction(() => document.querySelector("#text").value === "And the tent");
    await say(bo, "s");
    for (const page of [ada, bo]) {
      await reads(page, `${SAID}:has(.edited)`, ["And the tents (edited)"]);
    }
  },

  async "taken back"({ ada, bo }) {
    await say(ada, "Nonsense");
    await act(ada, "Nonsense", "remove");
    await ada.locator("dialog .danger").click();
    for (const page of [ada, bo]) {
      await reads(page, ".deleted .text", ["This message was deleted."]);
    }
  },

  async "a mention"({ ada, bo }) {
    await write(ada, "See you, @B");
    await ada.waitForSelector("#completion [aria-selected=true]");
    await ada.keyboard.press("Enter");
    await ada.keyboard.press("Enter");
    await reads(bo, ".calls .mention.me", ["@Bo"]);
  },

  async "a picture"({ ada, bo }) {
    const field = await ada.$("#composer input[type=file]");
    await field.uploadFile(picture);
    await ada.waitForSelector("#tray li img");
    await say(ada, "Our place");
    for (const page of [ada, bo]) {
      await page.waitForFunction(() => {
        const image = document.querySelector("#messages .file.image img");
        return image?.complete && image.naturalWidth > 0;
      });
    }
    await bo.locator("#messages .file.image").click();
    await bo.waitForFunction(() => {
      const image = document.querySelector("dialog img");
      return image?.complete && image.naturalWidth === 64;
    });
    await bo.keyboard.press("Escape");
    await bo.waitForFunction(() => !document.querySelector("dialog"));
  },

  async "a reload"({ ada }) {
    const before = await ada.evaluate(textsOf, SAID);
    await write(ada, "half a sentence");
    await ada.reload();
    await reads(ada, SAID, before);
    await reads(ada, "#self-name", ["Ada"]);
    await ada.waitForFunction(() => document.querySelector("#text").value === "half a sentence");
    await ada.keyboard.press("Enter");
    await reads(ada, SAID, [...before, "half a sentence"]);
  },

  async "another room"({ ada, bo }) {
    await ada.bringToFront(); // what is not looked at is not read
    for (const page of [ada, bo]) {
      await page.evaluate(() => { location.hash = "#/tea"; });
      await reads(page, "#room", ["tea"]);
      await reads(page, "#users .name", page === ada ? ["Ada"] : ["Bo", "Ada"]);
    }
    await say(bo, "The pot is on the table");
    await reads(ada, SAID, ["The pot is on the table"]);
    await ada.goBack();
    await reads(ada, "#room", ["lake"]);
    await say(bo, "and getting cold");
    await reads(ada, "#rooms .count:not(:empty)", ["1"]);
    await ada.waitForFunction(() => document.title === "(1) lake · chatroom");
    await ada.locator("#rooms a[href='#/tea']").click();
    await reads(ada, ".unread", ["New"]);
    await ada.waitForFunction(() => document.title === "tea · chatroom");
  },

  async "a server that falls over"({ ada, bo }) {
    await ada.waitForFunction(() => caches.match("?whole")); // the page is kept for what follows
    gone = true;
    await server("kill");
    await ada.waitForSelector("#link-text:not(:empty)");
    await say(ada, "from the outbox");
    await reads(ada, "#unsaid .text", ["from the outbox"]);
    await ada.reload();
    await reads(ada, "#unsaid .text", ["from the outbox"]);
    await server("start");
    const all = ["The pot is on the table", "and getting cold", "from the outbox"];
    for (const page of [ada, bo]) await reads(page, SAID, all);
    await reads(ada, "#unsaid .text", []);
    gone = false;
  },

  async "a search"({ ada }) {
    await ada.locator("#search-toggle").click();
    await ada.locator("#search-field").fill("bread");
    await ada.locator("#search input[value=everywhere]").click();
    await ada.waitForSelector("#search .hits mark");
    await ada.locator("#search .hits a").click();
    await reads(ada, "#room", ["lake"]);
    await ada.waitForFunction(() => {
      const row = document.querySelector(".message.goal");
      const { top, bottom } = row?.getBoundingClientRect() ?? {};
      return row?.textContent.includes("bread") && top >= 0 && bottom <= innerHeight;
    });
  },

  async "a phone"({ ada, bo }) {
    await ada.setViewport(PHONE);
    await ada.waitForFunction(() => {
      const { bottom } = document.querySelector("#composer").getBoundingClientRect();
      const { scrollWidth } = document.documentElement;
      return innerWidth === 390 && scrollWidth <= innerWidth && bottom <= innerHeight;
    });
    await hidden(ada, "#sidebar"); // it slides away, over what is touched next
    await ada.locator("#rooms-toggle").click();
    await ada.locator("#sidebar a[href='#/tea']").click();
    await reads(ada, "#room", ["tea"]);
    await hidden(ada, "#sidebar");
    await say(ada, "On my way");
    const all = ["The pot is on the table", "and getting cold", "from the outbox", "On my way"];
    for (const page of [ada, bo]) await reads(page, SAID, all);
  },
};

const mouse = 6; // fine, and can hover: without a window Firefox believes that there is none
const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: {
    "ui.primaryPointerCapabilities": mouse,
    "ui.allPointerCapabilities": mouse,
  },
});
try {
  const ada = await visitor(browser, "lake");
  const bo = await visitor(browser, "lake");
  for (const [name, part] of Object.entries(journey)) {
    const begun = performance.now();
    try {
      await part({ ada, bo });
      assert.deepEqual(complaints, []);
    } catch (error) {
      error.message = `${name}: ${error.message}`;
      throw error;
    }
    console.log(`# ${name}: ${Math.round(performance.now() - begun)} ms`);
  }
} finally {
  await browser.close();
}
process.exit();
