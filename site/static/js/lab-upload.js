// Shows how far an upload is; the page that answers it is the one that comes without this too.
const form = document.getElementById("upload");
const input = form.querySelector("input[type=file]");
const button = form.querySelector("button");
const bar = form.querySelector("progress");
const status = form.querySelector("[role=status]");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = input.files;
  const limit = Number(form.dataset.limit);
  if (file.size > limit) {
    say(`This file is ${gigabytes(file.size)}; at most ${gigabytes(limit)} are taken.`);
    return;
  }
  form.querySelector("[role=alert]")?.remove();
  button.disabled = true;
  bar.hidden = false;
  say("Uploading…");
  send(new FormData(form));
});

function send(body) {
  const request = new XMLHttpRequest();
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = (100 * loaded) / total;
    say(`${gigabytes(loaded)} of ${gigabytes(total)}`, { quietly: true });
  };
  request.upload.onload = () => {
    bar.removeAttribute("value");
    say("Checking every weight…");
  };
  request.onload = () => {
    if (request.status === 200) location.assign(request.responseURL);
    else stop(reason(request));
  };
  request.onerror = () => stop("The connection broke, or the site refused it. Nothing was kept.");
  request.open("POST", form.action);
  request.send(body);
}

function reason(request) {
  if (!request.getResponseHeader("Content-Type")?.startsWith("text/html")) return request.responseText;
  const page = new DOMParser().parseFromString(request.responseText, "text/html");
  const told = page.querySelector("#upload [role=alert]");
  return told ? told.textContent : `The site answered ${request.status}. Nothing was kept.`;
}

function stop(message) {
  button.disabled = false;
  bar.hidden = true;
  bar.value = 0;
  say(message);
}

// Progress is in the bar for screen readers: said aloud it would never end.
function say(message, { quietly = false } = {}) {
  status.setAttribute("aria-live", quietly ? "off" : "polite");
  status.hidden = false;
  status.textContent = message;
}

function gigabytes(size) {
  return size < 1e8 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(1)} GB`;
}
