// Thumbs: kept with the conversation in this browser, and sent to the site's owner only if asked.
import { token } from "./csrf.js";
import { answerOf, questionOf } from "./tutor-exchange.js";

const { feedback } = document.getElementById("tutor")?.dataset ?? {};

function press(exchange, thumb, change) {
  const buttons = [...exchange.querySelectorAll("[data-thumb]")];
  const was = buttons.find((it) => it.dataset.thumb === thumb).getAttribute("aria-pressed") === "true";
  for (const it of buttons) it.setAttribute("aria-pressed", String(it.dataset.thumb === thumb && !was));
  exchange.querySelector(".feedback")?.remove();
  change(exchange, { thumb: was ? undefined : thumb });
  if (was) return;
  exchange.append(document.getElementById("tutor-feedback").content.cloneNode(true));
  const form = exchange.querySelector(".feedback");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(exchange, form, thumb);
  });
  form.reason.addEventListener("change", () => change(exchange, { reason: form.reason.value }));
}

async function send(exchange, form, thumb) {
  const say = (text) => { form.querySelector("[role=status]").textContent = text; };
  const body = new URLSearchParams({
    question: questionOf(exchange), kind: answerOf(exchange).dataset.kind, helpful: thumb, reason: form.reason.value,
  });
  try {
    const response = await fetch(feedback, { method: "POST", headers: { "X-CSRFToken": token() }, body });
    if (response.ok) {
      const thanks = Object.assign(document.createElement("p"), { className: "small", textContent: "Sent. Thank you." });
      thanks.setAttribute("role", "status");
      thanks.tabIndex = -1;
      form.replaceWith(thanks);
      thanks.focus();
    } else if ([400, 429].includes(response.status)) say(await response.text());
    else say("It could not be sent just now. Reload the page and try again.");
  } catch {
    say("The server does not answer: nothing was sent. Please try again later.");
  }
}

/** change(exchange, {thumb, reason}) keeps what was pressed. */
export function watch(exchanges, change) {
  exchanges.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-thumb]");
    if (button) press(button.closest(".exchange"), button.dataset.thumb, change);
  });
}
