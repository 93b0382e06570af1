// Day and week: the timeline of one source or of all, a spell's facts, airtime, and the table behind the chart.
import { columns } from "./columns.js";
import { correct } from "./correct.js";
import { $, choices, colour, get, make, post, swatch, table } from "./dom.js";
import { date, duration, minute, name, number, percent, t, time } from "./text.js";
import { kind, Timeline, title } from "./timeline.js";

const HOUR = 3600000, MINUTE = 60000, MOST = 30000, IN_TABLE = 500, ALL = "";
const REASONS = ["not_music", "silence", "refused", "unknown", "stalled", "warming_up"];
const chart = new Timeline($("timeline"), pick);
let spells = [], corrections = new Map(), names = new Map(), end = null, asked = 0;

const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
const days = () => Number($("days").value); // 0 is an hour
const later = (at, count) => (days() ? new Date(at).setDate(new Date(at).getDate() + count) : at + count * HOUR);
const from = () => later(end, -(days() || 1));
const newest = () => (days() ? later(midnight(Date.now()), 1) : Math.ceil(Date.now() / MINUTE) * MINUTE);
const keyOf = (spell) => `${spell.source} ${spell.seq ?? spell.start}`;

export function sources(list, labels) {
  names = new Map(list.map((source) => [source.id, source.name]));
  choices("history-source", [...(list.length > 1 ? [[ALL, t("all_sources")]] : []), ...names]);
  choices("wanted", [["", t("everything")], ...[...new Set([...labels, ...REASONS])].map((verdict) => [verdict, name(verdict)])]);
}

export async function show() {
  const number = ++asked;
  end ??= newest();
  const source = $("history-source").value, wanted = $("wanted").value;
  const range = `since=${new Date(from()).toISOString()}&until=${new Date(end).toISOString()}&source=${source}`;
  const query = wanted ? `${range}&verdict=${encodeURIComponent(wanted)}` : range;
  $("csv").href = `api/v1/spells.csv?${query}`;
  $("report-csv").href = `api/v1/report.csv?by=${days() > 1 ? "day" : "hour"}&${range}`;
  const day = (at) => date(at, { weekday: "short", year: "numeric", month: "short", day: "numeric" });
  $("range-text").textContent = days() > 1 ? `${day(from())} – ${day(end - 1)}` : days() ? day(from()) : `${minute(from())} – ${minute(end)}`;
  $("later").disabled = end > Date.now();
  try {
    const by = days() > 1 ? "day" : "hour";
    const [found, report, corrected] = await Promise.all([all(query, number), get(`report?by=${by}&${range}`), get("corrections")]);
    if (number !== asked) return;
    spells = found;
    corrections = new Map(corrected.corrections.map((one) => [`${one.source} ${one.seq ?? one.start}`, one.label]));
    draw();
    airtime(report.total);
    columns(report, by);
  } catch (problem) {
    if (number !== asked) return;
    note(problem.message);
    chart.show([], []);
  }
}

async function all(query, number) {
  const found = [];
  let after = 0;
  while (after !== null && found.length < MOST && number === asked) {
    const page = await get(`spells?${query}&limit=1000&after=${after}`);
    found.push(...page.spells);
    after = page.next;
    if (after !== null) note(t("loading", { count: found.length }));
  }
  note(after === null ? (found.length ? "" : t("no_spells")) : t("too_many", { count: found.length }));
  return found.sort((a, b) => (a.start < b.start ? -1 : 1));
}

function note(text) {
  $("note").textContent = text;
  $("note").hidden = !text;
}

// A row is a day of one source, or the whole range of each of all sources.
function draw() {
  const first = from(), source = $("history-source").value, bounds = spells.map((spell) => [Date.parse(spell.start), Date.parse(spell.end)]);
  const spans = [];
  if (source === ALL) for (const id of names.keys()) spans.push({ name: names.get(id), id, start: first, end });
  else {
    const label = (at) => (days() ? date(at, { weekday: "short", month: "short", day: "numeric" }) : names.get(source));
    for (let i = 0; i < (days() || 1); i++) spans.push({ name: label(later(first, i)), id: source, start: later(first, i), end: later(first, i + 1) });
  }
  const rows = spans.map((span) => ({ ...span, spells: [] }));
  spells.forEach((spell, i) => {
    for (const row of rows) if (row.id === spell.source && bounds[i][0] < row.end && bounds[i][1] > row.start) row.spells.push(i);
  });
  chart.show(rows, spells);
  $("spell").hidden = true;
  if ($("behind").open) fill();
}

function pick(index) {
  const spell = spells[index], corrected = corrections.get(keyOf(spell));
  const votes = Object.entries(spell.votes).map(([label, count]) => `${name(label)} ${count}`).join(", ");
  const pairs = [
    ["source", names.get(spell.source) ?? spell.source], ["time", `${time(spell.start)} – ${spell.open ? t("now_open") : time(spell.end)}`], ["lasts", duration(spell.heard_s + spell.lost_s)],
    ["confidence", spell.genre ? percent(spell.confidence) : null], ["share", percent(spell.share)], ["votes", votes || null],
    ["lost_sound", spell.lost_s ? `⚠ ${number(spell.lost_s, 1)} s` : null], ["model", `${spell.model} ${spell.version}`], ["number", spell.seq ?? null],
  ].filter(([, value]) => value != null);
  const wrong = () => correct({ id: spell.source, name: names.get(spell.source) ?? spell.source }, kind(spell), { seq: spell.seq, start: spell.start, then: (label) => { corrections.set(keyOf(spell), label); pick(index); } });
  const undo = () => post("correct", { source: spell.source, seq: spell.seq, label: null }).then(() => { corrections.delete(keyOf(spell)); pick(index); }, (problem) => note(problem.message));
  const buttons = [make("button", { type: "button", onclick: wrong }, t("wrong")), corrected && spell.seq ? make("button", { type: "button", onclick: undo }, t("undo")) : null];
  $("spell").hidden = false;
  $("spell").replaceChildren(
    make("h3", {}, swatch(kind(spell)), title(spell), corrected ? make("span", { class: "pill good" }, t("corrected", { label: name(corrected) })) : null),
    make("dl", { class: "facts" }, ...pairs.map(([key, value]) => make("div", {}, make("dt", {}, t(key)), make("dd", {}, String(value))))),
    ...(names.has(spell.source) ? [make("p", { class: "actions" }, ...buttons)] : []));
}

function airtime(total) {
  const parts = { ...total.genres_s };
  for (const key of ["not_music", "refused", "warming_up", "silence", "dead_air", "lost"]) if (total[`${key}_s`]) parts[key] = total[`${key}_s`];
  const sorted = Object.entries(parts).filter(([, seconds]) => seconds > 0);
  $("shares").replaceChildren(...sorted.map(([verdict, seconds]) => make("span", { tint: colour(verdict), grow: seconds, title: `${name(verdict)} ${percent(seconds / total.listened_s, 1)}` })));
  const bar = (verdict, part) => make("span", { class: "bar", tint: colour(verdict), wide: part });
  const rows = sorted.map(([verdict, seconds]) => [make("span", {}, swatch(verdict), name(verdict)), duration(seconds), percent(seconds / total.listened_s, 1), bar(verdict, seconds / total.listened_s)]);
  $("airtime").replaceChildren(table(t("airtime"), [t("verdict"), t("time"), t("share"), ""], [...rows, [t("listened"), duration(total.listened_s), "", ""]]));
}

function fill() {
  const wide = $("history-source").value === ALL;
  const cells = (spell) => [
    time(spell.start), ...(wide ? [names.get(spell.source) ?? spell.source] : []), title(spell), duration(spell.heard_s + spell.lost_s), spell.genre ? percent(spell.confidence) : "–", percent(spell.share),
    spell.lost_s ? number(spell.lost_s, 1) : "–", corrections.has(keyOf(spell)) ? name(corrections.get(keyOf(spell))) : "",
  ];
  const heads = [t("start"), ...(wide ? [t("source")] : []), t("verdict"), t("lasts"), t("confidence"), t("share"), t("lost_seconds"), t("corrected_to")];
  const more = spells.length > IN_TABLE ? [make("p", { class: "soft" }, t("newest_only", { count: IN_TABLE, all: spells.length }))] : [];
  $("spells").replaceChildren(...more, table(t("table"), heads, spells.slice(-IN_TABLE).reverse().map(cells)));
}

function move(step) {
  end = Math.min(later(end, step * (days() || 1)), newest());
  show();
}

$("behind").addEventListener("toggle", () => $("behind").open && fill());
for (const [id, act] of [["earlier", () => move(-1)], ["later", () => move(1)], ["previous", () => chart.step(-1)], ["next", () => chart.step(1)],
  ["zoom-in", () => chart.zoom(2)], ["zoom-out", () => chart.zoom(0.5)], ["zoom-all", () => chart.zoom(0)]]) $(id).addEventListener("click", act);
$("days").addEventListener("change", () => { end = newest(); show(); });
for (const id of ["history-source", "wanted"]) $(id).addEventListener("change", show);
$("choice").addEventListener("submit", (event) => { event.preventDefault(); show(); });
