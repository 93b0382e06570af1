// Day and week: the timeline of one source as SVG (a path for each verdict), shares, and the table behind them.
import { $, colour, get, make, table } from "./dom.js";
import { duration, language, name, number, percent, t, time } from "./text.js";

const DAY = 86400000, WIDTH = 1000, ROW = 26, GAP = 6, LEFT = 70, MOST = 20000, IN_TABLE = 500;
let spells = [], chosen = -1, end = null, asked = 0;

const svg = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
};

const kind = (spell) => (spell.dead_air ? "dead_air" : (spell.genre ?? spell.reason));
const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
const days = () => Number($("days").value);
const from = () => { const day = new Date(end); day.setDate(day.getDate() - days()); return day.getTime(); };

export function sources(list) {
  const before = $("history-source").value;
  $("history-source").replaceChildren(...list.map((source) => make("option", { value: source.id }, source.name)));
  if (list.some((source) => source.id === before)) $("history-source").value = before;
}

export async function show() {
  const number = ++asked;
  end ??= midnight(Date.now() + DAY);
  const wanted = $("wanted").value.trim();
  const range = `since=${new Date(from()).toISOString()}&until=${new Date(end).toISOString()}&source=${$("history-source").value}`;
  const query = wanted ? `${range}&verdict=${encodeURIComponent(wanted.toLowerCase().replaceAll(" ", "_"))}` : range;
  $("csv").href = `api/v1/spells.csv?${query}`;
  $("report-csv").href = `api/v1/report.csv?by=${days() > 1 ? "day" : "hour"}&${range}`;
  $("range-text").textContent = `${new Date(from()).toLocaleDateString(language)} – ${new Date(end - 1).toLocaleDateString(language)}`;
  try {
    const found = [];
    let after = 0;
    while (after !== null && found.length < MOST) {
      const page = await get(`spells?${query}&limit=1000&after=${after}`);
      found.push(...page.spells);
      after = page.next;
    }
    const report = await get(`report?by=source&${range}`);
    if (number !== asked) return;
    [spells, chosen] = [found, -1];
    draw();
    airtime(report.total);
  } catch (problem) {
    if (number !== asked) return;
    $("spell").textContent = problem.message;
    $("timeline").replaceChildren();
  }
}

function draw() {
  const first = from(), rows = days();
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH + LEFT} ${rows * (ROW + GAP) + 16}`, role: "img", "aria-label": t("timeline", { count: spells.length }) });
  const starts = Array.from({ length: rows + 1 }, (_, i) => { const day = new Date(first); day.setDate(day.getDate() + i); return day.getTime(); });
  starts.slice(0, -1).forEach((start, row) => {
    const y = row * (ROW + GAP);
    chart.append(svg("rect", { class: "row", x: LEFT, y, width: WIDTH, height: ROW }), svg("text", { x: 0, y: y + 17 }, new Date(start).toLocaleDateString(language, { month: "short", day: "numeric" })));
  });
  const parts = new Map(), labels = [];
  for (const spell of spells) {
    const [a, b] = [Date.parse(spell.start), Date.parse(spell.end)];
    for (let row = 0; row < rows; row++) {
      const [low, high] = [Math.max(a, starts[row]), Math.min(b, starts[row + 1])];
      if (low >= high) continue;
      const scale = WIDTH / (starts[row + 1] - starts[row]), x = LEFT + (low - starts[row]) * scale, w = Math.max(0.4, (high - low) * scale), y = row * (ROW + GAP);
      const path = parts.get(kind(spell)) ?? [];
      path.push(`M${x.toFixed(1)} ${y}h${w.toFixed(1)}v${ROW}h-${w.toFixed(1)}z`);
      parts.set(kind(spell), path);
    }
  }
  for (const [verdict, path] of parts) chart.append(svg("path", { d: path.join(""), fill: colour(verdict) }), ...labels);
  for (let hour = 0; hour <= 24; hour += 6) chart.append(svg("text", { x: LEFT + (hour / 24) * WIDTH - (hour === 24 ? 24 : 0), y: rows * (ROW + GAP) + 10 }, `${hour}:00`));
  chart.append(svg("path", { class: "at", d: "" }));
  chart.addEventListener("click", (event) => {
    const box = chart.getBoundingClientRect(), unit = (WIDTH + LEFT) / box.width;
    const x = (event.clientX - box.left) * unit - LEFT, row = Math.floor(((event.clientY - box.top) * unit) / (ROW + GAP));
    if (row < 0 || row >= rows) return;
    const at = starts[row] + (x / WIDTH) * (starts[row + 1] - starts[row]);
    pick(spells.findIndex((spell) => Date.parse(spell.start) <= at && at < Date.parse(spell.end)), starts);
  });
  chart.starts = starts;
  $("timeline").replaceChildren(spells.length ? chart : make("p", {}, t("no_spells")));
  $("spell").textContent = "";
  $("behind").ontoggle = () => $("behind").open && fill();
  if ($("behind").open) fill();
}

function pick(index) {
  const chart = $("timeline").querySelector("svg");
  if (!chart || index < 0 || index >= spells.length) return;
  chosen = index;
  const spell = spells[index], starts = chart.starts, row = starts.findLastIndex((start) => start <= Math.max(Date.parse(spell.start), starts[0]));
  const scale = WIDTH / (starts[row + 1] - starts[row]), x = LEFT + (Math.max(Date.parse(spell.start), starts[row]) - starts[row]) * scale;
  const w = Math.max(3, (Math.min(Date.parse(spell.end), starts[row + 1]) - Math.max(Date.parse(spell.start), starts[row])) * scale);
  chart.querySelector(".at").setAttribute("d", `M${x} ${row * (ROW + GAP)}h${w}v${ROW}h-${w}z`);
  $("spell").textContent = facts(spell);
}

function facts(spell) {
  const votes = Object.entries(spell.votes).map(([label, count]) => `${name(label)} ${count}`).join(", ");
  const lost = spell.lost_s ? ` · ${t("lost", { seconds: number(spell.lost_s, 1) })}` : "";
  return `${name(kind(spell))} · ${time(spell.start)} – ${spell.open ? t("now_open") : time(spell.end)} · ${duration(spell.heard_s + spell.lost_s)} · ${t("confidence")} ${percent(spell.confidence)} · ${t("share")} ${percent(spell.share)}${lost} · ${votes}`;
}

function airtime(total) {
  const parts = { ...total.genres_s };
  for (const key of ["silence", "dead_air", "not_music", "refused", "lost"]) if (total[`${key}_s`]) parts[key] = total[`${key}_s`];
  const rows = Object.entries(parts).map(([verdict, seconds]) => [
    make("span", {}, make("span", { class: "swatch", tint: colour(verdict) }), name(verdict)), duration(seconds), percent(seconds / total.listened_s, 1),
  ]);
  $("airtime").replaceChildren(table(t("airtime"), [t("verdict"), t("time"), t("share")], [...rows, [t("listened"), duration(total.listened_s), ""]]));
}

function fill() {
  const rows = spells.slice(-IN_TABLE).map((spell) => [time(spell.start), name(kind(spell)), duration(spell.heard_s + spell.lost_s), percent(spell.confidence), percent(spell.share), number(spell.lost_s, 1)]);
  $("spells").replaceChildren(table(t("table"), [t("start"), t("verdict"), t("time"), t("confidence"), t("share"), t("lost_seconds")], rows));
}

function move(step) {
  const day = new Date(end);
  day.setDate(day.getDate() + step * days());
  end = Math.min(day.getTime(), midnight(Date.now() + DAY));
  show();
}

$("earlier").addEventListener("click", () => move(-1));
$("later").addEventListener("click", () => move(1));
$("previous").addEventListener("click", () => pick(chosen < 0 ? spells.length - 1 : chosen - 1));
$("next").addEventListener("click", () => pick(chosen + 1));
for (const id of ["history-source", "days", "wanted"]) $(id).addEventListener("change", show);
$("choice").addEventListener("submit", (event) => { event.preventDefault(); show(); });
