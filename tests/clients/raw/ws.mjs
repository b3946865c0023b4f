// The npm package `ws`, in its own style.
import WebSocket from "ws";
import { closed, follow } from "./stdin.mjs";

const socket = new WebSocket(process.argv[2]);
socket.on("open", () => console.log("open"));
socket.on("message", (data) => console.log(data.toString()));
socket.on("close", closed);
follow(
  (line) => socket.send(line),
  () => socket.close(1000),
);
