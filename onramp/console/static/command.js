// A command: a dialog says what it will do, then a passkey signs exactly that, or a code of the authenticator app confirms it.

import { render } from "./vendor/lit-html.js";
import { call, Problem } from "./api.js";
import { facts, html, input, nothing, time, toast } from "./ui.js";
import { words } from "./format.js";
import { assertion, assertShown, hasPasskeys } from "./passkey.js";

const dialog = document.getElementById("dialog");

/**
 * Ask, confirm, and send. Returns the service's answer, or undefined if the person went back.
 *
 * command: {title, sentence, button, method, path, body, fields, action, subject, details, danger, withoutCode, done, toBody, bare}
 */
export function run(command, page) {
  return new Promise((resolve) => {
    const opener = document.activeElement;
    const it = { command, page, values: { ...(command.body ?? {}) }, step: command.fields ? "ask" : "confirm", plan: null, failure: "", busy: false, useCode: false };
    const finish = (answer) => {
      dialog.onclose = null;
      dialog.close();
      render(nothing, dialog);
      opener?.focus?.();
      resolve(answer);
    };
    it.paint = () => render(view(it, finish), dialog);
    dialog.onclose = () => finish(undefined);
    // What is on its way cannot be taken back, so the dialog stays until the answer is there.
    dialog.oncancel = (event) => it.sending && event.preventDefault();
    it.paint();
    dialog.showModal();
    if (it.step === "confirm") prepare(it);
  });
}

const signs = ({ command }) => Boolean(command.action) && hasPasskeys();
const WITHOUT_PASSKEY = new Set(["not_found", "no_passkey", "passkeys_unavailable"]);
const needsCode = ({ command, page }) => page.session.secondFactor && !command.withoutCode;

/** Ask the service for the plan that a passkey signs. Where it has none for this command, the code remains. */
async function prepare(it) {
  if (!signs(it)) return;
  it.busy = true;
  it.blocked = false;
  it.paint();
  try {
    const { note = "", ...parameters } = bodyOf(it) ?? {};
    const { action } = it.command;
    const subject = textOf(it.command.subject, it);
    const plan = await call("POST", "/passkeys/challenges", { body: { action, subject, note, parameters } });
    await assertShown(plan, action, subject);
    it.plan = plan;
  } catch (problem) {
    it.plan = null;
    // Not every command is one that passkeys sign, and not everybody has one; a code is then what confirms it.
    if (WITHOUT_PASSKEY.has(problem.code)) it.useCode = needsCode(it);
    else Object.assign(it, { failure: problem.message, blocked: true });
  }
  it.busy = false;
  it.paint();
}

/** The command's body, which the passkey's plan contains field by field. Fields left empty are not sent. */
function bodyOf({ command, values }) {
  const sent = command.toBody ? command.toBody(values) : Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
  return Object.keys(sent).length ? sent : command.method === "DELETE" || command.bare ? undefined : {};
}

const textOf = (value, it) => (typeof value === "function" ? value(it.values) : value);

async function send(it, finish, event) {
  event.preventDefault();
  const form = event.currentTarget;
  const entered = Object.fromEntries(new FormData(form));
  if (it.step === "ask") {
    Object.assign(it.values, entered);
    it.step = "confirm";
    it.failure = "";
    it.paint();
    focusFirst();
    return prepare(it);
  }
  it.busy = it.sending = true;
  it.failure = "";
  it.paint();
  try {
    const headers = {};
    if (it.plan && !it.useCode) headers["X-Passkey"] = await assertion(it.plan);
    else if (entered.code) headers["X-OTP"] = entered.code;
    const { command } = it;
    const answer = await call(command.method, textOf(command.path, it), { body: bodyOf(it), headers });
    toast(textOf(command.done, it) ?? "Done.");
    finish(answer ?? null);
  } catch (problem) {
    it.busy = it.sending = false;
    it.failure = problem instanceof Problem ? problem.message : (problem.name === "NotAllowedError" ? "The passkey was not used: it was cancelled, took too long, or this device has none of yours. Nothing was sent." : `The passkey could not be used: ${problem.message}. Nothing was sent.`);
    // A challenge counts once, and a plan that changed must be shown again.
    if (it.plan && !it.useCode) await prepare(it);
    it.paint();
  }
}

function focusFirst() {
  dialog.querySelector("input, textarea, select, button.primary, button.danger")?.focus();
}

function view(it, finish) {
  const { command, step } = it;
  const asks = step === "ask";
  return html`<form method="dialog" @submit=${(event) => send(it, finish, event)}>
    <h2 id="dialog-title">${command.title}</h2>
    ${asks ? ask(it) : confirm(it)}
    ${it.failure ? html`<p class="banner bad" role="alert">${it.failure}</p>` : nothing}
    <div class="buttons">
      <button type="button" data-testid="dialog-back" ?disabled=${it.sending} @click=${() => finish(undefined)}>Do nothing</button>
      <button class=${command.danger ? "danger" : "primary"} data-testid="dialog-go" ?disabled=${it.busy || (it.blocked && !it.useCode)}>${asks ? "Show what will happen" : label(it)}</button>
    </div>
  </form>`;
}

function ask({ command, values }) {
  return html`<p>${textOf(command.sentence, { values })}</p>${command.fields.map((field) => html`<label>${field.label}${input(field, values[field.name] ?? "")}</label>`)}`;
}

function label(it) {
  const what = textOf(it.command.button, it);
  return it.plan && !it.useCode ? `${what} – sign with your passkey` : what;
}

function confirm(it) {
  const { command, plan } = it;
  const entered = Object.entries(it.values).filter(([name, value]) => value !== "" && !(name in (command.body ?? {})));
  return html`
    ${plan ? html`<p class="plan" data-testid="plan-sentence">${plan.sentence}</p>` : html`<p class="plan">${textOf(command.sentence, it)}</p>`}
    ${plan ? html`<p class="hash">Your passkey signs this hash: <code data-testid="plan-hash">${plan.hash}</code></p>
      <details><summary>Everything it signs</summary>${facts(Object.entries(plan.plan).map(([name, value]) => [words(name), typeof value === "object" ? JSON.stringify(value) : String(value)]))}</details>
      <p class="faint">Good until ${time(plan.expiresAt)}</p>` : nothing}
    ${plan ? nothing : facts([...(command.details ?? []), ...entered.map(([name, value]) => [command.fields?.find((field) => field.name === name)?.label ?? words(name), value])])}
    ${it.busy ? html`<p class="faint" aria-live="polite">${plan ? "Waiting for your passkey…" : "One moment…"}</p>` : nothing}
    ${needsCode(it) && (!plan || it.useCode) ? html`<label>Code of your authenticator app<input name="code" inputmode="numeric" pattern="[0-9]{6}" maxlength="6" required autocomplete="one-time-code" data-testid="dialog-code"></label>` : nothing}
    ${it.blocked ? html`<button type="button" class="quiet" @click=${() => ((it.failure = ""), prepare(it))}>Ask for the plan again</button>` : nothing}
    ${(plan || it.blocked) && needsCode(it) ? html`<button type="button" class="quiet" @click=${() => ((it.useCode = !it.useCode), it.paint())}>${it.useCode ? "Use the passkey instead" : "Use a code of the authenticator app instead"}</button>` : nothing}`;
}

