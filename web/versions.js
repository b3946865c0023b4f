import { copy } from "./clipboard.js";
import { dialog } from "./dialog.js";
import { h } from "./dom.js";
import { prose } from "./prose.js";
import { sheet } from "./sheet.js";
import { moment, problem, t } from "./words.js";

/** What a message was before it was edited, version by version. */
export class Versions {
  #list = h("ol", { class: "versions" });
  #told = h("p", { class: "faint", role: "status" });
  #node;
  #shown = null;

  constructor(actions, id) {
    actions.versions(id);
    this.#node = dialog(t("versions"), this.#told, this.#list);
    this.#node.addEventListener("close", () => actions.versions(null));
    this.#list.addEventListener("click", ({ target }) => this.#copy(target.closest("[data-act=code]")));
  }

  static async open(actions, id) {
    await sheet("panels.css");
    return new Versions(actions, id);
  }

  #copy(button) {
    if (!button) return;
    const code = button.parentNode.querySelector("code").textContent;
    copy(code, button, "copy", (copied) => {
      this.#told.textContent = t(copied ? "message.copied" : "problem");
    });
  }

  render({ versions, limits }) {
    if (versions === this.#shown || versions === null) return;
    this.#shown = versions;
    const { list, problem: error } = versions;
    const told = error ? problem(error, limits) : t("versions.loading");
    this.#told.textContent = list ? "" : told;
    this.#list.replaceChildren(
      ...(list ?? []).map((version, place) =>
        h(
          "li",
          {},
          h(
            "p",
            { class: "faint" },
            h("time", { dateTime: version.time }, moment(new Date(version.time))),
            place === list.length - 1 && ` · ${t("versions.now")}`,
          ),
          h("div", { class: version.html ? "text rich" : "text", dir: "auto" }, prose(version)),
        ),
      ),
    );
  }
}
