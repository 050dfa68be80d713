// Who is signed in on this browser, on every page: the state of the sync in the bar, the offer to
// add what was done signed out, and nothing left to see of whoever was here before.
import { offerAside } from "./aside.js";
import { ask, band, count, say } from "./band.js";
import { certain, logOnPage, outdated, owner, remember } from "./owner.js";
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

function summary(events) {
  const lessons = new Set(events.map(({ lesson }) => lesson));
  const scores = events.filter(({ type }) => type === "quiz.scored").length;
  const parts = [count(lessons.size, "lesson")];
  if (scores) parts.push(count(scores, "quiz score"));
  return parts.join(", ");
}

async function add(box) {
  await store.adopt(owner());
  localStorage.removeItem(OFFERED);
  say(box, `Added to your account, ${owner()}.`);
  document.dispatchEvent(new CustomEvent("openbook:progress"));
}

async function leave(box) {
  await store.decline(owner());
  localStorage.removeItem(OFFERED);
  say(box, "Left out. It is here again when you sign out.");
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
  ask(
    "Add the progress of this browser to your account?",
    `Made here before you signed in: ${summary(events)}. If you go on without answering, it is added.`,
    { "Add it": add, "Leave it out": leave },
  );
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
  if (owner() && logOnPage) store.meet(owner(), logOnPage).catch(() => {}); // before it is synced
  const synced = sync();
  const dropped = dropDeleted().catch(() => {}); // no storage, or no server: another page will ask
  try {
    if (!owner()) {
      await dropped;
      await offerAside();
      return;
    }
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
