// The npm package `irc-framework`.
import IRC from "irc-framework";
import { address, begun, hear, name, room, say } from "./lines.mjs";

const client = new IRC.Client();
const { hostname, port } = new URL(address);
client.connect({ host: hostname, port, nick: name, enable_echomessage: true });
client.on("registered", () => client.join(`#${room}`));
client.on("userlist", begun);
client.on("privmsg", ({ nick, message, tags }) => {
  const id = Number(tags.msgid.split("-")[1]);
  hear({ id, message, from: { name: nick } });
});
say((message) => client.say(`#${room}`, message));
