// Not a module and not deferred: what must hold before the first paint.
// "js" on the root shows the controls that need scripts; the chosen theme replaces the system's.
document.documentElement.classList.add("js");
try {
  const chosen = localStorage.getItem("openbook-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is blocked: the system's theme it is.
}
