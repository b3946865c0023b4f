// The npm package `websocket` (WebSocket-Node), in its own style.
import websocket from "websocket";
import { closed, follow } from "./stdin.mjs";

const client = new websocket.client();
client.on("connectFailed", (error) => console.log(error.toString()));
client.on("connect", (connection) => {
  console.log("open");
  connection.on("message", (message) => console.log(message.utf8Data));
  connection.on("close", closed);
  follow(
    (line) => connection.sendUTF(line),
    () => connection.close(),
  );
});
client.connect(process.argv[2]);
