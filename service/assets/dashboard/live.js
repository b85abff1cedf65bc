// Talking to the service: JSON, and server-sent events over fetch (so that a key can be sent, which EventSource cannot).

const KEY = "ecomap-key";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the service answered ${status}`);
    this.status = status;
  }
}

export function setKey(key) {
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
}

function headers(more) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

export async function ask(path, body) {
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => null));
  return response.json();
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Follows events until `signal` aborts. Goes on after the last event that arrived, also when the service was away.
export async function follow(path, { signal, onEvent, onState }) {
  let last = null;
  let wait = 500;
  while (!signal.aborted) {
    try {
      const response = await fetch(path, {
        headers: headers({ Accept: "text/event-stream", ...(last === null ? {} : { "Last-Event-ID": last }) }),
        cache: "no-store",
        signal,
      });
      if (!response.ok) throw new Refused(response.status);
      onState("live");
      wait = 500;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += value;
        const blocks = text.split(/\r?\n\r?\n/);
        text = blocks.pop();
        for (const block of blocks) {
          const event = parse(block);
          if (event.id !== null) last = event.id;
          if (event.data !== "") onEvent(event);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && (error.status === 401 || error.status === 403 || error.status === 404)) {
        onState("lost", error);
        return;
      }
    }
    if (signal.aborted) return;
    onState("lost");
    await pause(wait);
    wait = Math.min(wait * 2, 8000);
  }
}

function parse(block) {
  const event = { id: null, type: "message", data: "" };
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (field === "id") event.id = value;
    else if (field === "event") event.type = value;
    else if (field === "data") data.push(value);
  }
  event.data = data.join("\n");
  return event;
}
