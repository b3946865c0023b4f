import { dialog } from "./dialog.js";
import { h, write } from "./dom.js";
import { prefer, preferences } from "./preferences.js";
import { LANGUAGES, t } from "./words.js";

/** What the user can choose for this browser. */
export default class Settings {
  #name = h("bdi", { class: "name" });
  #allowed = h("p", { class: "faint", role: "status", tabIndex: -1 });
  #allow = h("button", { type: "button" }, t("settings.allow"));

  constructor({ nameMe }) {
    const change = h("button", { type: "button" }, t("settings.rename"));
    change.addEventListener("click", () => {
      this.node.close();
      nameMe();
    });
    this.#allow.addEventListener("click", async () => {
      await Notification.requestPermission();
      this.#permission();
      if (this.#allow.hidden) this.#allowed.focus();
    });
    this.node = dialog(
      t("settings"),
      h("div", { class: "setting" }, h("span", null, t("settings.name")), this.#name, change),
      choice(
        "theme",
        t("settings.theme"),
        ["auto", "light", "dark"].map((theme) => [theme, t(`theme.${theme}`)]),
      ),
      // What is on the page already is in the other language: it begins afresh.
      select(
        "language",
        t("settings.language"),
        [["auto", t("language.auto")], ...Object.entries(LANGUAGES)],
        () => location.reload(),
      ),
      select(
        "notify",
        t("settings.notify"),
        ["direct", "all", "none"].map((kind) => [kind, t(`notify.${kind}`)]),
      ),
      h("div", { class: "row" }, this.#allow, this.#allowed),
      check(
        "sound",
        t("settings.sound"),
        (on) => on && import("./sound.js").then(({ chime }) => chime()),
      ),
      check("keys", t("settings.keys")),
    );
    this.#permission();
  }

  render({ self }) {
    write(this.#name, self?.name ?? "");
  }

  #permission() {
    const { permission = "none" } = globalThis.Notification ?? {};
    this.#allow.hidden = permission !== "default";
    write(this.#allowed, permission === "default" ? "" : t(`permission.${permission}`));
  }
}

/** One of several, as a row of radio buttons. */
function choice(name, label, options) {
  const chosen = preferences()[name];
  return h(
    "fieldset",
    null,
    h("legend", null, label),
    h(
      "div",
      { class: "choice" },
      ...options.map(([value, text]) =>
        h(
          "label",
          null,
          h("input", {
            type: "radio",
            name,
            value,
            checked: value === chosen,
            onchange: () => prefer({ [name]: value }),
          }),
          h("span", null, text),
        ),
      ),
    ),
  );
}

/** One of several, as a list to choose from. */
function select(name, label, options, act = () => {}) {
  const chosen = preferences()[name];
  const list = h(
    "select",
    { id: name },
    ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
  list.addEventListener("change", () => {
    prefer({ [name]: list.value });
    act();
  });
  return h("div", { class: "setting" }, h("label", { htmlFor: name }, label), list);
}

function check(name, label, act = () => {}) {
  const box = h("input", { type: "checkbox", checked: preferences()[name] });
  box.addEventListener("change", () => {
    prefer({ [name]: box.checked });
    act(box.checked);
  });
  return h("label", { class: "check" }, box, h("span", null, label));
}
