/**
 * The columns beside the room. Where there is no place for them (on a phone) they are drawers over
 * it: one at a time, the rest of the page cannot be reached meanwhile, and Escape, a touch beside
 * it and the browser's way back close it.
 */

const narrow = matchMedia("(max-width: 45rem)"); // as sidebar.css has it
const drawers = [];

export class Drawer {
  #panel;
  #toggle;
  #wide;
  #changed;

  /**
   * `toggle` opens and closes `panel`. `wide()` tells whether it is open from the beginning where
   * there is place; `changed(open, wide)` is called when the user has opened or closed it.
   */
  constructor({ panel, toggle, wide = () => false, changed = () => {} }) {
    this.#panel = panel;
    this.#toggle = toggle;
    this.#wide = wide;
    this.#changed = changed;
    toggle.addEventListener("click", () => (this.isOpen ? this.hide() : this.show()));
    panel.addEventListener("click", (event) => this.#clicked(event));
    drawers.push(this);
    this.fit();
  }

  get isOpen() {
    return this.#panel.classList.contains("open");
  }

  show() {
    if (this.isOpen) return;
    this.#set(true);
    if (narrow.matches) {
      history.pushState({ drawer: this.#panel.id }, "");
      const inside = (what) => this.#panel.querySelector(what);
      (inside("[autofocus]") ?? inside("[aria-current]") ?? inside("button"))?.focus();
    }
    this.#changed(true, !narrow.matches);
  }

  /** Close it; the promise is fulfilled when another page can be gone to. */
  async hide() {
    if (!this.isOpen) return;
    this.close();
    if (!history.state?.drawer) return;
    const back = new Promise((done) => addEventListener("popstate", done, { once: true }));
    history.back();
    await back;
  }

  /** Close it where it lies over the room, and go on with `act`. */
  async leave(act) {
    if (narrow.matches) await this.hide();
    act();
  }

  /** Close it, and give the focus back. */
  close() {
    const focused = this.#panel.contains(document.activeElement);
    this.#set(false);
    if (focused) this.#toggle.focus();
    this.#changed(false, !narrow.matches);
  }

  /** Be as it is from the beginning, unless another one is in its place. */
  fit(covered = false) {
    this.#set(!narrow.matches && !covered && this.#wide());
  }

  #set(open) {
    this.#panel.classList.toggle("open", open);
    this.#toggle.ariaExpanded = open;
    for (const column of document.querySelectorAll("body > :is(nav, main, aside)")) {
      column.inert = open && narrow.matches && column !== this.#panel;
    }
  }

  #clicked(event) {
    if (event.target.closest(".close")) this.hide();
    const link = event.target.closest("a[href^='#']");
    if (!link || !narrow.matches) return;
    // The way back from where the link leads should not lead into the drawer.
    event.preventDefault();
    this.leave(() => (location.hash = link.hash));
  }
}

const above = () => drawers.find((drawer) => narrow.matches && drawer.isOpen);

document.addEventListener("keydown", ({ key, defaultPrevented }) => {
  const taken = defaultPrevented || document.querySelector("dialog[open]");
  if (key === "Escape" && !taken) above()?.hide();
});
document.getElementById("scrim").addEventListener("click", () => above()?.hide());
addEventListener("popstate", () => above()?.close());
narrow.addEventListener("change", () => drawers.forEach((drawer) => drawer.fit()));
