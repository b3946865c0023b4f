// socket.io-client 2.x: node v2.mjs ADDRESS OPTIONS
import io from "socket.io-client-2";
import { follow, print } from "./told.mjs";

const [address, options] = process.argv.slice(2);
const often = { reconnectionDelay: 50, reconnectionDelayMax: 100, ...JSON.parse(options) };
// `error` is what the server sends as such, and its refusal.
const events = ["init", "talk", "join", "exit", "clientMsg", "error"];

function enter(namespace) {
  const socket = io(new URL(namespace, address).href, often);
  const place = namespace === "/" ? {} : { in: namespace };
  socket.on("connect", () => print({ connect: socket.id, ...place }));
  socket.on("disconnect", (reason) => print({ disconnect: reason, ...place }));
  for (const event of events) {
    socket.on(event, (data, ...more) => print({ event, data, more, ...place }));
  }
  return socket;
}

const socket = enter("/");
socket.io.engine.on("upgrade", () => console.log("upgraded"));
follow(socket, enter);
