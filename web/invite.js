import { dialog } from "./dialog.js";
import { h, write } from "./dom.js";
import { t } from "./words.js";

/** The address of the room, to be given to others. */
export default class Invite {
  constructor({ link }, { current }) {
    const url = new URL(link(current), location.href).href;
    const field = h("input", { id: "invite-link", type: "url", readOnly: true, value: url });
    const copy = h(
      "button",
      { class: "primary", type: "button", autofocus: true },
      t("invite.copy"),
    );
    const told = h("p", { class: "faint", role: "status" });
    copy.addEventListener("click", async () => {
      const done = await copied(field);
      write(told, t(done ? "invite.copied" : "invite.marked"));
    });
    const ways = h("div", { class: "row" }, field, copy);
    if (navigator.share) {
      const share = h("button", { type: "button" }, t("invite.share"));
      // Who thinks better of it rejects the promise: there is nothing to tell then.
      share.addEventListener("click", () =>
        navigator.share({ title: current, url }).catch(() => {}),
      );
      ways.append(share);
    }
    const label = h("label", { htmlFor: "invite-link" }, t("invite.label"));
    this.node = dialog(t("menu.invite"), h("div", { class: "fields" }, label, ways, told));
  }

  render() {}
}

async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch (denied) {
    console.info("The link is not copied:", denied.message); // a page without TLS has no clipboard
    field.select();
    return false;
  }
}
