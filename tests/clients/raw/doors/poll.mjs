// Long polling with `fetch`; what one says goes by plain requests.
import { address, begun, hear, name, room, say } from "./lines.mjs";

const headers = { "Content-Type": "application/json" };
let after;

async function poll() {
  const query = after === undefined ? `name=${name}` : `after=${after}`;
  const answer = await fetch(`${address}/rooms/${room}/poll?${query}`, { headers });
  const { events, cursor, token } = await answer.json();
  headers.Authorization = `Bearer ${token}`;
  after = cursor;
  for (const { event, data } of events) {
    if (event === "init") begun();
    if (event === "talk") hear(data);
  }
  poll();
}

poll();
let last = Promise.resolve();
say((message) => {
  const body = JSON.stringify({ message });
  const what = { method: "POST", headers, body };
  last = last.then(() => fetch(`${address}/rooms/${room}/messages`, what));
});
