// An author's preview: when a file of the lesson is saved, the page shows it, where it stands.
const line = document.querySelector("[data-version]");
const PAUSE = 500; // milliseconds between two looks

async function show() {
  const answer = await fetch(location.pathname);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-version]");
  if (!answer.ok || !fresh) {
    line.textContent = "The page cannot be shown; the terminal says why.";
    return;
  }
  const { scrollX, scrollY } = globalThis;
  const open = [...document.querySelectorAll("details")].map((it) => it.open);
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
  document.querySelectorAll("details").forEach((it, place) => { it.open = open[place] ?? false; });
  scrollTo({ left: scrollX, top: scrollY, behavior: "instant" });
  line.innerHTML = fresh.innerHTML;
  line.dataset.version = fresh.dataset.version;
}

async function look() {
  if (document.visibilityState === "visible") {
    try {
      const answer = await fetch(line.dataset.address);
      const stopped = "stopped" in line.dataset;
      delete line.dataset.stopped;
      if (stopped || (answer.ok && (await answer.text()) !== line.dataset.version)) await show();
    } catch {
      line.dataset.stopped = "";
      line.textContent = "The preview has stopped. Start it again in the terminal; this page then goes on.";
    }
  }
  setTimeout(look, PAUSE);
}

look();
