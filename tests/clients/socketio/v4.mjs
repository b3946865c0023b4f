// socket.io-client 4.x: node v4.mjs ADDRESS OPTIONS
import { io } from "socket.io-client";
import { follow, print } from "./told.mjs";

const [address, options] = process.argv.slice(2);
const often = { reconnectionDelay: 50, reconnectionDelayMax: 100, ...JSON.parse(options) };

function enter(namespace) {
  const socket = io(new URL(namespace, address).href, often);
  const place = namespace === "/" ? {} : { in: namespace };
  socket.on("connect", () => {
    print({ connect: socket.id, recovered: Boolean(socket.recovered), ...place });
  });
  socket.on("disconnect", (reason) => print({ disconnect: reason, ...place }));
  socket.on("connect_error", ({ message, data }) => print({ refused: message, data, ...place }));
  socket.onAny((event, data, ...more) => print({ event, data, more, ...place }));
  return socket;
}

const socket = enter("/");
socket.io.engine.on("upgrade", () => console.log("upgraded"));
follow(socket, enter);
