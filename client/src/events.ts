/** Server-sent events from a response body (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). */

/** One event; `id` is the last one that the stream has named. */
export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

/** Yield the events of a stream; `onBytes` is called for whatever arrives, comments included. An unfinished event at the end is dropped. */
export async function* eventsOf(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let id = "";
  let event = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const text = rest + decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line end.
      const lines = text.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, field, content = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (field === "data") data.push(content);
        else if (field === "event") event = content;
        else if (field === "id") id = content;
        if (line !== "") continue;
        if (data.length) yield { id, event: event || "message", data: data.join("\n") };
        event = "";
        data = [];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
