// Texts in the reader's language: one JSON file for each.
let words = {};
export let language = "en";
let locale = "en"; // the reader's own form of the language, such as en-GB

export async function load(wanted) {
  language = wanted;
  locale = navigator.languages.find((known) => known.startsWith(wanted)) ?? wanted;
  words = await (await fetch(`texts/${language}.json`)).json();
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = t(place.dataset.text);
  for (const place of document.querySelectorAll("[data-name]")) place.setAttribute("aria-label", t(place.dataset.name));
}

export const t = (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// A genre or a reason as a person reads it; what the texts lack stays as it is.
export const name = (verdict) => words[`v_${verdict}`] ?? verdict.replaceAll("_", " ");

export const has = (key) => key in words;

// Formatters are made once: to make one costs more than to draw a card.
const made = new Map();
function format(kind, options) {
  const key = `${kind} ${locale} ${Object.entries(options)}`;
  if (!made.has(key)) made.set(key, new Intl[kind](locale, options));
  return made.get(key);
}

export const number = (value, digits = 0) =>
  value == null ? "–" : format("NumberFormat", { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

export const date = (at, options) => format("DateTimeFormat", options).format(new Date(at));

export const percent = (part, digits = 0) =>
  part == null ? "–" : part > 0 && part < 0.5 / 10 ** (2 + digits) ? `< ${number(10 ** -digits, digits)}\u00a0%` : `${number(100 * part, digits)}\u00a0%`;

const today = (at) => new Date(at).toDateString() === new Date().toDateString();
const CLOCK = { hour: "numeric", minute: "2-digit" };

// The time of day; with the date unless it is today.
export function time(at, options = { ...CLOCK, second: "2-digit" }) {
  return date(at, today(at) ? options : { month: "short", day: "numeric", ...options });
}

export const minute = (at) => time(at, CLOCK);

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [d, h, m] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const text = d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${whole % 60} s` : `${whole} s`;
  return text.replaceAll(" ", "\u00a0");
}
