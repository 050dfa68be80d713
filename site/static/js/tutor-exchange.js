// One question and its answer on the page. What a learner typed is only ever text; HTML comes from
// the server, and of kept HTML only what an answer is made of is used again.

const ELEMENTS = new Set(["DIV", "P", "BLOCKQUOTE", "Q", "SPAN", "A", "UL", "LI"]);
const ATTRIBUTES = new Set(["class", "href", "data-said", "data-kind", "data-about", "data-section", "data-ask"]);
const PLACE = /^(#[\w:-]+|\/lessons\/[a-z0-9-]+\/[^\s]*)$/;

export const textOf = (element) => element.textContent.replace(/\s+/g, " ").trim();

/** A fragment of the answer's elements; anything else in it is left out. */
export function safe(html) {
  const { body } = new DOMParser().parseFromString(html, "text/html"); // inert: runs and loads nothing
  for (const element of body.querySelectorAll("*")) {
    if (!ELEMENTS.has(element.tagName)) element.remove();
    for (const { name, value } of [...element.attributes]) {
      if (!ATTRIBUTES.has(name) || (name === "href" && !PLACE.test(value))) element.removeAttribute(name);
    }
  }
  const fragment = document.createDocumentFragment();
  fragment.append(...body.childNodes);
  return fragment;
}

const made = (name, properties) => Object.assign(document.createElement(name), properties);

export function create(question) {
  const exchange = made("article", { className: "exchange" });
  exchange.append(
    made("p", { className: "you", textContent: question }),
    made("div", { className: "answer" }),
  );
  return exchange;
}

export const place = (exchange) => exchange.querySelector(".answer") ?? exchange;
export const questionOf = (exchange) => exchange.querySelector(".you")?.textContent.trim() ?? "";
export const answerOf = (exchange) => exchange.querySelector("[data-said]");

export function show(exchange, html) {
  place(exchange).replaceChildren(safe(html));
}

/** One more sentence of a written answer. */
export function append(exchange, html) {
  exchange.querySelector(".written")?.append(safe(html));
}

function line(exchange, name, className, text) {
  const box = made("p", { className });
  box.append(made("span", { textContent: text }), " ", made("button", { type: "button", className: "plain", ...name }));
  exchange.append(box);
  return box;
}

/** "Looking …" with a button to stop. */
export function waiting(exchange) {
  const box = line(exchange, { textContent: "Stop" }, "small working", "Looking in the lesson …");
  box.lastElementChild.dataset.stop = "";
}

export const settled = (exchange) => exchange.querySelector(".working")?.remove();

/** Why there is no answer, or no more of it; the question can be asked again. */
export function unanswered(exchange, why) {
  settled(exchange);
  const box = line(exchange, { textContent: "Ask again" }, "small again", why);
  box.lastElementChild.dataset.again = "";
}

/** Thumbs and a copy button, once there is something to judge. */
export function finished(exchange, { thumb } = {}) {
  settled(exchange);
  if (!answerOf(exchange) || exchange.querySelector(".acts")) return;
  exchange.append(document.getElementById("tutor-acts").content.cloneNode(true));
  if (thumb) exchange.querySelector(`[data-thumb="${thumb}"]`)?.setAttribute("aria-pressed", "true");
}

/** A lesson that was changed may no longer say what an older answer quotes. */
export function checkQuotes(exchange) {
  const bare = (text) => text.replace(/\s+/g, " ").trim();
  const gone = [...exchange.querySelectorAll("blockquote")].some((quote) => {
    const target = document.getElementById(quote.querySelector(".src")?.hash.slice(1) ?? "");
    return !target || !bare(target.textContent).includes(bare(quote.querySelector("q")?.textContent ?? ""));
  });
  if (gone) unanswered(exchange, "The lesson has been changed since.");
}

/** The exchange as plain text, each quote with where it stands. */
export function asText(exchange, title) {
  const lines = [];
  for (const part of answerOf(exchange).children) {
    if (part.matches("blockquote")) {
      const { hash, dataset } = part.querySelector(".src");
      const address = `${location.origin}${location.pathname.replace(/tutor\/$/, "")}${hash}`;
      lines.push(`“${textOf(part.querySelector("q"))}” (${dataset.section}, in “${title}”: ${address})`);
    } else if (part.matches("p:not(.small, .to)") && textOf(part)) lines.push(textOf(part));
  }
  return lines.join("\n");
}
