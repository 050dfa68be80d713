// Reading offline, where the browser allows it (https, or this machine): the page that is read is
// kept, and a kept page says that it is one.
const { kept } = document.documentElement.dataset;

function note() {
  const day = new Date(kept).toLocaleString("en", { dateStyle: "long", timeStyle: "short" });
  const box = document.createElement("p");
  box.className = "band";
  box.setAttribute("role", "status");
  box.textContent = `You are reading a copy kept in this browser on ${day}: the server does not answer. `
    + "What you do is saved here; the tutor and the quiz’s marks need the server.";
  document.querySelector(".bar").after(box);
}

async function begin() {
  await navigator.serviceWorker.register("/service-worker.js");
  const { active } = await navigator.serviceWorker.ready;
  active.postMessage({ keep: location.pathname });
}

if (kept && !document.querySelector("[data-offline]")) note();
else if ("serviceWorker" in navigator) begin().catch(() => {}); // private windows refuse: no copies then
