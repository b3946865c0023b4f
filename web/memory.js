/**
 * What a browser remembers of its user between visits: the `token` that shows who it was, and the
 * `name` that the user chose. All tabs share it. A page mounted below a path has its own.
 *
 * Where the browser keeps nothing for a site the page works without, until it is reloaded.
 */
export class Memory {
  #storage;
  #path;

  constructor(open, path) {
    this.#path = path;
    try {
      this.#storage = open();
    } catch (denied) {
      console.info("Nothing is remembered between visits:", denied.message);
      this.#storage = new Forgetful();
    }
  }

  get token() {
    return this.#storage.getItem(this.#key("token"));
  }

  set token(token) {
    this.#storage.setItem(this.#key("token"), token);
  }

  /** Call `act(token)` when another tab has remembered one. */
  onToken(act) {
    addEventListener("storage", ({ key, newValue }) => {
      if (key === this.#key("token") && newValue !== null) act(newValue);
    });
  }

  get name() {
    return this.#storage.getItem(this.#key("name"));
  }

  set name(name) {
    this.#storage.setItem(this.#key("name"), name);
  }

  #key(what) {
    return `chatroom ${this.#path} ${what}`;
  }
}

class Forgetful extends Map {
  getItem(key) {
    return this.get(key) ?? null;
  }

  setItem(key, value) {
    this.set(key, value);
  }
}
