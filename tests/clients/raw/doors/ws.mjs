// The npm package `ws`.
import WebSocket from "ws";
import { address, begun, hear, query, room, say } from "./lines.mjs";

const socket = new WebSocket(`${address.replace("http", "ws")}/ws?${query}`);
socket.on("message", (text) => {
  const { event, data } = JSON.parse(text);
  if (event === "init") begun();
  if (event === "talk") hear(data);
});
say((message) => socket.send(JSON.stringify({ event: "talk", data: { room, message } })));
