// A question sent, its answer read as it comes: server-sent events by fetch, which (unlike
// EventSource) tells why it was refused and never asks again by itself.

/** The server's own words about why there is no answer (HTML), and when to go on (seconds). */
export class Refused extends Error {
  constructor(html, wait) {
    super("refused");
    Object.assign(this, { html, wait });
  }
}

function* events(block) {
  const lines = block.split("\n");
  const name = lines.find((it) => it.startsWith("event:"))?.slice(6).trim();
  const data = lines.filter((it) => it.startsWith("data:")).map((it) => it.slice(5).replace(/^ /, ""));
  if (name) yield { name, data: data.join("\n") };
}

/** Every event up to "done". Throws where the connection breaks before that. */
export async function* stream(address, fields, signal) {
  const response = await fetch(`${address}?${new URLSearchParams(fields)}`, { signal, cache: "no-store" });
  if (response.status === 400 || response.status === 429) {
    throw new Refused(await response.text(), Number(response.headers.get("Retry-After")) || 0);
  }
  if (!response.ok || !response.body) throw new TypeError(`the server answered ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new TypeError("the answer broke off");
    const blocks = (waiting + value).split("\n\n");
    waiting = blocks.pop();
    for (const event of blocks.flatMap((it) => [...events(it)])) {
      if (event.name === "done") return;
      yield event;
    }
  }
}
