/** The address of a place in the page: `#/room`, `#/@3-7`, `#/room?at=42`. */

const ROOM = /^(?!\.+$)[\p{L}\p{M}\p{Nd}_.-]{1,64}$/u; // the server refuses to connect to others
const DIRECT = /^@\d+-\d+$/;

/** The address of a room, or of the message `at` there, as the part behind the page's own. */
export function hashOf(room, at = null) {
  const name = encodeURIComponent(room).replace("%40", "@");
  return `#/${name}${at === null ? "" : `?at=${at}`}`;
}

/**
 * What an address names: {room, at}; `room` is "" where it names none, null where there can be no
 * such room.
 */
export function routeOf({ hash, search }) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const at = Number(new URLSearchParams(query).get("at"));
  const room = decoded(path) || new URLSearchParams(search).get("room") || "";
  const possible = room === "" || ROOM.test(room) || DIRECT.test(room);
  return { room: possible ? room : null, at: Number.isSafeInteger(at) && at > 0 ? at : null };
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // a per cent sign on its own stands for itself, and is in no room's name
  }
}
