// The account goes, and with it what this browser holds of it.
import { owner } from "./owner.js";
import { forget } from "./progress-store.js";

document.querySelector("[data-delete-account]").addEventListener("submit", async (event) => {
  event.preventDefault();
  await forget(owner(), { unsent: true }).catch(() => {}); // storage is blocked: nothing is there
  event.target.submit();
});
