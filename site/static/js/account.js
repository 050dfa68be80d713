// Who is signed in on this browser, on every page: the state of the sync in the bar, the offer to
// add what was done signed out, and nothing left to see of whoever was here before.
import { certain, outdated, owner, remember } from "./owner.js";
import { trouble } from "./progress.js";
import * as store from "./progress-store.js";
import "./saved.js";
import { dropDeleted, state as syncState, sync } from "./sync.js";
import { forgetOthers } from "./tutor-store.js";

const OFFERED = "openbook-offered"; // the account that has been asked
const place = document.querySelector("[data-sync]");
const link = document.querySelector("[data-account]");
let slow;

function words() {
  if (certain && outdated()) return "Waiting: somebody signed in or out, reload this page";
  if (trouble() && !owner()) return "Not saved";
  const { kind, why } = syncState();
  return { local: "Saved here", syncing: "Syncing…", synced: "Synced", waiting: `Waiting: ${why}` }[kind];
}

function showState() {
  clearTimeout(slow);
  const write = () => {
    place.textContent = words();
    place.dataset.sync = syncState().kind;
  };
  if (syncState().kind === "syncing") slow = setTimeout(write, 700); // quick ones need no word
  else write();
}

function showName() {
  if (certain || !owner()) return; // the page is right already
  link.textContent = owner();
  link.href = "/progress/";
}

const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

function summary(events) {
  const lessons = new Set(events.map(({ lesson }) => lesson));
  const scores = events.filter(({ type }) => type === "quiz.scored").length;
  const parts = [count(lessons.size, "lesson")];
  if (scores) parts.push(count(scores, "quiz score"));
  return parts.join(", ");
}

function band(...children) {
  const box = document.createElement("section");
  box.className = "band";
  box.setAttribute("aria-label", "Progress of this browser");
  box.append(...children);
  document.querySelector(".bar").after(box);
  return box;
}

function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties });
}

async function add(box) {
  await store.adopt(owner());
  localStorage.removeItem(OFFERED);
  const done = element("p", `Added to your account, ${owner()}.`);
  done.setAttribute("role", "status");
  box.replaceChildren(done);
  document.dispatchEvent(new CustomEvent("openbook:progress"));
}

async function leave(box) {
  await store.decline(owner());
  localStorage.removeItem(OFFERED);
  box.replaceChildren(element("p", "Left out. It is here again when you sign out."));
}

/** What was done signed out is the account's unless the learner says no. */
async function offer() {
  const events = await store.offered(owner());
  if (!events.length) return;
  if (localStorage.getItem(OFFERED) === owner()) {
    await add(band());
    return;
  }
  localStorage.setItem(OFFERED, owner());
  const text = document.createElement("div");
  text.append(
    element("p", "Add the progress of this browser to your account?", { className: "question" }),
    element("p", `Made here before you signed in: ${summary(events)}. If you go on without `
      + "answering, it is added.", { className: "small" }),
  );
  const yes = element("button", "Add it", { type: "button" });
  const no = element("button", "Leave it out", { type: "button", className: "quiet" });
  const box = band(text, yes, no);
  yes.addEventListener("click", () => add(box));
  no.addEventListener("click", () => leave(box));
}

/** What others have in this browser goes when somebody signs in, but for what is not yet sent. */
async function clear() {
  forgetOthers(owner());
  for (const other of await store.owners()) if (other !== owner()) await store.forget(other);
}

async function begin() {
  showName();
  showState();
  if (!certain) {
    sync();
    return;
  }
  const synced = sync();
  dropDeleted().catch(() => {}); // no storage, or no server: another page will ask
  if (!owner()) return;
  try {
    await clear();
    await synced; // what the account has erased is not offered to it again
    await offer();
  } catch {
    // Storage is blocked: there is nothing to clear or to offer.
  }
}

const [navigation] = performance.getEntriesByType("navigation");
const old = navigation?.type === "back_forward"; // may come from the browser's own cache
if (old && outdated()) {
  location.reload();
} else {
  remember();
  begin();
}

document.addEventListener("openbook:sync", showState);
document.addEventListener("openbook:progress", showState);
addEventListener("storage", showState); // another tab signed in or out
addEventListener("pageshow", ({ persisted }) => persisted && outdated() && location.reload());
