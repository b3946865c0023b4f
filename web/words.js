/**
 * Everything that the page says in its own words comes from here, in the language that the user
 * reads: the texts are in locales/, one file a language, and only the chosen one is loaded.
 *
 * Names of users are set apart from the sentences that they stand in.
 */

import { preferences } from "./preferences.js";

/** The languages there are, each by its own name. */
export const LANGUAGES = { en: "English", "zh-CN": "简体中文" };

const NAMED = 5; // so many names at most in one sentence
const NOUNS = { text: "data-t", "aria-label": "data-t-label", placeholder: "data-t-placeholder" };

/** The language that the page speaks. */
export let language = "en";
let locale = language; // the same, or one of its regions as the browser asks for it
let texts = {};
let plurals;

/** The first of `wanted` (BCP 47, as in `navigator.languages`) that there are texts in. */
export function chosen(wanted) {
  for (const tag of wanted) {
    const found = spoken(tag);
    if (found) return found;
  }
  return "en";
}

function spoken(tag) {
  const { language: name, script } = new Intl.Locale(tag).maximize();
  if (name === "zh") return script === "Hans" ? "zh-CN" : undefined;
  return Object.hasOwn(LANGUAGES, name) ? name : undefined;
}

/** Speak the language `wanted`, or without one what the user or else the browser has chosen. */
export async function load(wanted) {
  const { languages = [] } = globalThis.navigator ?? {};
  const { language: preferred } = wanted ? {} : preferences();
  const known = Object.hasOwn(LANGUAGES, preferred) ? preferred : chosen(languages);
  language = wanted ?? known;
  locale = languages.find((tag) => spoken(tag) === language) ?? language;
  ({ default: texts } = await import(`./locales/${language}.js`));
  plurals = new Intl.PluralRules(language);
  formats.clear();
}

/** Have the page speak: this comes before anything else is drawn. */
export async function begin() {
  await load();
  document.documentElement.lang = language;
  translate();
}

/** Say in the page what its `data-t` attributes name. */
function translate() {
  for (const [what, mark] of Object.entries(NOUNS)) {
    for (const node of document.querySelectorAll(`[${mark}]`)) {
      const text = t(node.getAttribute(mark));
      if (what === "text") node.textContent = text;
      else node.setAttribute(what, text);
    }
  }
}

/**
 * The text of this key. Its `{places}` are filled with `values`, numbers as the language writes
 * them; where it has plural forms, `values.count` chooses.
 */
export function t(key, values = {}) {
  if (!Object.hasOwn(texts, key)) console.error(`There is no text for ${key}.`);
  const entry = texts[key] ?? key;
  const text = entry.other ? (entry[plurals.select(values.count)] ?? entry.other) : entry;
  return text.replace(/\{(\w+)\}/g, (_, place) => {
    const value = values[place];
    return typeof value === "number" ? number(value) : value;
  });
}

// Formats are made when they are first used: each takes the browser a while.
const formats = new Map();

function format(kind, options) {
  const key = kind + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl[kind](locale, options));
  return formats.get(key);
}

export const number = (value) => format("NumberFormat", {}).format(value);
export const list = (items) => format("ListFormat", {}).format(items);
export const compare = (a, b) => format("Collator", { numeric: true }).compare(a, b);

/** A time of day. */
export const clock = (date) =>
  format("DateTimeFormat", { hour: "numeric", minute: "2-digit" }).format(date);
/** A day, in full. */
export const day = (date) => format("DateTimeFormat", { dateStyle: "full" }).format(date);
/** A day and a time, in full. */
export const moment = (date) =>
  format("DateTimeFormat", { dateStyle: "full", timeStyle: "medium" }).format(date);

/** A day and a time, as short as it can be at `now`. */
export function when(date, now = new Date()) {
  if (date.toDateString() === now.toDateString()) return clock(date);
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
  const options = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", ...year };
  return format("DateTimeFormat", options).format(date);
}

/** Some seconds, at least one. */
export const duration = (seconds) =>
  format("NumberFormat", { style: "unit", unit: "second", unitDisplay: "long" }).format(
    Math.max(1, Math.ceil(seconds)),
  );

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte"];

/** A size of so many bytes. */
export function size(bytes) {
  const step = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const unitDisplay = step === 0 ? "long" : "short";
  const options = { style: "unit", unit: UNITS[step], unitDisplay, maximumSignificantDigits: 3 };
  return format("NumberFormat", options).format(bytes / 1000 ** step);
}

/** A name within a sentence, whichever way it is written (isolates: Unicode, UAX #9). */
export const apart = (name) => `\u2068${name}\u2069`;

/** Some users by name, and how many more they are. */
export function named(users) {
  const shown = users.length > NAMED ? users.slice(0, NAMED - 1) : users;
  const rest = users.length - shown.length;
  const names = shown.map((user) => apart(user.name));
  return list(rest ? [...names, t("others", { count: rest })] : names);
}

/** An `error` in plain words; `limits` are the server's. */
export function problem({ code, message, retry_after: wait }, limits) {
  const key = `problem.${code}`;
  if (!Object.hasOwn(texts, key)) return message || t("problem");
  const again = wait ? t("again", { wait: duration(wait) }) : "";
  return t(key, { ...limits, file: size(limits.file ?? 0) }) + again;
}
