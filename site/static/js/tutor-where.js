// "Show me": the sentence that a quote comes from is brought into view, lit and given the focus;
// a button leads back to the answer.
import { answerOf } from "./tutor-exchange.js";

/** Marks the quoted sentences, and only those of this answer (or this quote). */
export function light(part) {
  for (const lit of document.querySelectorAll(".p.lit")) lit.classList.remove("lit");
  for (const link of part?.querySelectorAll("blockquote .src") ?? []) {
    document.getElementById(link.hash.slice(1))?.classList.add("lit");
  }
}

let back;

function offerBack(link) {
  back?.remove();
  if (!matchMedia("(max-width: 64rem)").matches) return; // beside the text the answer stays in view
  back = document.createElement("button");
  Object.assign(back, { type: "button", className: "quiet to-answer", textContent: "Back to the answer" });
  back.addEventListener("click", () => {
    back.remove();
    link.scrollIntoView({ block: "center" });
    link.focus({ preventScroll: true });
  });
  document.body.append(back);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest(".exchange a.src");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const target = document.getElementById(link.hash.slice(1));
  if (!target) return;
  event.preventDefault();
  const quote = link.closest("blockquote");
  light(quote ?? answerOf(link.closest(".exchange")));
  if (location.hash !== link.hash) history.pushState(null, "", link.hash);
  const closed = target.closest("details:not([open])");
  if (closed) closed.open = true;
  if (!target.matches("a, button, input, [tabindex]")) target.tabIndex = -1;
  target.scrollIntoView({ block: target.matches("h2, section") ? "start" : "center" });
  target.focus({ preventScroll: true });
  offerBack(link);
});
