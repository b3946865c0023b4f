import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../web/", import.meta.url);
const TEXT = 4.5; // WCAG 2.2, 1.4.3
const EDGE = 3; // 1.4.11: what shows that there is a field, a focus, an icon

const sources = (ending) =>
  readdirSync(WEB)
    .filter((file) => file.endsWith(ending))
    .map((file) => readFileSync(new URL(file, WEB), "utf8"))
    .join("\n");
const css = sources(".css");

const hues = [...css.matchAll(/\[data-hue="\d+"\] \{\s*--hue: (\d+)/g)].map(([, hue]) =>
  Number(hue),
);

/** Every colour that has a name, as {light, dark}. Where one has two values both are kept. */
const tokens = new Map();
for (const [, name, light, dark] of css.matchAll(
  /(--[\w-]+):\s*light-dark\(\s*(#\w+|oklch\([^()]*(?:\([^()]*\))?[^()]*\)),\s*(#\w+|oklch\([^()]*(?:\([^()]*\))?[^()]*\))\s*\)/g,
)) {
  tokens.set(name, [...(tokens.get(name) ?? []), { light, dark }]);
}
for (const [, name, other] of css.matchAll(/(--[\w-]+):\s*var\((--[\w-]+)\);/g)) {
  if (tokens.has(other)) tokens.set(name, tokens.get(other));
}

function linear(colour, hue) {
  if (colour.startsWith("#")) {
    const digits = colour.length === 4 ? colour.replace(/[^#]/g, "$&$&") : colour;
    return [1, 3, 5].map((at) => {
      const value = parseInt(digits.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
  }
  const [lightness, chroma] = colour.match(/[\d.]+/g).map(Number);
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((value) => Math.min(1, Math.max(0, value)));
}

function luminance(colour, hue) {
  const [red, green, blue] = linear(colour, hue);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other, hue) {
  const [high, low] = [luminance(one, hue), luminance(other, hue)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

function check(front, back, least) {
  assert.ok(tokens.has(front) && tokens.has(back), `${front} on ${back}: no such colour`);
  for (const theme of ["light", "dark"]) {
    for (const ink of tokens.get(front)) {
      for (const ground of tokens.get(back)) {
        for (const hue of (ink[theme] + ground[theme]).includes("--hue") ? hues : [0]) {
          const found = contrast(ink[theme], ground[theme], hue);
          const what = `${front} on ${back}, ${theme}, hue ${hue}: ${found.toFixed(2)}`;
          assert.ok(found >= least, what);
        }
      }
    }
  }
}

test("the contrast of two colours is computed as WCAG says", () => {
  assert.equal(contrast("#fff", "#000").toFixed(2), "21.00");
  assert.equal(contrast("#767676", "#ffffff").toFixed(2), "4.54");
  // The examples of CSS Color 4: `green` and `magenta`.
  assert.equal(contrast("oklch(0.5198 0.1769 var(--hue))", "#008000", 142.495).toFixed(2), "1.00");
  assert.equal(contrast("oklch(0.7016 0.3225 var(--hue))", "#ff00ff", 328.363).toFixed(2), "1.00");
});

test("what is written can be read, wherever it stands", () => {
  for (const ground of ["--ground", "--side", "--raised", "--hover"]) {
    for (const ink of ["--ink", "--faint", "--accent", "--bad"]) check(ink, ground, TEXT);
  }
  for (const ink of ["--ink", "--faint"]) check(ink, "--mention", TEXT);
  check("--ink", "--track", TEXT);
  for (const name of tokens.keys()) {
    const ground = name.replace("--on-", "--");
    if (ground !== name) check(name, ground, TEXT);
  }
});

test("code can be read in all its colours", () => {
  const inks = [...tokens.keys()].filter((name) => /^--code-(?!ground)/.test(name));
  assert.ok(inks.length > 5);
  for (const ink of ["--ink", ...inks]) check(ink, "--code-ground", TEXT);
});

test("the names of users and their pictures can be read, in each user's colour", () => {
  assert.ok(hues.length > 5);
  for (const ground of ["--ground", "--hover", "--mention", "--side"]) {
    check("--called", ground, TEXT);
  }
  check("--on-face", "--face", TEXT);
});

test("one sees where a field is, and what has the focus", () => {
  for (const ground of ["--ground", "--side", "--raised"]) {
    check("--edge", ground, EDGE);
    check("--accent", ground, EDGE);
  }
});

test("every rule that sets a ground and an ink sets two that go together", () => {
  let rules = 0;
  for (const [, rule] of css.matchAll(/\{([^{}]*)\}/g)) {
    const ink = rule.match(/(?:^|[;\s])color:\s*var\((--[\w-]+)\)/)?.[1];
    const ground = rule.match(/background(?:-color)?:\s*var\((--[\w-]+)\)/)?.[1];
    if (!ink || !ground) continue;
    rules += 1;
    check(ink, ground, TEXT);
  }
  assert.ok(rules > 5);
});

test("every colour that has a name is used, and every name that is used is a colour's", () => {
  const used = new Set([...css.matchAll(/var\((--[\w-]+)/g)].map(([, name]) => name));
  for (const name of tokens.keys()) assert.ok(used.has(name), `${name} is not used`);
  const scripts = sources(".js");
  const set = new Set([...css.matchAll(/(--[\w-]+)\s*:/g)].map(([, name]) => name));
  for (const [, name] of scripts.matchAll(/setProperty\(\s*"(--[\w-]+)"/g)) set.add(name);
  for (const name of used) assert.ok(set.has(name), `${name} is used and not set`);
});
