// A learner's progress in this browser: events are recorded, state is computed from them.
import * as store from "./progress-store.js";
import { state as stateOf } from "./progress-state.js";
import { uuid7 } from "./uuid7.js";

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("openbook-progress") : null;
let unsaved = []; // recorded, but the browser would not store them: tried again with the next one
let problem = null;

/** Whose events these are: "" until somebody signs in. */
export const owner = () => document.documentElement.dataset.owner ?? "";

/** Why the last event could not be stored: null, "blocked" or "full". */
export const trouble = () => problem;

function changed() {
  document.dispatchEvent(new CustomEvent("openbook:progress"));
}

channel?.addEventListener("message", changed); // another tab recorded something
addEventListener("pageshow", (event) => event.persisted && changed());

/**
 * Keeps one event. With the id of an event that is there already, nothing happens: so a reload,
 * a second swap or the back button cannot count twice. unless: see progress-store.js.
 */
export async function record(type, lesson, data = {}, { id = uuid7(), unless } = {}) {
  const event = { id, owner: owner(), type, lesson, at: new Date().toISOString(), data };
  const waiting = [...unsaved, event];
  try {
    const added = await store.add(waiting, unless);
    unsaved = unsaved.filter((it) => !waiting.includes(it));
    problem = null;
    if (!added) return;
    channel?.postMessage("changed");
  } catch (error) {
    if (!unsaved.some((it) => it.id === id)) unsaved.push(event);
    problem = error?.name === "QuotaExceededError" ? "full" : "blocked";
  }
  if (type === "quiz.scored") keepStorage();
  changed();
}

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** lesson.opened, at most once per lesson and day (the learner's day). */
export function recordOpened(lesson) {
  const today = new Date();
  const opened = (event) => event.type === "lesson.opened" && sameDay(event.at, today);
  return record("lesson.opened", lesson, {}, { unless: (earlier) => earlier.some(opened) });
}

/** Every event of this owner, those that could not be stored included. */
export async function all() {
  let stored = [];
  try {
    stored = await store.read(owner());
  } catch {
    problem ??= "blocked";
  }
  return [...stored, ...unsaved.filter((event) => event.owner === owner())];
}

/** lesson → its state (progress-state.js). */
export async function state() {
  return stateOf(await all());
}

/** A browser may throw away what a page stored; a score is the moment to ask it not to. */
async function keepStorage() {
  try {
    if (!(await navigator.storage.persisted())) await navigator.storage.persist();
  } catch {
    // Not offered here (plain HTTP): nothing to do.
  }
}
