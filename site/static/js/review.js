// The review page: sends this browser's answers, shows what is due, records what is answered.
import { now } from "./clock.js";
import { token } from "./csrf.js";
import { all, record } from "./progress.js";
import { history } from "./progress-state.js";
import { uuid7 } from "./uuid7.js";

const place = document.querySelector("[data-review]");
let busy = false;

async function ask(address, body, headers = {}) {
  const answer = await fetch(address, {
    method: "POST", body, headers: { "X-CSRFToken": token(), "X-Fragment": "1", ...headers },
  });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
}

function show(html) {
  place.innerHTML = html;
  place.querySelector("[data-focus]")?.focus();
}

function trouble() {
  const line = place.querySelector("[data-trouble]") ?? document.createElement("p");
  line.className = "notice";
  line.dataset.trouble = "";
  line.setAttribute("role", "alert");
  line.textContent = "The server did not answer. Reviewing needs it: please try again.";
  place.append(line);
}

function endOfDay() {
  const today = now();
  return new Date(today.getFullYear(), today.getMonth(), today.getDate() + 1).getTime();
}

async function showDue() {
  const body = JSON.stringify({ answers: history(await all()), until: endOfDay() });
  show(await ask("/review/due", body, { "Content-Type": "application/json" }));
}

async function answer(form) {
  form.elements.attempt.value ||= uuid7();
  show(await ask("/review/", new FormData(form)));
  const { id, type, lesson, data } = JSON.parse(place.querySelector("[data-event]").dataset.event);
  await record(type, lesson, data, { id });
}

async function once(work) {
  if (busy) return;
  busy = true;
  await work().catch(trouble);
  busy = false;
}

place.addEventListener("submit", (event) => {
  event.preventDefault();
  once(() => answer(event.target));
});
place.addEventListener("click", (event) => {
  if (!event.target.closest("[data-next]")) return;
  event.preventDefault();
  once(showDue);
});
// What other devices did may come in at any time; a question that is being answered stays.
document.addEventListener("openbook:progress", () => {
  if (!place.querySelector("[data-answer], [data-event]")) once(showDue);
});
once(showDue);
