// What all clients here are told: each line is a message to send, and "close" is to close.
import { createInterface } from "node:readline";

export function follow(send, close) {
  createInterface({ input: process.stdin }).on("line", (line) => {
    if (line === "close") close();
    else send(line);
  });
}

export function closed(code) {
  console.log(`close ${code}`);
  process.exit();
}
