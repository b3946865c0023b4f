import { dialog } from "./dialog.js";
import { h } from "./dom.js";
import { t } from "./words.js";

const apple = /Mac|iP/.test(navigator.platform);
const MOD = apple ? "⌘" : "Ctrl";
const ALT = apple ? "⌥" : "Alt";
const SHIFT = apple ? "⇧" : "Shift";

/** What one can do by keys. */
export default class Shortcuts {
  constructor() {
    const rows = [
      [t("shortcuts.rooms"), [MOD, "K"]],
      [t("shortcuts.search"), [MOD, SHIFT, "F"], ["/"]],
      [t("shortcuts.step"), [ALT, "↑"], [ALT, "↓"]],
      [t("shortcuts.unread"), [ALT, SHIFT, "↑"], [ALT, SHIFT, "↓"]],
      [t("shortcuts.send"), ["Enter"]],
      [t("shortcuts.break"), [SHIFT, "Enter"]],
      [t("shortcuts.edit"), ["↑"]],
      [t("shortcuts.close"), ["Esc"]],
      [t("shortcuts.this"), [MOD, "/"], ["?"]],
    ];
    this.node = dialog(
      t("keys"),
      h("dl", { class: "keys" }, ...rows.map(([what, ...ways]) => row(what, ways))),
      h("p", { class: "faint" }, t("shortcuts.alone")),
    );
  }

  render() {}
}

function row(what, ways) {
  const keys = ways.flatMap((way, place) => [
    place ? h("span", { class: "faint" }, ` ${t("shortcuts.or")} `) : null,
    ...way.map((key) => h("kbd", null, key)),
  ]);
  return h("div", null, h("dt", null, what), h("dd", null, ...keys));
}
