// npm `ws` on Node.js: `node ws.js PORT`. Rebuilds each message and sends it to all.
const { WebSocketServer, OPEN } = require("ws");

let last = 0;
let users = 0;

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  perMessageDeflate: false,
  backlog: 4096,
});

server.on("connection", (socket) => {
  const id = ++users;
  socket.on("message", (bytes) => {
    const { event, data } = JSON.parse(bytes);
    if (event !== "talk") return;
    const talk = { id: ++last, from: id, message: data.message };
    const text = JSON.stringify({ event: "talk", data: talk });
    for (const client of server.clients) if (client.readyState === OPEN) client.send(text);
  });
});
