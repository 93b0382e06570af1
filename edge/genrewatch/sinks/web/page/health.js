// Health: what does not work and what to do about it, the diagnostics of the node, the checks, and what helps.
import { $, choices, get, make, post, table } from "./dom.js";
import { report } from "./now.js";
import { duration, has, number, t, time } from "./text.js";

// The first that matches a line says what to do.
const HINTS = [
  [/a defect of genrewatch|thread has died|has not moved|stuck/, "hint_defect"],
  [/^bundle|refused, the current/, "hint_bundle"], [/^history.*(disk|space|full)/, "hint_history"], [/^history.*damaged/, "hint_damaged"], [/^history/, "hint_history"],
  [/^hook/, "hint_hook"], [/too slow/, "hint_slow"], [/antiphase|is dead, the others/, "hint_cable"], [/no sound above/, "hint_band"], [/^web/, "hint_web"], [/^std(out|err)/, "hint_output"],
  [/the broker refuses/, "hint_access"], [/another client/, "hint_id"], [/only QoS 0|retains nothing/, "hint_limits"], [/mqtt|broker/i, "hint_mqtt"],
];
const POLL_MS = 1000;
let shown = null;

export function show(health) {
  shown = health;
  if ($("health").hidden) return;
  const lines = [...health.degraded];
  if (health.bundle_refused) lines.push(`bundle: ${health.bundle_refused}`);
  for (const [id, source] of Object.entries(health.sources)) if (!source.online && !source.off) lines.push([id, source.why]);
  const good = make("p", { class: "good" }, `✓ ${t("all_well")}`);
  $("problems").replaceChildren(...(lines.length ? lines.map(problem) : [good]));
  $("facts").replaceChildren(tiles(health));
  $("source-table").replaceChildren(sourceTable(health.sources));
}

function problem(line) {
  const [text, hint] = Array.isArray(line)
    ? [t("no_sound_from", { source: line[0], why: line[1] ? ` (${line[1]})` : "" }), "hint_source"]
    : [line, HINTS.find(([match]) => match.test(line))?.[1] ?? "hint_other"];
  return make("div", { class: "problem" }, make("strong", {}, `⚠ ${text}`), make("p", {}, `${t("what_to_do")}: ${t(hint)}`));
}

function tiles(health) {
  const { mqtt, history, hooks } = health;
  const pairs = [
    ["model", health.model ? `${health.model.name} ${health.model.version}` : "–"],
    ["broker", mqtt.protocol ? t("connected", mqtt) : t(mqtt.used === false ? "no_broker" : "not_connected"), mqtt.protocol || mqtt.used === false ? "" : "warn"],
    ["outbox", history ? t("outbox_facts", history) + (history.undeliverable ? `, ${t("undeliverable", history)}` : "") : "–", history?.dropped || history?.undeliverable ? "warn" : ""],
    ["history_kept", history ? t("history_facts", history) : t("no_history"), history?.unsaved ? "warn" : ""],
    ["processor", `${number((100 * health.cpu_s) / Math.max(1, health.uptime_s), 1)} %`],
    ["memory", `${number(health.peak_rss_mb)} MiB`],
    ["temperature", health.cpu_temperature_c == null ? null : `${number(health.cpu_temperature_c, 1)} °C`, health.cpu_temperature_c > 80 ? "warn" : ""],
    ["lost_sound", `${number(health.lost_s, 1)} s`, health.lost_s > 1 ? "warn" : ""],
    ["uptime", duration(health.uptime_s)], ["version", health.version],
    ...Object.entries(hooks ?? {}).map(([id, hook]) => [`${t("hook")} ${id}`, t("hook_facts", { suppressed: 0, ...hook, error: hook.last_error ?? "" }), hook.failed ? "warn" : ""]),
  ];
  const tile = ([key, value, kind]) => make("div", { class: kind || null }, make("dt", {}, has(key) ? t(key) : key), make("dd", {}, kind === "warn" ? `⚠ ${value}` : value));
  return make("dl", { class: "tiles" }, ...pairs.filter(([, value]) => value != null).map(tile));
}

function sourceTable(sources) {
  const band = Object.values(sources).some((source) => source.bandwidth_hz != null);
  const state = (source) => make("span", {}, make("span", { class: `pill ${source.off ? "" : source.online ? "good" : "bad"}` }, t(source.off ? "off" : source.online ? "online" : "offline")), source.online || !source.why ? "" : ` ${source.why}`);
  const lost = (source) => Object.entries(source.lost).filter(([, seconds]) => seconds > 0).map(([cause, seconds]) => `${has(`cause_${cause}`) ? t(`cause_${cause}`) : cause} ${number(seconds, 1)} s`).join(", ") || "–";
  const row = ([id, source]) => [id, state(source), source.restarts, lost(source), duration(source.heard_s), source.segments, `${number(source.waiting_s, 1)} s`, source.hop_factor, ...(band ? [source.bandwidth_hz == null ? "–" : `${number(source.bandwidth_hz / 1000, 1)} kHz`] : [])];
  const heads = ["source", "state", "restarts", "lost_sound", "received", "segments", "waiting", "every_nth", ...(band ? ["band"] : [])];
  return table(t("sources"), heads.map((key) => t(key)), Object.entries(sources).map(row));
}

export function sources(answer) {
  choices("test-source", answer.sources.map((source) => [source.id, source.name]));
  $("bundle-form").hidden = !answer.bundles;
}

export async function open() {
  if (shown) show(shown);
  if (!$("bundle-form").hidden) choices("bundle", (await get("bundles")).bundles.map((name) => [name, name]));
  await checks();
}

// Show the checks; while they run, look again.
async function checks() {
  const { running, ts, checks: found, error } = await get("doctor");
  $("doctor").disabled = running;
  if (running) {
    $("checks").replaceChildren(make("p", {}, t("doctor_running")));
    setTimeout(() => checks().catch(report), POLL_MS);
    return;
  }
  const result = (check) => make("span", { class: `pill ${{ ok: "good", wrong: "bad" }[check.result] ?? ""}` }, `${{ ok: "✓", wrong: "⚠" }[check.result] ?? "–"} ${t(`check_${check.result}`)}`);
  const rows = found.map((check) => [check.name, result(check), check.detail]);
  $("checks").replaceChildren(...[
    error ? make("p", { class: "problem" }, error) : null,
    rows.length ? table(t("doctor"), [t("check"), t("state"), t("detail")], rows) : null,
    ts ? make("p", { class: "soft" }, t("doctor_at", { time: time(ts) })) : null,
  ].filter(Boolean));
}

$("doctor").addEventListener("click", () => post("doctor").then(checks).catch(report));
$("bundle-form").addEventListener("submit", (event) => {
  event.preventDefault();
  post("bundle", { name: $("bundle").value }).then(() => report({ message: t("bundle_sent") })).catch(report);
});
$("test-form").addEventListener("submit", (event) => {
  event.preventDefault();
  post("test-event", { source: $("test-source").value }).then(() => report({ message: t("test_sent") })).catch(report);
});
