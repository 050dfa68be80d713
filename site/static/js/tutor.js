// The tutor in the margin: questions asked in place, answered as the answer comes, stopped, asked
// again, kept in this browser. Without this module the form and the links still work.
import { textOf, answerOf, asText, append, checkQuotes, create, finished, questionOf, show, unanswered, waiting } from "./tutor-exchange.js";
import * as store from "./tutor-store.js";
import { Refused, stream } from "./tutor-stream.js";
import { light } from "./tutor-where.js";
import { watch } from "./tutor-feedback.js";

const LIMIT = 2000; // characters of a question
const panel = document.getElementById("tutor");
const exchanges = document.getElementById("exchanges");
const form = document.querySelector("form[data-tutor]");
const status = document.querySelector("[data-tutor-status]");
const records = new Map(); // exchange → what is kept of it, oldest first
let running = null; // {exchange, stop}

function say(text) {
  status.textContent = "";
  setTimeout(() => { status.textContent = text; }, 50); // the same words again are news too
}

function keep() {
  store.write(form.dataset.tutor, [...records.values()]);
  panel.querySelector("[data-conversation]").hidden = !records.size;
}

function change(exchange, what) {
  const record = records.get(exchange);
  if (!record) return;
  Object.assign(record, what);
  keep();
}

/** What the server is told of the conversation: the last question, and the hints so far. */
function soFar(until) {
  const list = [...records.keys()];
  const earlier = until ? list.slice(0, list.indexOf(until)) : list;
  const answered = earlier.filter(answerOf);
  const hints = answered.map((it) => answerOf(it).dataset.about).filter(Boolean);
  return {
    previous: answered.length ? questionOf(answered.at(-1)) : "",
    hints: hints.join(" "),
    graded: document.querySelector("#quiz[data-event]") ? "1" : "",
  };
}

function problem(text) {
  form.querySelector(".notice")?.remove();
  const field = form.elements.q;
  field.setAttribute("aria-invalid", String(Boolean(text)));
  if (!text) return null;
  const notice = Object.assign(document.createElement("p"), { className: "notice", textContent: text });
  notice.setAttribute("role", "alert");
  form.prepend(notice);
  return notice;
}

/** The question goes back where it was typed, and the learner is told why. */
function refused(exchange, { html, wait }) {
  const question = questionOf(exchange);
  records.delete(exchange);
  exchange.remove();
  keep();
  form.elements.q.value ||= question;
  const notice = problem(textOf(new DOMParser().parseFromString(html, "text/html").body));
  if (wait) {
    setTimeout(() => {
      if (notice.isConnected) notice.textContent = "You can ask again now.";
    }, wait * 1000);
  }
}

const lost = () => (navigator.onLine
  ? "The server does not answer. Your question is kept."
  : "You are offline. Your question is kept: ask again once you are connected.");

function stop() {
  running?.stop();
}

async function answer(exchange) {
  stop();
  const control = new AbortController();
  const mine = { exchange, stop: () => control.abort() };
  running = mine;
  const question = questionOf(exchange);
  exchange.querySelector(".again")?.remove();
  show(exchange, "");
  waiting(exchange);
  exchange.scrollIntoView({ block: "nearest" });
  say("Looking in the lesson");
  try {
    for await (const { name, data } of stream(panel.dataset.stream, { q: question, ...soFar(exchange) }, control.signal)) {
      if (name === "answer") {
        show(exchange, data);
        light(answerOf(exchange));
        exchange.scrollIntoView({ block: "nearest" });
      } else if (name === "written") append(exchange, data);
      else if (name === "failed") throw new Error("the tutor failed");
    }
    finished(exchange);
    say(`Tutor: ${textOf(answerOf(exchange))}`);
  } catch (error) {
    if (error instanceof Refused) refused(exchange, error);
    else {
      const said = control.signal.aborted ? "Stopped." : lost();
      finished(exchange);
      unanswered(exchange, said);
      say(said);
    }
  }
  change(exchange, { answer: answerOf(exchange)?.outerHTML ?? "" });
  if (running === mine) running = null;
}

function ask(question) {
  problem("");
  exchanges.querySelector("[data-problem]")?.closest(".exchange").remove();
  const exchange = create(question);
  exchanges.append(exchange);
  records.set(exchange, { question, answer: "" });
  keep();
  answer(exchange);
}

function submitted(event) {
  event?.preventDefault();
  const field = form.elements.q;
  const question = field.value.trim();
  if (!question) return problem("Type a question about this lesson first.");
  if (question.length > LIMIT) {
    return problem(`That question has ${question.length.toLocaleString("en")} characters; the tutor reads `
      + "2,000 at most. Please ask it more briefly.");
  }
  field.value = "";
  if (matchMedia("(pointer: coarse)").matches) field.blur(); // the keyboard makes room for the answer
  return ask(question);
}

function restore() {
  const fromServer = exchanges.querySelector(".exchange"); // a page made without this module
  const kept = store.read(form.dataset.tutor);
  if (fromServer && questionOf(fromServer)) {
    const question = questionOf(fromServer);
    if (kept.at(-1)?.question === question) kept.pop(); // reloaded
    records.set(fromServer, { question, answer: answerOf(fromServer)?.outerHTML ?? "" });
    finished(fromServer);
    light(answerOf(fromServer));
  }
  const earlier = kept.map((record) => {
    const exchange = create(record.question);
    show(exchange, record.answer);
    return [exchange, record];
  });
  exchanges.prepend(...earlier.map(([exchange]) => exchange));
  for (const [exchange, record] of earlier) {
    finished(exchange, record);
    if (answerOf(exchange)) checkQuotes(exchange);
    else unanswered(exchange, "This question has no answer yet.");
  }
  const later = [...records];
  records.clear();
  for (const [exchange, record] of [...earlier, ...later]) records.set(exchange, record);
  keep();
}

function clear() {
  stop();
  for (const exchange of records.keys()) exchange.remove();
  exchanges.replaceChildren();
  records.clear();
  light(null);
  keep();
  say("The conversation is cleared.");
  form.elements.q.focus();
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(asText(button.closest(".exchange"), panel.dataset.lessonTitle));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copying is not allowed here";
  }
  say(button.textContent);
}

function clicked(event) {
  const { target } = event;
  const asks = target.closest("a[data-ask]");
  if (asks && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
    event.preventDefault();
    ask(textOf(asks));
  } else if (target.closest("[data-stop]")) {
    form.elements.q.focus({ preventScroll: true }); // the button goes
    stop();
  } else if (target.closest("[data-again]")) {
    const exchange = target.closest(".exchange");
    form.elements.q.focus({ preventScroll: true });
    exchanges.append(exchange); // asked now
    const record = records.get(exchange);
    records.delete(exchange);
    records.set(exchange, record);
    exchange.querySelector(".acts")?.remove();
    exchange.querySelector(".feedback")?.remove();
    answer(exchange);
  } else if (target.closest("[data-clear]")) clear();
  else if (target.closest("[data-copy]")) copy(target.closest("[data-copy]"));
}

if (form) {
  form.noValidate = true; // problems are said in the page, beside the kept text
  form.addEventListener("submit", submitted);
  form.elements.q.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submitted();
  });
  form.elements.q.addEventListener("input", () => problem(""));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && running && !document.querySelector("dialog[open]")) stop();
  });
  panel.addEventListener("click", clicked);
  watch(exchanges, change);
  restore();
}
