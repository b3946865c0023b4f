/** What makes the page work without a network, and be told of clicks on its notifications. */

const FILE = /\.(?:css|js|json|png|svg|webmanifest|woff2)$/;
// What is loaded when it is first used, and has to be there without a network, too.
const LATER = ["actions", "browse", "clipboard", "complete", "confirm", "dialog", "invite", "lightbox"]
  .concat("notifications", "picker", "search", "settings", "shortcuts", "sound", "topic", "tray")
  .concat("uploads", "versions", "emoji/emoji")
  .map((name) => `${name}.js`)
  .concat("emoji/emoji.json", "emoji/en.json", "emoji/zh-CN.json")
  .concat("lightbox.css", "panels.css", "picker.css");
const PAUSE = 2_000; // ms without another file of the page after which they are kept

/**
 * Register the service worker, once the page has loaded, and have it keep the files of the page as
 * they come to be used. `open(room, id)` is called when somebody clicks on a notification with
 * `data: {room, id}` that the worker has shown. Where there are no service workers (without TLS, for
 * one), nothing happens.
 */
export function install(open) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  workers.addEventListener("message", ({ data }) => {
    if (data.open) open(data.open.room, data.open.id);
  });
  const begin = async () => {
    try {
      await workers.register("worker.js", { updateViaCache: "none" });
      keepFiles((await workers.ready).active);
    } catch (denied) {
      console.info("The page does not work offline:", denied.message);
    }
  };
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, { once: true });
}

/** Tell `worker` which files the page uses, now and whenever there are more. */
function keepFiles(worker) {
  const files = new Set();
  let timer;
  const add = (addresses) => {
    const known = files.size;
    for (const address of addresses) {
      const { href, origin, pathname, search } = new URL(address);
      if (origin === location.origin && !search && FILE.test(pathname)) files.add(href);
    }
    if (files.size === known) return;
    clearTimeout(timer);
    timer = setTimeout(() => worker.postMessage({ keep: [...files] }), PAUSE);
  };
  add(Array.from(document.querySelectorAll("link[href]"), ({ href }) => href));
  add(LATER.map((name) => new URL(name, document.baseURI).href));
  const observer = new PerformanceObserver((list) => {
    add(list.getEntriesByType("resource").map(({ name }) => name));
  });
  observer.observe({ type: "resource", buffered: true });
}
