// Calls of /api/v1. The session is a cookie that no script can read; nothing is kept in the browser's storage.

const TIMEOUT_MS = 20_000;
const EXPORT_PAGES = 2_000;
const ACTIVE_MS = 60_000;

/** When the person last did something. A session that only its page keeps busy ends like one that nobody uses. */
export const person = { activeAt: Date.now() };

/** A refusal of the service, or the lack of an answer (status 0). */
export class Problem extends Error {
  constructor(status, code, detail, errors = []) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors;
  }
}

/** Return a query string with its question mark; values that are empty are left out. */
export function queryString(query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

/** Call a route; return its JSON, or null without a body. Throws Problem. */
export async function call(method, path, { body, headers = {}, query } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET") sent["X-Onramp-Console"] = "1";
  if (Date.now() - person.activeAt > ACTIVE_MS) sent["X-Onramp-Background"] = "1";
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(`/api/v1${path}${queryString(query)}`, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new Problem(0, "unreachable", "The service does not answer.");
  }
  const text = await response.text().catch(() => "");
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    throw new Problem(response.status, "unreadable", `The service answered ${response.status} with something that is not JSON.`);
  }
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer?.code ?? "http_error", answer?.detail ?? `The service answered ${response.status}.`, answer?.errors);
  if (response.status === 401 && ["unauthorized", "session_ended"].includes(problem.code)) window.dispatchEvent(new CustomEvent("onramp:signed-out"));
  throw problem;
}

export const get = (path, query) => call("GET", path, { query });

/** Read the first `count` pages of a list as one: `data` of all of them, and the cursor of the next one. */
export async function pages(path, query, count = 1) {
  const first = await get(path, query);
  const data = [...first.data];
  let cursor = first.nextCursor;
  for (let page = 1; page < count && cursor; page += 1) {
    const next = await get(path, { ...query, cursor });
    data.push(...next.data);
    cursor = next.nextCursor;
  }
  return { ...first, data, nextCursor: cursor };
}

/** Read every page of a list, for an export. */
export async function everything(path, query) {
  const { data } = await pages(path, { ...query, limit: 100 }, EXPORT_PAGES);
  return data;
}

/** Return null where the route is refused to this role or does not exist; a screen then leaves that part out. */
export async function optional(promise) {
  try {
    return await promise;
  } catch (problem) {
    if (problem instanceof Problem && [403, 404, 405].includes(problem.status)) return null;
    throw problem;
  }
}
