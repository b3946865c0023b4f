/** Files on their way to the server. Loaded with the first one. */

const AT_ONCE = 2;
const FIRST_WAIT = 1_000; // ms before the second try; each further wait is twice as long …
const LONGEST_WAIT = 30_000; // … up to this
const TRIES = 6; // after which a server that cannot keep it is taken at its word

/**
 * Sends the files of the outbox, some at a time, each until it has arrived or is refused.
 *
 * `token()` shows who we are. Of the upload of the entry `nonce` is told: `progressed(nonce, part)`
 * from 0 to 1, `uploaded(nonce, file)` as the server describes it, `refused(nonce, code)`.
 */
export class Uploads {
  #parts;
  #running = new Map(); // nonce → what ends it
  #waits = new Map(); // nonce → {tries, until}
  #outbox = null;
  #online = false;
  #timer = null;

  constructor({ token, progressed, uploaded, refused, send = post }) {
    this.#parts = { token, progressed, uploaded, refused, send };
  }

  /** Begin what can begin, and end what is not wanted any more. */
  look({ outbox, online }) {
    if (outbox === this.#outbox && online === this.#online) return;
    // A server that is back takes at once what its end has cut off.
    if (online && !this.#online) this.#waits.clear();
    this.#outbox = outbox;
    this.#online = online;
    this.#go();
  }

  #go() {
    clearTimeout(this.#timer);
    const entries = this.#outbox.filter(
      ({ upload, failed }) => upload?.blob && !upload.done && !failed,
    );
    const wanted = new Map(entries.map((entry) => [entry.nonce, entry]));
    for (const [nonce, end] of this.#running) if (!wanted.has(nonce)) end();
    for (const nonce of this.#waits.keys()) if (!wanted.has(nonce)) this.#waits.delete(nonce);
    if (!this.#online) return;
    let next = Infinity;
    for (const [nonce, { upload }] of wanted) {
      if (this.#running.size >= AT_ONCE) break;
      if (this.#running.has(nonce)) continue;
      const until = this.#waits.get(nonce)?.until ?? 0;
      if (until <= Date.now()) this.#send(nonce, upload);
      else next = Math.min(next, until);
    }
    if (next < Infinity) this.#timer = setTimeout(() => this.#go(), next - Date.now());
  }

  async #send(nonce, { name, blob }) {
    const { token, progressed, uploaded, refused, send } = this.#parts;
    const control = new AbortController();
    this.#running.set(nonce, () => control.abort());
    const answer = await send(`files?name=${encodeURIComponent(name)}`, blob, {
      token: token(),
      progress: (part) => this.#running.has(nonce) && progressed(nonce, part),
      signal: control.signal,
    });
    const { status, body, after } = answer;
    const gone = status === 0 && !(await readable(blob));
    this.#running.delete(nonce);
    if (control.signal.aborted) return this.#go();
    const tries = (this.#waits.get(nonce)?.tries ?? 0) + 1;
    const lasting = status >= 500 && !after && tries >= TRIES;
    // What is told here changes the outbox, and look() goes on: this one would begin once more.
    if (status === 201) uploaded(nonce, body);
    else if (gone) refused(nonce, "no_such_file");
    else if (refusal(status) || lasting) refused(nonce, body?.code ?? "unavailable");
    else {
      this.#later(nonce, tries, after);
      this.#go();
    }
  }

  #later(nonce, tries, seconds) {
    const wait = seconds ? seconds * 1000 : Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (tries - 1));
    this.#waits.set(nonce, { tries, until: Date.now() + wait });
  }
}

/** Whether there is no use in asking once more; 507 says that there is no room. */
const refusal = (status) =>
  status === 507 || (status >= 400 && status < 500 && status !== 429 && status !== 408);

/** Whether the file is still what it was: one that was deleted or changed meanwhile cannot be read. */
const readable = (blob) =>
  blob.slice(0, 1).arrayBuffer().then(
    () => true,
    () => false,
  );

/**
 * POST `blob` to `url`. Returns {status, body, after}: the status, 0 without an answer; the JSON of
 * the answer; the seconds of its Retry-After. Never rejects.
 */
function post(url, blob, { token, progress, signal }) {
  const request = new XMLHttpRequest(); // fetch tells nothing of what is on its way
  return new Promise((resolve) => {
    request.open("POST", url);
    request.responseType = "json";
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
    request.onloadend = () => {
      const after = Number(request.getResponseHeader("Retry-After"));
      resolve({ status: request.status, body: request.response, after });
    };
    signal.addEventListener("abort", () => request.abort());
    request.send(blob);
  });
}
