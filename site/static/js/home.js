// The home page: the state of each lesson, and a filter by it.
import { stage } from "./progress-view.js";

const rows = [...document.querySelectorAll("[data-lesson-row]")];
const none = document.querySelector("[data-none]");

function filter() {
  const wanted = document.querySelector("input[name=show]:checked")?.value ?? "";
  for (const row of rows) row.hidden = wanted !== "" && row.dataset.state !== wanted;
  for (const group of document.querySelectorAll(".topic, .track")) {
    group.hidden = !group.querySelector("[data-lesson-row]:not([hidden])");
  }
  if (none) none.hidden = rows.length === 0 || rows.some((row) => !row.hidden);
}

document.addEventListener("openbook:shown", ({ detail: lessons }) => {
  for (const row of rows) row.dataset.state = stage(lessons.get(row.dataset.lessonRow));
  filter();
});
document.addEventListener("change", ({ target }) => {
  if (target.name === "show") filter();
});
