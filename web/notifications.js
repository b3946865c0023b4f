import { gist } from "./message.js";
import { preferences } from "./preferences.js";
import { t } from "./words.js";

const NOTIFIED = { all: ["direct", "mention", "message"], direct: ["direct", "mention"], none: [] };
const PAUSE = 2_000; // ms in which it may turn out that it is read in another tab, or elsewhere

/**
 * Tell of a message that is not looked at, if the user wants it; of several tabs one does so.
 *
 * `kind` is "direct", "mention" or "message"; `direct`: whether the room is one of two; `seen()`:
 * whether the message has been read; `open(room, id)` goes to it.
 */
export async function notify(kind, message, { direct, seen, open }) {
  const { notify: wanted, sound } = preferences();
  if (!NOTIFIED[wanted]?.includes(kind)) return;
  await alone(`${message.room} ${message.id}`, async () => {
    await new Promise((done) => setTimeout(done, PAUSE));
    if (seen()) return;
    if (sound) import("./sound.js").then(({ chime }) => chime());
    await show(message, direct, open);
  });
}

/** Do `act` about `what` in one tab at a time, where the browser knows of others. */
function alone(what, act) {
  if (!navigator.locks) return act();
  const name = `chatroom ${new URL(".", location.href).pathname} tells ${what}`;
  return navigator.locks.request(name, { ifAvailable: true }, (lock) => lock && act());
}

async function show(message, direct, open) {
  if (globalThis.Notification?.permission !== "granted") return;
  const { id, room, from, file } = message;
  const title = direct ? from.name : t("notification.title", { name: from.name, room });
  const options = {
    body: message.message ? gist(message) : t("notification.file", { name: file?.name ?? "" }),
    tag: room, // a room has one notification: a later one takes its place
    icon: "icons/192.png",
    silent: true,
    data: { room, id }, // install.js is told of them
  };
  try {
    const shown = new Notification(title, options);
    shown.addEventListener("click", () => {
      focus();
      open(room, id);
      shown.close();
    });
  } catch (denied) {
    // On a phone it is the service worker that shows them.
    console.info("The page itself cannot notify:", denied.message);
    const worker = await navigator.serviceWorker?.ready;
    await worker?.showNotification(title, options);
  }
}
