/** What a user has chosen for this browser: it stays in this browser, and all its tabs share it. */

const DEFAULTS = {
  theme: "auto", // "light", "dark"; theme.js reads it, too, before anything is drawn
  language: "auto", // a name of a file in locales/
  notify: "direct", // "direct" (and mentions), "all", "none"
  sound: false,
  people: true, // whether they are shown beside the room
  markdown: true, // whether what is written may be Markdown
  keys: true, // whether "/" and "?" alone do something
};

let unkept = {}; // what cannot be stored is chosen for this visit

const key = () => `chatroom ${new URL(".", location.href).pathname} preferences`;

/** The preferences as they are now. */
export function preferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(key())), ...unkept };
  } catch (denied) {
    console.info("The defaults are used:", denied.message);
    return { ...DEFAULTS, ...unkept };
  }
}

/** Change some; those whom it concerns hear the event `preferences` of the window, with all. */
export function prefer(changes) {
  const detail = { ...preferences(), ...changes };
  try {
    localStorage.setItem(key(), JSON.stringify(detail));
    unkept = {};
  } catch (denied) {
    unkept = detail;
    console.info("Nothing is remembered between visits:", denied.message);
  }
  dispatchEvent(new CustomEvent("preferences", { detail }));
}
