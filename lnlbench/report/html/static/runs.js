// The list of all runs, a hundred at a time; each opens the panel of its cell.

const AT_ONCE = 100;

function startRuns(section) {
  const homes = new Map();
  data.places.forEach((jobs, place) => jobs.forEach((i) => homes.has(i) || homes.set(i, place)));
  const counts = {};
  const all = data.jobs.key.map((_, i) => i).filter((i) => job(i, "status") !== null);
  for (const i of all) counts[statusOf(i)] = (counts[statusOf(i)] ?? 0) + 1;

  const choice = make("select", {}, make("option", { value: "" }, `all (${all.length})`));
  for (const [status, count] of Object.entries(counts)) choice.append(make("option", { value: status }, `${status} (${count})`));
  const body = make("tbody");
  const more = make("button", { type: "button", class: "more" });
  const heads = ["Method", "Column", "Seed", "Status", "Best", "Took", "Started", "Job"];
  const table = make("table", { class: "facts" },
    make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))), body);
  let fitting = [];
  let words = [];

  function fits(i) {
    if (choice.value && statusOf(i) !== choice.value) return false;
    if (!words.length) return true;
    const { row } = whereIs(homes.get(i));
    const text = `${row.label} ${row.method} ${row.group}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }
  function restart() {
    fitting = all.filter(fits);
    body.replaceChildren();
    extend();
  }
  function extend() {
    const from = body.rows.length;
    body.append(...fitting.slice(from, from + AT_ONCE).map((i) => runLine(i, homes.get(i))));
    const left = fitting.length - body.rows.length;
    more.hidden = left <= 0;
    more.textContent = `Show ${Math.min(left, AT_ONCE)} more of ${left}`;
  }
  choice.addEventListener("change", restart);
  more.addEventListener("click", extend);
  section.append(
    make("p", { class: "choice" }, make("label", {}, "Status ", choice)),
    make("div", { class: "scroll", role: "region", tabindex: 0, "aria-labelledby": "runs-title" }, table), more);
  section.hidden = false;
  restart();
  return (text) => {
    words = text.toLowerCase().split(/\s+/).filter(Boolean);
    restart();
  };
}

function runLine(i, place) {
  const { row, column } = whereIs(place);
  const open = make("button", { type: "button", class: "link" }, row.label);
  open.addEventListener("click", () => openPanel(place, open, i));
  const cells = [open, column, job(i, "seed"), badge(statusOf(i)), shown(job(i, "best"), 2), duration(job(i, "seconds")) ?? "–",
    job(i, "started") ?? "–", keyButton(i)];
  const numbers = new Set([2, 4, 5]);
  return make("tr", {}, ...cells.map((cell, k) => make("td", { class: numbers.has(k) && "number" }, cell instanceof Node ? cell : String(cell))));
}
