// The npm package `irc-framework`, by TCP or by WebSocket: `node framework.mjs OPTIONS`, with the
// options of its client as JSON. It prints the events that it has, as JSON, and calls the methods
// that come line by line: ["say", "#tea", "hello"].
import { createInterface } from "node:readline";
import IRC from "irc-framework";
import { WebSocket } from "ws";

const options = JSON.parse(process.argv[2]);
if (options.path) {
  // What browsers have.
  globalThis.WebSocket = WebSocket;
  const { default: transport } = await import("irc-framework/src/transports/websocket.js");
  options.transport = transport;
}
const client = new IRC.Client();
client.requestCap(["draft/chathistory", "draft/message-redaction", "labeled-response"]);

const EVENTS = [
  ...["registered", "close", "join", "part", "quit", "nick", "nick in use", "topic", "userlist"],
  ...["message", "tagmsg", "whois", "channel list", "loggedin", "sasl failed", "irc error"],
  ...["batch end chathistory", "batch end labeled-response", "server options"],
];
for (const event of EVENTS) {
  client.on(event, (data) => console.log(JSON.stringify({ event, data: plain(data) })));
}

/** What of *data* can be shown: a message has its whole client with it. */
function plain(data) {
  const { reply, ...rest } = data ?? {};
  return rest;
}

client.connect({ auto_reconnect: false, enable_echomessage: true, ...options });
createInterface({ input: process.stdin }).on("line", (line) => {
  const [method, ...parameters] = JSON.parse(line);
  client[method](...parameters);
});
