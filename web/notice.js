import { element, write } from "./dom.js";
import { apart, duration, problem, t } from "./words.js";

/** A problem that the user should know of. */
export class Notice {
  #box = element("notice");
  #own = ""; // of the page itself, not of the server
  #error = null;

  /** `dismiss()` says that it was read; `focus()` takes the focus when its button goes. */
  constructor({ dismiss, focus }) {
    element("notice-close").addEventListener("click", () => {
      this.tell("");
      dismiss();
      focus();
    });
    // What is loaded only now may be of a later version, and not fit what is here.
    const outdated = ({ reason }) => {
      if (!(reason instanceof SyntaxError)) return;
      removeEventListener("unhandledrejection", outdated); // once is enough
      this.tell(t("notice.outdated"));
    };
    addEventListener("unhandledrejection", outdated);
  }

  /** Tell what went wrong in the page. */
  tell(text) {
    this.#own = text;
    this.#draw(text);
  }

  render({ notice, self, limits }) {
    if (notice === this.#error) return;
    this.#error = notice;
    this.#draw(notice ? told(notice, self, limits) : this.#own);
  }

  #draw(text) {
    this.#box.hidden = text === "";
    write(element("notice-text"), text);
  }
}

/** An `error` that belongs to no message and no wish; a name is asked for by connecting, too. */
function told(error, self, limits) {
  const text = problem(error, limits);
  if (!self || !error.code.includes("name")) return text;
  return t("notice.name", { problem: text, name: apart(self.name) });
}

/** The line that says when there is no connection, and when the next try is. */
export class LinkLine {
  #line = element("link");
  #retry = element("link-retry");
  #timer = null;
  #status = null;

  constructor({ reconnect, focus }) {
    this.#retry.addEventListener("click", () => {
      reconnect();
      focus();
    });
  }

  render({ link }) {
    if (link !== this.#status) this.#draw(link);
  }

  #draw(status) {
    this.#status = status;
    clearTimeout(this.#timer);
    const { text, detail } = connection(status, !navigator.onLine, Date.now());
    // The text is announced when it changes; the seconds beside it are only to be seen.
    write(element("link-text"), text);
    write(element("link-detail"), detail);
    this.#line.classList.toggle("quiet", text === "");
    this.#retry.hidden = status.state !== "waiting";
    if (status.state === "waiting") this.#timer = setTimeout(() => this.#draw(status), 500);
  }
}

/** What is told: {text, detail}; the text is empty when all is well. */
function connection({ state, retryAt, closed, doubted }, offline, now) {
  if (state === "open") {
    return { text: doubted && offline ? t("link.doubted") : "", detail: "" };
  }
  if (state === "waiting") {
    const detail = t("link.next", { wait: duration((retryAt - now) / 1000) });
    return { text: lost(closed, offline), detail };
  }
  return closed
    ? { text: lost(closed, offline), detail: t("link.connecting") }
    : { text: t("link.connecting"), detail: "" };
}

function lost({ code, reason }, offline) {
  if (offline) return t("link.offline");
  if (code === 1008) return t("link.policy", { reason: reason || t("link.rules") });
  if (code === 1012) return t("link.restart");
  if (code === 1013) return t("link.busy");
  return t("link.lost");
}
