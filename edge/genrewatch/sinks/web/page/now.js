// Now: a card for each source, updated by events.
import { $, colour, make, post } from "./dom.js";
import { duration, name, number, percent, t, time } from "./text.js";

const LEAST_DBFS = -70;
const sources = new Map();
const cards = new Map();
const spoken = new Map();

export const all = () => [...sources.values()];

export function show(list) {
  for (const source of list) sources.set(source.id, source);
  $("filter-line").hidden = sources.size < 8;
  for (const id of cards.keys()) if (!sources.has(id)) cards.get(id).remove();
  const missing = [...sources.keys()].filter((id) => !cards.has(id)).map((id) => {
    cards.set(id, make("article", { "data-source": id }));
    return cards.get(id);
  });
  $("cards").append(...missing);
  for (const id of sources.keys()) draw(id);
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
    announce(source);
  }
  if (kind === "votes") {
    source.votes = payload;
    source.ballots = [...source.ballots, payload.label].slice(-source.segments);
  }
  draw(source.id);
}

export function filter(text) {
  for (const [id, card] of cards) card.hidden = !`${id} ${sources.get(id).name}`.toLowerCase().includes(text.toLowerCase());
}

function verdictOf(source) {
  const state = source.state;
  if (!source.listening) return "off";
  if (!state) return source.online ? "warming_up" : "waiting";
  return state.dead_air ? "dead_air" : (state.genre ?? state.reason);
}

function announce(source) {
  const verdict = verdictOf(source);
  const before = spoken.get(source.id);
  spoken.set(source.id, verdict);
  if (before !== undefined && before !== verdict) $("changes").textContent = `${source.name}: ${name(verdict)}`;
}

function draw(id) {
  const source = sources.get(id), card = cards.get(id), state = source.state ?? {};
  const verdict = verdictOf(source);
  if (!spoken.has(id)) spoken.set(id, verdict);
  const focused = card.contains(document.activeElement) ? document.activeElement.dataset.do : null;
  const alarm = ["stalled", "dead_air"].includes(verdict);
  card.className = alarm ? "alarm" : verdict === "off" ? "off" : state.genre ? "" : "none";
  card.replaceChildren(...[
    make("h3", {}, source.name, source.name === id ? null : make("span", { class: "soft" }, ` (${id})`)),
    make("p", { class: "verdict" }, alarm ? "⚠ " : "", name(verdict)),
    make("p", { class: "why" }, why(source, verdict)),
    state.title || state.station ? make("p", { class: "playing" }, [state.title, state.station].filter(Boolean).join(" · ")) : null,
    ballots(source), runners(source), level(source),
    state.since ? make("p", { class: "soft since", "data-since": state.since }, since(state.since)) : null,
    make("p", {}, listen(source), " ", testEvent(source)),
  ].filter(Boolean));
  if (focused) card.querySelector(`[data-do=${focused}]`)?.focus();
}

function why(source, verdict) {
  const state = source.state ?? {};
  if (["stalled", "dead_air", "off", "waiting"].includes(verdict)) return t(`why_${verdict}`);
  const newest = source.votes?.votes[state.genre] / source.votes?.segments; // votes come each segment, states on a change
  if (state.genre) return t("sure", { confidence: percent(state.confidence), share: percent(newest || state.share), held: state.reason === "held" ? t("held") : "" });
  const votes = Object.entries(source.votes?.votes ?? state.votes ?? {}).map(([label, count]) => `${name(label)} ${count}`);
  if (verdict === "warming_up") return t("why_warming_up", { count: source.ballots.length, of: source.segments });
  return verdict === "refused" ? t("why_refused", { votes: votes.join(", "), nearly: votes.length ? name(Object.keys(source.votes?.votes ?? state.votes)[0]) : "" }) : votes.join(", ");
}

function ballots(source) {
  if (!source.ballots.length) return null;
  const text = t("ballots", { list: source.ballots.map(name).join(", ") });
  const list = make("ol", { class: source.segments > 15 ? "ballots many" : "ballots", "aria-label": text });
  for (const label of source.ballots) list.append(make("li", { title: name(label), tint: colour(label) }, name(label).slice(0, 3)));
  return list;
}

function runners(source) {
  const posterior = Object.entries(source.votes?.posterior ?? {}).slice(0, 3);
  if (!posterior.length) return null;
  const rows = posterior.map(([label, p]) => {
    const bar = make("span", { class: "bar", tint: colour(label) });
    bar.style.width = `${Math.max(1, 100 * p)}%`;
    return make("tr", {}, make("td", {}, name(label)), make("td", { class: "n" }, percent(p)), make("td", {}, bar));
  });
  return make("table", { class: "runners" }, make("caption", { class: "unseen" }, t("newest_segment")), make("tbody", {}, ...rows));
}

function level(source) {
  const newest = source.votes ?? source.state;
  if (!newest || newest.dead_air === null || newest.dead_air === undefined) return null;
  const { level_dbfs: rms, peak_dbfs: peak, clipped } = newest;
  const place = (dbfs) => (dbfs == null ? 0 : Math.max(0, Math.min(100, 100 * (1 - dbfs / LEAST_DBFS))));
  const bar = make("i"), mark = make("b");
  bar.style.width = `${place(rms)}%`;
  mark.style.left = `calc(${place(peak)}% - 3px)`;
  const text = rms == null ? t("digital_silence") : t("level", { rms: number(rms, 1), peak: number(peak, 1) }) + (clipped > 0 ? ` · ${t("clipped", { share: percent(clipped, 2) })}` : "");
  const attributes = { class: clipped > 0.001 ? "level clip" : "level", role: "meter", "aria-label": t("level_name"), "aria-valuemin": LEAST_DBFS, "aria-valuemax": 0, "aria-valuenow": rms ?? LEAST_DBFS, "aria-valuetext": text };
  return make("div", {}, make("div", attributes, bar, peak == null ? null : mark), make("p", { class: "soft" }, text));
}

function listen(source) {
  const flip = () => post("listen", { source: source.id, on: !source.listening }).catch(report);
  return make("button", { "data-do": "listen", type: "button", "aria-pressed": String(source.listening), onclick: flip }, source.listening ? t("switch_off") : t("switch_on"), make("span", { class: "unseen" }, ` ${source.name}`));
}

function testEvent(source) {
  const send = () => post("test-event", { source: source.id }).then(() => report({ message: t("test_sent") }), report);
  return make("button", { "data-do": "test", type: "button", onclick: send }, t("test"), make("span", { class: "unseen" }, ` ${source.name}`));
}

export function report(problem) {
  $("connection").textContent = problem.message;
}

const since = (at) => t("since", { time: time(at), duration: duration((Date.now() - new Date(at)) / 1000) });

setInterval(() => {
  for (const place of document.querySelectorAll("[data-since]")) place.textContent = since(place.dataset.since);
}, 10000);
