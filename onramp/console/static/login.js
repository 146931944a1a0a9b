// Log in with an API key, which is exchanged for a session at once and kept nowhere, or with the company's account.

import { call } from "./api.js";
import { html, nothing } from "./ui.js";

let failure = "";
let needsCode = false;
let busy = false;

const CODES = new Set(["otp_required", "otp_invalid"]);

export function view(state, actions) {
  const { login } = state.config ?? { login: { key: true, oidc: null } };
  const submit = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const values = Object.fromEntries(new FormData(form));
    busy = true;
    failure = "";
    actions.paint();
    try {
      const session = await call("POST", "/console/sessions", { body: { key: values.key.trim(), code: values.code?.trim() || null } });
      form.reset();
      needsCode = busy = false;
      actions.done(session);
    } catch (problem) {
      busy = false;
      needsCode ||= CODES.has(problem.code);
      failure = problem.code === "otp_required" ? "This key has a second factor: enter the code of your authenticator app." : problem.message;
      actions.paint();
      form.querySelector(needsCode ? "[name=code]" : "[name=key]")?.focus();
    }
  };
  return html`<main class="login" id="main" data-screen="login">
    <h1>Onramp console</h1>
    ${state.note ? html`<p class="banner calm" role="status">${state.note}</p>` : nothing}
    ${failure ? html`<p class="banner bad" role="alert">${failure}</p>` : nothing}
    ${login.oidc ? html`<a class="primary button" data-testid="oidc" href=${safe(login.oidc.url)} target="_self">Log in with ${login.oidc.name}</a>` : nothing}
    ${login.key ? html`<form @submit=${submit} autocomplete="off">
      <label>API key<input name="key" type="password" required minlength="8" maxlength="200" autocomplete="off" spellcheck="false" placeholder="ork_…" data-testid="key"></label>
      ${needsCode ? html`<label>Code of your authenticator app<input name="code" inputmode="numeric" pattern="[0-9]{6}" maxlength="6" required autocomplete="one-time-code" data-testid="code"></label>` : nothing}
      <button class=${login.oidc ? "" : "primary"} ?disabled=${busy} data-testid="login">Log in with this key</button>
      <p class="faint">The key is exchanged for a session of 8 hours and is not kept in this browser.</p>
    </form>` : nothing}
  </main>`;
}

/** The login's address is a path of this service; anything else is not followed. */
const safe = (url) => (/^\/console\/[a-z/]+$/.test(url) ? url : "/console");
