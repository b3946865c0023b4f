// The theme that the user has chosen. No module: those run when something is on the screen already.
{
  const KEY = `chatroom ${new URL(".", location.href).pathname} preferences`;
  const root = document.documentElement;

  function chosen() {
    try {
      return JSON.parse(localStorage.getItem(KEY))?.theme;
    } catch (denied) {
      console.info("The system's theme is used:", denied.message);
      return "auto";
    }
  }

  function apply(event) {
    const theme = event?.detail?.theme ?? chosen();
    const known = theme === "light" || theme === "dark";
    if (known) root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const colour of document.querySelectorAll("meta[name=theme-color]")) {
      const { scheme } = colour.dataset;
      if (known) colour.media = scheme === theme ? "all" : "not all";
      else colour.media = `(prefers-color-scheme: ${scheme})`;
    }
  }

  apply();
  addEventListener("preferences", apply);
  addEventListener("storage", apply);
}
