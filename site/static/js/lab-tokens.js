// What else a token might have been: point at one, or step through an answer with the arrow keys.
const loaded = new Map(); // address -> promise of {type: [[token, …] for each prompt]}
const SHOWN = 4;

function tokensOf(answer) {
  const address = answer.closest("[data-tokens]").dataset.tokens;
  if (!loaded.has(address)) {
    loaded.set(address, fetch(address).then((response) => response.json()));
  }
  return loaded.get(address).then((all) => all[answer.dataset.type][answer.dataset.prompt]);
}

function percent(share) {
  if (share < 0.001) return "under 0.1%";
  return `${(100 * share).toFixed(share >= 0.1 ? 0 : 1)}%`;
}

function visible(text) {
  if (/^(<\|.*\|>|<\/?\w+>)$/.test(text)) return "(end)"; // a sign of the format, not text
  return text.trim() || text.replaceAll("\n", "⏎").replaceAll(" ", "␣") || "(part of a character)";
}

function line(name, top) {
  const row = document.createElement("span");
  const label = document.createElement("b");
  label.textContent = `${name}: `;
  row.append(label);
  top.slice(0, SHOWN).forEach(([text, share], index) => {
    const chance = document.createElement("i");
    chance.textContent = ` ${percent(share)}`;
    row.append(index ? ", " : "", visible(text), chance);
  });
  return row;
}

async function show(answer, span) {
  const spans = [...answer.querySelectorAll("span")];
  const index = spans.indexOf(span);
  const panel = answer.parentElement.querySelector(".runners");
  answer.querySelector(".at")?.classList.remove("at");
  span.classList.add("at");
  const token = (await tokensOf(answer))[index];
  if (!span.classList.contains("at")) return; // another one was pointed at meanwhile
  const rows = [line(answer.dataset.type, token.top)];
  if (token.reference) {
    const distance = document.createElement("span");
    distance.textContent = `KL ${Number(token.kl.toPrecision(2))}`;
    rows.push(line("F16 here", token.reference), distance);
  }
  panel.replaceChildren(...rows.flatMap((row, at) => (at ? [document.createElement("br"), row] : row)));
}

document.addEventListener("pointerover", (event) => {
  const span = event.target.closest?.(".answer > span");
  if (span) show(span.parentElement, span);
});

document.addEventListener("keydown", (event) => {
  const answer = event.target.closest?.(".answer");
  const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
  if (!answer || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
  const spans = [...answer.querySelectorAll("span")];
  const at = spans.findIndex((span) => span.classList.contains("at"));
  const next = at + steps[event.key];
  event.preventDefault();
  show(answer, spans[Math.max(0, Math.min(spans.length - 1, next))]);
});

function makeReachable() {
  for (const answer of document.querySelectorAll(".answer:not([tabindex])")) {
    answer.tabIndex = 0;
    answer.setAttribute("role", "group");
    answer.setAttribute("aria-label", `Answer of ${answer.dataset.type}: arrow keys step through its tokens`);
  }
}
makeReachable();
document.addEventListener("htmx:afterSettle", makeReachable);
