// Tables of class `sortable`: a button in each column header sorts the rows by it.
(() => {
  "use strict";
  const MISSING = "–";

  function number(text) {
    if (text === "∞") return Infinity;
    const found = /^[-−]?[\d,]*\.?\d+(e[-+]?\d+)?(?= ?%?$| of \d+$)/i.exec(text);
    return found ? Number(found[0].replaceAll(",", "").replace("−", "-")) : NaN;
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, text: row.cells[column].textContent.trim() }));
    const present = rows.filter(({ text }) => text !== MISSING);
    const numeric = present.every(({ text }) => !Number.isNaN(number(text)));
    present.sort((a, b) => direction * (numeric
      ? Number(number(a.text) > number(b.text)) - Number(number(a.text) < number(b.text))
      : a.text.localeCompare(b.text, "en")));
    body.append(...present.map(({ row }) => row));
    body.append(...rows.filter(({ text }) => text === MISSING).map(({ row }) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const up = header.getAttribute("aria-sort") !== "ascending";
        for (const each of headers) each.setAttribute("aria-sort", "none");
        header.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up ? 1 : -1);
      });
    });
  }
})();
