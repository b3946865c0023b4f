// Socket.IO on Node.js: `node socketio.js PORT`. Rebuilds each message and emits it to all.
const http = require("node:http");
const { Server } = require("socket.io");

let last = 0;
let users = 0;

const door = http.createServer();
const io = new Server(door, {
  transports: ["websocket"],
  perMessageDeflate: false,
  serveClient: false,
});

io.on("connection", (socket) => {
  const id = ++users;
  socket.on("talk", ({ message }) => io.emit("talk", { id: ++last, from: id, message }));
});

door.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
