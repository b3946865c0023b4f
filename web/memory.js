/**
 * What a browser remembers of its user between visits: the `token` that shows who it was, the
 * `user`'s id with it, and the `name` that the user chose. All tabs share it. A page mounted below
 * a path has its own.
 *
 * Where the browser keeps nothing for a site the page works without, until it is reloaded.
 */
export class Memory {
  /** Whether anything outlives the page. */
  lasting = true;
  #storage;
  #prefix;

  constructor(open, path) {
    this.#prefix = `chatroom ${path} `;
    try {
      this.#storage = open();
    } catch (denied) {
      console.info("Nothing is remembered between visits:", denied.message);
      this.lasting = false;
      this.#storage = new Forgetful();
    }
  }

  get token() {
    return this.#storage.getItem(this.#prefix + "token");
  }

  set token(token) {
    this.#set("token", token);
  }

  get user() {
    const id = this.#storage.getItem(this.#prefix + "user");
    return id === null ? null : Number(id);
  }

  set user(id) {
    this.#set("user", id);
  }

  get name() {
    return this.#storage.getItem(this.#prefix + "name");
  }

  set name(name) {
    this.#set("name", name);
  }

  /** What was kept under the key `what`, null if nothing was. */
  recall(what) {
    const text = this.#storage.getItem(this.#prefix + what);
    try {
      return JSON.parse(text);
    } catch (broken) {
      console.warn("What was remembered cannot be read:", what, broken.message);
      return null;
    }
  }

  /** Keep `value` under the key `what`; null keeps nothing. */
  keep(what, value) {
    if (value === null) this.#storage.removeItem(this.#prefix + what);
    else this.#set(what, JSON.stringify(value));
  }

  /** The keys that begin with `start`. */
  keys(start) {
    const whole = this.#prefix + start;
    const found = Array.from({ length: this.#storage.length }, (_, at) => this.#storage.key(at));
    return found
      .filter((key) => key.startsWith(whole))
      .map((key) => key.slice(this.#prefix.length));
  }

  /** Call `act(token)` when another tab has remembered one. */
  onToken(act) {
    this.#onChange((what, value) => what === "token" && value !== null && act(value));
  }

  /** Call `act(what)` when another tab has kept something under a key that begins with `start`. */
  onKept(start, act) {
    this.#onChange((what, value) => what.startsWith(start) && value !== null && act(what));
  }

  #onChange(act) {
    addEventListener("storage", ({ key, newValue }) => {
      if (key?.startsWith(this.#prefix)) act(key.slice(this.#prefix.length), newValue);
    });
  }

  #set(what, text) {
    try {
      this.#storage.setItem(this.#prefix + what, text);
    } catch (full) {
      console.warn("This cannot be remembered:", what, full.message);
      this.lasting = false;
    }
  }
}

class Forgetful extends Map {
  get length() {
    return this.size;
  }

  key(at) {
    return [...this.keys()][at];
  }

  getItem(key) {
    return this.get(key) ?? null;
  }

  setItem(key, value) {
    this.set(key, String(value));
  }

  removeItem(key) {
    this.delete(key);
  }
}
