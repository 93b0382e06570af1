// Elements, colours and requests. Text is only ever set as text, never as HTML.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (key === "tint") made.style.setProperty("--tint", value);
    else if (key === "wide") made.style.width = `${100 * value}%`;
    else if (key === "grow") made.style.flexGrow = value;
    else if (value != null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export const $ = (id) => document.getElementById(id);

export const setText = (place, text) => { if (place.textContent !== text) place.textContent = text; };

export const swatch = (verdict) => make("span", { class: "swatch", tint: colour(verdict) });

const NUMERIC = /^(–|[<\s-]*\d[\d.,\s%dhmins]*)$/;

// A column whose first value is a number, a share or a duration is set to the right.
export function table(caption, heads, rows) {
  const right = heads.map((_, i) => i > 0 && rows.length > 0 && NUMERIC.test(rows[0][i]));
  const cell = (tag, value, i) => make(tag, { class: right[i] ? "n" : null, scope: tag === "th" ? "col" : null }, value instanceof Node ? value : String(value));
  return make("table", {}, make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, ...heads.map((head, i) => cell("th", head, i)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, i) => cell("td", value, i))))));
}

// Fill a choice and keep what was chosen, if it is still there.
export function choices(id, pairs) {
  const before = $(id).options.length ? $(id).value : null;
  $(id).replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  if (pairs.some(([value]) => value === before)) $(id).value = before;
}

const COLOURS = {
  blues: "#4477cc", classical: "#66bbee", country: "#999933", disco: "#ee7733", hiphop: "#aa4499", jazz: "#d4a017",
  metal: "#882255", pop: "#e0607a", reggae: "#228833", rock: "#22aa99", silence: "#9aa5a4", not_music: "#6f7a79",
  dead_air: "#c01515", refused: "#c2c9c8", unknown: "#a58ab5", warming_up: "#dde2e1", stalled: "#7a1010", lost: "#7a1010", off: "#b0b0b0",
};
const MORE = ["#0077bb", "#ee3377", "#6699cc", "#997700", "#994455", "#004488", "#eecc66", "#225522"];

export function colour(verdict) {
  if (COLOURS[verdict]) return COLOURS[verdict];
  let sum = 0;
  for (const letter of verdict) sum = (31 * sum + letter.codePointAt(0)) % 4093;
  return MORE[sum % MORE.length];
}

export async function get(path) {
  const answer = await fetch(`api/v1/${path}`);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
}

export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Genrewatch": "1" };
  const answer = await fetch(`api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.json()).error);
}
