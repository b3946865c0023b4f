/**
 * A client of Engine.IO in a page: says text and bytes, hears them again, and goes. What it has heard is
 * returned, and what its transport was at the end.
 */
([url, transports]) =>
  new Promise((resolve, reject) => {
    const socket = eio(url, { path: "/engine.io/", transports });
    const said = ["€ 👋", new Uint8Array([1, 2, 255, 0, 30]).buffer, "", "last"];
    const heard = [];
    socket.binaryType = "arraybuffer";

    function goOn() {
      if (heard.length === said.length && socket.transport.name === transports.at(-1)) {
        socket.close();
      }
    }

    socket.on("open", () => said.forEach((data) => socket.send(data)));
    // Within this event there is no closing: the client would wait for it to come again.
    socket.on("upgrade", () => setTimeout(goOn));
    socket.on("message", (data) => {
      const text = typeof (data ?? "") === "string";
      heard.push(text ? (data ?? "") : [...new Uint8Array(data)]);
      goOn();
    });
    socket.on("error", (error) => reject(new Error(`${error} ${error.description}`)));
    socket.on("close", (reason) => resolve({ heard, reason, transport: socket.transport.name }));
  });
