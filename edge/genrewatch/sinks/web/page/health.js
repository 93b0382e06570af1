// Health: what does not work and what to do about it, and the diagnostics of the node.
import { $, make, post, table } from "./dom.js";
import { report } from "./now.js";
import { duration, number, t } from "./text.js";

const HINTS = [[/^history/, "hint_history"], [/^hook/, "hint_hook"], [/too slow/, "hint_slow"], [/^web/, "hint_web"], [/mqtt|broker/i, "hint_mqtt"]];

export function show(health) {
  const lines = [...health.degraded];
  if (health.bundle_refused) lines.push(health.bundle_refused);
  const problem = (line) => make("div", { class: "problem" }, make("strong", {}, `⚠ ${line}`), make("p", {}, t(HINTS.find(([match]) => match.test(line))?.[1] ?? "hint_other")));
  $("problems").replaceChildren(...(lines.length ? lines.map(problem) : [make("p", { class: "good" }, `✓ ${t("all_well")}`)]));
  $("facts").replaceChildren(facts(health));
  const rows = Object.entries(health.sources).map(([id, source]) => [
    id, source.off ? t("off") : source.online ? t("online") : `⚠ ${t("offline")}: ${source.why ?? ""}`, source.segments, source.restarts,
    Object.entries(source.lost).map(([cause, seconds]) => `${t(`cause_${cause}`)} ${number(seconds, 1)} s`).join(", ") || "–", number(source.waiting_s, 1), source.hop_factor,
  ]);
  $("source-table").replaceChildren(table(t("sources"), [t("source"), t("state"), t("segments"), t("restarts"), t("lost_sound"), t("waiting"), t("every_nth")], rows));
}

function facts(health) {
  const { mqtt, history, hooks } = health;
  const pairs = [
    ["version", health.version], ["model", health.model ? `${health.model.name} ${health.model.version}` : "–"],
    ["uptime", duration(health.uptime_s)], ["processor", `${number((100 * health.cpu_s) / Math.max(1, health.uptime_s), 1)} %`],
    ["memory", `${number(health.peak_rss_mb)} MiB`], ["temperature", health.cpu_temperature_c == null ? "–" : `${number(health.cpu_temperature_c, 1)} °C`],
    ["broker", mqtt.protocol ? t("connected", { protocol: mqtt.protocol, dropped: mqtt.dropped }) : t("not_connected")],
    ["history", history ? t("history_facts", history) : t("no_history")],
    ...Object.entries(hooks ?? {}).map(([number, hook]) => [`hook ${number}`, t("hook_facts", { ...hook, error: hook.last_error ?? "" })]),
  ];
  return make("dl", {}, ...pairs.flatMap(([key, value]) => [make("dt", {}, t(key)), make("dd", {}, value)]));
}

$("bundle-form").addEventListener("submit", (event) => {
  event.preventDefault();
  post("bundle", { name: $("bundle").value }).catch(report);
});
