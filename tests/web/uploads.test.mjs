import assert from "node:assert/strict";
import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";

import * as known from "../../web/state.js";
import { fileAddress, thumbnailAddress } from "../../web/upload.js";
import { Uploads } from "../../web/uploads.js";
import { Desk } from "./desk.mjs";

const FILE = { id: "abc", name: "photo 1.jpg", size: 1, type: "image/jpeg" };
const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
};

/** A page that uploads to a server whose answers the test gives, one by one. */
function start() {
  const desk = Desk.in();
  const asked = [];
  const tell = async (what, ...rest) => {
    desk.do(what, ...rest);
    await null; // as the page does it
    uploads.look(desk.state);
  };
  const uploads = new Uploads({
    token: () => "t",
    progressed: (...rest) => tell("progressed", ...rest),
    uploaded: (...rest) => tell("uploaded", ...rest),
    refused: (...rest) => tell("unwanted", ...rest),
    send: (url, blob, { token, progress, signal }) =>
      new Promise((answer) => {
        asked.push({ url, blob, token, progress, answer, signal });
        signal.addEventListener("abort", () => answer({ status: 0 }));
      }),
  });
  const attach = (name = "photo 1.jpg", content = "…") => {
    const nonce = desk.write("say", { text: "", file: new File([content], name) });
    uploads.look(desk.state);
    return nonce;
  };
  const look = () => uploads.look(desk.state);
  const upload = (nonce) => desk.state.outbox.find((entry) => entry.nonce === nonce)?.upload;
  return { desk, asked, attach, look, upload };
}

test("a file goes up with our token, tells how far it is, and its message follows", async () => {
  const { desk, asked, attach, upload } = start();
  const nonce = attach();
  const [{ url, token, progress, answer }] = asked;
  assert.deepEqual([url, token], ["files?name=photo%201.jpg", "t"]);
  progress(0.4);
  assert.equal(upload(nonce).progress, 0.4);
  answer({ status: 201, body: FILE });
  await turns();
  assert.deepEqual(desk.took("talk")[0].file, { id: "abc", name: "photo 1.jpg" });
});

test("some go at a time, in their order", async () => {
  const { asked, attach } = start();
  for (const name of ["1", "2", "3"]) attach(name);
  const names = () => asked.map(({ blob }) => blob.name);
  assert.deepEqual(names(), ["1", "2"]);
  asked[1].answer({ status: 201, body: FILE });
  await turns();
  assert.deepEqual(names(), ["1", "2", "3"]);
});

test("what a passing trouble cuts off is sent again later, or when the server is back", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  try {
    const { desk, asked, attach, look } = start();
    attach();
    for (const [answer, wait] of [
      [{ status: 429, after: 7 }, 7_000],
      [{ status: 0 }, 2_000],
      [{ status: 503 }, 4_000],
    ]) {
      const before = asked.length;
      asked.at(-1).answer(answer);
      await turns();
      mock.timers.tick(wait - 1);
      await turns();
      assert.equal(asked.length, before);
      mock.timers.tick(1);
      await turns();
      assert.equal(asked.length, before + 1);
    }
    desk.cut();
    look();
    asked.at(-1).answer({ status: 0 });
    await turns();
    mock.timers.tick(600_000);
    assert.equal(asked.length, 4, "not without a connection");
    desk.dial();
    desk.hear("init", { ...desk.room, self: { id: 1, name: "Ada" }, epoch: "e", limits: {} });
    look();
    assert.equal(asked.length, 5);
  } finally {
    mock.timers.reset();
  }
});

test("what is refused for good is told, and can be tried again", async () => {
  const { desk, asked, attach, look } = start();
  const nonce = attach();
  asked[0].answer({ status: 413, body: { code: "too_large", message: "…" } });
  await turns();
  assert.equal(desk.state.outbox[0].problem, "too_large");
  assert.equal(asked.length, 1);
  desk.do("retry", nonce, "fresh");
  look();
  assert.equal(asked.length, 2);
});

test("where there is no room it is told at once, and other trouble of the server's in the end", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  try {
    const { desk, asked, attach } = start();
    attach();
    asked[0].answer({ status: 507, body: { code: "unavailable", message: "…" } });
    await turns();
    assert.deepEqual([desk.state.outbox[0].failed, asked.length], [true, 1]);
    attach();
    for (let answers = 0; !desk.state.outbox[1].failed; answers++) {
      assert.ok(answers < 10);
      asked.at(-1).answer({ status: 503, body: { code: "unavailable", message: "…" } });
      await turns();
      mock.timers.tick(60_000);
      await turns();
    }
    assert.equal(desk.state.outbox[1].problem, "unavailable");
    assert.equal(asked.length, 7);
  } finally {
    mock.timers.reset();
  }
});

test("a file that is not there any more is told, and not tried for ever", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gone-"));
  try {
    const path = join(folder, "notes.txt");
    writeFileSync(path, "swim first");
    const { desk, asked, attach } = start();
    attach("notes.txt", await openAsBlob(path));
    rmSync(path);
    asked[0].answer({ status: 0 });
    const end = Date.now() + 60_000;
    while (!desk.state.outbox[0].failed && Date.now() < end) await turns();
    assert.equal(desk.state.outbox[0].problem, "no_such_file");
    assert.equal(asked.length, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what has arrived or was refused does not begin once more", async () => {
  const { asked, attach } = start();
  for (const name of ["1", "2"]) attach(name);
  asked[0].answer({ status: 201, body: FILE });
  asked[1].answer({ status: 413, body: { code: "too_large", message: "…" } });
  await turns();
  assert.equal(asked.length, 2);
});

test("what is discarded is not sent any further", async () => {
  const { desk, asked, attach, look } = start();
  const nonce = attach();
  desk.do("discard", nonce);
  look();
  assert.equal(asked[0].signal.aborted, true);
  await turns();
  asked[0].progress(0.9);
  assert.deepEqual([desk.state.outbox, asked.length], [[], 1]);
  assert.equal(known.unsaid(desk.state).length, 0);
});

test("addresses of files", () => {
  assert.equal(fileAddress({ id: "abc", name: "a b&c.png" }), "files/abc?name=a%20b%26c.png");
  assert.equal(thumbnailAddress({ id: "abc" }), "files/abc/thumbnail");
});
