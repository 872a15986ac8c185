"use strict";
// Sorting and filtering of the assay table, and the assay shown among the curves. Without this the page is whole.
(() => {
  const table = document.getElementById("assay-table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const said = document.getElementById("shown");

  const valueOf = (row, column, isText) => {
    const cell = row.cells[column];
    if (isText) return cell.textContent.trim().toLowerCase();
    return cell.dataset.v === undefined ? NaN : Number(cell.dataset.v);
  };

  const sortBy = (column) => {
    const head = heads[column];
    const isText = head.classList.contains("text");
    const first = isText ? "ascending" : "descending";
    const other = isText ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    heads.forEach((cell) => cell.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const keyed = rows.map((row, place) => ({ row, place, value: valueOf(row, column, isText) }));
    keyed.sort((a, b) => {
      const missing = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
      if (missing) return missing;
      if (a.value < b.value) return -sign;
      if (a.value > b.value) return sign;
      return a.place - b.place;
    });
    body.append(...keyed.map((item) => item.row));
  };

  heads.forEach((head, column) => {
    if (!head.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(column));
  });

  const text = document.getElementById("filter-text");
  const verdict = document.getElementById("filter-verdict");
  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    rows.forEach((row) => {
      const named = row.cells[0].textContent.toLowerCase().includes(wanted);
      row.hidden = !(named && (verdict.value === "" || row.dataset.verdict === verdict.value));
      if (!row.hidden) shown += 1;
    });
    said.textContent = shown + " of " + rows.length + " assays shown";
  };
  text.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();

  const picker = document.getElementById("pick");
  if (picker) {
    const show = () => {
      document.querySelectorAll("g.pick").forEach((group) => {
        const chosen = group.dataset.pick === picker.value;
        group.classList.toggle("chosen", chosen);
        if (chosen) group.parentNode.append(group);
      });
    };
    picker.addEventListener("change", show);
    show();
  }
  document.querySelectorAll(".controls").forEach((controls) => { controls.hidden = false; });
})();
