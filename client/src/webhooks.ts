/**
 * Verify the service's webhooks on a server: Standard Webhooks (https://www.standardwebhooks.com), on WebCrypto, so it runs on Node, Deno,
 * Bun and Workers.
 *
 * Pass the body exactly as it arrived: parsed and written again, it has another signature.
 */

import type { WebhookMessage } from "./schema.js";

/** A verified message. `id` is the same for each repetition of it: act once for each. Fulfil an order on `session.completed` only. */
export type WebhookEvent = { id: string } & WebhookMessage;

/** Why a message is refused. Answer 400 to all of them, except `secret`, which is a mistake in your settings. */
export type WebhookFault = "secret" | "headers" | "stale" | "signature" | "body";

export class WebhookError extends Error {
  readonly code: WebhookFault;

  constructor(code: WebhookFault, message: string) {
    super(message);
    this.name = "WebhookError";
    this.code = code;
  }
}

/** How a message is judged. */
export interface WebhookOptions {
  /** Seconds that the message may be old, or ahead of this machine's clock; 300 by default. */
  tolerance?: number;
  /** Seconds since 1970. */
  now?: number;
}

type HeaderBag = { get(name: string): string | null } | Record<string, string | string[] | undefined>;

/** Return the message if one of the secrets signed it. `secrets`: `whsec_...`; two while one is rotated. Throws WebhookError. */
export async function verifyWebhook(
  body: string | Uint8Array,
  headers: HeaderBag,
  secrets: string | readonly string[],
  options: WebhookOptions = {},
): Promise<WebhookEvent> {
  if (typeof body !== "string" && !ArrayBuffer.isView(body)) {
    throw new WebhookError("body", "Pass the body as it arrived, as text or bytes: a parsed one cannot be verified. In Express, use express.raw().");
  }
  const [id, sent, signatures] = ["id", "timestamp", "signature"].map((name) => header(headers, `webhook-${name}`));
  if (!id || !sent || !signatures) throw new WebhookError("headers", "A webhook- header is missing.");
  const age = (options.now ?? Date.now() / 1000) - Number(sent);
  if (!/^\d+$/.test(sent) || Math.abs(age) > (options.tolerance ?? 300)) {
    throw new WebhookError("stale", "The message is too old, or this machine's clock is wrong.");
  }
  const encoder = new TextEncoder();
  const start = encoder.encode(`${id}.${sent}.`);
  const content = typeof body === "string" ? encoder.encode(body) : body;
  const signed = new Uint8Array(start.length + content.length);
  signed.set(start);
  signed.set(content, start.length);
  const candidates = signatures.split(" ").filter((each) => each.startsWith("v1,")).map((each) => bytesOf(each.slice(3)));
  for (const secret of [secrets].flat() as string[]) {
    const raw = secret.startsWith("whsec_") ? bytesOf(secret.slice(6)) : null;
    if (!raw?.length) throw new WebhookError("secret", "A webhook secret begins with whsec_ and continues in base64.");
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const signature of candidates) {
      if (signature && (await crypto.subtle.verify("HMAC", key, signature, signed))) return parsed(content, id);
    }
  }
  throw new WebhookError("signature", "No secret of ours signed this message as it arrived.");
}

function parsed(content: Uint8Array, id: string): WebhookEvent {
  try {
    return { ...JSON.parse(new TextDecoder().decode(content)), id };
  } catch {
    throw new WebhookError("body", "The message is signed, and is not JSON.");
  }
}

/** Headers as fetch has them, or as Node has them: lower case, a list for a repeated one. */
function header(headers: HeaderBag, name: string): string | null {
  const value = typeof headers.get === "function" ? headers.get(name) : (headers as Record<string, string | string[] | undefined>)[name];
  return typeof value === "string" ? value : null;
}

/** Strict base64, or null. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return /^[\w+/]+={0,2}$/.test(text) ? Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}
