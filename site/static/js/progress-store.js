// The events on disk: IndexedDB "openbook". Nothing is ever changed here but by an erasure.
//   events   {id, owner, type, lesson, at, data}; an erased one stays with empty data
//   pending  {id, owner}: what no server has acknowledged yet
// owner is "" for a browser that is not signed in.
import { isErased, reach } from "./progress-state.js";

let opening;

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function upgrade({ target: { result: db } }) {
  const events = db.createObjectStore("events", { keyPath: "id" });
  events.createIndex("owner", "owner");
  events.createIndex("lesson", ["owner", "lesson"]);
  db.createObjectStore("pending", { keyPath: "id" }).createIndex("owner", "owner");
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

/** Runs work(events, pending) in one transaction; resolves when it is on the disk. */
async function transact(mode, work) {
  const db = await open();
  const transaction = db.transaction(["events", "pending"], mode, { durability: "strict" });
  const stored = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error ?? new DOMException("", "AbortError"));
  });
  const working = work(transaction.objectStore("events"), transaction.objectStore("pending"));
  const [answer] = await Promise.all([working, stored]);
  return answer;
}

/** Every event of one owner. */
export function read(owner) {
  return transact("readonly", (events) => result(events.index("owner").getAll(owner)));
}

/**
 * Adds events that are not there yet, and lets an erasure do its work.
 *
 * unless(earlier): given the owner's earlier events about the same lesson, says whether to add
 * nothing. Checked in the same transaction, so that two tabs cannot both pass it.
 */
export function add(list, unless = () => false) {
  return transact("readwrite", async (events, pending) => {
    let added = 0;
    for (const event of list) {
      if (await result(events.get(event.id))) continue;
      const earlier = await result(events.index("lesson").getAll([event.owner, event.lesson]));
      if (unless(earlier)) continue;
      events.add(event);
      pending.add({ id: event.id, owner: event.owner });
      if (event.type === "progress.erased") await erase(events, event);
      added += 1;
    }
    return added;
  });
}

async function erase(events, erasure) {
  const mine = await result(events.index("owner").getAll(erasure.owner));
  const until = reach([erasure]);
  for (const event of mine) {
    if (isErased(event, until)) events.put({ ...event, data: {} });
  }
}
