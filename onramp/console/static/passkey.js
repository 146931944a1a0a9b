// Passkeys: the browser's side of WebAuthn. The service makes the options and checks the answers.

import { call } from "./api.js";

export const hasPasskeys = () => typeof PublicKeyCredential === "function" && Boolean(navigator.credentials);

function bytes(base64url) {
  const raw = atob(base64url.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
}

function base64url(buffer) {
  const raw = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const descriptors = (list = []) => list.map((item) => ({ ...item, id: bytes(item.id) }));

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), allowCredentials: descriptors(json.allowCredentials) };
}

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  return { ...json, challenge: bytes(json.challenge), user: { ...json.user, id: bytes(json.user.id) }, excludeCredentials: descriptors(json.excludeCredentials) };
}

function toJson(credential) {
  if (credential.toJSON) return credential.toJSON();
  const { response } = credential;
  const parts = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) parts[name] = base64url(response[name]);
  }
  if (response.getTransports) parts.transports = response.getTransports();
  return {
    id: credential.id, rawId: base64url(credential.rawId), type: credential.type, response: parts,
    authenticatorAttachment: credential.authenticatorAttachment, clientExtensionResults: credential.getClientExtensionResults(),
  };
}

/** JSON with sorted members and without white space: the form of a plan whose hash is signed. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

/**
 * Make sure that the device will sign the plan that is shown, and that it is the plan of this command.
 *
 * The hash is calculated here from the members on the screen; a challenge that is something else is not handed to the device.
 */
export async function assertShown(challenge, action, subject) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(canonical(challenge.plan)));
  const hex = `0x${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const isRight = hex === challenge.hash && base64url(digest) === challenge.options.challenge
    && challenge.plan.action === action && challenge.plan.subject === subject && challenge.plan.sentence === challenge.sentence;
  if (!isRight) throw new Error("the service asked for a signature of something else than what is shown; tell its administrator");
}

/** Let the person's device sign a challenge's plan; return the value of the header X-Passkey. */
export async function assertion(challenge) {
  const credential = await navigator.credentials.get({ publicKey: requestOptions(challenge.options) });
  const signed = JSON.stringify({ challenge: challenge.id, credential: toJson(credential) });
  return base64url(new TextEncoder().encode(signed));
}

/** Make a passkey on this device for an enrolment that the service has begun. */
export async function register(registration, name) {
  const credential = await navigator.credentials.create({ publicKey: creationOptions(registration.options) });
  return call("POST", "/passkeys", { body: { registration: registration.id, name, credential: toJson(credential) } });
}
