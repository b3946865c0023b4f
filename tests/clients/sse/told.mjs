// What all clients here print: each event in a line, as on /ws, with the id that it came with.
const NAMES = ["init", "talk", "edit", "delete", "react", "topic", "join", "exit", "problem"];

export function told(source) {
  for (const event of NAMES) {
    source.addEventListener(event, ({ data, lastEventId: id }) => {
      console.log(JSON.stringify({ event, data: JSON.parse(data), id }));
    });
  }
  source.onopen = () => console.log("open");
  source.onerror = () => console.log(source.readyState === 2 ? "closed" : "lost");
}
