// The quiz: answers in progress survive a reload, a graded attempt is recorded once, and what
// went wrong is said where the learner looks.
import { record, state, trouble } from "./progress.js";
import "./progress-view.js";
import { uuid7 } from "./uuid7.js";

const WAITING = "attempt"; // beside the answers in a draft: it was sent, and nobody answered
const draftKey = (form) => `openbook-quiz:${form.dataset.quiz}`;
const drafts = {
  read(key) {
    try {
      return JSON.parse(localStorage.getItem(key)) ?? {};
    } catch {
      return {};
    }
  },
  write(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // Storage is blocked or full: the answers last as long as the page.
    }
  },
  drop(key) {
    try {
      localStorage.removeItem(key);
    } catch {
      // As above.
    }
  },
};

function restore(form) {
  for (const [name, value] of Object.entries(drafts.read(draftKey(form)))) {
    if (name === WAITING) continue;
    const group = form.elements.namedItem(name);
    if (group && !group.value) group.value = value;
  }
}

/** Once per attempt: its id came from this browser and went through the server and back. */
async function graded(section) {
  const { id, type, lesson, data } = JSON.parse(section.dataset.event);
  drafts.drop(`openbook-quiz:${lesson}`);
  await record(type, lesson, data, id ? { id } : {});
  const { best } = (await state()).get(lesson) ?? {};
  const line = section.querySelector("[data-kept]");
  if (trouble()) line.textContent = "This score could not be saved in this browser.";
  else line.textContent = `Saved in this browser · best ${best.score} of ${best.of}`;
}

function begin(section) {
  if (!section) return;
  if (section.dataset.event) graded(section);
  else restore(section.querySelector("form"));
}

/** Answers that were sent when nobody was there to grade them. The same attempt counts once. */
function sendWhatWaits() {
  const form = document.querySelector("form[data-quiz]");
  const { [WAITING]: attempt, ...draft } = form ? drafts.read(draftKey(form)) : {};
  if (!attempt || document.documentElement.dataset.kept) return;
  drafts.write(draftKey(form), draft);
  form.elements.attempt.value = attempt;
  form.requestSubmit();
}

function say(form, text) {
  const notice = form.querySelector("[data-trouble]") ?? document.createElement("p");
  notice.className = "notice";
  notice.dataset.trouble = "";
  notice.setAttribute("role", "alert");
  notice.textContent = text;
  form.querySelector(".act").before(notice);
}

document.addEventListener("change", ({ target }) => {
  const form = target.form;
  if (!form?.dataset.quiz || target.type !== "radio") return;
  const key = draftKey(form);
  drafts.write(key, { ...drafts.read(key), [target.name]: target.value });
});
document.addEventListener("submit", ({ target }) => {
  if (target.dataset.quiz) target.elements.attempt.value ||= uuid7();
}, { capture: true }); // before htmx reads the form
document.addEventListener("htmx:afterSwap", (event) => {
  const section = event.target.closest("#quiz") ?? document.getElementById("quiz");
  if (event.detail.target?.id === "quiz") begin(section);
});
for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, ({ target }) => {
    if (!target.dataset?.quiz) return;
    const key = draftKey(target);
    drafts.write(key, { ...drafts.read(key), [WAITING]: target.elements.attempt.value });
    say(target, "The server did not answer. Your answers are kept here and graded when it is back; you can also try again.");
  });
}
document.addEventListener("htmx:responseError", ({ target, detail }) => {
  if (!target.dataset?.quiz || detail.xhr.status === 400) return;
  say(target, detail.xhr.status === 403
    ? "This page has become too old to be sent. Reload it: your answers are kept."
    : "The server could not grade the quiz just now. Your answers are kept here: please try again.");
});
addEventListener("pageshow", ({ persisted }) => {
  const form = document.querySelector("form[data-quiz]");
  if (persisted && form) form.elements.attempt.value = ""; // sent again, it is another attempt
});
addEventListener("online", sendWhatWaits);
addEventListener("load", sendWhatWaits); // htmx has seen the form by then
begin(document.getElementById("quiz"));
