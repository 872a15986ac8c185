"use strict";
// Tables of class `sortable`: a click anywhere in a head, or its button by keyboard, sorts by that column.
// Cells sort by `data-v` (a number; none comes last) or, where the head is of class `text`, by their text.
const makeSortable = (table) => {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);

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
    head.addEventListener("click", () => sortBy(column));
  });
};
