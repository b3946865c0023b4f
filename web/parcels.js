/**
 * Files that wait to be uploaded, kept over a reload under a key of their own (IndexedDB). Where
 * the browser keeps none, they last as long as the page.
 */

const WEEK = 7 * 24 * 60 * 60_000; // ms after which nobody will ask for a file any more

export class Parcels {
  #store;

  constructor(path) {
    this.#store = opened(`chatroom ${path}`);
    this.#prune();
  }

  /** Keep `blob` under `key`; returns whether it is kept. */
  async put(key, blob) {
    return (
      (await this.#do("readwrite", (store) => store.put({ blob, at: Date.now() }, key))) !== null
    );
  }

  /** The file under `key`, null if there is none. */
  async get(key) {
    return (await this.#do("readonly", (store) => store.get(key)))?.blob ?? null;
  }

  async drop(key) {
    await this.#do("readwrite", (store) => store.delete(key));
  }

  async #prune() {
    const keys = (await this.#do("readonly", (store) => store.getAllKeys())) ?? [];
    for (const key of keys) {
      const found = await this.#do("readonly", (store) => store.get(key));
      if (found && found.at < Date.now() - WEEK) await this.drop(key);
    }
  }

  /** The result of `act(store)`, null where that cannot be had. */
  async #do(mode, act) {
    try {
      const database = await this.#store;
      return await answer(act(database.transaction("files", mode).objectStore("files")));
    } catch (denied) {
      console.info("Files are not kept over a reload:", denied?.message);
      return null;
    }
  }
}

async function opened(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore("files");
  return answer(request);
}

function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
