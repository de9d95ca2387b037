// A line chart of one metric over the epochs of several runs, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 6;
const MARGIN = { top: 12, right: 14, bottom: 38, left: 50 };

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// Round numbers from low to high, about as many as asked for.
function ticks(low, high, wanted) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) found.push(k * step);
  return { found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// runs: [{name, epochs, values, best (epoch or null), stages}]. Returns {element, read(epoch) -> text}.
function drawChart(runs, label, text, width, height) {
  const points = runs.flatMap((run) => run.values.filter((value) => value !== null));
  let [low, high] = [Math.min(...points), Math.max(...points)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  [low, high] = [low >= 0 ? Math.max(0, low - room) : low - room, high + room];
  const first = Math.min(...runs.map((run) => run.epochs[0]));
  const last = Math.max(...runs.map((run) => run.epochs[run.epochs.length - 1]), first + 1);
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const x = (epoch) => MARGIN.left + ((epoch - first) / (last - first)) * inner.width;
  const y = (value) => MARGIN.top + (1 - (value - low) / (high - low)) * inner.height;

  const names = runs.map((run) => run.name).join(", ");
  const element = svg("svg", {
    class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "img",
    "aria-label": `${label} by epoch: ${names}. Arrow keys read the values.`,
  });
  drawAxes(element, { x, y, low, high, first, last, width, height, label });
  drawStages(element, runs[0], x, height);
  runs.forEach((run, i) => drawRun(element, run, i % COLOURS, x, y));
  const cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" });
  element.append(cursor);

  function read(epoch) {
    const at = Math.min(Math.max(Math.round(epoch), first), last);
    cursor.setAttribute("x1", x(at));
    cursor.setAttribute("x2", x(at));
    cursor.setAttribute("visibility", "visible");
    const values = runs.map((run) => `${run.name} ${text(run.values[run.epochs.indexOf(at)])}`);
    return { at, said: `Epoch ${at + 1}: ${values.join(", ")}` };
  }
  const epochAt = (clientX) => {
    const box = element.getBoundingClientRect();
    return first + ((clientX - box.left - MARGIN.left) / inner.width) * (last - first);
  };
  return { element, read, epochAt, first, last };
}

function drawAxes(element, { x, y, low, high, first, last, width, height, label }) {
  const vertical = ticks(low, high, 5);
  for (const value of vertical.found) {
    element.append(
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }),
      svg("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(vertical.digits)),
    );
  }
  // Epochs are counted from 1 where they are read.
  const across = ticks(first + 1, last + 1, Math.max(2, Math.min(width / 80, last - first)));
  for (const epoch of across.found.filter(Number.isInteger)) {
    element.append(svg("text", { x: x(epoch - 1), y: height - MARGIN.bottom + 18, "text-anchor": "middle" }, epoch));
  }
  const bottom = height - MARGIN.bottom;
  element.append(
    svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }),
    svg("text", { class: "name", x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 4, "text-anchor": "middle" }, "Epoch"),
    svg("title", {}, label),
  );
}

// Where a method trains in stages, a line at the start of each but the first.
function drawStages(element, run, x, height) {
  for (const [name, at, counts] of run.stages.slice(1)) {
    const place = x(run.epochs[at] - 0.5);
    element.append(
      svg("line", { class: "stage", x1: place, x2: place, y1: MARGIN.top, y2: height - MARGIN.bottom }),
      svg("text", { class: "stage", x: place + 4, y: MARGIN.top + 9 }, counts ? name : `${name} (not counted)`),
    );
  }
}

function drawRun(element, run, colour, x, y) {
  let path = "";
  let pen = false;
  run.epochs.forEach((epoch, i) => {
    const value = run.values[i];
    if (value === null) pen = false;
    else {
      path += `${pen ? "L" : "M"}${x(epoch).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    }
  });
  element.append(svg("path", { class: `line c${colour}`, d: path }));
  const at = run.best === null ? -1 : run.epochs.indexOf(run.best);
  if (at >= 0 && run.values[at] !== null) {
    const mark = svg("circle", { class: `best c${colour}`, cx: x(run.best), cy: y(run.values[at]), r: 4.5 });
    mark.append(svg("title", {}, `${run.name}: best epoch ${run.best + 1}`));
    element.append(mark);
  }
}
