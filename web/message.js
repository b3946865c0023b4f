/** One message as a row of the log, drawn once and changed in place. */

import { paint } from "./avatar.js";
import { h, write } from "./dom.js";
import { plain } from "./html.js";
import { icon } from "./icon.js";
import { prose } from "./prose.js";
import { onlyEmoji } from "./text.js";
import { fileAddress, thumbnailAddress } from "./upload.js";
import { clock, day, moment, named, number, problem, size, t } from "./words.js";

const IMAGE = { width: 360, height: 270 }; // px that a picture takes at most

let skeleton; // not before the words are there

function blank() {
  skeleton ??= h(
    "li",
    { class: "message", tabIndex: -1 },
    h("span", { class: "avatar", "aria-hidden": "true" }),
    h(
      "div",
      { class: "body" },
      h("p", { class: "head" }, h("bdi", { class: "name" }), " ", h("time", {})),
      h("div", { class: "text", dir: "auto" }),
    ),
    h(
      "button",
      {
        type: "button",
        class: "icon more",
        tabIndex: -1,
        "aria-label": t("message.actions"),
        data: { act: "more" },
      },
      "⋯", // no drawing: there are many rows
    ),
  );
  return skeleton.cloneNode(true);
}

/**
 * The row of a message. What it holds can be acted on: each button and link has `data-act`, which
 * says what for, and whoever listens finds the row by `closest(".message")`.
 */
export class Row {
  node = blank();
  message = null; // as it was drawn last, and of whom, and with what
  self = null;
  quoted;
  note = null; // the row that stands behind this one
  #fate = "null";
  #preview = null; // the address of a picture that is not sent yet
  #heading = "";

  constructor(message) {
    if (message.id) this.node.dataset.id = message.id;
  }

  /** The last node of this row in the list. */
  get tail() {
    return this.note ?? this.node;
  }

  /** Give back what the browser keeps for it. */
  release() {
    if (this.#preview) URL.revokeObjectURL(this.#preview);
  }

  /**
   * Draw what is different. `self` is {id, name}; `quoted` the message that it answers, null if that
   * is not there, undefined while nobody knows.
   */
  render(message, self, quoted) {
    const was = this.message ?? {};
    const differs = (...parts) => parts.some((part) => was[part] !== message[part]);
    const other = this.self?.id !== self?.id;
    const before = this.quoted;
    Object.assign(this, { message, self, quoted });
    if (differs("from", "time")) this.#head(message);
    if (differs("message", "html", "mentions", "deleted", "edited") || other) this.#text(message);
    if (differs("reply") || quoted !== before) this.#quote(message, quoted);
    if (differs("file", "preview")) this.#file(message);
    if (differs("reactions") || other) this.#react(message);
    this.node.classList.toggle("mine", message.from.id === self?.id);
  }

  /**
   * Where it stands: `follows` the same speaker; below the line `unread`; `date`, a Date, is the
   * first of its day, or null.
   */
  relate({ follows, unread, date }) {
    const heading = date ? day(date) : "";
    if (`${unread} ${heading}` !== this.#heading) {
      this.#heading = `${unread} ${heading}`;
      for (const line of this.node.querySelectorAll(":scope > .day, :scope > .unread")) {
        line.remove();
      }
      this.node.prepend(
        ...(heading ? [h("p", { class: "day" }, heading)] : []),
        ...(unread ? [h("p", { class: "unread" }, t("log.unread"))] : []),
      );
    }
    this.node.classList.toggle("follows", follows);
  }

  /** What becomes of it: `{text, failed, progress?, ways: [act…]}`, or null when all is done. */
  fate(fate) {
    const key = JSON.stringify(fate && { ...fate, progress: undefined });
    if (key !== this.#fate) {
      this.#fate = key;
      const acts = { retry: t("unsaid.retry"), edit: t("unsaid.edit"), discard: t("unsaid.discard") };
      if (fate && !fate.failed) acts.discard = t("cancel");
      this.node.classList.toggle("pending", fate !== null);
      this.node.classList.toggle("failed", Boolean(fate?.failed));
      this.#put("fate", ".body", fate && h(
        "p",
        { class: "fate" },
        h("span", {}, fate.text),
        fate.progress !== undefined && h("progress", { max: 1, "aria-label": t("file.progress") }),
        fate.ways.map((way) =>
          h("button", { type: "button", data: { act: way, nonce: fate.nonce } }, acts[way]),
        ),
      ));
    }
    if (fate?.progress !== undefined) {
      this.node.querySelector(".fate progress").value = fate.progress;
    }
  }

  #head({ from, time }) {
    const date = new Date(time);
    const [avatar, name, at] = ["avatar", "name"]
      .map((part) => this.node.querySelector(`.${part}`))
      .concat(this.node.querySelector("time"));
    paint(avatar, from);
    name.textContent = from.name;
    name.dataset.hue = avatar.dataset.hue;
    at.dateTime = time;
    at.textContent = clock(date);
    at.title = moment(date);
  }

  #text(message) {
    const { mentions = [], deleted, edited, html, message: text } = message;
    const me = this.self?.id;
    const box = this.node.querySelector(".text");
    if (box.contains(document.activeElement)) this.node.focus({ preventScroll: true });
    this.node.classList.toggle("deleted", Boolean(deleted));
    this.node.classList.toggle("calls", mentions.some(({ id }) => id === me));
    box.classList.toggle("rich", Boolean(html));
    box.classList.toggle("large", onlyEmoji(text));
    box.hidden = !deleted && text === "" && !edited;
    if (deleted) return box.replaceChildren(t("message.deleted"));
    box.replaceChildren(...prose(message, me));
    if (!edited) return;
    const mark = h(
      "button",
      { type: "button", class: "edited", title: moment(new Date(edited)), data: { act: "versions" } },
      t("message.edited"),
    );
    const last = box.lastElementChild;
    (html && last?.tagName === "P" ? last : box).append(" ", mark);
  }

  #quote({ reply }, quoted) {
    const known = quoted
      ? [h("bdi", { class: "name" }, quoted.from.name), h("span", { class: "gist" }, gist(quoted))]
      : h("span", { class: "gist" }, quoted === null ? t("message.gone") : t("message.earlier"));
    const what = h("span", { class: "unseen" }, t("message.answers"), " ");
    const props = { type: "button", class: "quote", data: { act: "quote" }, dir: "auto" };
    this.#put("quote", ".text", reply && h("button", props, icon("reply"), what, known), "before");
  }

  #file({ file, preview }) {
    const part = preview ? this.#previewOf(preview) : file && (file.width ? picture(file) : card(file));
    this.#put("file", ".text", part, "after");
  }

  #previewOf({ name, size: bytes, blob, type }) {
    if (!blob || !/^image\/(?:png|jpeg|gif|webp)$/.test(type)) return card({ name, size: bytes });
    this.#preview ??= URL.createObjectURL(blob);
    return h("span", { class: "file image" }, h("img", { src: this.#preview, alt: name }));
  }

  #react({ reactions = [] }) {
    const list = this.node.querySelector(".reactions");
    if (reactions.length === 0) {
      if (list?.contains(document.activeElement)) this.node.focus({ preventScroll: true });
      return list?.remove();
    }
    const shown = list ?? h(
      "ul",
      { class: "reactions", "aria-label": t("message.reactions") },
      h("li", {}, h(
        "button",
        { type: "button", class: "add", "aria-label": t("message.react"), data: { act: "react" } },
        icon("react"),
      )),
    );
    const old = new Map([...shown.querySelectorAll("[data-emoji]")].map((button) => [button.dataset.emoji, button]));
    for (const [place, { emoji, users }] of reactions.entries()) {
      const button = old.get(emoji) ?? h(
        "button",
        { type: "button", data: { act: "toggle", emoji } },
        h("span", { class: "emoji", "aria-hidden": "true" }, emoji),
        h("span", { class: "count", "aria-hidden": "true" }),
      );
      old.delete(emoji);
      button.ariaPressed = users.some(({ id }) => id === this.self?.id);
      button.title = t("message.reacted", { names: named(users), emoji });
      button.ariaLabel = `${emoji} ${number(users.length)}: ${named(users)}`;
      write(button.lastChild, number(users.length));
      if (!button.parentNode) shown.insertBefore(h("li", {}, button), shown.children[place]);
    }
    for (const button of old.values()) {
      if (button === document.activeElement) this.node.focus({ preventScroll: true });
      button.parentNode.remove();
    }
    if (!list) this.node.querySelector(".body").append(shown);
  }

  /** The part of this class, in place of the one there was, beside or in the node `where`. */
  #put(name, where, part, how = "append") {
    const there = this.node.querySelector(`.body > .${name}`);
    if (there?.contains(document.activeElement)) this.node.focus({ preventScroll: true });
    if (there && part) there.replaceWith(part);
    else if (there) there.remove();
    else if (part) this.node.querySelector(where)[how](part);
  }
}

function picture(file) {
  const scale = Math.min(1, IMAGE.width / file.width, IMAGE.height / file.height);
  const [width, height] = [file.width, file.height].map((side) => Math.max(1, Math.round(side * scale)));
  return h(
    "a",
    { class: "file image", href: fileAddress(file), target: "_blank", data: { act: "image" } },
    h("img", {
      src: thumbnailAddress(file),
      alt: t("file.image", { name: file.name }),
      width,
      height,
      loading: "lazy",
      decoding: "async",
    }),
  );
}

function card(file) {
  return h(
    file.id ? "a" : "span",
    { class: "file card", ...(file.id && { href: fileAddress(file), download: file.name }) },
    icon("file"),
    h("bdi", { class: "name" }, file.name),
    h("span", { class: "size" }, size(file.size)),
  );
}

/** What a message says, without its form. */
export const said = ({ message, html, file }) =>
  (html ? plain(html) : message).trim() || (file?.name ?? "");

/** A message in a few words. */
export const gist = (message) =>
  message.deleted ? t("message.deleted") : said(message).replace(/\s+/g, " ").slice(0, 200);

/** What becomes of a message that is not said yet. */
export function fate(entry, { online, limits }) {
  const { data, failed, nonce, problem: code, upload } = entry;
  if (failed) {
    const text = t("unsaid.failed", { problem: problem({ code }, limits) });
    const ways = data.message ? ["retry", "edit", "discard"] : ["retry", "discard"];
    return { text, failed, nonce, ways };
  }
  const uploading = upload && !upload.done;
  const ways = uploading || !online ? ["discard"] : [];
  const progress = uploading ? upload.progress : undefined;
  return { text: sending(code, online, uploading), failed, nonce, ways, progress };
}

function sending(code, online, uploading) {
  if (!online) return t("unsaid.offline");
  if (code === "rate_limited") return t("unsaid.quick");
  if (code === "unavailable") return t("unsaid.unavailable");
  return uploading ? t("unsaid.uploading") : t("unsaid.sending");
}

/** What becomes of the changes of a message that are on their way; null when there is nothing to say. */
export function pending(entries = [], { limits }) {
  const [entry] = entries.filter(({ failed }) => failed);
  if (entry) {
    const text = t("unsaid.change", { problem: problem({ code: entry.problem }, limits) });
    const ways = entry.event === "edit" ? ["retry", "edit", "discard"] : ["retry", "discard"];
    return { text, failed: true, nonce: entry.nonce, ways };
  }
  const slow = entries.some(({ event }) => event !== "react");
  return slow ? { text: t("unsaid.saving"), failed: false, ways: [] } : null;
}
