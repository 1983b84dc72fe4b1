"use strict";
// Looks up rows that were computed when the page was made, and adds their counts. It computes no limit and spells no number.
(() => {
  const table = JSON.parse(document.getElementById("live-table").textContent);
  const { columns, percentiles, varying, words, limits } = table;
  const place = Object.fromEntries(columns.map((name, at) => [name, at]));
  const fixed = columns.map((_, at) => at).filter((at) => !varying.includes(at));
  const step = varying.length + 1;
  const element = (id) => document.getElementById(id);
  const slider = element("live-percentile");
  const overrides = new Map();

  // The cells of limit `limit` at the percentile in place `at`.
  const cells = (limit, at) => {
    const [constant, changes] = limits[limit];
    const row = new Array(columns.length);
    fixed.forEach((column, i) => { row[column] = words[constant[i]]; });
    let from = 0;
    while (from + step < changes.length && changes[from + step] <= at) from += step;
    varying.forEach((column, i) => { row[column] = words[changes[from + 1 + i]]; });
    row[place.percentile] = percentiles[at];
    return row;
  };
  const chosen = (limit) => overrides.has(limit) ? overrides.get(limit) : Number(slider.value);
  const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ",");
  const name = (row) => ["part", "model", "revision", "inspection", "feature"].map((c) => row[place[c]]).filter((text) => text).join(" / ");
  const count = (row, column) => Number(row[place[column]]);

  const show = () => {
    const at = Number(slider.value);
    slider.setAttribute("aria-valuetext", `percentile ${percentiles[at]}`);
    element("live-value").textContent = percentiles[at];
    const sums = { before: 0, after: 0, known: 0, flagged: 0, moved: 0 };
    for (let limit = 0; limit < limits.length; limit += 1) {
      const row = cells(limit, chosen(limit));
      sums.before += count(row, "false_calls_before");
      sums.after += count(row, "false_calls_after");
      sums.known += count(row, "defects_before");
      sums.flagged += count(row, "defects_after");
      sums.moved += row[place.decision] === "relaxed" || row[place.decision] === "guarded" ? 1 : 0;
    }
    for (const [id, n] of Object.entries({ before: sums.before, after: sums.after, known: sums.known, flagged: sums.flagged, moved: sums.moved, overrides: overrides.size })) {
      element(`live-${id}`).textContent = grouped(n);
    }
    const saved = sums.before === 0 ? 0 : 100 * (1 - sums.after / sums.before);
    element("live-saved").textContent = saved.toFixed(2);
    rows();
  };

  // The limits that the filter lets through, those with most false calls first; a page of thousands of rows would not follow the slider.
  const SHOWN = 25;
  const order = limits.map((_, limit) => limit).sort((a, b) => count(cells(b, 0), "false_calls_before") - count(cells(a, 0), "false_calls_before") || a - b);
  const rows = () => {
    const wanted = element("live-filter").value.trim().toLowerCase();
    const found = order.filter((limit) => `${name(cells(limit, 0))} ${cells(limit, 0)[place.side]}`.toLowerCase().includes(wanted));
    const body = element("live-rows");
    const focused = document.activeElement && document.activeElement.dataset.limit;
    body.replaceChildren(...found.slice(0, SHOWN).map((limit) => {
      const row = cells(limit, chosen(limit));
      const line = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = `${name(row)} · ${row[place.side]}`;
      line.append(head);
      for (const column of ["old_limit", "new_limit", "decision", "false_calls_before", "false_calls_after"]) {
        const cell = document.createElement("td");
        cell.className = column === "decision" ? "" : "n";
        cell.textContent = row[place[column]];
        cell.title = column === "decision" ? row[place.reason] : "";
        line.append(cell);
      }
      const own = document.createElement("select");
      own.dataset.limit = limit;
      own.setAttribute("aria-label", `Percentile of ${head.textContent}`);
      own.append(new Option("as the slider", ""), ...percentiles.map((p, i) => new Option(p, i)));
      // Certificates that hold at once were stated for one percentile everywhere.
      own.disabled = element("live").dataset.simultaneous === "yes";
      own.value = overrides.has(limit) ? String(overrides.get(limit)) : "";
      own.addEventListener("change", () => {
        if (own.value === "") overrides.delete(limit); else overrides.set(limit, Number(own.value));
        show();
      });
      const cell = document.createElement("td");
      cell.append(own);
      line.append(cell);
      return line;
    }));
    const again = focused && body.querySelector(`select[data-limit="${focused}"]`);
    if (again) again.focus();
    element("live-shown").textContent = `${grouped(Math.min(found.length, SHOWN))} of ${grouped(found.length)} limits shown`;
  };

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const save = () => {
    const lines = [columns, ...limits.map((_, limit) => cells(limit, chosen(limit)))];
    const text = lines.map((row) => `${row.map(quoted).join(",")}\n`).join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "limits.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  slider.addEventListener("input", show);
  element("live-filter").addEventListener("input", rows);
  element("live-save").addEventListener("click", save);
  element("live-reset").addEventListener("click", () => { overrides.clear(); show(); });
  element("live").hidden = false;
  show();
})();
