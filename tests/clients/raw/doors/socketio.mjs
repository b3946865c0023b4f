// The npm package `socket.io-client`, which polls first and changes to a WebSocket then.
import { io } from "socket.io-client";
import { address, begun, hear, name, room, say } from "./lines.mjs";

const socket = io(address, { auth: { room, name } });
socket.on("init", begun);
socket.on("talk", hear);
say((message) => socket.emit("talk", { room, message, type: "text" }));
