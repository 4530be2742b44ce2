"use strict";
// Without this script every table still stands there in full; with it they sort and filter.

const ORDERS = ["none", "ascending", "descending"];

function key(row, column) {
  const cell = row.cells[column];
  return cell.hasAttribute("data-key") ? cell.dataset.key : null;
}

/** Missing values come last whatever the direction; "none" is the order of the report. */
function compare(column, numeric, order) {
  const sign = order === "descending" ? -1 : 1;
  return (a, b) => {
    const left = key(a, column), right = key(b, column);
    if (left === null || right === null) return (left === null) - (right === null);
    return sign * (numeric ? Number(left) - Number(right) : left.localeCompare(right, "en", { numeric: true }));
  };
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
      const rows = [...original];
      if (order !== "none") rows.sort(compare(column, head.classList.contains("number"), order));
      body.append(...rows);
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
