// What a list of events means. Pure, and the same rules as lessons/events.py: any order and any
// repetition of the same events give the same state, so copies are merged by taking their union.

const INSTANT = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)$/;

/** Microseconds since 1970; NaN where `at` is no time. */
export function instant(event) {
  const [, seconds, fraction = "", zone] = INSTANT.exec(event.at) ?? [];
  return Date.parse(`${seconds}${zone}`) * 1000 + Number(fraction.padEnd(6, "0"));
}

/**
 * What these events' erasures cover: {until, also}. until: lesson or "*" → up to which instant its
 * events are erased; also: the ids that erasures name, whatever their clocks said.
 */
export function reach(events) {
  const until = new Map();
  const also = new Set();
  for (const event of events) {
    if (event.type !== "progress.erased") continue;
    until.set(event.lesson, Math.max(instant(event), until.get(event.lesson) ?? -Infinity));
    for (const id of event.data.also ?? []) also.add(id.toLowerCase());
  }
  return { until, also };
}

/** Does an erasure take this event's data? Erasures themselves stay. */
export function isErased(event, { until, also }) {
  if (event.type === "progress.erased") return false;
  const limit = Math.max(until.get("*") ?? -Infinity, until.get(event.lesson) ?? -Infinity);
  return instant(event) <= limit || also.has(event.id);
}

function inOrder(events) {
  return events
    .map((event) => [instant(event), event])
    .sort(([a, one], [b, other]) => a - b || (one.id < other.id ? -1 : 1))
    .map(([, event]) => event);
}

/** Each event once, without erasures and what they cover. */
export function living(events) {
  const once = [...new Map(events.map((event) => [event.id, event])).values()];
  const gone = reach(once);
  return once.filter((event) => event.type !== "progress.erased" && !isErased(event, gone));
}

const blank = () => ({
  opened: null, completed: null, best: null, latest: null, latestAt: null, attempts: 0, answers: {},
});

function addScore(lesson, { at, data }) {
  const { score, of, answers = {} } = data;
  lesson.completed ??= at;
  lesson.attempts += 1;
  Object.assign(lesson, { latest: { score, of }, latestAt: at, answers });
  if (!lesson.best || score * lesson.best.of > lesson.best.score * of) lesson.best = { score, of };
}

/**
 * lesson → {opened, completed, best, latest, latestAt, attempts, answers}, each since the
 * lesson's last reset, but latest, which is the newest score whatever was reset. opened and completed are the first times; scores are {score, of} or null.
 * A scored quiz completes its lesson.
 */
export function state(events) {
  const lessons = new Map();
  for (const event of inOrder(living(events))) {
    if (event.type === "lesson.reset" || !lessons.has(event.lesson)) {
      const { latest = null, latestAt = null } = lessons.get(event.lesson) ?? {};
      lessons.set(event.lesson, { ...blank(), latest, latestAt });
    }
    const lesson = lessons.get(event.lesson);
    if (event.type === "lesson.opened") lesson.opened ??= event.at;
    else if (event.type === "lesson.completed") lesson.completed ??= event.at;
    else if (event.type === "quiz.scored" && "score" in event.data) addScore(lesson, event);
  }
  return lessons;
}

function answersIn({ type, data }) {
  if (type === "quiz.scored") return Object.entries(data.answers ?? {});
  const asked = type === "review.answered" && typeof data.question === "string";
  return asked && Number.isInteger(data.choice) ? [[data.question, data.choice]] : [];
}

/**
 * [lesson, question, [[milliseconds, choice], …]]: when which choice was given, since the
 * lesson's last reset, in order.
 */
export function history(events) {
  const lessons = new Map();
  for (const event of inOrder(living(events))) {
    if (event.type === "lesson.reset") lessons.delete(event.lesson);
    for (const [question, choice] of answersIn(event)) {
      if (!lessons.has(event.lesson)) lessons.set(event.lesson, new Map());
      const given = lessons.get(event.lesson);
      given.set(question, [...(given.get(question) ?? []), [instant(event) / 1000, choice]]);
    }
  }
  return [...lessons].flatMap(([lesson, given]) => [...given].map(([key, all]) => [lesson, key, all.slice(-50)]));
}
