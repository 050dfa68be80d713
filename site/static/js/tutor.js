// The tutor in the margin: what htmx streams in is announced once, its sentences light up on the
// page, and answers can be copied. Without this module the links and the form still work.

const exchanges = document.getElementById("exchanges");
const form = document.querySelector("form[data-tutor]");
const status = document.querySelector("[data-tutor-status]");

const textOf = (element) => element.textContent.replace(/\s+/g, " ").trim();

/** Mark the quoted sentences, and only those of this answer. */
function light(answer) {
  for (const lit of document.querySelectorAll(".p.lit")) lit.classList.remove("lit");
  for (const link of answer.querySelectorAll(".src")) {
    document.getElementById(link.hash.slice(1))?.classList.add("lit");
  }
}

function say(text) {
  status.textContent = "";
  setTimeout(() => { status.textContent = text; }, 50); // the same words again are news too
}

function arrived(exchange) {
  const answer = exchange.querySelector("[data-said]");
  if (!answer) return;
  light(answer);
  say(`Tutor: ${textOf(answer)}`);
  exchange.scrollIntoView({ block: "nearest" });
}

function failed(exchange) {
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.dataset.said = "";
  notice.textContent = "The tutor did not answer. Please ask again.";
  exchange.querySelector(".looking")?.replaceWith(notice);
  arrived(exchange);
}

function asked(question) {
  form.reset();
  form.elements.previous.value = question;
}

if (form) {
  // A question by the form or by a suggestion: its exchange was appended.
  exchanges.addEventListener("htmx:afterSettle", ({ target }) => {
    if (target !== exchanges) return;
    const exchange = exchanges.lastElementChild;
    const question = exchange.querySelector(".you");
    if (question) asked(textOf(question));
    exchange.scrollIntoView({ block: "nearest" });
    if (exchange.querySelector("[data-said]")) arrived(exchange);
  });
  exchanges.addEventListener("htmx:sseClose", ({ target }) => arrived(target.closest(".exchange")));
  exchanges.addEventListener("htmx:sseError", ({ target, detail }) => {
    detail.source.close(); // no silent asking again: the learner decides
    failed(target.closest(".exchange"));
  });
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, ({ target }) => {
      if (target.closest(".tutor")) say("The tutor can't be reached. Please try again.");
    });
  }
  const first = exchanges.querySelector("[data-said]");
  if (first) light(first);
}

document.addEventListener("click", async ({ target }) => {
  const source = target.closest(".exchange .src");
  if (source) light(source.closest("blockquote"));
  const button = target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copying is not allowed here";
  }
});
