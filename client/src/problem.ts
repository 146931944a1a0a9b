/** What goes wrong, as one class: the service's problems by their codes, and a service that cannot be reached. */

import type { Routes, ServerProblemCode } from "./schema.js";

/** The codes that the service documents, and this client's own. Stripe's refusals have Stripe's codes, so there are others. */
export type Code = Routes[keyof Routes]["codes"] | ServerProblemCode | "unreachable" | "unexpected";

/** What the service says about one field; `pointer` is a JSON pointer such as `/sourceAmount`. */
export interface FieldError {
  pointer: string;
  detail: string;
}

/** The parts of a problem. */
export interface ProblemFields<C extends string = string> {
  status: number;
  code: C;
  title: string;
  detail: string;
  errors?: FieldError[] | undefined;
  requestId?: string | null | undefined;
  retryAfter?: number | null | undefined;
}

/** An answer that is not a success. Decide by `code`; `message` is a sentence for people. */
export class OnrampProblem<C extends string = string> extends Error {
  /** The HTTP status; 0 if the service was not reached, or did not answer in time. */
  readonly status: number;
  readonly code: C;
  readonly title: string;
  readonly errors: readonly FieldError[];
  /** What the operator needs to find this request in the log; null if there was no answer. */
  readonly requestId: string | null;
  /** Seconds after which the same request may be sent again; null if the service names no time. */
  readonly retryAfter: number | null;

  constructor(fields: ProblemFields<C>) {
    super(fields.detail || fields.title);
    this.name = "OnrampProblem";
    this.status = fields.status;
    this.code = fields.code;
    this.title = fields.title;
    this.errors = fields.errors ?? [];
    this.requestId = fields.requestId ?? null;
    this.retryAfter = fields.retryAfter ?? null;
  }

  /** Return the service's sentence about one field of the request, such as `/sourceAmount`; null if it has none. */
  at(pointer: string): string | null {
    return this.errors.find((error) => error.pointer.replace(/^#/, "") === pointer)?.detail ?? null;
  }
}

/** Return whether an error is a problem, and of this code if one is given. */
export function isProblem(error: unknown): error is OnrampProblem;
export function isProblem<C extends Code>(error: unknown, code: C): error is OnrampProblem<C>;
export function isProblem(error: unknown, code?: string): boolean {
  return error instanceof OnrampProblem && (code === undefined || error.code === code);
}

/** Return the problem of a request that got no answer. */
export function unreachable(detail = "The service could not be reached. Check your connection and try again."): OnrampProblem {
  return new OnrampProblem({ status: 0, code: "unreachable", title: "No connection", detail });
}

/** Return the problem of an answer that this service did not write, such as a proxy's page. */
export function notUnderstood(status: number): OnrampProblem {
  const detail = "The service gave an answer that cannot be understood. Try again in a moment.";
  return new OnrampProblem({ status, code: "unexpected", title: "Unexpected answer", detail });
}

/** Return the problem that a response describes; one of a server of your own may pass on the service's. */
export async function problemOf(response: Response): Promise<OnrampProblem> {
  const body = await response.json().catch(() => null);
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  if (typeof body?.code !== "string" || typeof body.detail !== "string") return notUnderstood(response.status);
  const requestId = response.headers.get("X-Request-Id") ?? body.requestId;
  return new OnrampProblem({ ...body, status: response.status, requestId, retryAfter: seconds >= 0 ? seconds : null });
}
