// Texts in the reader's language: one JSON file for each.
let words = {};
export let language = "en";

export async function load(wanted) {
  language = wanted;
  words = await (await fetch(`texts/${language}.json`)).json();
  document.documentElement.lang = language;
  for (const place of document.querySelectorAll("[data-text]")) place.textContent = t(place.dataset.text);
}

export const t = (key, values = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// A genre or a reason as a person reads it; what the texts lack stays as it is.
export const name = (verdict) => words[`v_${verdict}`] ?? verdict.replaceAll("_", " ");

export const number = (value, digits = 0) =>
  value == null ? "–" : value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const percent = (part, digits = 0) => (part == null ? "–" : `${number(100 * part, digits)} %`);

export const time = (at) =>
  new Date(at).toLocaleString(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [d, h, m] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${whole % 60} s` : `${whole} s`;
}
