// Reading offline, where the browser allows it (https, or this machine): the page that is read is
// kept, and a kept page says that it is one. In place of any other stands a list of those kept.
const { kept } = document.documentElement.dataset;

function note() {
  const day = new Date(kept).toLocaleString("en", { dateStyle: "long", timeStyle: "short" });
  const box = document.createElement("p");
  box.className = "band";
  box.setAttribute("role", "status");
  box.textContent = `You are reading a copy kept in this browser on ${day}: the server does not answer. `
    + "What you do is saved here; the tutor and the quiz’s marks need the server.";
  document.querySelector(".bar").after(box);
}

/** The titles of the lessons that are kept, by address. */
async function lessons() {
  const found = new Map();
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const { pathname } = new URL(request.url);
      if (!/^\/lessons\/[^/]+\/$/.test(pathname)) continue;
      const html = await (await cache.match(request)).text();
      const heading = new DOMParser().parseFromString(html, "text/html").querySelector("h1");
      found.set(pathname, heading?.textContent.trim() ?? pathname);
    }
  }
  return found;
}

async function list(page) {
  const found = await lessons();
  page.querySelector("h2").hidden = !found.size;
  page.querySelector("ul").append(...Array.from(found, ([address, title]) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { href: address, textContent: title });
    item.append(link);
    return item;
  }));
}

async function begin() {
  await navigator.serviceWorker.register("/service-worker.js");
  const { active } = await navigator.serviceWorker.ready;
  active.postMessage({ keep: location.pathname });
}

const absent = document.querySelector("[data-offline]");
if (absent) list(absent);
else if (kept) note();
else if ("serviceWorker" in navigator) begin().catch(() => {}); // private windows refuse: no copies then
