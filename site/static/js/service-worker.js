// Keeps read lessons readable without a network. The server puts two lines before this file:
// RELEASE, and SHELL (the style sheets, scripts and icons of this release).
//
// Pages come from the network when it answers; the stored copy is for when it does not, and is
// renewed behind every visit. Copies are fetched without cookies, so that none is anybody's: what
// an account shows is never stored, and never shown to another.
const CACHE = `openbook-${RELEASE}`;
const KEPT = /^\/($|lessons\/[a-z0-9-]+\/$|progress\/$)/;
const NO_ANSWER = "/offline/"; // in place of a page that is not kept
const PATIENCE = 5000; // milliseconds until a stored copy is shown instead of waiting

const ours = async () => (await caches.keys()).filter((name) => name.startsWith("openbook-"));

async function keep(path) {
  const answer = await fetch(path, { credentials: "omit", cache: "no-store" });
  if (answer.type !== "basic") return;
  const cache = await caches.open(CACHE);
  if (answer.status === 404) await cache.delete(path);
  if (!answer.ok || answer.redirected) return;
  const html = (await answer.text()).replace(
    /<html lang="en"[^>]*>/, `<html lang="en" data-kept="${new Date().toISOString()}">`,
  );
  await cache.put(path, new Response(html, { headers: { "Content-Type": "text/html; charset=utf-8" } }));
}

/** The pages that an older release kept, in this release's form. Fails with the network: then the
    older worker stays, and its copies with it. */
async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL);
  const older = (await ours()).filter((name) => name !== CACHE);
  for (const name of older) {
    for (const { url } of await (await caches.open(name)).keys()) {
      const path = new URL(url).pathname;
      if (KEPT.test(path)) await keep(path);
    }
  }
  await keep("/");
  await keep(NO_ANSWER);
  await self.skipWaiting();
}

async function activate() {
  for (const name of await ours()) if (name !== CACHE) await caches.delete(name);
  await self.clients.claim();
}

async function page(request, path) {
  const cache = await caches.open(CACHE);
  const stored = KEPT.test(path) ? await cache.match(path) : undefined;
  const network = fetch(request);
  if (!stored) return network.catch(async () => await cache.match(NO_ANSWER) ?? Response.error());
  const late = new Promise((resolve) => { setTimeout(resolve, PATIENCE, stored); });
  return Promise.race([network.catch(() => stored), late]);
}

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  const path = event.data?.keep;
  if (KEPT.test(path ?? "")) event.waitUntil(keep(path).catch(() => {}));
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (pathname.startsWith("/static/")) {
    event.respondWith(caches.match(request, { cacheName: CACHE }).then((stored) => stored ?? fetch(request)));
  } else if (request.mode === "navigate") {
    event.respondWith(page(request, pathname));
  }
});
