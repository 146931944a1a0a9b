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
