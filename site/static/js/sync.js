// Brings an account's events to the server and the others' from it: when a page loads, after each
// event, when the browser comes back online and when a tab is hidden. A request that is lost, or
// whose answer is, is made again: the server keeps each event once.
import { compare } from "./clock.js";
import { token } from "./csrf.js";
import { owner } from "./owner.js";
import { drop, offerAgain, settle, waiting } from "./progress.js";
import { logs, setAside } from "./progress-store.js";
import { uuid7 } from "./uuid7.js";

const MOST = 500; // events in one request, and
const LENGTH = 300_000; // characters: the server takes 1,000 and 1 MiB
const SECONDS = 30;
const WHY = {
  401: "you were signed out",
  403: "this page is too old, reload it",
  409: "somebody else signed in, reload this page",
};
const refused = new Map(); // id → reason, as long as the page: then they are tried again
let status = { kind: owner() ? "syncing" : "local" };
let running = null;
let again = false;
let pause = 5;
let timer;

/** {kind: "local" | "syncing" | "synced" | "waiting", why}. Changes are told by openbook:sync. */
export const state = () => status;

function tell(kind, why = "") {
  status = { kind, why };
  document.dispatchEvent(new CustomEvent("openbook:sync", { detail: status }));
}

function device() {
  const key = "openbook-device";
  try {
    return localStorage.getItem(key) ?? (localStorage.setItem(key, uuid7()), localStorage.getItem(key));
  } catch {
    return uuid7();
  }
}

class Waiting extends Error {}

const plain = ({ id, type, lesson, at, data }) => ({ id, type, lesson, at, data });

/** Of these logs, those of accounts that were deleted. */
async function deleted(names) {
  const answer = await fetch(`/progress/deleted?${new URLSearchParams(names.map((log) => ["log", log]))}`);
  return answer.ok ? (await answer.json()).deleted : [];
}

/** Other accounts' leftovers go once their accounts have been deleted. */
export async function dropDeleted() {
  const held = (await logs()).filter((it) => it.log && it.owner !== owner());
  if (!held.length) return;
  const gone = await deleted(held.map(({ log }) => log));
  for (const it of held) if (gone.includes(it.log)) await setAside(it.owner);
}

/** Why the server answered so; what a deleted account had sent goes at once. */
async function refusal(status, log) {
  if (status === 401 && log && (await deleted([log])).length) {
    const unsent = await drop();
    return `this account was deleted, reload this page${unsent ? " to keep what was not sent" : ""}`;
  }
  return WHY[status] ?? `the server answered ${status}`;
}

/** The server's answer; null if the log that was met here belonged to a deleted account. */
async function ask({ cursor, log }, events) {
  const account = owner();
  const body = JSON.stringify({ device: device(), account, log, cursor, events: events.map(plain) });
  const sent = Date.now();
  const response = await fetch("/progress/sync", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
    body,
    keepalive: body.length < 20_000, // outlives the page; browsers allow it to small bodies only
    signal: AbortSignal.timeout(SECONDS * 1000),
  });
  compare(response.headers.get("Date"), sent, Date.now());
  if (response.status === 410) return null;
  if (!response.ok) throw new Waiting(await refusal(response.status, log));
  const answer = await response.json();
  if (!Number.isInteger(answer.cursor) || !Array.isArray(answer.events)) throw new TypeError();
  return answer;
}

/** The first of the events that one request can carry. */
function batch(events) {
  let length = 0;
  const end = events.findIndex((event, i) => {
    length += JSON.stringify(event).length;
    return i === MOST || (i > 0 && length > LENGTH);
  });
  return end < 0 ? events : events.slice(0, end);
}

/** One request and its answer; true while there is more to do. */
async function exchange() {
  const { cursor, log, events } = await waiting(MOST + 1 + refused.size);
  const wanted = events.filter(({ id }) => !refused.has(id));
  const sent = batch(wanted);
  const answer = await ask({ cursor, log }, sent);
  if (!answer) {
    await drop({ reused: true });
    return true;
  }
  for (const { id, reason } of answer.rejected ?? []) refused.set(id, reason);
  const acknowledged = sent.map(({ id }) => id).filter((id) => !refused.has(id));
  const restored = (log && answer.log !== log) || answer.cursor < cursor;
  if (restored) await offerAgain(answer.log);
  const from = restored ? 0 : cursor;
  await settle({ from, acknowledged }, restored ? { ...answer, cursor: 0 } : answer);
  return restored || answer.more || wanted.length > sent.length;
}

async function run() {
  do {
    again = false;
    while (await exchange());
  } while (again);
}

/** One tab at a time, where the browser can say so; otherwise the server sorts it out. */
const alone = (work) => navigator.locks?.request("openbook-sync", work) ?? work();

async function start() {
  clearTimeout(timer);
  tell("syncing");
  try {
    await alone(run);
    pause = 5;
    const [reason] = refused.values();
    if (reason) tell("waiting", `the server refused ${refused.size} of your steps (${reason})`);
    else tell("synced");
  } catch (error) {
    again = false;
    const offline = navigator.onLine ? "the server does not answer" : "no connection";
    tell("waiting", error instanceof Waiting ? error.message : offline);
    timer = setTimeout(sync, pause * 1000);
    pause = Math.min(pause * 2, 300);
  }
  running = null;
  return again ? sync() : undefined; // asked for between the last look and now
}

/** Syncs, or lets the sync that runs look once more; resolves when it is over. */
export function sync() {
  if (!owner()) return Promise.resolve();
  again = Boolean(running);
  running ??= start();
  return running;
}

/** What still waits to be sent. */
export const unsent = async (most) => (owner() ? (await waiting(most)).events : []);

async function syncWhatWaits() {
  if ((await unsent(1 + refused.size)).some(({ id }) => !refused.has(id))) sync();
}

document.addEventListener("openbook:progress", syncWhatWaits);
document.addEventListener("visibilitychange", syncWhatWaits);
addEventListener("pagehide", syncWhatWaits);
addEventListener("online", () => sync());
