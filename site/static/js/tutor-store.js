// Conversations with the tutor: in this browser only, each owner's and each lesson's apart.
// localStorage "openbook-talk:OWNER:LESSON" → [{question, answer, thumb, reason, sent}], oldest
// first. answer is the server's HTML, "" where none came; tutor-exchange.js checks it before use.
import { outdated, owner } from "./owner.js";

const PREFIX = "openbook-talk:";
const MOST = 40; // exchanges of one lesson
const key = (lesson, who = owner()) => `${PREFIX}${encodeURIComponent(who)}:${lesson}`;

const isExchange = (it) => typeof it?.question === "string" && typeof it.answer === "string";

export function read(lesson) {
  if (outdated()) return [];
  try {
    const kept = JSON.parse(localStorage.getItem(key(lesson)));
    return Array.isArray(kept) ? kept.filter(isExchange) : [];
  } catch {
    return [];
  }
}

/** False where the browser would not keep it. */
export function write(lesson, exchanges) {
  if (outdated()) return false; // somebody else is signed in by now: nothing of this page's is theirs
  try {
    if (exchanges.length) localStorage.setItem(key(lesson), JSON.stringify(exchanges.slice(-MOST)));
    else localStorage.removeItem(key(lesson));
    return true;
  } catch {
    return false;
  }
}

const keys = () => Object.keys(localStorage).filter((it) => it.startsWith(PREFIX));

/** Takes an account's conversations off this browser. */
export function forget(who) {
  try {
    for (const it of keys()) if (it.startsWith(key("", who))) localStorage.removeItem(it);
  } catch {
    // Storage is blocked: there are none.
  }
}

/** What other accounts left here goes when somebody signs in. */
export function forgetOthers(who) {
  try {
    const kept = [key("", who), key("", "")];
    for (const it of keys()) if (!kept.some((start) => it.startsWith(start))) localStorage.removeItem(it);
  } catch {
    // As above.
  }
}
