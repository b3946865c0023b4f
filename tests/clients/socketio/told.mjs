// What both clients are told, a line each, and how they print what comes: as JSON, with binary data
// as {"bytes": […]}. An array is to be emitted; "ack" at its end prints the answer, and the name of
// a namespace at its beginning says where, if that was entered.
import { createInterface } from "node:readline";

export function follow(socket, enter) {
  const sockets = { "/": socket };
  const commands = {
    close: () => socket.close(),
    // As a network that fails: nobody is told.
    cut: () => socket.io.engine.transport.ws.terminate(),
    transport: () => console.log(`transport ${socket.io.engine.transport.name}`),
  };
  createInterface({ input: process.stdin }).on("line", (line) => {
    if (line in commands) commands[line]();
    else if (line.startsWith("/")) sockets[line] = enter(line);
    else emit(JSON.parse(line, revive));
  });

  function emit(values) {
    const to = sockets[values[0].startsWith("/") ? values.shift() : "/"];
    if (values.at(-1) === "ack") {
      values[values.length - 1] = (...answer) => print({ ack: answer });
    }
    to.emit(...values);
  }
}

export function print(what) {
  console.log(JSON.stringify(what, plain));
}

function revive(key, value) {
  return value?.bytes ? Buffer.from(value.bytes) : value;
}

function plain(key, value) {
  // What is a Buffer has become an object of JSON by now.
  if (value?.type === "Buffer") return { bytes: value.data };
  return value instanceof ArrayBuffer ? { bytes: [...new Uint8Array(value)] } : value;
}
