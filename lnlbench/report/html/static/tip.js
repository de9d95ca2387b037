// What a cell is made of, beside it: on hover and on focus. One element for the whole page.

const tip = make("div", { role: "tooltip", id: "tip", hidden: true });
let tipFor = null;
let closing = 0;
let opening = 0;

// A pointer that only crosses the table opens nothing.
function showTipSoon(cell) {
  clearTimeout(opening);
  if (tipFor === cell) clearTimeout(closing);
  else opening = setTimeout(() => showTip(cell), 120);
}

function showTip(cell) {
  clearTimeout(closing);
  if (tipFor === cell) return;
  hideTip();
  tip.replaceChildren(...tipContent(cell));
  tip.hidden = false;
  tipFor = cell;
  cell.setAttribute("aria-describedby", "tip");
  placeTip(cell);
}

function hideTip() {
  clearTimeout(closing);
  clearTimeout(opening);
  tipFor?.removeAttribute("aria-describedby");
  tipFor = null;
  tip.hidden = true;
}

// The pointer may go from the cell to the tip, to copy a key, without losing it.
function hideTipSoon() {
  clearTimeout(opening);
  clearTimeout(closing);
  closing = setTimeout(hideTip, 250);
}

function placeTip(cell) {
  const box = cell.getBoundingClientRect();
  const gap = 6;
  const left = Math.min(Math.max(gap, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - gap);
  const below = box.bottom + gap + tip.offsetHeight <= innerHeight;
  const top = below || box.top < tip.offsetHeight + gap ? box.bottom + gap : box.top - tip.offsetHeight - gap;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${top + scrollY}px`;
}

function tipContent(cell) {
  const place = Number(cell.dataset.place);
  const stat = cell.parentElement.dataset.stat;
  const { table, at, row, column } = whereIs(place);
  const { heading, decimals } = data.stats[stat];
  const numbers = table.numbers[stat];
  const jobs = data.places[place];
  const content = [make("p", { class: "of" }, make("bdi", {}, row.label), ` · ${column} · ${heading}`)];
  if (!jobs.length) return [...content, make("p", {}, "Not in lnlbench.")];
  const mean = numbers.mean?.[at] ?? null;
  const std = numbers.std?.[at] ?? null;
  const facts = [`n = ${numbers.n[at]}`];
  if (mean !== null) facts.push(`mean ${shown(mean, decimals)}`);
  if (std !== null) facts.push(`std ${shown(std, decimals)} (${table.ddof ? "n−1" : "n"})`);
  content.push(make("p", { class: "facts" }, facts.join(", ")));
  if (numbers.test?.[at]) content.push(make("p", {}, numbers.test[at]));
  const list = make("table");
  for (const i of jobs) {
    const status = statusOf(i);
    const value = status === "diverged" ? "diverged" : job(i, stat) === null ? status : shown(job(i, stat), decimals);
    list.append(
      make("tr", {}, make("td", {}, `seed ${job(i, "seed")}`), make("td", { class: "number" }, value), make("td", {}, keyButton(i))),
    );
  }
  content.push(list);
  return content;
}

// A table has one tab stop; the arrow keys go from cell to cell.
function placeTabStop(table) {
  const current = table.querySelector("td[tabindex='0']");
  if (current && !current.closest("tbody").hidden) return;
  current?.setAttribute("tabindex", "-1");
  table.querySelector("tbody.row:not([hidden]) td[data-place]")?.setAttribute("tabindex", "0");
}

function focusCell(cell) {
  cell.closest("table").querySelector("td[tabindex='0']")?.setAttribute("tabindex", "-1");
  cell.setAttribute("tabindex", "0");
  cell.focus();
}

function neighbour(cell, key) {
  const cells = [...cell.parentElement.querySelectorAll("td[data-place]")];
  const at = cells.indexOf(cell);
  if (key === "ArrowLeft") return cells[at - 1];
  if (key === "ArrowRight") return cells[at + 1];
  if (key === "Home") return cells[0];
  if (key === "End") return cells[cells.length - 1];
  const lines = [...cell.closest("table").querySelectorAll("tbody.row:not([hidden]) > tr")];
  const line = lines[lines.indexOf(cell.parentElement) + (key === "ArrowDown" ? 1 : -1)];
  return line?.querySelectorAll("td[data-place]")[at];
}
