// What all clients here have in common: each line that they read they say, and each message that
// they hear they print.
import { createInterface } from "node:readline";

export const [, , address, room, name] = process.argv;
export const query = `room=${room}&name=${name}`;

export function hear({ id, message, from }) {
  print("talk", { id, message, from: from.name });
}

export function begun() {
  print("init", {});
}

export function say(talk) {
  createInterface({ input: process.stdin }).on("line", talk);
}

function print(event, data) {
  console.log(JSON.stringify({ event, data }));
}
