// Bun's own WebSocket server: `bun bun.js PORT`. Rebuilds each message and publishes it to all.
let last = 0;
let users = 0;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    if (server.upgrade(request, { data: { id: ++users } })) return undefined;
    return new Response("This is a WebSocket.", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe("room");
    },
    message(socket, text) {
      const { event, data } = JSON.parse(text);
      if (event !== "talk") return;
      const talk = { id: ++last, from: socket.data.id, message: data.message };
      server.publish("room", JSON.stringify({ event: "talk", data: talk }));
    },
  },
});
