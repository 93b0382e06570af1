// Starts the page: texts, sections, the event stream.
import { $, get } from "./dom.js";
import * as health from "./health.js";
import * as spells from "./history.js";
import * as now from "./now.js";
import { load, t } from "./text.js";

const SECTIONS = ["now", "history", "health"];
let timer;

const section = () => (SECTIONS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "now");

async function refresh() {
  const answer = await get("sources");
  $("node").textContent = answer.node;
  $("bundle-form").hidden = !answer.bundles;
  now.show(answer.sources);
  spells.sources(answer.sources);
}

async function open() {
  const chosen = section();
  for (const id of SECTIONS) $(id).hidden = id !== chosen;
  for (const link of $("nav").children) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (chosen === "history") await spells.show();
  if (chosen === "health") health.show(await get("health"));
}

function connection(lost) {
  $("connection").className = lost ? "lost" : "";
  $("connection").textContent = lost ? `⚠ ${t("lost_connection")}` : t("live");
}

function listen() {
  const stream = new EventSource("api/v1/events");
  stream.onopen = async () => { clearInterval(timer); await refresh(); connection(false); };
  for (const kind of ["state", "votes", "availability", "listen"]) stream.addEventListener(kind, (event) => now.update(kind, JSON.parse(event.data)));
  stream.addEventListener("health", (event) => section() === "health" && health.show(JSON.parse(event.data)));
  stream.onerror = () => {
    connection(true);
    clearInterval(timer);
    timer = setInterval(() => refresh().then(() => stream.readyState === EventSource.CLOSED && connection(false), () => connection(true)), 5000);
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => { stream.close(); listen(); }, 30000);
  };
}

async function start() {
  let wanted = navigator.language.startsWith("de") ? "de" : "en";
  try { wanted = localStorage.getItem("language") ?? wanted; } catch { /* no storage */ }
  $("language").value = wanted;
  await load(wanted);
  $("language").addEventListener("change", async () => {
    try { localStorage.setItem("language", $("language").value); } catch { /* no storage */ }
    await load($("language").value);
    await refresh();
    await open();
  });
  for (const id of ["airtime", "spells", "source-table"]) $(id).setAttribute("aria-label", t(id === "spells" ? "table" : id === "airtime" ? "airtime" : "sources"));
  $("filter").addEventListener("input", () => now.filter($("filter").value));
  addEventListener("hashchange", open);
  await refresh().catch(now.report);
  await open().catch(now.report);
  listen();
}

start();
