// Whether scripts mean the same: `node --expose-internals same.mjs FOLDER OTHER PATH…` prints each
// PATH whose syntax tree in the one folder differs from that in the other.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";

const { parse } = createRequire(import.meta.url)("internal/deps/acorn/acorn/dist/acorn");

function tree(file) {
  const read = parse(readFileSync(file, "utf8"), { ecmaVersion: "latest", sourceType: "module" });
  const plain = JSON.stringify(read, (key, value) =>
    key === "start" || key === "end" ? undefined : value,
  );
  return JSON.parse(plain);
}

const [folder, other, ...paths] = process.argv.slice(2);
for (const path of paths) {
  if (!isDeepStrictEqual(tree(`${folder}/${path}`), tree(`${other}/${path}`))) console.log(path);
}
