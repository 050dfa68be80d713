// Django's CSRF token travels in a cookie; htmx sends it back as a header.
export function token() {
  const found = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return found ? decodeURIComponent(found[1]) : "";
}

document.addEventListener("htmx:configRequest", (event) => {
  const { headers, parameters } = event.detail;
  headers["X-CSRFToken"] = token();
  // A page that was kept for offline reading carries somebody else's, or an old one.
  if (parameters.csrfmiddlewaretoken) parameters.csrfmiddlewaretoken = token();
});
