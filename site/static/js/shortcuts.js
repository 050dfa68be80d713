// Keyboard shortcuts: [data-key] says which key, [data-key-name] what it does here. "?" lists
// them, and there they can be turned off (speech input types letters too).
const KEY = "openbook-shortcuts";
const dialog = document.querySelector("dialog.keys");
const toggle = dialog.querySelector("input");

function isOn() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return toggle.checked;
  }
}

function list() {
  const rows = [...document.querySelectorAll("[data-key]")].map((element) => {
    const row = document.createElement("div");
    const key = document.createElement("dt");
    const name = document.createElement("dd");
    key.append(Object.assign(document.createElement("kbd"), { textContent: element.dataset.key }));
    name.textContent = element.dataset.keyName;
    row.append(key, name);
    return row;
  });
  dialog.querySelector("dl").replaceChildren(...rows);
  toggle.checked = isOn();
  dialog.showModal();
}

function use(element) {
  const link = element.matches("a, button") ? element : null;
  if (link) return link.click();
  element.scrollIntoView({ block: "start" });
  const field = element.querySelector("textarea") ?? element.querySelector("input:not([type=hidden]), button");
  field?.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (dialog.open || !isOn()) return;
  const element = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!element) return;
  event.preventDefault();
  use(element);
});
toggle.addEventListener("change", () => {
  try {
    if (toggle.checked) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, "off");
  } catch {
    // Storage is blocked: the choice holds for this page.
  }
});
document.querySelector("[data-key='?']").addEventListener("click", list);
