"use strict";
// Sorting, filtering, views, and saving what is ticked. Without this the page is a plain table of all hits.
(() => {
  const table = document.getElementById("hits");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const records = JSON.parse(document.getElementById("records").textContent);
  const at = (id) => document.getElementById(id);
  const sort = at("sort");
  const turn = at("turn");
  const texts = new Set(["id", "flags"]);
  const score = table.dataset.score;
  const rising = new Set(["id", "rank", "flags"]);
  if (table.dataset.good === "low") [score, "low", "high"].forEach((name) => rising.add(name));

  const column = (name) => heads.findIndex((head) => head.dataset.sort === name);
  const valueOf = (row, place, isText) => {
    const given = row.cells[place].dataset.v;
    if (isText) return given.toLowerCase();
    return given === "" ? NaN : Number(given);
  };
  const order = (name, ascending) => {
    const place = column(name);
    const isText = texts.has(name);
    const sign = ascending ? 1 : -1;
    const keyed = rows.map((row) => ({ row, value: valueOf(row, place, isText) }));
    keyed.sort((a, b) => {
      const missing = Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
      if (missing) return missing;
      if (a.value < b.value) return -sign;
      if (a.value > b.value) return sign;
      return Number(a.row.dataset.place) - Number(b.row.dataset.place);
    });
    body.append(...keyed.map((item) => item.row));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[place].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    sort.value = name;
    turn.dataset.ascending = ascending ? "yes" : "";
    turn.textContent = isText ? (ascending ? "↑ A to Z" : "↓ Z to A") : ascending ? "↑ low to high" : "↓ high to low";
  };
  heads.forEach((head) => {
    const name = head.dataset.sort;
    if (!name) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      order(name, now ? now === "descending" : rising.has(name));
    });
  });
  sort.addEventListener("change", () => order(sort.value, rising.has(sort.value)));
  turn.addEventListener("click", () => order(sort.value, !turn.dataset.ascending));

  const tick = (row) => row.querySelector("input");
  const tell = () => {
    const shown = rows.filter((row) => !row.hidden).length;
    const ticked = rows.filter((row) => tick(row).checked);
    const unseen = ticked.filter((row) => row.hidden).length;
    at("said").textContent = `${shown} of ${rows.length} hits shown, ${ticked.length} ticked` +
      (unseen ? ` (${unseen} of them not shown)` : "");
    at("save-sdf").disabled = at("save-csv").disabled = !ticked.length;
  };
  const filters = ["flags", "domain"].map((name) => [name, at(name)]).filter(([, box]) => box);
  const filter = () => {
    const wanted = at("find").value.trim().toLowerCase();
    rows.forEach((row) => {
      const hasText = row.textContent.toLowerCase().includes(wanted);
      row.hidden = !(hasText && filters.every(([name, box]) => !box.value || row.dataset[name] === box.value));
    });
    tell();
  };
  at("find").addEventListener("input", filter);
  filters.forEach(([, box]) => box.addEventListener("change", filter));
  body.addEventListener("change", tell);
  at("tick-all").addEventListener("click", () => {
    rows.forEach((row) => { if (!row.hidden) tick(row).checked = true; });
    tell();
  });
  at("untick-all").addEventListener("click", () => {
    rows.forEach((row) => { tick(row).checked = false; });
    tell();
  });

  const save = (name, pieces, kind) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(pieces, { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  };
  const ticked = () => Array.from(body.rows).filter((row) => tick(row).checked).map((row) => Number(row.dataset.place));
  at("save-sdf").addEventListener("click", () =>
    save("selection.sdf", ticked().map((place) => records.sdf[place]), "chemical/x-mdl-sdfile"));
  at("save-csv").addEventListener("click", () =>
    save("selection.csv", [records.head, ...ticked().map((place) => records.csv[place])], "text/csv"));

  const views = Array.from(document.querySelectorAll("[data-view]"));
  const view = (name) => {
    table.classList.toggle("as-cards", name === "cards");
    views.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.view === name)));
  };
  views.forEach((button) => button.addEventListener("click", () => view(button.dataset.view)));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("controls").hidden = false;
  view(window.innerWidth < 900 ? "cards" : "table");
  order(score, rising.has(score));
  filter();
})();
