// Live changes: the service says what changed, and the screen reads it again. Without that stream the screen still reads at intervals.

const POLL_MS = 15_000;
const RETRY_MS = 3_000;
const GRACE_MS = 2_500;

export class Live {
  #source = null;
  #timer = null;
  #polling = null;
  #lostAt = null;

  /** `changed(kind, id)` at each change; `state(lostAt)` when the connection is lost (its time) or back (null); `poll()` at intervals. */
  constructor({ changed, state, poll }) {
    this.changed = changed;
    this.state = state;
    this.poll = poll;
  }

  start() {
    if (this.#source) return;
    const source = new EventSource("/api/v1/changes");
    this.#source = source;
    source.onopen = () => {
      const wasLost = this.#lostAt !== null;
      this.#lostAt = null;
      this.state(null);
      if (wasLost) this.changed("connection", "");
    };
    source.addEventListener("change", (event) => {
      try {
        const { kind, id } = JSON.parse(event.data);
        this.changed(kind, id);
      } catch {
        this.changed("unknown", "");
      }
    });
    source.onerror = () => this.#lost();
    this.#polling ??= setInterval(this.poll, POLL_MS);
  }

  #lost() {
    this.#source?.close();
    this.#source = null;
    this.#lostAt ??= new Date();
    clearTimeout(this.#timer);
    // A stream that is cut and comes back at once is no news.
    setTimeout(() => this.#lostAt && this.state(this.#lostAt), GRACE_MS);
    this.#timer = setTimeout(() => {
      this.poll();
      this.start();
    }, RETRY_MS);
  }

  stop() {
    clearTimeout(this.#timer);
    clearInterval(this.#polling);
    this.#source?.close();
    this.#source = this.#timer = this.#polling = this.#lostAt = null;
  }
}
