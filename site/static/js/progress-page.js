// The progress page, all of it from this browser's events (an account's are synced into it).
import { month, studyDays } from "./calendar.js";
import { now } from "./clock.js";
import { token } from "./csrf.js";
import { owner } from "./owner.js";
import { all, bringIn, erase, record, state } from "./progress.js";
import { living } from "./progress-state.js";
import "./progress-view.js";
import { sync } from "./sync.js";

const rows = [...document.querySelectorAll("[data-row]")];
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
const date = (at) => new Date(at).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });

function showRow(row, lesson, events) {
  const about = events.filter((it) => it.lesson === row.dataset.row);
  const when = lesson?.latestAt ?? lesson?.completed;
  row.querySelector("[data-when]").textContent = when ? date(when) : "";
  row.querySelector("details").hidden = !about.length;
  const scores = about.filter((it) => it.type === "quiz.scored").length;
  const where = owner() ? "from your account and, when they next sync, from your other devices" : "from this browser";
  row.querySelector("[data-says]").textContent =
    `Start over: the lesson counts as new; what you did stays in your history. Delete: takes ${count(about.length, "step")}`
    + ` (${count(scores, "quiz score")}) ${where}; only an exported file brings them back.`;
}

function next(lessons) {
  const of = (test) => rows.find((row) => test(lessons.get(row.dataset.row)));
  const found = [
    ["Finish", of((it) => it?.opened && !it.completed), ""],
    ["Take the quiz of", of((it) => it?.completed && !it.best), "#quiz"],
    ["Read", of((it) => !it?.opened && !it?.completed), ""],
    ["Try again", of((it) => it?.best && it.best.score < it.best.of), "#quiz"],
  ].filter(([, row]) => row).slice(0, 3);
  const items = found.map(([what, row, hash]) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { textContent: row.dataset.title });
    link.href = `/lessons/${row.dataset.row}/${hash}`;
    item.append(`${what}: `, link);
    return item;
  });
  if (!items.length) items.push(Object.assign(document.createElement("li"), { textContent: "Everything is finished." }));
  document.querySelector("[data-next]").replaceChildren(...items);
}

function calendar(events) {
  const days = studyDays(events);
  const today = now();
  document.querySelector("[data-days]").textContent = days.size
    ? `You have studied on ${count(days.size, "day")}.` : "No study day yet.";
  const months = [2, 1, 0].map((back) => month(
    new Date(today.getFullYear(), today.getMonth() - back).getFullYear(),
    new Date(today.getFullYear(), today.getMonth() - back).getMonth(), days,
  ));
  document.querySelector("[data-months]").replaceChildren(...months);
}

async function show() {
  const [events, lessons] = [living(await all()), await state()];
  for (const row of rows) showRow(row, lessons.get(row.dataset.row), events);
  next(lessons);
  calendar(events);
}

function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const plain = ({ id, type, lesson, at, data }) => ({ id, type, lesson, at, data });

async function documentOf() {
  const events = (await all()).map(plain);
  return { format: "openbook-progress-1", exported_at: now().toISOString(), learner: {}, events };
}

function post(address, body) {
  return fetch(address, { method: "POST", headers: { "X-CSRFToken": token() }, body });
}

async function exportAs(kind) {
  const file = JSON.stringify(await documentOf());
  if (kind === "json") {
    save(file, "openbook-progress.json");
    return;
  }
  const form = new FormData();
  form.append("file", new Blob([file]), "progress.json");
  const answer = await post("/progress/export", form);
  if (answer.ok) save(await answer.text(), "openbook-xapi.json");
}

async function importFile(form) {
  const line = form.querySelector("[data-import-line]");
  line.textContent = "Reading the file…";
  let answer;
  try {
    const response = await fetch(form.action, {
      method: "POST", body: new FormData(form), headers: { "X-CSRFToken": token(), Accept: "application/json" },
    });
    answer = await response.json();
  } catch {
    line.textContent = "The server did not answer. Nothing was imported: please try again.";
    return;
  }
  if (answer.error) {
    line.textContent = `Nothing was imported: ${answer.error}.`;
    return;
  }
  const added = answer.events ? await bringIn(answer.events) : answer.added;
  if (owner()) await sync();
  const refused = answer.rejected.length ? ` ${count(answer.rejected.length, "step")} could not be read.` : "";
  line.textContent = `${count(added, "new step")} imported.${refused}`;
}

document.addEventListener("click", async ({ target }) => {
  const slug = target.closest("[data-row]")?.dataset.row;
  if (target.matches("[data-export]")) exportAs(target.dataset.export);
  else if (target.matches("[data-reset]")) record("lesson.reset", slug);
  else if (target.matches("[data-erase]")) await erase(target.dataset.erase || slug);
  else return;
  const details = target.closest("details");
  if (details) details.open = false;
});
document.querySelector("[data-import]").addEventListener("submit", (event) => {
  event.preventDefault();
  importFile(event.target);
});
document.addEventListener("openbook:progress", show);
show();
