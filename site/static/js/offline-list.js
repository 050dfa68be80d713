// The lessons that this browser keeps, on the page that stands in for one that it does not.

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

async function list() {
  const page = document.querySelector("[data-offline]");
  const found = await lessons();
  page.querySelector("h2").hidden = !found.size;
  page.querySelector("ul").append(...Array.from(found, ([address, title]) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { href: address, textContent: title });
    item.append(link);
    return item;
  }));
}

list();
