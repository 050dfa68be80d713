// A band below the bar that asks something about this browser's progress.

export function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

export function band(...children) {
  const box = document.createElement("section");
  box.className = "band";
  box.setAttribute("aria-label", "Progress of this browser");
  box.append(...children);
  document.querySelector(".bar").after(box);
  return box;
}

/** A question, what to know before answering it, and {answer: action}; the first is the likely one. */
export function ask(question, more, answers) {
  const text = document.createElement("div");
  text.append(element("p", question, { className: "question" }), element("p", more, { className: "small" }));
  const box = band(text);
  for (const [index, [answer, action]] of Object.entries(answers).entries()) {
    const button = element("button", answer, { type: "button", className: index ? "quiet" : "" });
    button.addEventListener("click", () => action(box));
    box.append(button);
  }
  return box;
}

export function say(box, text) {
  const done = element("p", text);
  done.setAttribute("role", "status");
  box.replaceChildren(done);
}

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
