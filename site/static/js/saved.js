// Where a page says that progress is kept, [data-saved]: a warning that the browser may delete it,
// and [data-trouble-line] in its place when the browser would not store it.
import { owner } from "./owner.js";
import { state, trouble } from "./progress.js";
import { state as syncState } from "./sync.js";

const HERE = {
  blocked: "Progress is not being saved: this browser blocks storage for this site. "
    + "It lasts until you leave the page.",
  full: "The last step could not be saved: this browser’s storage is full. Free some space; "
    + "it is tried again with your next step, as long as this page stays open.",
};
const ACCOUNT_ONLY = {
  blocked: "This browser blocks storage for this site: your progress is kept in your account only.",
  full: "This browser’s storage is full: your last steps are kept in your account only.",
};
// Safari deletes what scripts stored after seven days without a visit.
const SAFARI = /^((?!chrom|android|crios|fxios|edg).)*safari/i.test(navigator.userAgent);
const DELETED = SAFARI
  ? "Safari deletes it after seven days without a visit."
  : "This browser may delete it when space runs short.";

async function persisted() {
  return (await navigator.storage?.persisted?.()) ?? false;
}

function problem() {
  const synced = owner() && syncState().kind === "synced";
  return trouble() && (synced ? ACCOUNT_ONLY : HERE)[trouble()];
}

function warn(place) {
  const link = Object.assign(document.createElement("a"), { href: "/progress/#yours" });
  link.textContent = "export a copy";
  place.replaceChildren(`${DELETED} Sign in, or `, link, ".");
}

async function show() {
  const lessons = [...(await state()).values()]; // and whether this browser lets us read at all
  const text = problem() ?? "";
  for (const line of document.querySelectorAll("[data-saved]")) line.hidden = Boolean(text);
  for (const line of document.querySelectorAll("[data-trouble-line]")) {
    line.hidden = !text;
    if (line.textContent !== text) line.textContent = text;
  }
  const precious = lessons.some(({ completed }) => completed);
  const atRisk = precious && !owner() && !(await persisted());
  for (const place of document.querySelectorAll("[data-warning]")) {
    if (atRisk) warn(place);
    else place.replaceChildren();
  }
}

document.addEventListener("openbook:progress", show);
document.addEventListener("openbook:sync", show);
show();
