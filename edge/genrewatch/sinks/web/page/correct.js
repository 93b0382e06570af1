// The dialog that says what a spell really was.
import { $, choices, post } from "./dom.js";
import { name, t, time } from "./text.js";

const OWN = " own", ALSO = ["not_music", "silence"];
let labels = [], about = null, done = () => {};

export const known = (list) => { labels = list; };

// `seq` is the number of an ended spell; without one it is about what plays at present.
export function correct(source, verdict, { seq = null, start = source.state?.since, then = () => {} } = {}) {
  [about, done] = [{ source: source.id, seq }, then];
  $("correct-what").textContent = t("correct_what", { source: source.name, verdict: name(verdict), time: time(start) });
  const offered = [...new Set([...labels, ...ALSO])].filter((label) => label !== verdict);
  choices("correct-label", [...offered.map((label) => [label, name(label)]), [OWN, t("correct_other")]]);
  $("correct-text").value = $("correct-problem").textContent = "";
  own();
  $("correct").showModal();
}

function own() {
  $("correct-own").hidden = $("correct-label").value !== OWN;
  $("correct-text").required = !$("correct-own").hidden;
}

$("correct-label").addEventListener("change", own);
$("correct-cancel").addEventListener("click", () => $("correct").close());
$("correct").querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const label = $("correct-label").value === OWN ? $("correct-text").value.trim() : $("correct-label").value;
  post("correct", { ...about, label }).then(() => { $("correct").close(); done(label); }, (problem) => { $("correct-problem").textContent = problem.message; });
});
