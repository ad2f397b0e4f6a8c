/* Filters, opening rows, folding and sorting tables. Nothing here is needed to read a page: rows are details elements,
   tables are whole in the page, and this script asks no host for anything. */
(() => {
  "use strict";
  const FEW = 15;  // rows that a table shows before it folds
  const make = (tag, attributes = {}, ...inside) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...inside);
    return node;
  };
  const words = (text) => text.toLowerCase().normalize("NFKD");

  /* A list of rows: a search field and one choice for each data attribute that the list names. */
  const filtered = (list) => {
    const lines = [...list.querySelectorAll(".specseg-line")];
    const groups = [...list.querySelectorAll(".specseg-group")].map((node) => ({node, open: node.open}));
    const text = make("input", {type: "search", placeholder: "Search", "aria-label": "Search in the rows"});
    const told = make("output", {"aria-live": "polite"});
    const choices = (list.dataset.filters || "").split(" ").filter(Boolean).map((key) => {
      const counts = new Map();
      for (const line of lines)
        for (const value of (line.dataset[key] || "").split("|").filter(Boolean))
          counts.set(value, (counts.get(value) || 0) + 1);
      const select = make("select", {name: key, "aria-label": key}, make("option", {value: ""}, `${key}: all`));
      for (const [value, n] of counts) select.append(make("option", {value}, `${value} (${n})`));
      return {key, select};
    });
    const found = new Map();  // the words of a row, read once
    const show = () => {
      const asked = words(text.value).split(/\s+/).filter(Boolean);
      const set = choices.filter((c) => c.select.value);
      const active = asked.length > 0 || set.length > 0;
      let shown = 0;
      for (const line of lines) {
        if (asked.length && !found.has(line)) found.set(line, words(`${line.id} ${line.textContent}`));
        line.hidden = !(set.every((c) => (line.dataset[c.key] || "").split("|").includes(c.select.value)) &&
          asked.every((word) => found.get(line).includes(word)));
        shown += !line.hidden;
      }
      for (const {node, open} of groups) {
        node.hidden = !node.querySelector(".specseg-line:not([hidden])");
        node.open = active || open;
      }
      told.textContent = active ? `${shown} of ${lines.length} rows` : `${lines.length} rows`;
    };
    const all = make("button", {type: "button"}, "open all");
    all.addEventListener("click", () => {
      const open = all.textContent === "open all";
      for (const {node} of groups) node.open = open;
      all.textContent = open ? "close all" : "open all";
    });
    const clear = () => { text.value = ""; for (const c of choices) c.select.value = ""; show(); };
    const none = make("button", {type: "button"}, "clear");
    none.addEventListener("click", clear);
    text.addEventListener("input", show);
    for (const c of choices) c.select.addEventListener("change", show);
    list.prepend(make("form", {class: "specseg-filters", role: "search"}, text, ...choices.map((c) => c.select), none,
      all, told));
    list.firstChild.addEventListener("submit", (event) => event.preventDefault());
    show();
    list.specseg = {clear, choose: (key, value) => {
      const choice = choices.find((c) => c.key === key);
      if (!choice || ![...choice.select.options].some((o) => o.value === value)) return false;
      clear(); choice.select.value = value; show();
      return true;
    }};
  };

  /* A link to a row opens it and all that it lies in; a link to a verdict shows its claims alone. */
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const list = target && target.closest(".specseg-list");
    if (!target) return;
    if (list && target.id.startsWith("verdict-") &&
        list.specseg.choose("verdict", target.closest(".specseg-line").dataset.verdict)) {
      list.scrollIntoView();
      return;
    }
    if (target.closest("[hidden]") && list) list.specseg.clear();
    const folded = target.closest("table.folded");
    if (folded) folded.classList.remove("folded");
    let closed = false;
    for (let node = target; node; node = node.parentElement)
      if (node.tagName === "DETAILS" && !node.open) closed = node.open = true;
    if (closed || folded) target.scrollIntoView();
  };

  const cellsOf = (row) => [...row.cells].flatMap((cell) => Array(cell.colSpan).fill(cell));
  const number = (text) => {
    const found = text.replace(/[\u2212\u2013]/g, "-").replace(/(\d),(?=\d{3}\b)/g, "$1").match(/^[^\d.-]{0,2}(-?\d*\.?\d+(?:e[-+]?\d+)?)/i);
    return found ? Number(found[1]) : NaN;
  };

  /* A table: a frame that scrolls, a head that sorts, and a fold after the first rows. */
  const tabled = (table) => {
    const body = table.tBodies[0];
    if (!body || table.closest(".specseg-line")) return;
    const rows = [...body.rows], head = table.tHead && table.tHead.rows[table.tHead.rows.length - 1];
    const plain = rows.every((row) => [...row.cells].every((cell) => cell.rowSpan === 1));
    if (head && plain && rows.length > 3 && head.cells.length > 2)
      cellsOf(head).forEach((cell, column) => {
        if (!cell.textContent.trim()) return;
        const button = make("button", {type: "button", class: "sorts", title: "sort"}, ...cell.childNodes);
        cell.append(button);
        button.addEventListener("click", () => {
          const down = cell.getAttribute("aria-sort") === "ascending";
          for (const other of head.cells) other.removeAttribute("aria-sort");
          cell.setAttribute("aria-sort", down ? "descending" : "ascending");
          const key = new Map(rows.map((row) => [row, (cellsOf(row)[column] || row).textContent.trim()]));
          body.append(...rows.slice().sort((a, b) => {
            const [x, y] = [key.get(a), key.get(b)], [m, n] = [number(x), number(y)];
            const order = Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m - n;
            return down ? -order : order;
          }));
        });
      });
    if (rows.length <= FEW || table.closest("details")) return;
    table.classList.add("folded");
    const bar = make("div", {class: "specseg-tablebar"});
    const text = make("input", {type: "search", placeholder: `Search in ${rows.length} rows`,
                                "aria-label": "Search in the table"});
    const fold = make("button", {type: "button", "aria-expanded": "false"}, `show all ${rows.length} rows`);
    fold.addEventListener("click", () => {
      const folded = table.classList.toggle("folded");
      fold.setAttribute("aria-expanded", String(!folded));
      fold.textContent = folded ? `show all ${rows.length} rows` : "show fewer rows";
    });
    text.addEventListener("input", () => {
      const asked = words(text.value).split(/\s+/).filter(Boolean);
      table.classList.toggle("searched", asked.length > 0);
      for (const row of rows) row.hidden = !asked.every((word) => words(row.textContent).includes(word));
    });
    bar.append(text, fold);
    (table.closest(".specseg-scroll, .specseg-found, .pst-scrollable-table-container, .text_html") || table).before(bar);
  };

  /* Frames whose table is wider than they are show it: the edge is drawn where more lies behind it. */
  const frames = () => {
    for (const frame of document.querySelectorAll(".specseg-scroll, .specseg-found, .picture, " +
        ".pst-scrollable-table-container, .cell_output .text_html"))
      frame.classList.toggle("scrolls", frame.scrollWidth > frame.clientWidth + 1);
  };

  const start = () => {
    document.querySelectorAll(".specseg-list").forEach(filtered);
    document.querySelectorAll("article table:not(.highlighttable, .indextable)").forEach(tabled);
    frames();
    follow();
    window.addEventListener("hashchange", follow);
    window.addEventListener("resize", frames);
    document.addEventListener("toggle", frames, true);
  };
  let undo = () => {};  // what was opened and lit for the printer is put back after it
  window.addEventListener("beforeprint", () => {
    const root = document.documentElement, theme = root.dataset.theme;
    const closed = [...document.querySelectorAll("article details:not([open])")];
    for (const node of closed) node.open = true;
    root.dataset.theme = "light";
    undo = () => { for (const node of closed) node.open = false; root.dataset.theme = theme; };
  });
  window.addEventListener("afterprint", () => undo());
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
