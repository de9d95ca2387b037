// The panel of a cell: the curves of its runs, seed by seed, and what each was made with.

const panel = make("dialog", { id: "panel", "aria-labelledby": "panel-title" });
const wanted = { metric: "test_accuracy" };
let opener = null;

const PROVENANCE = [
  ["error", "Error"], ["started", "Started"], ["seconds", "Took", duration], ["host", "Host"], ["device", "Device"],
  ["precision", "Precision"], ["threads", "Threads"], ["attempt", "Attempt"],
  ["lnlbench_version", "lnlbench"], ["git_commit", "Commit"], ["versions", "Versions"],
  ["data_fingerprint", "Data"], ["data_note", "Data note"],
  ["noisy_labels_sha256", "Noisy labels"], ["noise_realised", "Noise realised", (share) => `${(100 * share).toFixed(2)}%`],
];

// Opens the panel of a place; `seen` is the job whose provenance is unfolded at once.
function openPanel(place, from, seen = null) {
  hideTip();
  opener = from;
  document.querySelectorAll(".open").forEach((cell) => cell.classList.remove("open"));
  from.classList.add("open");
  const { table, row, column } = whereIs(place);
  const jobs = data.places[place];
  const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: closePanel }, "×");
  panel.replaceChildren(
    make("div", { class: "bar" },
      make("div", {}, make("h2", { id: "panel-title", tabindex: -1 }, row.label), make("p", {}, `${column} · ${table.name}`)),
      close),
  );
  if (!jobs.length) panel.append(make("p", {}, "This method is not in lnlbench."));
  else panel.append(make("p", { class: "method" }, make("code", {}, row.method)), curvesSection(jobs), ...runEntries(jobs, seen));
  if (!panel.open) panel.show();
  document.body.classList.add("with-panel");
  panel.scrollTop = 0;
  panel.querySelector("h2").focus();
}

function closePanel() {
  if (!panel.open) return;
  panel.close();
  document.body.classList.remove("with-panel");
  opener?.classList.remove("open");
  opener?.focus();
}

function curvesSection(jobs) {
  const runs = jobs.map((i) => ({ i, seed: job(i, "seed"), curves: curvesOf(i) })).filter((run) => run.curves?.epochs.length);
  const section = make("section", { class: "curves", "aria-label": "Curves" });
  const there = data.metrics.filter((metric) => runs.some((run) => run.curves.values[metric]));
  if (!there.length) {
    section.append(make("p", { class: "quiet" }, "No epochs are recorded of these runs."));
    return section;
  }
  const place = make("div", { class: "chart-place" });
  const readout = make("p", { class: "readout", "aria-live": "polite" });
  const draw = () => drawInto(place, readout, runs, wanted.metric);
  if (!there.includes(wanted.metric)) wanted.metric = there[0];
  const choice = make("fieldset", { class: "metrics" }, make("legend", { class: "unseen" }, "Metric"));
  for (const metric of there) {
    const radio = make("input", { type: "radio", name: "metric", value: metric });
    radio.checked = metric === wanted.metric;
    radio.addEventListener("change", () => {
      wanted.metric = metric;
      draw();
    });
    choice.append(make("label", {}, radio, make("span", {}, METRIC_NAMES[metric] ?? metric)));
  }
  const legend = make("p", { class: "legend" });
  runs.forEach((run, k) => {
    legend.append(make("span", { class: `c${k % COLOURS}` }, lineSample(k % COLOURS), `seed ${run.seed}`), " ");
  });
  if (runs.some((run) => job(run.i, "best_epoch") !== null)) legend.append(make("span", { class: "quiet" }, "○ best epoch"));
  section.append(choice, place, legend, readout);
  new ResizeObserver(draw).observe(place);
  return section;
}

function lineSample(colour) {
  const sample = svg("svg", { width: 26, height: 10, "aria-hidden": "true" });
  sample.append(svg("path", { class: `line c${colour}`, d: "M1 5H25" }));
  return sample;
}

function drawInto(place, readout, runs, metric) {
  const width = place.clientWidth;
  if (!width) return;
  const drawn = runs
    .filter((run) => run.curves.values[metric])
    .map((run) => ({ name: `seed ${run.seed}`, best: job(run.i, "best_epoch"), values: run.curves.values[metric], ...pick(run.curves) }));
  const label = METRIC_NAMES[metric] ?? metric;
  const chart = drawChart(drawn, label, (value) => metricText(metric, value), width, Math.round(Math.min(300, width * 0.62)));
  let at = null;
  const show = (epoch) => {
    const found = chart.read(epoch);
    at = found.at;
    readout.textContent = found.said;
  };
  chart.element.addEventListener("pointermove", (event) => show(chart.epochAt(event.clientX)));
  chart.element.addEventListener("pointerdown", (event) => show(chart.epochAt(event.clientX)));
  chart.element.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show((at ?? (step > 0 ? chart.first - 1 : chart.last + 1)) + step);
  });
  place.replaceChildren(chart.element);
  readout.textContent = "Point at the chart, or focus it and use the arrow keys, to read its values.";
}

function pick({ epochs, stages }) {
  return { epochs, stages };
}

function runEntries(jobs, seen) {
  return [
    make("h3", {}, jobs.length === 1 ? "1 run" : `${jobs.length} runs`),
    ...jobs.map((i) => runEntry(i, i === seen || jobs.length === 1)),
  ];
}

function runEntry(i, open) {
  const status = statusOf(i);
  const summary = make("summary", {}, make("strong", {}, `seed ${job(i, "seed")}`), " ", badge(status), " ", headline(i));
  const list = make("dl", {}, make("dt", {}, "Job"), make("dd", {}, keyButton(i)));
  for (const [stat, { heading, decimals }] of Object.entries(data.stats)) {
    const value = job(i, stat);
    if (value === null || value === undefined) continue;
    const epoch = stat === "best" && job(i, "best_epoch") !== null ? ` in epoch ${job(i, "best_epoch") + 1}` : "";
    list.append(make("dt", {}, heading), make("dd", {}, shown(value, decimals) + epoch));
  }
  for (const [name, title, text] of PROVENANCE) {
    const value = valueOfRun(i, name);
    if (value !== null && value !== "") list.append(make("dt", {}, title), make("dd", {}, text ? text(value) : String(value)));
  }
  const entry = make("details", { class: "run", open }, summary, list);
  return entry;
}

function valueOfRun(i, name) {
  const value = job(i, name);
  if (name === "git_commit" && value !== null) return job(i, "git_dirty") ? `${value} (with changes not committed)` : value;
  if (name === "device") return [...new Set([value, job(i, "device_name")])].filter(Boolean).join(", ");
  if (name === "data_fingerprint" && value !== null) {
    const canonical = job(i, "data_canonical");
    return canonical === null ? value : `${value} (${canonical ? "canonical" : "not the canonical archive"})`;
  }
  return value;
}

function headline(i) {
  const best = job(i, "best");
  const took = duration(job(i, "seconds"));
  return make("span", { class: "quiet" }, [best === null ? null : shown(best, 2), took].filter(Boolean).join(" · "));
}

function badge(status) {
  return make("span", { class: `badge ${status.replace(" ", "-")}` }, status);
}
