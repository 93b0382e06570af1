// A timeline as SVG in a box that scrolls: a row for each day or source, a path for each verdict, wider when zoomed.
import { colour, make } from "./dom.js";
import { date, name, t } from "./text.js";

const ROW = 30, GAP = 6, AXIS = 20, MOST_PX = 60000, NEAR_PX = 4, LETTER_PX = 7.5, TICK_PX = 76;
const STEPS_MIN = [1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080];

export const kind = (spell) => (spell.dead_air ? "dead_air" : (spell.genre ?? spell.reason));

const svg = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
};

export class Timeline {
  // `onPick` gets the index of a spell.
  constructor(place, onPick) {
    [this.onPick, this.zoomed, this.chosen, this.rows, this.spells] = [onPick, 1, -1, [], []];
    this.names = make("div", { class: "names", "aria-hidden": "true" });
    this.box = make("div", { class: "box", tabindex: "0", role: "group" });
    place.replaceChildren(this.names, this.box);
    this.box.addEventListener("click", (event) => this.click(event));
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, event.clientX - this.box.getBoundingClientRect().left);
    }, { passive: false });
    new ResizeObserver(() => this.rows.length && this.width() !== this.drawn && this.draw()).observe(this.box);
  }

  // Show spells; each row has a name, a start, an end and the indices of its spells.
  show(rows, spells) {
    [this.rows, this.spells, this.chosen] = [rows, spells, -1];
    this.times = spells.map((spell) => [Date.parse(spell.start), Date.parse(spell.end)]);
    this.names.replaceChildren(...rows.map((row) => make("span", { title: row.name }, row.name)));
    this.box.setAttribute("aria-label", t("timeline", { count: spells.length }));
    this.draw();
  }

  width() {
    return Math.min(MOST_PX, Math.round(this.box.clientWidth * this.zoomed));
  }

  draw() {
    const width = (this.drawn = this.width()), height = this.rows.length * (ROW + GAP) + AXIS;
    const chart = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const parts = new Map(), words = [];
    this.rows.forEach((row, i) => {
      chart.append(svg("rect", { class: "row", x: 0, y: i * (ROW + GAP), width, height: ROW }));
      for (const index of row.spells) {
        const { x, w } = this.place(row, index, 0.5), verdict = kind(this.spells[index]);
        if (!parts.has(verdict)) parts.set(verdict, []);
        const word = name(verdict);
        if (w > LETTER_PX * word.length + 8) words.push(svg("text", { class: "word", x: x + w / 2, y: i * (ROW + GAP) + 20 }, word)); // so that colour is not all
        parts.get(verdict).push(`M${x.toFixed(1)} ${i * (ROW + GAP)}h${w.toFixed(1)}v${ROW}h-${w.toFixed(1)}z`);
      }
    });
    for (const [verdict, path] of parts) chart.append(svg("path", { d: path.join(""), fill: colour(verdict) }));
    chart.append(...words);
    this.axis(chart, width, height);
    this.mark = svg("path", { class: "at", d: "" });
    chart.append(this.mark);
    this.box.replaceChildren(chart);
    if (this.chosen >= 0) this.outline(this.chosen, false);
  }

  place(row, index, least) {
    const [a, b] = this.times[index], scale = this.drawn / (row.end - row.start);
    const [low, high] = [Math.max(a, row.start), Math.min(b, row.end)];
    return { x: (low - row.start) * scale, w: Math.max(least, (high - low) * scale) };
  }

  axis(chart, width, height) {
    if (!this.rows.length) return;
    const { start, end } = this.rows[0], minutes = (end - start) / 60000, px = width / minutes;
    const step = STEPS_MIN.find((least) => least * px >= TICK_PX) ?? STEPS_MIN.at(-1);
    const first = step < 1440 ? (step - (((start - new Date(start).setHours(0, 0, 0, 0)) / 60000) % step)) % step : 0;
    for (let at = first; at < minutes; at += step) {
      const x = at * px, when = start + at * 60000;
      const text = step >= 1440 ? date(when, { month: "short", day: "numeric" }) : date(when, { hour: "numeric", minute: "2-digit" });
      chart.append(svg("path", { class: "tick", d: `M${x.toFixed(1)} 0V${height - AXIS + 4}` }), svg("text", { x: x + 3, y: height - 4 }, text));
    }
  }

  // Zoom about a place in the box: the chosen spell, else its middle; 0 shows all.
  zoom(factor, about = this.chosenAt() ?? this.box.clientWidth / 2) {
    const before = this.drawn, from = this.box.scrollLeft;
    this.zoomed = factor ? Math.max(1, Math.min(MOST_PX / Math.max(1, this.box.clientWidth), this.zoomed * factor)) : 1;
    this.draw();
    this.box.scrollLeft = ((from + about) * this.drawn) / before - about;
  }

  // Return where the chosen spell is in the box; undefined where none is chosen or it is out of sight.
  chosenAt() {
    const row = this.rows.find((one) => one.spells.includes(this.chosen));
    if (!row) return undefined;
    const { x, w } = this.place(row, this.chosen, 0), at = x + w / 2 - this.box.scrollLeft;
    return at >= 0 && at <= this.box.clientWidth ? at : undefined;
  }

  click(event) {
    const bounds = this.box.firstChild.getBoundingClientRect();
    const row = this.rows[Math.floor((event.clientY - bounds.top) / (ROW + GAP))];
    if (!row) return;
    const x = event.clientX - bounds.left;
    let best = -1, least = NEAR_PX;
    for (const index of row.spells) {
      const { x: left, w } = this.place(row, index, 0), away = Math.max(0, left - x, x - left - w);
      if (away < least || (away === 0 && best >= 0)) [best, least] = [index, away];
    }
    this.pick(best);
  }

  key(event) {
    const act = {
      ArrowLeft: () => this.step(-1), ArrowRight: () => this.step(1), Home: () => this.pick(0), End: () => this.pick(this.spells.length - 1),
      "+": () => this.zoom(2), "=": () => this.zoom(2), "-": () => this.zoom(0.5), 0: () => this.zoom(0),
    }[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  }

  step(by) {
    this.pick(this.chosen < 0 ? (by > 0 ? 0 : this.spells.length - 1) : this.chosen + by);
  }

  pick(index) {
    if (index < 0 || index >= this.spells.length) return;
    this.chosen = index;
    this.outline(index);
    this.onPick(index);
  }

  // Outline a spell in every row that it is in, and scroll it into view.
  outline(index, follow = true) {
    const found = [];
    this.rows.forEach((row, i) => {
      if (!row.spells.includes(index)) return;
      const { x, w } = this.place(row, index, 3);
      found.push(`M${x.toFixed(1)} ${i * (ROW + GAP)}h${w.toFixed(1)}v${ROW}h-${w.toFixed(1)}z`);
      if (follow && found.length === 1 && (x < this.box.scrollLeft || x + w > this.box.scrollLeft + this.box.clientWidth)) this.box.scrollLeft = x - this.box.clientWidth / 3;
    });
    this.mark.setAttribute("d", found.join(""));
  }
}

export const title = (spell) => name(kind(spell));
