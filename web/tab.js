/**
 * Which tab this is, and which others there still are.
 *
 * Each tab holds a lock under its name for as long as it lives (Web Locks). The name outlives a
 * reload; a tab that was duplicated finds its name taken and has another one. A page without TLS
 * has no locks: there a tab counts as gone when it has not left a sign of life for long.
 */

const RELOAD = 500; // ms that the lock of this tab may still be held from before a reload
const GRACE = 3_000; // ms in which a tab that is gone may be back from a reload
const SIGN = 20_000; // ms between two signs of life
const GONE = 180_000; // ms without one: a hidden tab's timers run once a minute

const drawn = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(36)).join("");

export class Tab {
  id = null;
  #locks;
  #session;
  #memory;
  #path;

  constructor(memory, path, { session, locks = navigator.locks } = {}) {
    this.#memory = memory;
    this.#path = path;
    this.#locks = locks;
    this.#session = session;
  }

  /** Find out which tab this is; call it once, and nothing else before it is done. */
  async begin() {
    const before = this.#recall();
    const mine = before !== null && (await this.#claim(before));
    this.id = mine ? before : drawn();
    if (!mine) await this.#claim(this.id);
    this.#record();
    return this.id;
  }

  /** Call `act()`, once, when the tab `id` is gone for good. */
  async whenGone(id, act) {
    if (!this.#locks) return this.#whenSilent(id, act);
    for (let gone = false; !gone;) {
      await this.#locks.request(this.#name(id), () => {}); // that is when its owner lets go of it
      await new Promise((resolve) => setTimeout(resolve, GRACE));
      gone = await this.#locks.request(this.#name(id), { ifAvailable: true }, (lock) => {
        if (lock !== null) act();
        return lock !== null;
      });
    }
  }

  #name(id) {
    return `chatroom ${this.#path} tab ${id}`;
  }

  /** Hold the lock of the tab `id` from now on, if it is free. */
  #claim(id) {
    if (!this.#locks) return this.#sign(id);
    return new Promise((resolve) => {
      const forever = () => {
        resolve(true);
        return new Promise(() => {});
      };
      const signal = AbortSignal.timeout(RELOAD);
      this.#locks.request(this.#name(id), { signal }, forever).catch(() => resolve(false));
    });
  }

  #sign(id) {
    // Who comes along a link is not back from a reload: that may be a second tab.
    if (this.id === null && id === this.#recall() && !reloaded()) return false;
    const sign = () => this.#memory.keep(`alive ${id}`, Date.now());
    sign();
    setInterval(sign, SIGN);
    return true;
  }

  #whenSilent(id, act) {
    const look = () => {
      if (Date.now() - (this.#memory.recall(`alive ${id}`) ?? 0) < GONE) return;
      clearInterval(timer);
      this.#memory.keep(`alive ${id}`, null);
      act();
    };
    const timer = setInterval(look, SIGN);
    look();
  }

  #recall() {
    try {
      return (this.#session ?? sessionStorage).getItem(this.#name(""));
    } catch (denied) {
      console.info("A reload makes this another tab:", denied.message);
      return null;
    }
  }

  #record() {
    try {
      (this.#session ?? sessionStorage).setItem(this.#name(""), this.id);
    } catch (denied) {
      console.info("This tab cannot be told from others:", denied.message);
    }
  }
}

const reloaded = () => performance.getEntriesByType("navigation")[0]?.type === "reload";
