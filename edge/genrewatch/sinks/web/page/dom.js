// Elements, colours and requests. Text is only ever set as text, never as HTML.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") made.addEventListener("click", value);
    else if (key === "tint") made.style.setProperty("--tint", value);
    else if (value != null && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

export const $ = (id) => document.getElementById(id);

export function table(caption, heads, rows) {
  const cell = (tag, value, index) => {
    const right = index > 0 && (typeof value === "number" || /^[-–\d.,]+( %| s)?$/.test(value));
    return make(tag, { class: right ? "n" : null, scope: tag === "th" ? "col" : null }, value instanceof Node ? value : String(value));
  };
  return make("table", {}, make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, ...heads.map((head, i) => cell("th", head, i)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((value, i) => cell("td", value, i))))));
}

const COLOURS = {
  blues: "#332288", classical: "#88ccee", country: "#999933", disco: "#ee7733", hiphop: "#aa4499", jazz: "#ddcc77",
  metal: "#882255", pop: "#cc6677", reggae: "#117733", rock: "#44aa99", silence: "#9a9a9a", not_music: "#7a7a7a",
  dead_air: "#000000", refused: "#c9c9c9", warming_up: "#e0e0e0", stalled: "#d00000", lost: "#d00000", off: "#b0b0b0",
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

export async function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-Genrewatch": "1" };
  const answer = await fetch(`api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error((await answer.json()).error);
}
