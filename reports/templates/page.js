"use strict";
// Without this script every table still stands there in full; with it they sort and filter.

const ORDERS = ["none", "ascending", "descending"];

/** What a row is sorted by; null where it is missing. */
function key(row, column, numeric) {
  const value = row.cells[column].dataset.key;
  return value === undefined ? null : numeric ? Number(value) : value;
}

const words = new Intl.Collator("en", { numeric: true });

/** The rows in this order; missing values come last whatever the direction, "none" is the order of the report. */
function ordered(rows, column, numeric, order) {
  if (order === "none") return rows;
  const sign = order === "descending" ? -1 : 1;
  const compare = numeric ? (a, b) => (a < b ? -1 : Number(a > b)) : words.compare;
  const keyed = rows.map((row) => [key(row, column, numeric), row]);
  keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
  return keyed.map(([, row]) => row);
}

function sortable(table) {
  const body = table.tBodies[0], original = [...body.rows], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = ORDERS[(ORDERS.indexOf(head.getAttribute("aria-sort")) + 1) % ORDERS.length];
      heads.forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
      body.replaceChildren(); // all at once: rows moved one by one take seconds when there are thousands
      body.append(...ordered(original, column, head.classList.contains("number"), order));
    });
  });
}

/** Keeps the rows that hold every word, wherever in the row it stands. */
function filterable(box) {
  const label = box.querySelector(".filter");
  if (!label) return;
  const input = label.querySelector("input"), count = label.querySelector("output");
  const rows = [...box.querySelector("tbody").rows];
  const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
  label.hidden = false;
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
      shown += !row.hidden;
    });
    count.value = words.length ? `${shown} of ${rows.length}` : "";
  });
}

function copyable(box) {
  if (!navigator.clipboard) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(box.querySelector("pre").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
  });
  box.append(button);
}

/** Marks in the contents the section that the reader is in. */
function followed(links) {
  const bySection = new Map(links.map((link) => [document.getElementById(decodeURIComponent(link.hash.slice(1))), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      links.forEach((link) => link.removeAttribute("aria-current"));
      bySection.get(entry.target).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  bySection.forEach((_, section) => section && watcher.observe(section));
}

document.querySelectorAll("table").forEach(sortable);
document.querySelectorAll(".table").forEach(filterable);
document.querySelectorAll(".code").forEach(copyable);
followed([...document.querySelectorAll("nav a")]);
