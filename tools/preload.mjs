/**
 * Writes into web/index.html which modules main.js cannot do without, so that a browser asks for all
 * of them at once. Run it when an `import` has come or gone (tests/web/frame.test.mjs tells):
 *
 *     node tools/preload.mjs
 */

import { readFileSync, writeFileSync } from "node:fs";

const WEB = new URL("../web/", import.meta.url);
const PAGE = new URL("index.html", WEB);

/** The modules that `file` cannot do without, itself among them. */
export function graph(file, known = new Set()) {
  if (known.has(file)) return known;
  known.add(file);
  const source = readFileSync(new URL(file, WEB), "utf8");
  for (const [, name] of source.matchAll(/^(?:import|export)\b[^;]*?"(\.{1,2}\/[^"]+)";/gm)) {
    graph(new URL(name, `http://page/${file}`).pathname.slice(1), known);
  }
  return known;
}

/** Those besides itself, in order. */
export const preloaded = (file) => [...graph(file)].filter((other) => other !== file).sort();

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const lines = preloaded("main.js").map((file) => `    <link rel="modulepreload" href="${file}">\n`);
  const page = readFileSync(PAGE, "utf8");
  const whole = page.replace(/(?: *<link rel="modulepreload".*\n)+/, () => lines.join(""));
  writeFileSync(PAGE, whole);
}
