// The browser's interface, as the npm package `websocket` has it, with a subprotocol.
import websocket from "websocket";
import { closed, follow } from "./stdin.mjs";

const socket = new websocket.w3cwebsocket(process.argv[2], "chat.v1");
socket.onopen = () => console.log("open");
socket.onmessage = ({ data }) => console.log(data);
socket.onclose = ({ code }) => closed(code);
follow(
  (line) => socket.send(line),
  () => socket.close(1000),
);
