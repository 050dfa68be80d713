// What the events add up to. Pure: any order, any repetition of the same events gives the same
// state, so copies can be merged by taking their union.

const KNOWN = new Set([
  "lesson.opened", "lesson.completed", "quiz.scored", "review.answered", "lesson.reset",
  "progress.erased",
]);

/** Milliseconds since 1970; NaN for a time that cannot be read. */
const time = (event) => Date.parse(event.at);

/** Order by (at, id). */
export function compare(a, b) {
  return time(a) - time(b) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Does this progress.erased event take that event's data away? */
export function covers(erasure, event) {
  return event.type !== "progress.erased"
    && (erasure.lesson === "*" || erasure.lesson === event.lesson)
    && time(event) <= time(erasure);
}

/** Each id once, without those that are unreadable, erased, or only an id left behind. */
function standing(events) {
  const byId = new Map();
  const gone = new Set();
  for (const event of events) {
    if (event.erased) gone.add(event.id);
    else if (KNOWN.has(event.type) && !Number.isNaN(time(event))) byId.set(event.id, event);
  }
  const until = new Map(); // lesson or "*": the newest erasure
  for (const event of byId.values()) {
    if (event.type !== "progress.erased") continue;
    until.set(event.lesson, Math.max(time(event), until.get(event.lesson) ?? -Infinity));
  }
  const covered = ({ lesson }) => Math.max(until.get("*") ?? -Infinity, until.get(lesson) ?? -Infinity);
  return [...byId.values()].filter((event) =>
    event.type !== "progress.erased" && !gone.has(event.id) && time(event) > covered(event));
}

function score(event) {
  const { score, of } = event.data ?? {};
  return Number.isInteger(score) && Number.isInteger(of) && of > 0 && score >= 0 && score <= of
    ? { score, of, at: event.at } : null;
}

const better = (a, b) => !b || a.score / a.of > b.score / b.of;

/**
 * lesson → {opened, completed: time or null, best, latest: {score, of, at} or null}.
 *
 * best, opened and completed count from the last lesson.reset on; latest is the newest score of
 * all, before a reset too. A scored quiz completes its lesson.
 */
export function state(events) {
  const ordered = standing(events).sort(compare);
  const lessons = new Map();
  for (const event of ordered) {
    if (!lessons.has(event.lesson)) {
      lessons.set(event.lesson, { opened: null, completed: null, best: null, latest: null });
    }
    const lesson = lessons.get(event.lesson);
    if (event.type === "lesson.reset") {
      Object.assign(lesson, { opened: null, completed: null, best: null });
    } else if (event.type === "lesson.opened") {
      lesson.opened = event.at;
    } else if (event.type === "lesson.completed") {
      lesson.completed = event.at;
    } else if (event.type === "quiz.scored" && score(event)) {
      lesson.latest = score(event);
      lesson.completed = event.at;
      if (better(lesson.latest, lesson.best)) lesson.best = lesson.latest;
    }
  }
  return lessons;
}
