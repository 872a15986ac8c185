// Sorting and filtering of the assay table, names at the points of pictures, and the pages of single assays.
// Without this the report is whole but for those pages. All texts are set as text, never as markup.
(() => {
  const byId = (name) => document.getElementById(name);
  const data = JSON.parse(byId("data").textContent);
  const assays = data.assays;
  const number = (assay, field) => assay.numbers[data.fields.indexOf(field)];
  const digits = (value, n = 3) => (value === null || value === undefined ? "–" : value.toFixed(n));
  const count = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));
  const SHADES = ["good", "fair", "chance", "worse", "few"];

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  };
  const draw = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
    element.append(...children);
    return element;
  };

  // --- the table -------------------------------------------------------------------------------------------

  document.querySelectorAll("table.sortable").forEach(makeSortable);
  const rowsOfAssays = () => Array.from(document.querySelectorAll("table.assays")).flatMap((table) => Array.from(table.tBodies[0].rows));
  const text = byId("filter-text");
  const verdict = byId("filter-verdict");
  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    const rows = rowsOfAssays();
    rows.forEach((row) => {
      const named = row.cells[0].textContent.toLowerCase().includes(wanted);
      row.hidden = !(named && (verdict.value === "" || row.dataset.verdict === verdict.value));
      if (!row.hidden) shown += 1;
    });
    byId("shown").textContent = shown + " of " + rows.length + " assays shown";
  };
  text.addEventListener("input", filter);
  verdict.addEventListener("change", filter);
  filter();

  // --- what can be scrolled says so ------------------------------------------------------------------------

  const watch = new ResizeObserver((entries) => entries.forEach((entry) => hint(entry.target)));
  const hint = (box) => {
    const room = box.scrollWidth - box.clientWidth;
    box.classList.toggle("more", room - box.scrollLeft > 2);
    box.previousElementSibling.hidden = room <= 2;
  };
  document.querySelectorAll(".scroll, .wide").forEach((box) => {
    box.before(make("p", { class: "hint note", "aria-hidden": "true", hidden: "" }, "Swipe or scroll sideways for more →"));
    box.addEventListener("scroll", () => hint(box), { passive: true });
    watch.observe(box);
    hint(box);
  });

  // --- names at points -------------------------------------------------------------------------------------

  const tip = byId("tip");
  const hide = () => { tip.hidden = true; };
  const say = (event, words) => {
    tip.textContent = words;
    tip.hidden = false;
    const wide = document.documentElement.clientWidth;
    const left = Math.min(Math.max(8, event.clientX + 14), wide - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 12;
    tip.style.left = left + "px";
    tip.style.top = (above > 4 ? above : event.clientY + 18) + "px";
    (byId("assay").open ? byId("assay") : document.body).append(tip);
  };
  document.addEventListener("scroll", hide, { passive: true, capture: true });

  // Points [{x, y, words, open}] in the units of the picture's viewBox; the nearest within reach is named.
  const name = (picture, points, reach = 16) => {
    const ring = draw("circle", { r: 5, class: "ring", visibility: "hidden" });
    picture.append(ring);
    const nearest = (event) => {
      const matrix = picture.getScreenCTM();
      if (!matrix) return null;
      let best = null, least = reach * reach;
      points.forEach((point) => {
        const across = matrix.a * point.x + matrix.e - event.clientX;
        const down = matrix.d * point.y + matrix.f - event.clientY;
        const far = across * across + down * down;
        if (far < least) { best = point; least = far; }
      });
      return best;
    };
    const show = (event) => {
      const point = nearest(event);
      ring.setAttribute("visibility", point ? "visible" : "hidden");
      picture.classList.toggle("pointing", Boolean(point && point.open));
      if (!point) return hide();
      ring.setAttribute("cx", point.x);
      ring.setAttribute("cy", point.y);
      say(event, point.words);
    };
    picture.addEventListener("pointermove", show);
    picture.addEventListener("pointerdown", show);
    picture.addEventListener("pointerleave", () => { ring.setAttribute("visibility", "hidden"); hide(); });
    picture.addEventListener("click", (event) => {
      const point = nearest(event);
      if (point && point.open) { hide(); point.open(); }
    });
  };

  const measuredOf = (assay) => assay.points ? number(assay, "measured") : number(assay, "actives") + number(assay, "inactives");
  const inShort = (assay) => {
    const [main, title] = assay.points ? ["concordance", "concordance"] : ["roc_auc", "ROC-AUC"];
    const interval = digits(number(assay, main + "_low"), 2) + " to " + digits(number(assay, main + "_high"), 2);
    const labels = assay.points ? count(measuredOf(assay)) + " values" : count(number(assay, "actives")) + " actives of " + count(measuredOf(assay));
    return assay.name + ": " + title + " " + digits(number(assay, main)) + " (" + interval + "), " +
      data.verdicts[assay.verdict] + "; " + labels + " in the test part";
  };
  document.querySelectorAll("svg[data-marks]").forEach((picture) => {
    const points = picture.dataset.marks.split(" ").filter(Boolean).map((mark) => {
      const [place, x, y] = mark.split(",").map(Number);
      return { x, y, words: inShort(assays[place]), open: () => go(place) };
    });
    name(picture, points);
  });

  // --- one assay among the curves --------------------------------------------------------------------------

  const rocOf = (assay) => {
    const last = assay.curve[assay.curve.length - 1];
    return [[0, 0], ...assay.curve.map(([, inactives, actives]) => [inactives / last[1], actives / last[2]])];
  };
  const precisionOf = (assay) => {
    const total = assay.curve[assay.curve.length - 1][2];
    const curve = assay.curve.filter((row) => row[2] > 0).map(([, inactives, actives]) =>
      [actives / total, actives / (actives + inactives)]);
    return [[0, curve[0][1]], ...curve];
  };
  const reliabilityOf = (assay) => assay.bins.filter((bin) => bin[2] >= 5).map(([mean, share]) => [mean, share]);
  const pathOf = (points, across, down) =>
    "M" + points.map(([x, y]) => across(x).toFixed(1) + " " + down(y).toFixed(1)).join("L");
  const hasCurve = (assay) => !assay.points && number(assay, "roc_auc") !== null;

  const picker = byId("pick");
  if (picker) {
    const pictures = Array.from(document.querySelectorAll("figure.curve svg"));
    const show = () => {
      document.querySelectorAll("path.chosen").forEach((path) => path.remove());
      byId("pick-open").disabled = picker.value === "";
      if (picker.value === "") return;
      const assay = assays[Number(picker.value)];
      [rocOf, precisionOf, reliabilityOf].forEach((of, place) => {
        const [zero, one] = pictures[place].dataset.unit.split(" ").map((each) => each.split(",").map(Number));
        const across = (x) => zero[1] + x * (one[1] - zero[1]);
        const down = (y) => zero[2] + y * (one[2] - zero[2]);
        const points = of(assay);
        if (points.length) pictures[place].append(draw("path", { class: "chosen", d: pathOf(points, across, down) }));
      });
    };
    picker.addEventListener("change", show);
    byId("pick-open").addEventListener("click", () => go(Number(picker.value)));
    document.querySelectorAll("g.pick").forEach((group) => {
      const place = group.dataset.pick;
      group.addEventListener("pointermove", (event) => say(event, inShort(assays[Number(place)])));
      group.addEventListener("pointerleave", hide);
      group.addEventListener("click", () => { picker.value = place; show(); });
    });
    picker.value = picker.options.length > 1 ? picker.options[1].value : "";
    show();
  }

  // --- the page of one assay -------------------------------------------------------------------------------

  const SIZE = { wide: 300, high: 250, left: 44, right: 10, top: 10, bottom: 40 };

  // A chart with axes from the ranges; points of `dots` [x, y, words, radius, bound] are named under the pointer;
  // a bound ("above", "below") is an arrow to where the true value lies.
  const chart = (title, labels, ranges, lines, dots, diagonal) => {
    const [[x0, x1], [y0, y1]] = ranges;
    const across = (x) => SIZE.left + (x - x0) / (x1 - x0 || 1) * (SIZE.wide - SIZE.left - SIZE.right);
    const down = (y) => SIZE.high - SIZE.bottom - (y - y0) / (y1 - y0 || 1) * (SIZE.high - SIZE.top - SIZE.bottom);
    const picture = draw("svg", { viewBox: "0 0 " + SIZE.wide + " " + SIZE.high, role: "img", class: "chart", "aria-label": title + ": " + labels[1] + " against " + labels[0] });
    const ticks = (from, to) => [0, 0.25, 0.5, 0.75, 1].map((share) => from + share * (to - from));
    const named = (value) => String(Number(value.toPrecision(2)));
    const whole = labels[0] === "epoch";
    ticks(x0, x1).forEach((x, place) => {
      picture.append(draw("line", { class: "grid", x1: across(x), x2: across(x), y1: down(y0), y2: down(y1) }));
      const isNamed = place % 2 === 0 && (!whole || (Number.isInteger(x) && (place === 0 || x1 > x0)));
      if (isNamed) picture.append(draw("text", { x: across(x), y: down(y0) + 15, "text-anchor": "middle" }, whole ? String(x) : named(x)));
    });
    ticks(y0, y1).forEach((y, place) => {
      picture.append(draw("line", { class: "grid", x1: across(x0), x2: across(x1), y1: down(y), y2: down(y) }));
      if (place % 2 === 0) picture.append(draw("text", { x: SIZE.left - 5, y: down(y) + 4, "text-anchor": "end" }, named(y)));
    });
    picture.append(draw("text", { x: (across(x0) + across(x1)) / 2, y: SIZE.high - 6, "text-anchor": "middle" }, labels[0]));
    picture.append(draw("text", { transform: "translate(11 " + (down(y0) + down(y1)) / 2 + ") rotate(-90)", "text-anchor": "middle" }, labels[1]));
    if (diagonal) picture.append(draw("path", { class: "diagonal", d: pathOf(diagonal, across, down) }));
    lines.forEach((line) => { if (line.length) picture.append(draw("path", { class: "line", d: pathOf(line, across, down) })); });
    const points = dots.map(([x, y, words, r, bound]) => {
      const at = { class: "bound", transform: "translate(" + across(x) + " " + down(y) + ") scale(" + (bound === "below" ? -1 : 1) + " 1)" };
      picture.append(bound ? draw("path", { ...at, d: "M-3 -3.5L4 0L-3 3.5Z" }) : draw("circle", { class: "point", cx: across(x), cy: down(y), r: r || 2 }));
      return { x: across(x), y: down(y), words };
    });
    name(picture, points, 24);
    return make("figure", {}, make("h3", {}, title), picture);
  };

  const curves = (assay) => {
    const last = assay.curve[assay.curve.length - 1];
    const words = ([probability, inactives, actives]) => "probability " + probability + " and above: " + count(actives) + " of " +
      count(last[2]) + " actives, " + count(inactives) + " of " + count(last[1]) + " inactives; precision " + digits(actives / (actives + inactives), 2);
    const roc = assay.curve.map((row) => [row[1] / last[1], row[2] / last[2], words(row)]);
    const precision = assay.curve.filter((row) => row[2] > 0).map((row) => [row[2] / last[2], row[2] / (row[1] + row[2]), words(row)]);
    const rate = last[2] / (last[1] + last[2]);
    return [
      chart("ROC", ["inactives taken", "actives found"], [[0, 1], [0, 1]], [rocOf(assay)], roc, [[0, 0], [1, 1]]),
      chart("Precision and recall", ["actives found", "precision"], [[0, 1], [0, 1]], [precisionOf(assay)], precision, [[0, rate], [1, rate]]),
    ];
  };
  const reliability = (assay) => {
    const dots = assay.bins.map(([mean, share, size]) => [mean, share,
      count(size) + " molecules with a mean probability of " + mean + ": " + digits(100 * share, 0) + " % are active", 2 + Math.min(6, Math.sqrt(size) / 4)]);
    return chart("Reliability", ["predicted probability", "share that is active"], [[0, 1], [0, 1]], [assay.bins.map(([mean, share]) => [mean, share])], dots, [[0, 0], [1, 1]]);
  };
  const training = (assay) => {
    const epochs = assay.history.map((row) => row[0]);
    const range = [Math.min(...epochs), Math.max(...epochs)];
    const one = (title, label, column, limits) => {
      const rows = assay.history.filter((row) => row[column] !== null);
      if (!rows.length) return null;
      const most = Math.max(...rows.map((row) => row[column]));
      const least = Math.min(0, ...rows.map((row) => row[column]));
      const dots = rows.map((row) => [row[0], row[column], "epoch " + row[0] + ": " + label + " " + row[column]]);
      return chart(title, ["epoch", label], [range, limits || [least, most > least ? most : least + 1]], [rows.map((row) => [row[0], row[column]])], dots);
    };
    const weights = new Set(assay.history.map((row) => row[2]));
    return [one("Training loss", assay.points ? "loss" : "loss, nats", 1), one("Validation", assay.points ? "concordance" : "ROC-AUC", 3, [0, 1]),
      weights.size > 1 ? one("Weight by the balancer", "weight", 2) : null].filter(Boolean);
  };

  const sketch = (drawing, title) => {
    const [lines, areas, letters] = drawing;
    return draw("svg", { class: "sketch", viewBox: "0 0 660 480", role: "img", "aria-label": title },
      ...lines.map(([kind, d]) => draw("path", { class: kind, d })),
      ...areas.map(([kind, d]) => draw("path", { class: "a " + kind, d })),
      ...letters.map(([kind, x, y, size, words]) => draw("text", { class: kind, x, y, "font-size": size }, words)));
  };
  const LABELS = new Map([[1, "active"], [0, "inactive"], [null, "not measured"]]);
  const labelOf = (label) => (typeof label === "string" ? "measured " + label : LABELS.get(label));
  const molecules = (title, note, rows, measured) => {
    if (!rows.length) return [];
    const items = rows.map(([place, probability, label, rank]) => {
      const [id, smiles, drawing] = data.molecules[place];
      const about = labelOf(label) + (rank === null ? "" : ", rank " + count(rank) + " of " + count(measured));
      const picture = drawing ? sketch(drawing, "Structure of " + (id || smiles)) : make("span", { class: "note" }, "not drawn");
      return make("li", {}, make("div", { class: "molecule" }, picture), make("b", {}, typeof probability === "string" ? probability : digits(probability)), " " + about, make("br", {}),
        make("span", {}, id), make("div", { class: "smiles", title: smiles }, make("code", {}, smiles)));
    });
    return [make("h3", {}, title), make("p", { class: "note" }, note), make("ul", { class: "hits" }, ...items)];
  };

  const within = (assay) => {
    const [mean, deviation, runs] = assay.within;
    return mean === null ? "" : "; mean within " + runs + " runs " + digits(mean) + (deviation === null ? "" : " ± " + digits(deviation));
  };
  const box = (title, value, small) => make("div", {}, make("dt", {}, title), make("dd", { class: "big" }, value), make("dd", { class: "small" }, small));
  const further = (assay) => data.further.filter(([, , value]) => !assay.points || number(assay, value) !== null).map(([title, places, value, low, high]) =>
    box(title, digits(number(assay, value), places), low ? "95 %: " + digits(number(assay, low), places) + " to " + digits(number(assay, high), places) : ""));
  const figures = (assay) => {
    if (assay.points) return make("dl", { class: "numbers" }, ...valueBoxes(assay).map((each) => box(...each)), ...further(assay));
    return make("dl", { class: "numbers" },
      box("ROC-AUC", digits(number(assay, "roc_auc")), "95 %: " + digits(number(assay, "roc_auc_low"), 2) + " to " + digits(number(assay, "roc_auc_high"), 2) + within(assay)),
      box("Average precision", digits(number(assay, "average_precision")), "base rate " + digits(number(assay, "base_rate"))),
      box("Enrichment, top 1 %", digits(number(assay, "ef_1pct"), 1) + " ×", "BEDROC " + digits(number(assay, "bedroc"))),
      box("Calibration error", digits(number(assay, "calibration_error")), "Brier score " + digits(number(assay, "brier"))),
      box("Log-loss, nats", digits(number(assay, "log_loss")), "of the base rate: " + digits(number(assay, "base_entropy"))),
      ...further(assay));
  };
  const labels = (assay) => assay.labels.length ? [make("p", { class: "note" }, (assay.points ? "Values: " : "Labels: ") + assay.labels.map(([part, measured, actives, bounds]) =>
    part + " " + count(measured) + (!assay.points ? " with " + count(actives) + " actives" : bounds ? " with " + count(bounds) + " bounds" : "")).join("; ") + ".")] : [];

  const { boxes: valueBoxes, charts: valueCharts, lists: valueLists } = valuePages({ number, digits, count, chart, within });

  const page = (assay) => {
    const measured = measuredOf(assay);
    const verdictLine = make("p", {}, make("span", { class: "dot " + SHADES[assay.verdict] }), make("b", {}, data.verdicts[assay.verdict]), assay.why ? ". " + assay.why : "");
    const results = assay.points ? valueCharts(assay) : [...(hasCurve(assay) ? curves(assay) : []), ...(measured ? [reliability(assay)] : [])];
    const charts = [...results, ...training(assay)];
    return [
      make("h2", { id: "assay-name", tabindex: "-1" }, assay.name), verdictLine, figures(assay), ...labels(assay),
      ...(hasCurve(assay) || assay.points ? [] : [make("p", { class: "note" }, "There is no curve: the test part lacks actives or inactives.")]),
      make("div", { class: "figures" }, ...charts),
      ...(assay.points ? valueLists(assay).flatMap(([title, note, rows]) => molecules(title, note, rows, measured)) : [
      ...molecules("Inactives that rank high", "Inactive molecules above an active one, the most probable first: false alarms.", assay.false, measured),
      ...molecules("Actives that rank low", "Active molecules below an inactive one, the least probable first: missed.", assay.missed, measured),
      ...molecules("Top of the test part", "The most probable molecules of the test part, measured in this assay or not.", assay.top, measured)]),
    ];
  };

  const dialog = byId("assay");
  const hashOf = (place) => "#assay=" + encodeURIComponent(assays[place].name);
  const go = (place) => { if (location.hash === hashOf(place)) open(); else location.hash = hashOf(place); };
  const current = () => {
    const found = /^#assay=(.*)$/.exec(location.hash);
    if (!found) return -1;
    let wanted = "";
    try { wanted = decodeURIComponent(found[1]); } catch { return -1; }
    return assays.findIndex((assay) => assay.name === wanted);
  };
  const order = () => rowsOfAssays().filter((row) => !row.hidden).map((row) => Number(row.dataset.assay));
  const open = () => {
    const place = current();
    hide();
    if (place < 0) { if (dialog.open) dialog.close(); return; }
    byId("assay-body").replaceChildren(...page(assays[place]));
    const places = order();
    const at = places.indexOf(place);
    byId("assay-place").textContent = at < 0 ? "" : (at + 1) + " of " + places.length + " in the table";
    byId("assay-before").disabled = at <= 0;
    byId("assay-next").disabled = at < 0 || at === places.length - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    byId("assay-name").focus();
  };
  const step = (by) => {
    const places = order();
    const next = places[places.indexOf(current()) + by];
    if (next !== undefined) location.replace(hashOf(next));
  };
  byId("assay-before").addEventListener("click", () => step(-1));
  byId("assay-next").addEventListener("click", () => step(1));
  byId("assay-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    hide();
    document.body.append(tip);
    if (current() >= 0) history.pushState(null, "", "#assays");
  });
  window.addEventListener("hashchange", open);

  document.querySelectorAll("h3[data-assay]").forEach((head) => {
    const link = make("a", { href: hashOf(Number(head.dataset.assay)) });
    link.append(...head.childNodes);
    head.append(link);
  });
  document.querySelectorAll("tr[data-assay]").forEach((row) => {
    const cell = row.cells[0];
    const link = make("a", { href: hashOf(Number(row.dataset.assay)) });
    link.append(...cell.childNodes);
    cell.append(link);
    row.addEventListener("click", (event) => {
      if (!event.target.closest("a") && String(getSelection()) === "") go(Number(row.dataset.assay));
    });
  });
  document.querySelectorAll(".needs-script").forEach((each) => { each.hidden = false; });
  open();
})();
