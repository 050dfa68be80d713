// A learner's progress in this browser: events are recorded, state is computed from them.
import { now } from "./clock.js";
import { owner } from "./owner.js";
import * as store from "./progress-store.js";
import { instant, living, state as stateOf } from "./progress-state.js";
import { uuid7 } from "./uuid7.js";

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("openbook-progress") : null;
// What the browser would not store: {event, sent}, kept as long as the page and tried again.
const memory = new Map();
let reading = null; // {cursor, log} of the account, where that could not be stored
let problem = null;
const here = new Set(); // ids of what was done on this page

/** Why the last event could not be stored: null, "blocked" or "full". */
export const trouble = () => problem;

function changed() {
  document.dispatchEvent(new CustomEvent("openbook:progress"));
}

function failed(error) {
  problem = error?.name === "QuotaExceededError" ? "full" : "blocked";
}

channel?.addEventListener("message", changed); // another tab recorded something
addEventListener("pageshow", (event) => event.persisted && changed());

const unsent = () => [...memory.values()].filter(({ sent }) => !sent).map(({ event }) => event);

async function keep(events, unless) {
  const mine = owner();
  let added = 0;
  for (const { id } of events) here.add(id);
  try {
    const again = unsent();
    if (again.length) await store.add(mine, again);
    for (const { id } of again) memory.delete(id);
    added = await store.add(mine, events, unless);
    problem = null;
  } catch (error) {
    failed(error);
    for (const event of events) memory.set(event.id, { event, sent: false });
    added = events.length;
  }
  if (!added) return 0;
  channel?.postMessage("changed");
  changed();
  return added;
}

/**
 * Keeps one event. With the id of an event that is there already, nothing happens: so a reload,
 * a second swap or the back button cannot count twice. unless: see progress-store.js.
 */
export async function record(type, lesson, data = {}, { id = uuid7(), at = now(), unless } = {}) {
  await keep([{ id, type, lesson, at: at.toISOString(), data }], unless);
  if (type === "quiz.scored") keepStorage();
}

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** lesson.opened, at most once per lesson and day (the learner's day). */
export function recordOpened(lesson) {
  const today = now();
  const opened = (event) => event.type === "lesson.opened" && sameDay(event.at, today);
  return record("lesson.opened", lesson, {}, { unless: (earlier) => earlier.some(opened) });
}

/** Keeps checked events from a file; how many were new. Signed out, what is erased stays out. */
export function bringIn(events) {
  return keep(owner() ? events : living(events));
}

/** Takes a lesson's data, or with "*" everything's, from here and from every device. */
export async function erase(lesson) {
  if (owner()) {
    const at = now();
    const about = living(await all()).filter((it) => lesson === "*" || it.lesson === lesson);
    const ahead = about.filter((it) => instant(it) > at.getTime() * 1000).map(({ id }) => id);
    do {
      const also = ahead.splice(0, 400); // an event's data has a limit
      await record("progress.erased", lesson, also.length ? { also } : {}, { at });
    } while (ahead.length);
    return;
  }
  for (const [id, { event }] of memory) if (lesson === "*" || event.lesson === lesson) memory.delete(id);
  await store.eraseUnowned(lesson).catch(failed);
  channel?.postMessage("changed");
  changed();
}

/** Every event of this owner, those that could not be stored included. */
export async function all() {
  const stored = await store.read(owner()).catch(() => {
    problem ??= "blocked";
    return [];
  });
  const ids = new Set(stored.map(({ id }) => id));
  const others = [...memory.values()].map(({ event }) => event);
  return [...stored, ...others.filter(({ id }) => !ids.has(id))];
}

/** lesson → its state (progress-state.js). */
export async function state() {
  return stateOf(await all());
}

/** {cursor, log, events}: what is still to be sent (the first `most`), and where to read on. */
export async function waiting(most) {
  const stored = await store.waiting(owner(), most).catch(() => ({ cursor: 0, log: null, events: [] }));
  return { ...stored, ...reading, events: [...stored.events, ...unsent()] };
}

/** Takes in a server's answer: see progress-store.js. */
export async function settle(request, answer) {
  const { acknowledged } = request;
  for (const id of acknowledged) if (memory.has(id)) memory.get(id).sent = true;
  const held = [...memory].filter(([, { sent }]) => sent);
  const came = [...answer.events, ...held.map(([, { event }]) => event)];
  let fresh = 0;
  try {
    fresh = await store.settle(owner(), request, { ...answer, events: came });
    for (const [id] of held) memory.delete(id);
    reading = null;
  } catch (error) {
    failed(error);
    const { cursor, log } = answer;
    reading = { cursor, log };
    fresh = came.length;
    for (const event of came) memory.set(event.id, { event, sent: true });
  }
  if (!fresh && !acknowledged.length) return;
  channel?.postMessage("changed");
  changed();
}

/** The server lost what it had: everything is offered to it again. */
export async function offerAgain(log) {
  for (const held of memory.values()) held.sent = false;
  reading &&= { cursor: 0, log };
  await store.offerAgain(owner(), log).catch(failed);
}

/**
 * The account was deleted: what this browser holds of it goes, what was never sent is put aside. If
 * somebody of the same name is signed in now, what was done on this page is theirs and stays.
 * How many were unsent.
 */
export async function drop({ reused = false } = {}) {
  for (const id of memory.keys()) if (!here.has(id)) memory.delete(id);
  reading = null;
  const unsent = await store.setAside(owner(), reused ? { except: here } : { open: true });
  channel?.postMessage("changed");
  changed();
  return unsent;
}

/** A browser may throw away what a page stored; a score is the moment to ask it not to. */
async function keepStorage() {
  try {
    if (!(await navigator.storage.persisted())) await navigator.storage.persist();
  } catch {
    // Not offered here (plain HTTP): nothing to do.
  }
}
