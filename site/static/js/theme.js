// Not a module and not deferred: the chosen theme must hold before the first paint.
try {
  const chosen = localStorage.getItem("openbook-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is blocked: the system's theme it is.
}
