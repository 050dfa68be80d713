// The theme switch: system, light or dark, kept in this browser and followed by its other tabs.
const KEY = "openbook-theme";

function chosen() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return document.documentElement.dataset.theme ?? "system";
  }
}

function show(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const radio of document.querySelectorAll("input[name=theme]")) {
    radio.checked = radio.value === theme;
  }
}

document.addEventListener("change", (event) => {
  if (event.target.name !== "theme") return;
  const theme = event.target.value;
  show(theme);
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage is blocked: the choice holds for this page.
  }
});
addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) show(chosen());
});
addEventListener("pageshow", () => show(chosen()));
show(chosen());
