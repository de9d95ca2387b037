// What the page is about: tables, places (a row and a column), jobs and their runs, curves decoded when asked for.

const data = JSON.parse(document.getElementById("data").textContent);
const blocks = new Map();

const METRIC_NAMES = {
  test_accuracy: "Test accuracy",
  clean_auc: "Clean-score AUC",
  loss: "Loss",
  memorisation: "Memorisation",
};
const MISSING = 0xffff;

// A column of the jobs at job i; columns whose values repeat are {of: values, which: indices}.
function job(i, name) {
  const column = data.jobs[name];
  if (column === undefined) return null;
  return Array.isArray(column) ? column[i] : column.of[column.which[i]];
}

// The table, row and column of a place.
function whereIs(place) {
  let low = 0;
  let high = data.tables.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (data.tables[middle].start <= place) low = middle;
    else high = middle - 1;
  }
  const table = data.tables[low];
  const at = place - table.start;
  const width = table.columns.length;
  return { table, at, row: table.rows[Math.floor(at / width)], column: table.columns[at % width] };
}

// Metrics by epoch of job i: {epochs, stages, values: {metric: numbers with null}}, or null where there are none.
function curvesOf(i) {
  const number = Math.floor(i / data.block);
  if (!blocks.has(number)) {
    const element = document.getElementById(`curves-${number}`);
    blocks.set(number, element ? JSON.parse(element.textContent) : []);
  }
  const packed = blocks.get(number)[i % data.block];
  return packed ? unpacked(packed) : null;
}

function unpacked([where, stages, ranges, text]) {
  const epochs = Array.isArray(where) ? where : Array.from({ length: where.count }, (_, i) => where.first + i);
  const bytes = atob(text);
  const values = {};
  let at = 0;
  ranges.forEach((range, m) => {
    if (!range) return;
    const [low, step] = range;
    values[data.metrics[m]] = epochs.map(() => {
      const steps = bytes.charCodeAt(at) | (bytes.charCodeAt(at + 1) << 8);
      at += 2;
      return steps === MISSING ? null : low + steps * step;
    });
  });
  return { epochs, stages, values };
}

function shown(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function metricText(metric, value) {
  return shown(value, metric === "test_accuracy" ? 2 : 4);
}

function duration(seconds) {
  if (seconds === null) return null;
  if (seconds < 90) return `${seconds.toFixed(0)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(0)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

// What a job has come to, in a word.
function statusOf(i) {
  return job(i, "status") ?? (job(i, "diverged") ? "diverged" : hasValue(i) ? "done" : "not run");
}

function hasValue(i) {
  return Object.keys(data.stats).some((stat) => job(i, stat) !== null && job(i, stat) !== undefined);
}

// An element with properties, attributes (by their names) and children; texts are never read as HTML.
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// A job's key, short, that copies the whole of it.
function keyButton(i) {
  const key = job(i, "key");
  const button = make("button", { type: "button", class: "key", title: `Copy ${key}` }, key.slice(0, 12));
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    button.dataset.copied = (await copied(key)) ? "copied" : "not copied";
    setTimeout(() => delete button.dataset.copied, 1500);
  });
  return button;
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = make("textarea", { class: "unseen", "aria-hidden": "true" });
    field.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
