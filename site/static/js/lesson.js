// A lesson's page: opening it is recorded, "Mark as finished" finishes it, a linked passage is
// made visible.
import { record, recordOpened, state } from "./progress.js";
import "./progress-view.js";
import "./reading-place.js";

const slug = document.querySelector("main[data-lesson]").dataset.lesson;
const button = document.querySelector("[data-finish]");
const line = document.querySelector("[data-finish-line]");

function whenSeen(action) {
  if (document.visibilityState === "visible") action();
  else document.addEventListener("visibilitychange", action, { once: true });
}

const day = (at) => new Date(at).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });

async function showFinished() {
  const lesson = (await state()).get(slug);
  const finished = Boolean(lesson?.completed);
  button.textContent = finished ? "Finished" : "Mark as finished";
  button.setAttribute("aria-disabled", String(finished));
  line.dataset.usual ??= line.textContent;
  line.textContent = finished ? `Finished on ${day(lesson.completed)}.` : line.dataset.usual;
}

button.addEventListener("click", () => {
  if (button.getAttribute("aria-disabled") !== "true") record("lesson.completed", slug);
});
document.addEventListener("openbook:progress", showFinished);
showFinished();
whenSeen(() => recordOpened(slug));

/** A passage may stand in a closed part of the page. */
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const closed = target?.closest("details:not([open])");
  if (!closed) return;
  closed.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();
