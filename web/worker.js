/**
 * Serves the page where there is no network, and never an old one where there is.
 *
 * A *shell* is a cache with all the files of one version of the page; so that a version is never
 * mixed with another,
 *
 * - a shell is whole: it is used only when all of it has been fetched, and has then been found
 *   unchanged on the server;
 * - a page gets all its files from the network, or all from one shell that it is pinned to. It is
 *   pinned when it was loaded from it without a network, or when what it has loaded from the network
 *   turns out to be the same version. What a shell does not have comes from the network.
 *
 * What is not a file of the page is left alone.
 */

const SCOPE = new URL(self.registration.scope);
const PREFIX = `chatroom ${SCOPE.pathname} `; // other rooms may have their pages on the same host
const WHOLE = `${SCOPE.href}?whole`; // is put into a shell last
const FILE = /^[\w-][\w./-]*\.(?:css|js|json|png|svg|webmanifest|woff2)$/;
const MOST_FILES = 200;
const MOST_SHELLS = 4;
const TRIES = 3;
const AWAY = new Set([502, 503, 504]); // what a proxy says while the room is down

const seen = new Map(); // of each page that is being loaded: its files and their versions
let keeping = Promise.resolve();

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("fetch", (event) => {
  const { request, clientId, resultingClientId } = event;
  if (request.method !== "GET") return;
  const file = fileOf(request.url);
  if (request.mode === "navigate" && isPage(request.url)) {
    event.respondWith(page(request, resultingClientId));
  } else if (file && clientId) {
    event.respondWith(part(request, file, clientId));
  }
});

self.addEventListener("message", (event) => {
  const { keep: files } = event.data;
  if (!Array.isArray(files)) return;
  keeping = keeping.then(() => keep(files, event.source.id));
  event.waitUntil(keeping);
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(show(event.notification.data ?? {}));
});

/** Whether `address` is that of the page, whatever its room. */
function isPage(address) {
  const { origin, pathname } = new URL(address);
  return origin === SCOPE.origin && /^(?:index\.html)?$/.test(below(pathname) ?? "no");
}

/** The address by which a file of the page is kept, or null if `address` is not one. */
function fileOf(address) {
  const { origin, pathname, search } = new URL(address);
  const name = origin === SCOPE.origin && !search && below(pathname);
  return name && FILE.test(name) ? new URL(pathname, SCOPE).href : null;
}

function below(pathname) {
  return pathname.startsWith(SCOPE.pathname) ? pathname.slice(SCOPE.pathname.length) : null;
}

/** The page itself, for a client that is about to be. */
async function page(request, client) {
  const answer = await fetch(request, { cache: "no-cache" }).catch(() => null);
  if (answer && !AWAY.has(answer.status)) {
    seen.set(client, new Map([[SCOPE.href, version(answer)]]));
    return answer;
  }
  const [shell] = await shells();
  const kept = await shell?.match(SCOPE.href);
  if (!kept) return answer ?? Response.error();
  await pin(shell, client);
  return kept;
}

/** A file for `client`. */
async function part(request, file, client) {
  const shell = await shellOf(client);
  const kept = await shell?.match(file);
  if (kept) return kept;
  const answer = await fetch(request, { cache: "no-cache" });
  if (!shell) seen.get(client)?.set(file, version(answer));
  return answer;
}

/** Make sure that there is a shell of what the server has now, and pin `client` to it if it fits. */
async function keep(addresses, client) {
  try {
    const known = await shells();
    const wanted = new Set([SCOPE.href, ...addresses.map(fileOf).filter(Boolean)]);
    for (const file of (await versions(known[0])).keys()) wanted.add(file);
    const shell = await fresh([...wanted].slice(0, MOST_FILES), known[0]);
    const kept = await versions(shell);
    const loaded = seen.get(client);
    const fits = loaded && [...loaded].every(([file, its]) => its && kept.get(file) === its);
    if (fits) await pin(shell, client);
    await tidy();
  } catch (away) {
    console.info("The page could not be kept for later:", away.message);
  }
}

/** A shell with `files` as they are on the server: `shell`, if it is still that, or else a new one. */
async function fresh(files, shell) {
  const kept = await versions(shell);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const answers = await fetched(files);
    const found = new Map([...answers].map(([file, answer]) => [file, version(answer)]));
    if (same(found, kept)) return shell;
    const again = await fetched([...answers.keys()]);
    if (!same(found, new Map([...again].map(([file, answer]) => [file, version(answer)])))) continue;
    const made = await caches.open(PREFIX + Date.now());
    await Promise.all([...answers].map(([file, answer]) => made.put(file, answer)));
    await made.put(WHOLE, new Response());
    return made;
  }
  throw new Error("it changes all the time");
}

/** The server's answers by file; what it does not have any more is left out. */
async function fetched(files) {
  const answers = await Promise.all(files.map((file) => fetch(file, { cache: "no-cache" })));
  for (const { ok, redirected, status, url } of answers) {
    if ((!ok && status !== 404) || redirected) throw new Error(`${url}: ${status}`);
  }
  if (!answers[0].ok) throw new Error("there is no page");
  return new Map(answers.flatMap((answer, at) => (answer.ok ? [[files[at], answer]] : [])));
}

function version({ headers }) {
  return headers.get("ETag") ?? headers.get("Last-Modified");
}

/** Whether both have the same files, of the same versions, all of which are known. */
function same(some, others) {
  return some.size === others.size && [...some].every(([file, its]) => its && others.get(file) === its);
}

/** The versions of the files in `shell`, by file. */
async function versions(shell) {
  const found = new Map();
  for (const answer of (await shell?.matchAll()) ?? []) {
    if (answer.url) found.set(answer.url, version(answer)); // the marks have none
  }
  return found;
}

/** All shells that are whole, the newest first. */
async function shells() {
  const whole = [];
  for (const name of await names()) {
    const shell = await caches.open(name);
    if (await shell.match(WHOLE)) whole.push(shell);
  }
  return whole;
}

async function names() {
  const ours = (await caches.keys()).filter((name) => name.startsWith(PREFIX));
  return ours.sort().reverse(); // the digits of the time are as many until the year 2286
}

function mark(client) {
  return `${SCOPE.href}?client=${encodeURIComponent(client)}`;
}

async function pin(shell, client) {
  await shell.put(mark(client), new Response());
  seen.delete(client);
}

/** The shell that `client` is pinned to, if it is. It is kept there, for a worker forgets. */
async function shellOf(client) {
  if (seen.has(client)) return null;
  for (const shell of await shells()) if (await shell.match(mark(client))) return shell;
  return null;
}

/** Delete what no page can need: but for the newest two, shells without living pages. */
async function tidy() {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const client of seen.keys()) if (!pages.some(({ id }) => id === client)) seen.delete(client);
  const known = await names();
  for (const [at, name] of known.entries()) {
    if (at < 2) continue;
    const shell = await caches.open(name);
    const pins = await Promise.all(pages.map(({ id }) => shell.match(mark(id))));
    if (at >= MOST_SHELLS || !pins.some(Boolean)) await caches.delete(name);
  }
}

/** Go to where a notification was about: in a page that is open, or else in a new one. */
async function show({ room, id }) {
  // As hashOf() of route.js has it.
  const hash = room ? `#/${encodeURIComponent(room).replace("%40", "@")}` : "";
  const address = new URL(hash, SCOPE).href;
  const all = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const pages = all.filter(({ url }) => isPage(url)); // the one that was looked at last comes first
  const open = pages.find(({ url }) => url === address) ?? pages[0];
  if (!open) return self.clients.openWindow(id ? `${address}?at=${id}` : address);
  open.postMessage({ open: { room, id } });
  return open.focus();
}
