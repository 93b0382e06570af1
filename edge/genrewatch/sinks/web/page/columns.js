// Airtime by hour or by day: a stacked column for each row of the report, and the same as a table.
import { $, colour, make, table } from "./dom.js";
import { date, duration, name, t } from "./text.js";

const OTHERS = ["not_music", "refused", "warming_up", "silence", "dead_air", "lost"], LABEL_PX = 40;

const seconds = (row, key) => row.genres_s[key] ?? row[`${key}_s`];

// `by` is hour or day, as in the report.
export function columns(report, by) {
  const keys = [...Object.keys(report.total.genres_s), ...OTHERS].filter((key) => seconds(report.total, key) > 0);
  const most = Math.max(1, ...report.rows.map((row) => row.listened_s));
  const when = (row) => date(row.start, by === "hour" ? { hour: "numeric", minute: "2-digit" } : { weekday: "short", month: "short", day: "numeric" });
  const part = (row) => (key) => make("i", { tint: colour(key), grow: seconds(row, key), title: `${name(key)} ${duration(seconds(row, key))}` });
  $("columns-part").hidden = report.rows.length < 2;
  const every = Math.ceil((report.rows.length * LABEL_PX) / Math.max(1, $("columns").clientWidth));
  const column = (row, i) => {
    const bar = make("div", {}, ...keys.filter((key) => seconds(row, key) > 0).map(part(row)));
    bar.style.height = `${(100 * row.listened_s) / most}%`;
    return make("li", { title: `${when(row)}: ${duration(row.listened_s)}` }, bar, make("span", {}, i % every ? "" : when(row)));
  };
  $("columns-title").textContent = t(`airtime_${by}`);
  $("columns").replaceChildren(...report.rows.map(column));
  const cells = (row) => [when(row), duration(row.listened_s), ...keys.map((key) => (seconds(row, key) ? duration(seconds(row, key)) : "–"))];
  $("columns-table").replaceChildren(table(t(`airtime_${by}`), [t("start"), t("listened"), ...keys.map(name)], report.rows.map(cells)));
}
