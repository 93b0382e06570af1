// The card of one source: made once, then only what has changed is written.
import { colour, make, post, setText } from "./dom.js";
import { correct } from "./correct.js";
import { duration, minute, name, number, percent, t } from "./text.js";

const LEAST_DBFS = -60;
const ALARMS = ["stalled", "dead_air"];
const NO_SOUND = ["stalled", "off", "waiting", "offline"];

export function verdictOf(source) {
  const state = source.state;
  if (!source.listening) return "off";
  if (!source.online) return state?.reason === "stalled" ? "stalled" : state ? "offline" : "waiting";
  if (!state) return "warming_up";
  return state.dead_air ? "dead_air" : (state.genre ?? state.reason);
}

export class Card {
  constructor(source, report) {
    this.source = source;
    const button = (key, click) => make("button", { "data-do": key, type: "button", onclick: () => click().catch(report) });
    this.at = {};
    const part = (tag, kind, ...children) => (this.at[kind] = make(tag, { class: kind }, ...children));
    const caption = (key) => make("p", { class: "caption", "data-text": key }, t(key));
    this.listen = button("listen", () => post("listen", { source: source.id, on: !this.source.listening }));
    this.test = button("test", () => post("test-event", { source: source.id }).then(() => report({ message: t("test_sent") })));
    this.wrong = button("wrong", async () => correct(this.source, this.verdict, { then: (label) => report({ message: t("corrected", { label: name(label) }) }) }));
    this.element = make("article", { "data-source": source.id },
      part("p", "alarm-line"),
      make("header", {}, make("h3", {}, source.name, source.name.toLowerCase() === source.id.toLowerCase() ? null : make("small", {}, ` ${source.id}`)), part("span", "pill")),
      make("div", { class: "top" }, part("p", "verdict"), part("p", "sure")),
      part("p", "why"), part("p", "since"), part("p", "playing"),
      part("div", "votes", caption("last_votes"), part("ol", "ballots")),
      part("div", "newest", caption("newest_segment"), make("table", { class: "runners" }, make("caption", { class: "unseen" }, t("newest_segment")), part("tbody", "runners"))),
      part("div", "sound", caption("level_name"), (this.meter = make("div", { class: "level", role: "meter", "aria-valuemin": LEAST_DBFS, "aria-valuemax": 0 }, make("i"), make("b"))),
        make("p", { class: "scale", "aria-hidden": "true" }, ...["−60", "−40", "−20", "0 dBFS"].map((mark) => make("span", {}, mark))), part("p", "level-text")),
      part("p", "notes"),
      make("p", { class: "actions" }, this.wrong, this.test, this.listen));
    this.draw(source);
  }

  draw(source, facts = this.facts) {
    [this.source, this.facts] = [source, facts];
    const state = source.state ?? {}, verdict = (this.verdict = verdictOf(source)), alarm = ALARMS.includes(verdict);
    const quiet = NO_SOUND.includes(verdict);
    const shown = state.genre != null && !quiet;
    this.element.className = alarm ? `alarm ${verdict}` : verdict === "offline" ? "warn" : verdict === "off" ? "is-off" : shown ? "" : "none";
    this.element.style.setProperty("--tint", colour(verdict));
    setText(this.at["alarm-line"], alarm ? `⚠ ${t(`alarm_${verdict}`)}` : "");
    setText(this.at.pill, t(source.listening ? (source.online ? "online" : "offline") : "off"));
    this.at.pill.className = `pill ${source.listening && !source.online ? "bad" : source.online ? "good" : ""}`;
    setText(this.at.verdict, name(verdict));
    const sure = shown ? percent(state.confidence) : "";
    if (this.sureText !== sure) {
      this.sureText = sure;
      this.at.sure.replaceChildren(...(sure ? [make("b", {}, sure), make("span", {}, t("sure"))] : []));
    }
    setText(this.at.why, why(source, verdict, facts));
    setText(this.at.since, since(state, verdict));
    setText(this.at.playing, quiet ? "" : [state.title, state.station].filter(Boolean).join(" · "));
    setText(this.at.notes, facts && !quiet ? notes(facts, source.votes?.bandwidth_hz ?? facts.bandwidth_hz) : "");
    this.drawBallots(quiet ? [] : source.ballots, source.segments);
    this.drawRunners(quiet ? {} : (source.votes?.posterior ?? {}));
    this.drawLevel(quiet ? null : (source.votes ?? source.state));
    this.drawButtons();
  }

  drawButtons() {
    const { listening, name: source } = this.source;
    for (const [button, key] of [[this.listen, listening ? "switch_off" : "switch_on"], [this.test, "test_short"], [this.wrong, "wrong"]]) {
      if (button.textContent !== `${t(key)} ${source}`) button.replaceChildren(t(key), make("span", { class: "unseen" }, ` ${source}`));
    }
    this.listen.setAttribute("aria-pressed", String(listening));
    this.wrong.hidden = !this.source.state || [...NO_SOUND, "dead_air", "warming_up"].includes(this.verdict);
  }

  // Equal neighbours are one block, as wide as there are votes in it.
  drawBallots(labels, most) {
    const key = `${labels.join()} ${t("last_votes")}`;
    if (this.ballotKey === key) return;
    this.ballotKey = key;
    const runs = [];
    for (const label of labels) {
      if (runs.at(-1)?.label === label) runs.at(-1).count += 1;
      else runs.push({ label, count: 1 });
    }
    const missing = Math.max(0, (most ?? 0) - labels.length);
    this.at.ballots.setAttribute("aria-label", t("ballots", { list: labels.map(name).join(", ") }));
    const block = ({ label, count }) => make("li", { title: `${name(label)} ${count}`, tint: colour(label), grow: count }, make("span", {}, name(label)), count > 1 ? make("small", {}, ` ${count}`) : null);
    this.at.ballots.replaceChildren(...runs.map(block), ...(missing && labels.length ? [make("li", { class: "gap", grow: missing, "aria-hidden": "true" })] : []));
    this.at.votes.hidden = !labels.length;
  }

  drawRunners(posterior) {
    const found = Object.entries(posterior).slice(0, 3);
    const row = ([label, p]) => make("tr", {}, make("td", {}, name(label)), make("td", { class: "n" }, percent(p)), make("td", {}, make("span", { class: "bar", tint: colour(label), wide: Math.max(0.005, p) })));
    this.at.runners.replaceChildren(...found.map(row));
    this.at.newest.hidden = !found.length;
  }

  drawLevel(newest) {
    const known = newest != null && newest.dead_air != null;
    this.at.sound.hidden = !known;
    if (!known) return;
    const { level_dbfs: rms, peak_dbfs: peak, clipped } = newest, clipping = clipped > 0.001;
    const place = (dbfs) => (dbfs == null ? 0 : Math.max(0, Math.min(100, 100 * (1 - dbfs / LEAST_DBFS))));
    const [bar, mark] = this.meter.children;
    bar.style.width = `${place(rms)}%`;
    mark.style.left = `calc(${place(peak)}% - 3px)`;
    mark.hidden = peak == null;
    this.meter.className = clipping ? "level clip" : peak > -1 ? "level hot" : "level";
    const text = rms == null ? t("digital_silence") : t("level", { rms: number(rms, 1), peak: number(peak, 1) }) + (clipped > 0 ? ` · ${clipping ? "⚠ " : ""}${t("clipped", { share: percent(clipped, 2) })}` : "");
    setText(this.at["level-text"], text);
    for (const [key, value] of [["aria-label", t("level_name")], ["aria-valuenow", Math.max(LEAST_DBFS, rms ?? LEAST_DBFS)], ["aria-valuetext", text]]) this.meter.setAttribute(key, value);
  }
}

function why(source, verdict, facts) {
  const state = source.state ?? {};
  if (NO_SOUND.includes(verdict) || verdict === "dead_air") {
    const reason = facts?.why && verdict !== "off" ? ` (${facts.why})` : "";
    return t(`why_${verdict}`, { last: state.genre ? name(state.genre) : "–" }) + reason;
  }
  const counts = source.votes?.votes ?? state.votes ?? {}, segments = source.votes?.segments ?? state.segments; // votes come each segment, states on a change
  const list = Object.entries(counts).map(([label, count]) => `${name(label)} ${count}`).join(", ");
  if (state.genre) return t(state.reason === "held" ? "why_held" : "why_genre", { count: counts[state.genre] ?? 0, of: segments, genre: name(state.genre), votes: list });
  if (verdict === "warming_up") return t("why_warming_up", { count: source.ballots.length, of: source.segments });
  if (verdict !== "refused") return t(`why_${verdict}`);
  const [nearly, most] = Object.entries(counts)[0] ?? ["refused", 0];
  return t("why_refused", { votes: list, nearly: name(nearly), short: Math.max(1, Math.floor(segments / 2) + 1 - most) });
}

// What the sound lacks, and what else the diagnostics say of this source.
function notes(facts, band) {
  const found = [];
  if (band != null) found.push(t("bandwidth", { khz: number(band / 1000, 1) }));
  if (facts.phase === "antiphase") found.push(`⚠ ${t("antiphase")}`);
  else if (facts.channels_used && facts.channels_used.length < facts.channels) found.push(`⚠ ${t("channels", { used: facts.channels_used.join(", "), all: facts.channels })}`);
  if (facts.hop_factor > 1) found.push(`⚠ ${t("slow", { n: facts.hop_factor })}`);
  return found.join(" · ");
}

function since(state, verdict) {
  if (!state.since || ["waiting", "warming_up"].includes(verdict)) return "";
  return t("since", { time: minute(state.since), duration: duration((Date.now() - new Date(state.since)) / 1000) });
}
