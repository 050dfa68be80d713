// Signing out takes the account's events off this browser; those that the server does not have
// yet only when the learner says so.
import { owner } from "./owner.js";
import * as store from "./progress-store.js";
import { state, sync, unsent } from "./sync.js";
import * as talk from "./tutor-store.js";

const form = document.querySelector("[data-signout]");
const notice = form.querySelector("[data-unsent]");
const actions = form.querySelector(".actions");

function button(text, action, quiet = true) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.className = quiet ? "quiet" : "";
  made.addEventListener("click", action);
  return made;
}

async function leave(options) {
  talk.forget(owner());
  await store.forget(owner(), options).catch(() => {}); // storage is blocked: nothing is there
  form.submit();
}

function ask(count) {
  const steps = count === 1 ? "1 step has" : `${count} steps have`;
  const text = document.createElement("p");
  text.textContent = `${steps} not reached the server (${state().why || "it does not answer"}). `
    + "Kept in this browser, they reach your account when you sign in here again.";
  notice.replaceChildren(text);
  notice.hidden = false;
  actions.replaceChildren(
    button("Try to send them again", signOut, false),
    button("Keep them here and sign out", () => leave()),
    button("Delete them and sign out", () => leave({ unsent: true })),
  );
}

async function signOut() {
  await sync();
  const count = (await unsent()).length;
  if (count) ask(count);
  else await leave();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  signOut();
});
