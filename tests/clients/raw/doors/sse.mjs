// The npm package `eventsource`; what one says goes by plain requests.
import { EventSource } from "eventsource";
import { address, begun, hear, name, room, say } from "./lines.mjs";

let token;
const events = new EventSource(`${address}/rooms/${room}/events?name=${name}`);
events.addEventListener("init", ({ data }) => {
  token = JSON.parse(data).self.token;
  begun();
});
events.addEventListener("talk", ({ data }) => hear(JSON.parse(data)));

let last = Promise.resolve();
say((message) => {
  last = last.then(() =>
    fetch(`${address}/rooms/${room}/messages`, {
      method: "POST",
      headers: { "Authorization": `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ message }),
    }),
  );
});
