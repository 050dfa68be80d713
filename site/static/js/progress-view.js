// Shows progress wherever a page leaves room for it: [data-lesson-state=SLUG].
import { state } from "./progress.js";

/** "finished", "opened" or "new". */
export function stage(lesson) {
  return lesson?.completed ? "finished" : lesson?.opened ? "opened" : "new";
}

function words(lesson) {
  const text = { finished: "Finished", opened: "Opened", new: "" }[stage(lesson)];
  return lesson?.best ? `${text} · best ${lesson.best.score} of ${lesson.best.of}` : text;
}

async function show() {
  const lessons = await state();
  for (const place of document.querySelectorAll("[data-lesson-state]")) {
    const lesson = lessons.get(place.dataset.lessonState);
    place.dataset.state = stage(lesson);
    place.textContent = words(lesson);
  }
  document.dispatchEvent(new CustomEvent("openbook:shown", { detail: lessons }));
}

document.addEventListener("openbook:progress", show);
show();
