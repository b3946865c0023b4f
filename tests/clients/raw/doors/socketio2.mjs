// The same of an old release, which polls and does nothing else.
import io from "socket.io-client-2";
import { address, begun, hear, query, room, say } from "./lines.mjs";

const socket = io(`${address}?${query}`, { transports: ["polling"] });
socket.on("init", begun);
socket.on("talk", hear);
say((message) => socket.emit("talk", { room, message, type: "text" }));
