// Whose events these are. A page from the server says who is signed in; a page without that (kept
// for offline reading, or an error's) belongs to whoever was signed in last.
const KEY = "openbook-owner";
const { owner: onPage, log = "" } = document.documentElement.dataset;

function remembered() {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** An account's name, "" signed out. */
export const owner = () => onPage ?? remembered();

/** The name of the account's log, as it was when somebody signed in; "" if the page does not say. */
export const logOnPage = log;

/** Does the page say so itself? */
export const certain = onPage !== undefined;

/** Has somebody signed in or out since this page came from the server? */
export const outdated = () => certain && remembered() !== onPage;

export function remember() {
  try {
    if (certain) localStorage.setItem(KEY, onPage);
  } catch {
    // Storage is blocked: pages without an owner will count as signed out.
  }
}
