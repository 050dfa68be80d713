// Shows progress wherever a page leaves room for it: [data-lesson-state=SLUG], and
// [data-trouble-line] in place of [data-saved] when the browser does not store it.
import { state, trouble } from "./progress.js";

const TROUBLE = {
  blocked: "Progress is not being saved: this browser blocks storage for this site. "
    + "It lasts until you leave the page.",
  full: "The last step could not be saved: this browser’s storage is full. Free some space; "
    + "it is tried again with your next step, as long as this page stays open.",
};

/** "finished", "opened" or "new". */
export function stage(lesson) {
  return lesson?.completed ? "finished" : lesson?.opened ? "opened" : "new";
}

function words(lesson) {
  const text = { finished: "Finished", opened: "Opened", new: "" }[stage(lesson)];
  return lesson?.best ? `${text} · best ${lesson.best.score} of ${lesson.best.of}` : text;
}

function showTrouble() {
  const text = TROUBLE[trouble()] ?? "";
  for (const line of document.querySelectorAll("[data-saved]")) line.hidden = Boolean(text);
  for (const line of document.querySelectorAll("[data-trouble-line]")) {
    line.hidden = !text;
    if (line.textContent !== text) line.textContent = text;
  }
}

async function show() {
  const lessons = await state();
  for (const place of document.querySelectorAll("[data-lesson-state]")) {
    const lesson = lessons.get(place.dataset.lessonState);
    place.dataset.state = stage(lesson);
    place.textContent = words(lesson);
  }
  showTrouble();
  document.dispatchEvent(new CustomEvent("openbook:shown", { detail: lessons }));
}

document.addEventListener("openbook:progress", show);
show();
