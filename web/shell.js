import { element } from "./dom.js";
import { Drawer } from "./drawer.js";
import { Header } from "./header.js";
import { Naming } from "./naming.js";
import { LinkLine, Notice } from "./notice.js";
import { Keys, Panels } from "./panels.js";
import { People } from "./people.js";
import { prefer, preferences } from "./preferences.js";
import { Badge, Rooms } from "./rooms.js";

/** The frame around the room: the user's rooms, the people, and what is opened from there. */
export class Shell {
  #naming;
  #notice;
  #open;
  #state;
  #telling = Promise.resolve();
  #views;

  constructor(actions) {
    const rooms = new Drawer({ panel: element("sidebar"), toggle: element("rooms-toggle") });
    const people = new Drawer({
      panel: element("people"),
      toggle: element("people-toggle"),
      wide: () => preferences().people,
      changed(open, wide) {
        if (wide) prefer({ people: open });
        if (open) search.hide();
      },
    });
    const search = new Drawer({
      panel: element("search"),
      toggle: element("search-toggle"),
      changed(open) {
        panels.search(open);
        people.fit(open);
      },
    });
    this.#naming = new Naming(actions, rooms);
    // Where there is no keyboard but that on the screen, it is not to come unasked.
    const focus = () =>
      matchMedia("(hover: hover)").matches ? actions.focus() : element("log").focus();
    this.#notice = new Notice({ ...actions, focus });
    const panels = new Panels(
      { ...actions, focus, nameMe: () => this.#naming.open() },
      { rooms, search, failed: (text) => this.tell(text) },
    );
    this.#open = actions.open;
    this.#views = [
      new Rooms({ ...actions, focus }, panels),
      new Header(actions, panels),
      new People((id) => people.leave(() => actions.direct(id))),
      this.#naming,
      this.#notice,
      new LinkLine({ ...actions, focus }),
      new Badge(),
      new Keys(actions, panels),
      panels,
    ];
    import("./install.js").then(({ install }) => install(actions.open));
  }

  render(state) {
    if (state.current !== this.#state?.current) {
      // What lies over the page is about the room that was there.
      document.querySelector("dialog[open]")?.close();
      element("picker")?.hidePopover();
    }
    this.#state = state;
    for (const view of this.#views) view.render(state);
  }

  /** Tell what went wrong in the page. */
  tell(text) {
    this.#notice.tell(text);
  }

  /** Ask once for a name. */
  invite() {
    this.#naming.invite();
  }

  /** A message of somebody else has come that is not looked at. */
  arrived(kind, message) {
    if (document.hasFocus()) return;
    const room = () => this.#state.rooms[message.room];
    const about = {
      direct: Boolean(room()?.direct),
      seen: () => !room() || room().read >= message.id,
      open: this.#open,
    };
    // One after the other: a later one takes the place of an earlier one.
    this.#telling = this.#telling
      .then(() => import("./notifications.js"))
      .then(({ notify }) => void notify(kind, message, about))
      .catch((lost) => console.info("Nothing can be notified:", lost.message));
  }
}
