// Now: a card for each source, updated by events; several sources can be searched and narrowed down.
import { Card, verdictOf } from "./card.js";
import { $, make, setText } from "./dom.js";
import { name, t } from "./text.js";

const KINDS = ["playing", "quiet", "attention", "off"];
const SHOWN_MS = 6000, GATHER_MS = 700, MOST_SPOKEN = 3;
const sources = new Map(), cards = new Map(), spoken = new Map(), dirty = new Set(), changed = new Map();
let facts = {}, chosen = null, wanted = "", scheduled = false, gathering = 0;

const kindOf = (verdict) =>
  ["stalled", "dead_air", "offline", "waiting"].includes(verdict) ? "attention" : verdict === "off" ? "off" : ["silence", "not_music", "warming_up"].includes(verdict) ? "quiet" : "playing";

export function show(list) {
  for (const source of list) sources.set(source.id, source);
  for (const [id, card] of cards) if (!list.some((source) => source.id === id)) { card.element.remove(); cards.delete(id); sources.delete(id); }
  const missing = list.filter((source) => !cards.has(source.id)).map((source) => {
    cards.set(source.id, new Card(source, report));
    return cards.get(source.id).element;
  });
  $("cards").append(...missing);
  for (const [id, source] of sources) if (!spoken.has(id)) spoken.set(id, verdictOf(source));
  redraw();
}

export function redraw() {
  for (const id of sources.keys()) dirty.add(id);
  paint();
}

// Take an event of the stream; a state or votes hold the newest level.
export function update(kind, payload) {
  const source = sources.get(payload.source);
  if (!source) return;
  if (kind === "availability") source.online = payload.online;
  if (kind === "listen") source.listening = payload.listening;
  if (kind === "state") {
    source.state = payload;
    if (["stalled", "off"].includes(payload.reason)) [source.ballots, source.votes] = [[], null];
  }
  if (kind === "votes") {
    source.votes = payload;
    source.ballots = [...source.ballots, payload.label].slice(-source.segments);
  }
  announce(source);
  dirty.add(source.id);
  if (!scheduled) requestAnimationFrame(paint);
  scheduled = true;
}

export function health(payload) {
  facts = payload.sources;
  const lines = payload.degraded;
  $("banner").hidden = !lines.length;
  $("problem-count").hidden = !lines.length;
  setText($("problem-count"), String(lines.length));
  setText($("banner").firstChild, t(lines.length > 1 ? "problems_more" : "problems", { count: lines.length, first: lines[0] ?? "" }));
  redraw();
}

function paint() {
  scheduled = false;
  for (const id of dirty) if (cards.has(id)) cards.get(id).draw(sources.get(id), facts[id]);
  dirty.clear();
  chips();
}

function chips() {
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0]));
  for (const card of cards.values()) counts[kindOf(card.verdict)] += 1;
  if (chosen && !counts[chosen]) chosen = null;
  $("finder").hidden = sources.size < 3;
  $("filter-line").hidden = sources.size < 8;
  $("filter").placeholder = t("filter");
  $("chips").setAttribute("aria-label", t("filter"));
  const kinds = [null, ...KINDS.filter((kind) => counts[kind])];
  const text = kinds.map((kind) => (kind ? `${t(`kind_${kind}`)} ${counts[kind]}` : `${t("kind_all")} ${sources.size}`));
  if ($("chips").dataset.shown !== `${text.join()} ${chosen}`) {
    const focused = document.activeElement?.dataset.kind;
    const chip = (kind, i) => make("button", { type: "button", class: kind === "attention" ? "bad" : null, "data-kind": kind ?? "all", "aria-pressed": String(kind === chosen), onclick: () => { chosen = kind; paint(); } }, text[i]);
    $("chips").replaceChildren(...kinds.map(chip));
    $("chips").dataset.shown = `${text.join()} ${chosen}`;
    if (focused) $("chips").querySelector(`[data-kind=${focused}]`)?.focus();
  }
  for (const [id, card] of cards) {
    const found = `${id} ${sources.get(id).name} ${name(card.verdict)}`.toLowerCase().includes(wanted);
    card.element.hidden = !found || (chosen !== null && kindOf(card.verdict) !== chosen);
  }
}

export function filter(text) {
  wanted = text.trim().toLowerCase();
  chips();
}

// Announce changes of verdict: those of a moment together, so that many sources do not talk for minutes.
function announce(source) {
  const verdict = verdictOf(source), before = spoken.get(source.id);
  spoken.set(source.id, verdict);
  if (before === undefined || before === verdict) return;
  changed.set(source.id, `${source.name}: ${name(verdict)}`);
  gathering ||= setTimeout(() => {
    const lines = [...changed.values()];
    $("changes").textContent = lines.length > MOST_SPOKEN ? t("many_changes", { count: lines.length }) : lines.join(". ");
    changed.clear();
    gathering = 0;
  }, GATHER_MS);
}

let back = 0, steady = ["", ""];

// Show the state of the connection, which a message replaces for some seconds.
export function connection(text, kind) {
  steady = [text, kind];
  if (!back) [$("connection").textContent, $("connection").className] = steady;
}

export function report(problem) {
  [$("connection").textContent, $("connection").className] = [problem.message, "message"];
  clearTimeout(back);
  back = setTimeout(() => { back = 0; connection(...steady); }, SHOWN_MS);
}

setInterval(redraw, 10000);
