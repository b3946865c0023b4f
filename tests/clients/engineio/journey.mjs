/**
 * Clients of Engine.IO in Node.js: they connect in all ways there are, say many things, hear them again,
 * and go.
 *
 *     node journey.mjs URL VERSION
 *
 * VERSION is of the protocol. What happened to each is printed as a line of JSON.
 */
import { Socket } from "engine.io-client";
import version3 from "engine.io-client-3";

const [url, version] = process.argv.slice(2);

const texts = ["", "€", "👋 and 👩‍👩‍👧", "line\nline\u2028", "b4AQ==", "4:4444", "x".repeat(60_000)];
// Nothing empty among them: with that the client forgets how much there may be in a payload.
const bytes = [[1, 2, 3, 4], [0, 255, 0x1e, 98], Array(40_000).fill(7)];
const said = [...texts, ...bytes.map((data) => Buffer.from(data))];
for (let i = 0; i < 300; i++) {
  said.push(`number ${i}`);
}

function plain(data) {
  // What is empty, they hand over as nothing.
  return typeof (data ?? "") === "string" ? (data ?? "") : [...Buffer.from(data)];
}

/** Be one client, that is ended by itself or else by the server. */
function travel(transports, leaves, forceBase64) {
  const options = { path: "/engine.io/", transports, forceBase64, query: { greeting: "welcome" } };
  const socket = version === "3" ? version3(url, options) : new Socket(url, options);
  const told = { transports, leaves, forceBase64, opened: null, upgraded: null, beats: 0 };
  const heard = [];
  const expected = ["welcome", ...said.map(plain)];
  if (!leaves) {
    expected.push("as you wish");
  }
  let next = 0;
  let asked = false;

  function goOn() {
    if (next < said.length || asked || (transports.length > 1 && !told.upgraded)) {
      return;
    }
    if (!leaves) {
      asked = true;
      socket.send("close me");
    } else if (heard.length === expected.length && told.beats > 1) {
      socket.close();
    }
  }

  // Some at a time, so that these go on while the transport changes.
  function some() {
    for (let i = 0; i < 20 && next < said.length; i++) {
      socket.send(said[next++]);
    }
    if (next < said.length) {
      setTimeout(some, 5);
    }
    goOn();
  }

  socket.on("open", () => {
    told.opened = socket.transport.name;
    some();
  });
  socket.on("upgrade", (transport) => {
    told.upgraded = transport.name;
    goOn();
  });
  // Who asks for a sign of life is the server in version 4, and the client in version 3.
  socket.on(version === "3" ? "pong" : "ping", () => {
    told.beats++;
    goOn();
  });
  socket.on("message", (data) => {
    heard.push(plain(data));
    goOn();
  });
  socket.on("error", (error) => {
    told.error = `${error} ${error.description}`;
  });
  socket.on("close", (reason) => {
    const same = JSON.stringify(heard) === JSON.stringify(expected);
    console.log(JSON.stringify({ ...told, reason, same, heard: heard.length }));
  });
}

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  // Both with base64 and without, and both ends, each way.
  travel(transports, true, false);
  travel(transports, false, true);
}
