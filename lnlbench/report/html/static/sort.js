// Sorting and filtering of the tables. A row is a tbody, so that its statistics stay together.

// First click on a column: best first; second: the other way; third: the table's own order again.
function makeSortable(table) {
  const info = data.tables.find((other) => other.start === Number(table.dataset.start));
  const original = [...table.tBodies];
  const rows = original.filter((body) => body.classList.contains("row"));
  const heads = [...table.tHead.querySelectorAll("th[data-column]")];
  const state = { head: null, descending: false, line: 0 };

  for (const head of heads) {
    const button = make("button", { type: "button", class: "sort" });
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const first = !lowFirst(head);
      if (state.head !== head) [state.head, state.descending] = [head, first];
      else if (state.descending === first) state.descending = !first;
      else state.head = null;
      apply();
    });
  }

  function lowFirst(head) {
    const column = Number(head.dataset.column);
    return column < 0 || column === info.columns.length;
  }

  function valueOf(i) {
    const column = Number(state.head.dataset.column);
    if (column < 0) return info.rows[i].label;
    const line = rows[i].rows[state.line];
    const numbers = info.numbers[line.dataset.stat];
    if (column === info.columns.length) return numbers.rank?.[i] ?? null;
    const kind = line.classList.contains("published") ? "published" : "mean";
    return numbers[kind]?.[i * info.columns.length + column] ?? null;
  }

  function apply() {
    for (const head of heads) {
      const order = head === state.head ? (state.descending ? "descending" : "ascending") : "none";
      head.setAttribute("aria-sort", order);
    }
    table.classList.toggle("sorted", state.head !== null);
    if (state.head === null) table.append(...original);
    else {
      const values = rows.map((_, i) => valueOf(i));
      const order = rows.map((_, i) => i).sort((a, b) => compared(values[a], values[b], state.descending));
      table.append(...order.map((i) => rows[i]));
    }
    placeTabStop(table);
  }

  addLineChoice(table, rows, (line) => {
    state.line = line;
    if (state.head) apply();
  });
}

// Missing values last, whichever way; equal ones keep their order.
function compared(a, b, descending) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  return descending ? -order : order;
}

// Where a row has several lines, a choice of the one that sorting goes by.
function addLineChoice(table, rows, choose) {
  if (!rows.length || rows[0].rows.length < 2) return;
  const choice = make("select");
  let own = "";
  [...rows[0].rows].forEach((line, i) => {
    const heading = line.querySelector(".heading").textContent;
    if (!line.classList.contains("published")) own = heading;
    choice.append(make("option", { value: i }, heading === own ? own : `${own}, ${heading}`));
  });
  choice.addEventListener("change", () => choose(Number(choice.value)));
  table.parentElement.before(make("p", { class: "choice" }, make("label", {}, "Columns sort by ", choice)));
}

// Shows the rows, in all tables, that hold every word of the text in their label, method or group.
function filterTables(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  let all = 0;
  for (const section of document.querySelectorAll("section.suite")) {
    let here = 0;
    let group = null;
    for (const body of section.querySelectorAll("tbody")) {
      if (body.classList.contains("group")) {
        group = body;
        group.hidden = true;
        continue;
      }
      const fits = words.every((word) => body.dataset.search.includes(word));
      body.hidden = !fits;
      all += 1;
      here += fits;
      if (fits && group) group.hidden = false;
    }
    left += here;
    section.classList.toggle("nothing", here === 0);
    placeTabStop(section.querySelector("table"));
  }
  return words.length ? `${left} of ${all} rows` : "";
}
