// Starts the page: texts, sections, the event stream.
import { known } from "./correct.js";
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
  known(answer.labels);
  now.show(answer.sources);
  spells.sources(answer.sources, answer.labels);
  health.sources(answer);
}

async function diagnostics() {
  const answer = await get("health");
  now.health(answer);
  health.show(answer);
}

async function open() {
  const chosen = section();
  for (const id of SECTIONS) $(id).hidden = id !== chosen;
  for (const link of $("nav").children) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `genrewatch · ${t(chosen)}`;
  if (chosen === "history") await spells.show();
  if (chosen === "health") await Promise.all([diagnostics(), health.open()]);
}

const connection = (lost) => now.connection(lost ? `⚠ ${t("lost_connection")}` : t("live"), lost ? "lost" : "live");

function listen() {
  const stream = new EventSource("api/v1/events");
  stream.onopen = async () => { clearInterval(timer); await refresh(); await diagnostics(); connection(false); };
  for (const kind of ["state", "votes", "availability", "listen"]) stream.addEventListener(kind, (event) => now.update(kind, JSON.parse(event.data)));
  stream.addEventListener("health", (event) => { now.health(JSON.parse(event.data)); health.show(JSON.parse(event.data)); });
  stream.onerror = () => {
    connection(true);
    clearInterval(timer);
    timer = setInterval(() => refresh().then(() => stream.readyState === EventSource.CLOSED && connection(false), () => connection(true)), 5000);
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => { stream.close(); listen(); }, 30000);
  };
}

function names() {
  for (const [id, key] of [["airtime", "airtime"], ["spells", "table"], ["source-table", "sources"]]) $(id).setAttribute("aria-label", t(key));
}

async function start() {
  let wanted = navigator.language.startsWith("de") ? "de" : "en";
  try { wanted = localStorage.getItem("language") ?? wanted; } catch { /* no storage */ }
  $("language").value = wanted;
  await load(wanted);
  names();
  $("language").addEventListener("change", async () => {
    try { localStorage.setItem("language", $("language").value); } catch { /* no storage */ }
    await load($("language").value);
    names();
    connection(false);
    await refresh();
    await diagnostics();
    await open();
  });
  $("filter").addEventListener("input", () => now.filter($("filter").value));
  addEventListener("hashchange", () => { scrollTo(0, 0); open().catch(now.report); });
  await refresh().catch(now.report);
  await open().catch(now.report);
  listen();
}

start();
