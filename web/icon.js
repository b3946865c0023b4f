import { svg } from "./dom.js";

/** A picture of those at the end of index.html, by its name there without "-icon". */
export const icon = (name) =>
  svg("svg", { "aria-hidden": "true" }, svg("use", { href: `#${name}-icon` }));
