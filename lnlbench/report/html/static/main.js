// Puts it together: everything above is started here, and every event of the page is answered here.

function startFilter(tools, filters) {
  const input = make("input", { type: "search", id: "filter", placeholder: "Filter by method", "aria-label": "Filter rows by method",
    autocomplete: "off", spellcheck: "false" });
  const found = make("p", { id: "found", role: "status" });
  input.addEventListener("input", () => {
    hideTip();
    found.textContent = filters.map((filter) => filter(input.value))[0];
  });
  tools.append(input, found);
}

function startCells(main) {
  const cellOf = (event) => event.target.closest?.("td[data-place]") ?? null;
  main.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const cell = cellOf(event);
    if (cell) showTipSoon(cell);
    else hideTipSoon();
  });
  main.addEventListener("pointerleave", hideTipSoon);
  main.addEventListener("focusin", (event) => {
    const cell = cellOf(event);
    if (cell?.matches(":focus-visible")) showTip(cell);
  });
  main.addEventListener("focusout", hideTipSoon);
  main.addEventListener("click", (event) => {
    const cell = cellOf(event);
    if (!cell || String(getSelection())) return;
    focusCell(cell);
    openPanel(Number(cell.dataset.place), cell);
  });
  main.addEventListener("keydown", (event) => {
    const cell = cellOf(event);
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      openPanel(Number(cell.dataset.place), cell);
    } else if (/^Arrow|^Home$|^End$/.test(event.key)) {
      event.preventDefault();
      const next = neighbour(cell, event.key);
      if (next) focusCell(next);
    }
  });
  tip.addEventListener("pointerenter", () => clearTimeout(closing));
  tip.addEventListener("pointerleave", hideTipSoon);
}

function start() {
  const main = document.getElementById("main");
  document.documentElement.classList.add("script");
  document.body.append(panel, tip);
  for (const table of main.querySelectorAll("section.suite table")) {
    table.setAttribute("role", "grid");
    for (const cell of table.querySelectorAll("td[data-place]")) cell.tabIndex = -1;
    makeSortable(table);
    placeTabStop(table);
  }
  const runs = document.getElementById("runs");
  startFilter(document.getElementById("tools"), [filterTables, ...(runs ? [startRuns(runs)] : [])]);
  startCells(main);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (!tip.hidden) hideTip();
    else closePanel();
  });
}

start();
