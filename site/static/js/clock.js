// The time as the server has it, as far as this browser knows: the events of a device whose clock
// is hours off still fall into their place among the others'.
const KEY = "openbook-clock";
const TOLERATED = 5000; // milliseconds

function read() {
  try {
    return Number(localStorage.getItem(KEY)) || 0;
  } catch {
    return 0;
  }
}

let offset = read();

export const now = () => new Date(Date.now() + offset);

/** A Date header, and when its request was sent and answered (in this browser's time). */
export function compare(header, sent, answered) {
  const server = Date.parse(header ?? "");
  if (Number.isNaN(server)) return;
  const least = server - answered; // the header holds whole seconds, rounded down
  const most = server + 1000 - sent;
  const fits = (value) => value >= least - TOLERATED && value <= most + TOLERATED;
  if (fits(offset)) return;
  offset = fits(0) ? 0 : Math.round((least + most) / 2);
  try {
    localStorage.setItem(KEY, String(offset));
  } catch {
    // Storage is blocked: it holds for this page.
  }
}
