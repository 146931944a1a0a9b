// People: one's own session, second factor and passkeys; an admin's keys and invitations.

import { call, get, optional, pages } from "../api.js";
import { badge, button, facts, hex, html, nothing, section, table, time, toast } from "../ui.js";
import { register } from "../passkey.js";
import { drawCode } from "./sweeps.js";

const ROLES = ["viewer", "operator", "approver", "admin", "dapp"];
let secret = null;

export async function load(query, page) {
  const [passkeys, sessions, keys, invitations] = await Promise.all([
    optional(pages("/passkeys", {}, page.pages.passkeys)),
    optional(pages("/console/sessions", {}, page.pages.sessions)),
    page.can("admin") ? pages("/admin/keys", {}, page.pages.keys) : null,
    page.can("admin") ? pages("/admin/invitations", {}, page.pages.invitations) : null,
  ]);
  const toConfirm = query.id?.startsWith("key_") && page.can("approver") ? await optional(get(`/admin/keys/${encodeURIComponent(query.id)}/confirm`)) : null;
  return { passkeys, sessions, keys, invitations, toConfirm };
}

/** Show a secret once, until the person closes it. It is nowhere else on the page. */
function show(page, title, text, about) {
  secret = { title, text, about };
  page.paint();
}

async function enrolPasskey(page, count) {
  const { session } = page;
  const needsPermission = !count && !session.secondFactor;
  let name = "";
  const registration = await page.run({
    title: "Enrol a passkey",
    sentence: needsPermission ? "Your first passkey needs an admin's permission, or a second factor of your key, so that a stolen key or session cannot become you." : "The passkey stays on your device, and signs what you approve.",
    fields: [
      { name: "name", label: "What the device is", required: true, max: 80, placeholder: "Laptop" },
      ...(needsPermission ? [{ name: "permission", label: "Permission that an admin gave you", required: true, max: 100 }] : []),
    ],
    toBody: (values) => ((name = values.name ?? name), values.permission ? { permission: values.permission.trim() } : {}),
    button: "Enrol a passkey on this device",
    done: "Now confirm on your device.",
    method: "POST",
    path: "/passkeys/registration",
    action: count ? "passkey.enrol" : undefined,
    subject: "me",
  });
  if (!registration) return;
  try {
    await register(registration, name);
    toast("The passkey is enrolled.");
    await page.reloadSession();
    page.refresh();
  } catch (problem) {
    toast(problem.name === "NotAllowedError" ? "No passkey was made: it was cancelled or took too long." : problem.name === "InvalidStateError" ? "This device already has a passkey of yours." : problem.message);
  }
}

const removePasskey = (row, page) =>
  page.run({
    title: `Remove the passkey ${row.name}`,
    sentence: html`The passkey “${row.name}” of ${row.person} approves nothing any more. What it has signed can still be proved.`,
    button: `Remove ${row.name}`, danger: true, method: "DELETE", path: `/passkeys/${encodeURIComponent(row.id)}`, done: "Removed.",
  }).then(() => page.reloadSession());

async function permit(page) {
  const answer = await page.run({
    title: "Permit somebody's first passkey",
    sentence: "Makes a permission that its receiver uses once. Give it to them in a way that others cannot read: it makes a passkey in their name.",
    fields: [{ name: "person", label: "Person, as keys and sessions show them", required: true, max: 255 }],
    button: (values) => `Permit a passkey of ${values.person}`, method: "POST", path: "/admin/passkeys/permissions",
  });
  if (answer) show(page, `Permission for ${answer.person}`, answer.permission, html`Good once, until ${time(answer.expiresAt)}.`);
}

async function enrolCodes(page) {
  const enrolment = await page.run({ title: "Enrol a second factor", sentence: "Codes of an authenticator app. From then on every command of your key that changes something needs a code.", button: "Make a second factor", method: "POST", path: "/keys/me/otp", bare: true, done: "Scan it, then confirm its first code." });
  if (!enrolment) return;
  secret = { title: "Second factor", text: enrolment.secret, about: "Scan this with your authenticator app, or type the secret; then confirm with its first code.", uri: enrolment.uri };
  page.paint();
}

const confirmCodes = async (event, page) => {
  event.preventDefault();
  try {
    await call("POST", "/keys/me/otp/confirm", { body: { code: new FormData(event.currentTarget).get("first") } });
    secret = null;
    toast("The second factor is enrolled.");
    await page.reloadSession();
    page.refresh();
  } catch (problem) {
    toast(problem.message);
  }
};

const endSession = (row, page) =>
  page.run({
    title: "End a session",
    sentence: html`Ends the session of ${row.person} (${row.role}) that began at ${time(row.createdAt)}, at once.`,
    button: `End the session of ${row.person}`, danger: true, method: "DELETE", path: `/console/sessions/${encodeURIComponent(row.id)}`, done: "The session is ended.",
  });

async function createKey(page, invite) {
  const answer = await page.run({
    title: invite ? "Invite somebody" : "Create a key",
    sentence: invite ? "Makes a link that yields an API key to its receiver alone, once." : "The secret is shown once. An invitation is better: then nobody but its holder sees the secret.",
    fields: [
      { name: "role", label: "Role", kind: "select", options: ROLES.map((role) => [role, role]) },
      { name: "name", label: "What the key is for", required: true, max: 80 },
      { name: "person", label: "Person who holds it", required: true, max: 80 },
    ],
    button: (values) => (invite ? `Invite ${values.person} as ${values.role}` : `Create a key of ${values.person} as ${values.role}`),
    method: "POST", path: invite ? "/admin/invitations" : "/admin/keys",
  });
  if (!answer) return;
  if (invite) show(page, `Invitation for ${answer.person}`, answer.link, html`Works once, until ${time(answer.expiresAt)}.`);
  else show(page, `Secret of the key ${answer.name}`, answer.secret, "It is shown only now.");
}

async function rotate(row, page) {
  const answer = await page.run({
    title: `New secret for ${row.name}`, sentence: html`Makes a new secret for the key “${row.name}” of ${row.person}. The old one still works for a day.`,
    button: `Make a new secret for ${row.name}`, method: "POST", path: `/admin/keys/${encodeURIComponent(row.id)}/rotate`,
  });
  if (answer) show(page, `Secret of the key ${answer.name}`, answer.secret, "It is shown only now.");
}

const revoke = (row, page) =>
  page.run({
    title: `Revoke ${row.name}`, sentence: html`The key “${row.name}” of ${row.person} (${row.role}) is refused everywhere within five seconds, and its console sessions end.`,
    button: `Revoke the key ${row.name} of ${row.person}`, danger: true, method: "POST", path: `/admin/keys/${encodeURIComponent(row.id)}/revoke`, bare: true, done: "Revoked.",
  });

const withdraw = (row, page) =>
  page.run({
    title: "Withdraw an invitation", sentence: html`The link for ${row.person} (${row.role}) works no more.`,
    button: `Withdraw the invitation of ${row.person}`, danger: true, method: "DELETE", path: `/admin/invitations/${encodeURIComponent(row.id)}`, done: "Withdrawn.",
  });

const confirmKey = (row, page) =>
  page.run({
    title: `Confirm the key ${row.name}`, sentence: html`The key “${row.name}” of ${row.person} works as ${row.role} at once.`,
    details: [["Its newest secret was made", time(row.madeAt)], ["By", row.madeBy]],
    button: `Let the key ${row.name} of ${row.person} work now`, method: "POST", path: `/admin/keys/${encodeURIComponent(row.id)}/confirm`, body: { madeAt: row.madeAt }, action: "key.confirm", subject: row.id, done: "Confirmed.",
  });

function secretCard(page) {
  if (!secret) return nothing;
  if (secret.uri) requestAnimationFrame(() => drawCode(document.getElementById("qr-secret"), secret?.uri));
  return section(
    secret.title,
    html`<p>${secret.about}</p><div class="row"><code class="secret" data-testid="secret">${secret.text}</code><button type="button" data-copy=${secret.text}>Copy it</button></div>
      ${secret.uri
        ? html`<svg id="qr-secret" class="qr" role="img" aria-label="QR code for an authenticator app" viewBox="0 0 1 1"></svg>
            <form class="filters" @submit=${(event) => confirmCodes(event, page)}><label>First code<input name="first" inputmode="numeric" pattern="[0-9]{6}" maxlength="6" required autocomplete="one-time-code"></label><button class="primary">Confirm the second factor</button></form>`
        : nothing}`,
    { actions: button("I have kept it; hide it", () => ((secret = null), page.paint())) },
  );
}

function mine(page, passkeys) {
  const { session } = page;
  const count = passkeys?.data.filter((row) => row.person === session.person).length ?? session.passkeys;
  return section(
    "You",
    facts([["Person", session.person], ["Role", session.role], ["Logged in by", session.method === "oidc" ? "the company's account" : html`key ${hex(session.keyId, "key id")}`], ["Session ends", time(session.expiresAt)], ["Passkeys", String(count)], ["Codes of an app", session.secondFactor ? "enrolled" : "not enrolled"]]),
    { actions: html`${button("Enrol a passkey…", () => enrolPasskey(page, count), { kind: count ? "" : "primary" })}${session.method === "key" && !session.secondFactor ? button("Enrol a second factor…", () => enrolCodes(page)) : nothing}` },
  );
}

export function view({ passkeys, sessions, keys, invitations, toConfirm }, page) {
  const admin = page.can("admin");
  return html`
    ${secretCard(page)}
    ${toConfirm ? section(`Key ${toConfirm.name}`, facts([["Person", toConfirm.person], ["Role", toConfirm.role], ["Secret made", time(toConfirm.madeAt)], ["Made by", hex(toConfirm.madeBy)], ["Works from", time(toConfirm.activeFrom)]]), { actions: button("Confirm this key…", () => confirmKey(toConfirm, page), { kind: "primary" }) }) : nothing}
    ${mine(page, passkeys)}
    ${passkeys
      ? section("Passkeys", table({
          name: "passkeys", caption: "Passkeys", rows: passkeys.data, none: "No passkey is enrolled.", all: { path: "/passkeys" }, more: passkeys.nextCursor ? () => page.more("passkeys") : null,
          columns: [
            { title: "Device", value: (row) => row.name, cell: (row) => html`<strong>${row.name}</strong> ${row.backedUp ? html`<span class="faint">shared by the person's devices</span>` : nothing}` },
            { title: "Person", value: (row) => row.person },
            { title: "Enrolled", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
            { title: "Last used", value: (row) => row.lastUsedAt, cell: (row) => time(row.lastUsedAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => button(`Remove ${row.name}…`, () => removePasskey(row, page), { kind: "danger" }) },
          ],
        }), { actions: admin ? button("Permit somebody's first passkey…", () => permit(page)) : nothing })
      : nothing}
    ${sessions
      ? section("Sessions of the console", table({
          name: "sessions", caption: "Sessions of the console", rows: sessions.data, all: { path: "/console/sessions" }, more: sessions.nextCursor ? () => page.more("sessions") : null,
          columns: [
            { title: "Person", value: (row) => row.person, cell: (row) => html`<strong>${row.person}</strong> ${row.current ? html`<span class="badge good">this one</span>` : nothing}` },
            { title: "Role", value: (row) => row.role },
            { title: "By", value: (row) => row.method, cell: (row) => (row.method === "oidc" ? "account" : hex(row.keyId, "key id")) },
            { title: "Began", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
            { title: "Last used", value: (row) => row.lastUsedAt, cell: (row) => time(row.lastUsedAt) },
            { title: "Ends", value: (row) => row.expiresAt, cell: (row) => time(row.expiresAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => (row.current ? nothing : button("End it…", () => endSession(row, page), { kind: "danger" })) },
          ],
        }))
      : nothing}
    ${keys
      ? section("API keys", table({
          name: "keys", caption: "API keys", rows: keys.data, all: { path: "/admin/keys" }, more: keys.nextCursor ? () => page.more("keys") : null,
          columns: [
            { title: "Name", value: (row) => row.name, cell: (row) => html`<strong>${row.name}</strong>` },
            { title: "Id", value: (row) => row.id, cell: (row) => hex(row.id, "key id") },
            { title: "Role", value: (row) => row.role },
            { title: "Person", value: (row) => row.person },
            { title: "State", value: (row) => (row.revokedAt ? "revoked" : "active"), cell: (row) => (row.revokedAt ? badge("revoked") : Date.parse(row.activeFrom) > Date.now() ? html`<span class="badge warn">waits</span> until ${time(row.activeFrom)}` : badge("active")) },
            { title: "Second factor", value: (row) => row.secondFactor, cell: (row) => (row.secondFactor ? "yes" : "no") },
            { title: "Last used", value: (row) => row.lastUsedAt, cell: (row) => time(row.lastUsedAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => (row.revokedAt ? nothing : html`${button("New secret…", () => rotate(row, page), { kind: "quiet" })}${button("Revoke…", () => revoke(row, page), { kind: "danger" })}`) },
          ],
        }), { actions: html`${button("Invite somebody…", () => createKey(page, true), { kind: "primary" })}${button("Create a key…", () => createKey(page, false))}` })
      : nothing}
    ${invitations
      ? section("Invitations", table({
          name: "invitations", caption: "Invitations", rows: invitations.data, none: "Nobody was invited.", all: { path: "/admin/invitations" }, more: invitations.nextCursor ? () => page.more("invitations") : null,
          columns: [
            { title: "Person", value: (row) => row.person, cell: (row) => html`<strong>${row.person}</strong>` },
            { title: "Role", value: (row) => row.role },
            { title: "For", value: (row) => row.name },
            { title: "Status", value: (row) => row.status, cell: (row) => badge(row.status) },
            { title: "Created", value: (row) => row.createdAt, cell: (row) => time(row.createdAt) },
            { title: "Works until", value: (row) => row.expiresAt, cell: (row) => time(row.expiresAt) },
            { title: "", kind: "act", value: () => "", cell: (row) => (row.status === "open" ? button("Withdraw…", () => withdraw(row, page), { kind: "danger" }) : nothing) },
          ],
        }))
      : nothing}`;
}
