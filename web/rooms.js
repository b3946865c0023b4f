import { paint } from "./avatar.js";
import { element, h, write } from "./dom.js";
import { byPlace, isDirect, room, totals } from "./state.js";
import { compare, number, t } from "./words.js";

const ICON = "favicon.svg";
const UNREAD = "favicon-unread.svg";
const MOST = 99; // a larger count is as good as this

/** How many, in a place that is small. */
const few = (count) => (count > MOST ? `${number(MOST)}+` : number(count));

/** The rooms in the order in which they stand in the list. */
export function placed(state) {
  const called = ({ room, direct }) => direct?.name ?? room;
  // Of a conversation that is only begun it is not known yet with whom it is.
  const known = byPlace(state).filter(({ room, direct }) => direct || !isDirect(room));
  return known.sort(
    (a, b) => Boolean(a.direct) - Boolean(b.direct) || compare(called(a), called(b)),
  );
}

/** The user's rooms and direct rooms, with what is unread in them. */
export class Rooms {
  #rows = new Map(); // name of a room → its row
  #link;
  #drawn = "";
  #at = "";

  constructor({ link, focus }, panels) {
    this.#link = link;
    // Who comes by keyboard may want to look into one after the other.
    const clicked = ({ target, detail }) => detail > 0 && target.closest("a") && focus();
    element("lists").addEventListener("click", clicked);
    element("browse").addEventListener("click", () => panels.open("browse"));
  }

  render(state) {
    const rooms = placed(state);
    const counts = rooms.map(({ room, direct, unread, mentions }) => [
      room,
      direct,
      unread,
      mentions,
    ]);
    const drawn = JSON.stringify([state.current, counts]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    for (const [name, row] of this.#rows) {
      if (rooms.some(({ room }) => room === name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    const channels = rooms.filter(({ direct }) => !direct);
    const directs = rooms.filter(({ direct }) => direct);
    this.#list(element("rooms"), channels, state.current);
    this.#list(element("directs"), directs, state.current);
    const at = state.current + rooms.length;
    if (at !== this.#at) this.#rows.get(state.current)?.scrollIntoView({ block: "nearest" });
    this.#at = at;
    element("directs-none").hidden = directs.length > 0;
    const elsewhere = totals(state).mentions;
    element("rooms-unread").hidden = elsewhere === 0;
    write(element("rooms-unread"), few(elsewhere));
    element("rooms-toggle").ariaLabel = elsewhere
      ? t("rooms.mentioned", { count: elsewhere })
      : t("rooms.title");
  }

  #list(list, rooms, current) {
    rooms.forEach((room, place) => {
      if (!this.#rows.has(room.room)) this.#rows.set(room.room, this.#row(room));
      const row = this.#rows.get(room.room);
      this.#fill(row.firstElementChild, room, room.room === current);
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
    });
  }

  #row({ room, direct }) {
    return h(
      "li",
      null,
      h(
        "a",
        { class: "row", href: this.#link(room) },
        direct
          ? h("span", { class: "avatar", "aria-hidden": "true" })
          : h("span", { class: "hash", "aria-hidden": "true" }, "#"),
        h("bdi", { class: "name" }),
        h("span"),
      ),
    );
  }

  #fill(link, { room, direct, unread, mentions }, current) {
    const [picture, name, count] = link.children;
    if (direct) paint(picture, direct);
    const called = direct?.name ?? room;
    write(name, called);
    const calls = direct ? unread : mentions; // what is for the user alone
    link.ariaLabel = told(called, unread, direct ? 0 : mentions);
    write(count, unread ? few(calls || unread) : "");
    count.className = calls ? "badge" : "count";
    link.classList.toggle("news", unread > 0);
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function told(name, unread, mentions) {
  const parts = [name];
  if (unread) parts.push(t("rooms.unread", { count: unread }));
  if (mentions) parts.push(t("rooms.mentions", { count: mentions }));
  return parts.join(", ");
}

/** What the tab and the app's icon tell while the page is not looked at. */
export class Badge {
  #icon = document.querySelector("link[rel=icon]");
  #shown = null;

  render(state) {
    const { room: name, direct } = room(state);
    const { unread, mentions } = totals(state);
    const news = unread ? `(${few(unread)}) ` : "";
    const title = `${news}${direct?.name ?? name} · chatroom`;
    if (document.title !== title) document.title = title;
    if (mentions === this.#shown) return;
    this.#shown = mentions;
    this.#icon.setAttribute("href", mentions ? UNREAD : ICON);
    // Only an app that is installed has a place for it, and its system may refuse all the same.
    navigator.setAppBadge?.(mentions).catch(({ message }) => console.info("No badge:", message));
  }
}
