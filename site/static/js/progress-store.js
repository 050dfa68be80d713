// The events on disk: IndexedDB "openbook". Nothing is ever changed here but by an erasure.
//   events    {owner, id, type, lesson, at, data}; an erased one stays with empty data
//   pending   {owner, id}: what no server has acknowledged yet
//   accounts  {owner, cursor, log}: how far this browser has read the account's log
// owner is an account's name, "" for a browser that is not signed in; with ASIDE after it, what a
// deleted account never sent.
import { isErased, living, reach } from "./progress-state.js";

const ASIDE = " (deleted)"; // no account's name holds a space
const STORES = ["events", "pending", "accounts"];
let opening;

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function upgrade({ target: { result: db } }) {
  const events = db.createObjectStore("events", { keyPath: ["owner", "id"] });
  events.createIndex("owner", "owner");
  events.createIndex("lesson", ["owner", "lesson"]);
  events.createIndex("type", ["owner", "type"]);
  db.createObjectStore("pending", { keyPath: ["owner", "id"] }).createIndex("owner", "owner");
  db.createObjectStore("accounts", { keyPath: "owner" });
}

function open() {
  opening ??= (async () => {
    const request = indexedDB.open("openbook", 1);
    request.onupgradeneeded = upgrade;
    const db = await result(request);
    db.onclose = db.onversionchange = () => {
      db.close();
      opening = undefined;
    };
    return db;
  })();
  opening.catch(() => { opening = undefined; });
  return opening;
}

/** Runs work({events, pending, accounts}) in one transaction; resolves when it is on the disk. */
async function transact(mode, work) {
  const db = await open();
  const transaction = db.transaction(STORES, mode, { durability: "strict" });
  const stored = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new DOMException("", "AbortError"));
  });
  const stores = STORES.map((name) => [name, transaction.objectStore(name)]);
  const [answer] = await Promise.all([work(Object.fromEntries(stores)), stored]);
  return answer;
}

const of = (store, owner) => result(store.index("owner").getAll(owner));

/** Every event of one owner. */
export const read = (owner) => transact("readonly", ({ events }) => of(events, owner));

/** Puts those that are not there yet, erased or not as erasures say; returns them. */
async function put({ events }, owner, list) {
  const earlier = await Promise.all(list.map(({ id }) => result(events.getKey([owner, id]))));
  const fresh = new Map();
  list.forEach((event, i) => earlier[i] ?? fresh.set(event.id, { ...event, owner }));
  const known = await result(events.index("type").getAll([owner, "progress.erased"]));
  const coming = [...fresh.values()].filter(({ type }) => type === "progress.erased");
  const gone = reach([...known, ...coming]);
  for (const event of fresh.values()) {
    events.add(isErased(event, gone) ? { ...event, data: {} } : event);
  }
  if (coming.length) await erase(events, owner, reach(coming));
  return [...fresh.values()];
}

async function erase(events, owner, gone) {
  for (const event of await of(events, owner)) {
    if (isErased(event, gone)) events.put({ ...event, data: {} });
  }
}

/**
 * Adds events made or imported here, to be sent; how many were new.
 *
 * unless(earlier): given the owner's earlier events about the same lesson, says whether to leave
 * the event out. Checked in the same transaction, so that two tabs cannot both pass it.
 */
export function add(owner, list, unless) {
  return transact("readwrite", async (stores) => {
    const wanted = [];
    for (const event of list) {
      const about = stores.events.index("lesson");
      if (!unless?.(await result(about.getAll([owner, event.lesson])))) wanted.push(event);
    }
    const fresh = await put(stores, owner, wanted);
    for (const { id } of fresh) stores.pending.put({ owner, id });
    return fresh.length;
  });
}

/** {cursor, log, events}: how far the owner's log was read; the first `most` that are unsent. */
export function waiting(owner, most) {
  return transact("readonly", async ({ events, pending, accounts }) => {
    const { cursor = 0, log = null } = (await result(accounts.get(owner))) ?? {};
    const ids = await result(pending.index("owner").getAll(owner, most));
    const found = await Promise.all(ids.map(({ id }) => result(events.get([owner, id]))));
    return { cursor, log, events: found };
  });
}

/**
 * Takes in the answer to a request that read on from a cursor and sent some events: keeps what
 * came, and forgets of the pending what was acknowledged.
 *
 * Answers may be late: one from a log that is no longer followed acknowledges nothing, and none
 * moves the cursor back, or past what was never read (the account left this browser meanwhile).
 */
export function settle(owner, { from, acknowledged }, { events: came, cursor, log }) {
  return transact("readwrite", async (stores) => {
    const fresh = await put(stores, owner, came);
    const known = (await result(stores.accounts.get(owner))) ?? { cursor: 0, log };
    if (known.log !== log) return fresh.length;
    for (const id of acknowledged) stores.pending.delete([owner, id]);
    const furthest = from <= known.cursor ? Math.max(cursor, known.cursor) : known.cursor;
    stores.accounts.put({ owner, cursor: furthest, log });
    return fresh.length;
  });
}

/** The server lost what it had: everything is offered to it again. */
export function offerAgain(owner, log) {
  return transact("readwrite", async ({ events, pending, accounts }) => {
    for (const { id } of await of(events, owner)) pending.put({ owner, id });
    accounts.put({ owner, cursor: 0, log });
  });
}

/** Made signed out, not declined, and not older than what the account has erased since. */
async function forAdoption(events, owner) {
  const erasures = await result(events.index("type").getAll([owner, "progress.erased"]));
  const gone = reach(erasures);
  const unowned = await of(events, "");
  return unowned.filter((it) => !it.declined?.includes(owner) && !isErased(it, gone));
}

/** Events made signed out that can be added to this account. */
export function offered(owner) {
  return transact("readonly", ({ events }) => forAdoption(events, owner));
}

/** Makes them the account's. */
export function adopt(owner) {
  return transact("readwrite", async (stores) => {
    const mine = await forAdoption(stores.events, owner);
    const plain = mine.map(({ declined, ...event }) => event);
    for (const { id } of await put(stores, owner, plain)) stores.pending.put({ owner, id });
    for (const { id } of mine) {
      stores.events.delete(["", id]);
      stores.pending.delete(["", id]);
    }
  });
}

/** Leaves them to whoever made them, and does not ask this account again. */
export function decline(owner) {
  return transact("readwrite", async ({ events }) => {
    for (const event of await of(events, "")) {
      events.put({ ...event, declined: [...(event.declined ?? []), owner] });
    }
  });
}

/**
 * Takes an account off this browser; its unsent events only if they are to go as well. Which log
 * events belong to is remembered while any are left.
 */
export function forget(owner, { unsent = false } = {}) {
  return transact("readwrite", async ({ events, pending, accounts }) => {
    const kept = new Set();
    for (const { id } of await of(pending, owner)) {
      if (unsent) pending.delete([owner, id]);
      else kept.add(id);
    }
    for (const { id } of await of(events, owner)) if (!kept.has(id)) events.delete([owner, id]);
    const known = await result(accounts.get(owner));
    if (known && kept.size) accounts.put({ ...known, cursor: 0 });
    else accounts.delete(owner);
    return kept.size;
  });
}

/** Whose log this is, so far as nothing is known yet: what is done before the first sync is theirs. */
export function meet(owner, log) {
  return transact("readwrite", async ({ accounts }) => {
    if (!(await result(accounts.get(owner)))) accounts.put({ owner, cursor: 0, log });
  });
}

/**
 * The account was deleted: what it had sent goes, what it had not is put aside, but for those
 * excepted. Which log that was is remembered if a page of it is still open. How many were unsent.
 */
export function setAside(owner, { except = new Set(), open = false } = {}) {
  return transact("readwrite", async ({ events, pending, accounts }) => {
    const unsent = new Set((await of(pending, owner)).map(({ id }) => id));
    for (const event of await of(events, owner)) {
      if (except.has(event.id)) continue;
      if (unsent.has(event.id)) {
        events.put({ ...event, owner: owner + ASIDE });
        pending.put({ owner: owner + ASIDE, id: event.id }); // nobody takes it off the browser
      }
      events.delete([owner, event.id]);
      pending.delete([owner, event.id]);
    }
    const known = await result(accounts.get(owner));
    if (known && open) accounts.put({ ...known, cursor: 0 });
    else accounts.delete(owner);
    return unsent.size;
  });
}

/** {name, events} of each deleted account that left something here. */
export function aside() {
  return transact("readonly", async ({ pending, events }) => {
    const owners = new Set((await result(pending.getAll())).map(({ owner }) => owner));
    const left = [...owners].filter((owner) => owner.endsWith(ASIDE));
    return Promise.all(left.map(async (owner) => (
      { name: owner.slice(0, -ASIDE.length), events: living(await of(events, owner)) }
    )));
  });
}

/** What a deleted account left: kept as this browser's own, or not at all. */
export function clearAside(name, { keep }) {
  return transact("readwrite", async ({ events, pending }) => {
    const left = await of(events, name + ASIDE);
    for (const event of keep ? living(left) : []) {
      events.put({ ...event, owner: "" });
      pending.put({ owner: "", id: event.id });
    }
    for (const { id } of left) {
      events.delete([name + ASIDE, id]);
      pending.delete([name + ASIDE, id]);
    }
  });
}

/** Of a browser that is not signed in: nobody else holds these, so they simply go. */
export function eraseUnowned(lesson) {
  return transact("readwrite", async ({ events, pending }) => {
    for (const event of await of(events, "")) {
      if (lesson !== "*" && event.lesson !== lesson) continue;
      events.delete(["", event.id]);
      pending.delete(["", event.id]);
    }
  });
}

/** {owner, log} of each account whose log this browser has met. */
export const logs = () => transact("readonly", ({ accounts }) => result(accounts.getAll()));

/** Names of the accounts that have events in this browser. */
export function owners() {
  return transact("readonly", async ({ events }) => {
    const names = new Set();
    const request = events.index("owner").openKeyCursor(null, "nextunique");
    for (let at = await result(request); at; at = await result(request)) {
      if (at.key) names.add(at.key);
      at.continue();
    }
    return [...names];
  });
}
