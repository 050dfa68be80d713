// Where the reader stopped: kept in this browser, offered on the next visit.
const slug = document.querySelector("main[data-lesson]").dataset.lesson;
const KEY = `openbook-place:${slug}`;
const article = document.querySelector(".prose");
const passages = [...article.querySelectorAll(".p")];

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function write(place) {
  try {
    if (place) localStorage.setItem(KEY, JSON.stringify(place));
    else localStorage.removeItem(KEY);
  } catch {
    // Storage is blocked or full: there will be nothing to offer.
  }
}

/** The first passage in view, unless the reader is still at the top or past the end. */
function current() {
  const box = article.getBoundingClientRect();
  if (box.top > 0 || box.bottom < innerHeight * 0.5) return null;
  const seen = passages.find((it) => {
    const { top, height } = it.getBoundingClientRect();
    return height > 0 && top >= 0 && top < innerHeight;
  });
  return seen ? { anchor: seen.id } : null;
}

function sectionOf(passage) {
  const headings = [...article.querySelectorAll("h2, h3")];
  const above = headings.filter(
    (it) => it.compareDocumentPosition(passage) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  return above.at(-1)?.textContent;
}

function offer(passage) {
  const box = document.createElement("section");
  box.className = "resume";
  box.setAttribute("aria-label", "Where you stopped");
  const text = document.createElement("p");
  text.textContent = `You stopped in “${sectionOf(passage) ?? "this lesson"}”.`;
  const go = document.createElement("button");
  go.textContent = "Continue there";
  const close = document.createElement("button");
  close.className = "quiet";
  close.textContent = "Close";
  box.append(text, go, close);
  document.querySelector(".skip").after(box); // early in the order of focus
  go.addEventListener("click", () => {
    box.remove();
    passage.closest("details")?.setAttribute("open", "");
    passage.scrollIntoView({ block: "start" });
    passage.tabIndex = -1;
    passage.focus({ preventScroll: true });
  });
  close.addEventListener("click", () => box.remove());
  addEventListener("scroll", () => scrollY > innerHeight && box.remove(), { passive: true });
}

const before = read();
const passage = before && document.getElementById(before.anchor);
if (passage && !location.hash && scrollY < 100) offer(passage);

let waiting = false;
addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    write(current());
  }, 500);
}, { passive: true });
