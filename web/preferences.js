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

const key = () => `chatroom ${new URL(".", location.href).pathname} preferences`;

/** The preferences as they are now. */
export function preferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(key())) };
  } catch (denied) {
    console.info("The defaults are used:", denied.message);
    return DEFAULTS;
  }
}

/** Change some of them; those whom it concerns hear the event `preferences` of the window. */
export function prefer(changes) {
  try {
    localStorage.setItem(key(), JSON.stringify({ ...preferences(), ...changes }));
  } catch (denied) {
    console.info("Nothing is remembered between visits:", denied.message);
  }
  dispatchEvent(new Event("preferences"));
}
