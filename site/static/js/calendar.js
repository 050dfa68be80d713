// Study days as months, newest first: a day with something done is marked and says so.
const WEEKDAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
const key = (date) => `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;

/** The learner's own days → how many steps. */
export function studyDays(events) {
  const days = new Map();
  for (const { at } of events) {
    const day = key(new Date(at));
    days.set(day, (days.get(day) ?? 0) + 1);
  }
  return days;
}

function cell(name, text = "") {
  return Object.assign(document.createElement(name), { textContent: text });
}

export function month(year, index, days) {
  const table = document.createElement("table");
  const title = new Date(year, index).toLocaleDateString("en", { month: "long", year: "numeric" });
  table.append(cell("caption", title));
  const head = table.createTHead().insertRow();
  for (const name of WEEKDAYS) head.append(cell("th", name));
  const body = table.createTBody();
  const before = (new Date(year, index).getDay() + 6) % 7;
  const length = new Date(year, index + 1, 0).getDate();
  let row = body.insertRow();
  for (let i = 0; i < before; i++) row.insertCell();
  for (let day = 1; day <= length; day++) {
    if (row.cells.length === 7) row = body.insertRow();
    const steps = days.get(key(new Date(year, index, day)));
    const place = row.insertCell();
    place.textContent = day;
    if (!steps) continue;
    place.className = "studied";
    place.append(Object.assign(cell("span", `, studied: ${steps}`), { className: "hidden" }));
  }
  return table;
}
