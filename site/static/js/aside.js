// What a deleted account had never sent to the server exists in this browser alone. Whoever is here
// next, signed out, says whether it is kept.
import { ask, count, say } from "./band.js";
import { aside, clearAside } from "./progress-store.js";

async function answer(box, name, keep) {
  await clearAside(name, { keep });
  say(box, keep ? "Kept in this browser." : "Deleted.");
  document.dispatchEvent(new CustomEvent("openbook:progress"));
}

export async function offerAside() {
  for (const { name, events } of await aside()) {
    if (!events.length) {
      await clearAside(name, { keep: false });
      continue;
    }
    ask(
      `The account “${name}” was deleted. Keep what it had not sent?`,
      `${count(events.length, "step")} of it never reached the server: nobody else has a copy.`,
      {
        "Keep it here": (box) => answer(box, name, true),
        "Delete it": (box) => answer(box, name, false),
      },
    );
  }
}
