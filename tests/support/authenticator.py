"""An authenticator in software: it creates passkeys (ES256) and signs challenges, as a browser with a security key would return them."""

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from kit.signed_plans.webauthn import encode
from tests.support.api_keys import call

USER_PRESENT, USER_VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
BASE = "/api/v1/passkeys"


@dataclass(slots=True)
class Authenticator:
    """One device with at most one passkey. `step` is how far its counter goes with each signature; 0: it has no counter."""

    origin: str = "http://localhost"
    step: int = 1
    flags: int = USER_PRESENT | USER_VERIFIED
    counter: int = 0
    credential: bytes = field(default_factory=lambda: os.urandom(32))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def clone(self) -> "Authenticator":
        """Return another device with the same private key and the same counter."""
        return copy.copy(self)

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return RegistrationResponseJSON."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + cbor2.dumps(public)
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        statement = {"fmt": "none", "attStmt": {}, "authData": data}
        return {
            "id": encode(self.credential),
            "rawId": encode(self.credential),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(self._client_data("webauthn.create", options["challenge"])),
                "attestationObject": encode(cbor2.dumps(statement)),
                "transports": ["usb"],
            },
            "clientExtensionResults": {},
        }

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return AuthenticationResponseJSON."""
        self.counter += self.step
        data = self._data(options["rpId"])
        client_data = self._client_data("webauthn.get", options["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        return {
            "id": encode(self.credential),
            "rawId": encode(self.credential),
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(client_data),
                "authenticatorData": encode(data),
                "signature": encode(signature),
                "userHandle": None,
            },
            "clientExtensionResults": {},
        }

    def header(self, challenge: Mapping[str, Any]) -> str:
        """Return the header `X-Passkey` for a challenge of the API."""
        return as_header(challenge["id"], self.get(challenge["options"]))

    def _data(self, rp_id: str, more: int = 0) -> bytes:
        flags = self.flags | more
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()


def as_header(challenge: str, credential: Mapping[str, Any]) -> str:
    """Return the value of the header `X-Passkey`."""
    return encode(json.dumps({"challenge": challenge, "credential": dict(credential)}).encode())


@dataclass(slots=True)
class Person:
    """A person with an API key and a device; `otp` makes codes of the key's second factor."""

    service: Any
    secret: str
    device: Authenticator = field(default_factory=Authenticator)
    passkey: str = ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send a request as a page of the console on `http://localhost` would."""
        sent = {"Authorization": f"Bearer {self.secret}", "Origin": "http://localhost"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        more = {} if body is None else {"json": body}
        url = self.service.api + path
        async with self.service.http.request(method, url, headers=sent, **more) as response:
            return response.status, await response.json(content_type=None)

    async def enrol(self, **proof: Any) -> dict[str, Any]:
        """Enrol the device; `proof` are headers, or `permission`. Return the passkey."""
        permission = proof.pop("permission", None)
        body = {} if permission is None else {"permission": permission}
        status, begun = await self.ask("POST", f"{BASE}/registration", body, **proof)
        assert status == 201, begun
        answer = {"registration": begun["id"], "name": "Laptop", "credential": self.device.create(begun["options"])}
        status, made = await self.ask("POST", BASE, answer)
        assert status == 201, made
        self.passkey = made["id"]
        return dict(made)

    async def challenge(self, action: str, subject: str, **more: Any) -> dict[str, Any]:
        """Return the plan of a command and its challenge."""
        body = {"action": action, "subject": subject, **more}
        status, challenge = await self.ask("POST", f"{BASE}/challenges", body)
        assert status == 201, challenge
        return dict(challenge)

    async def command(self, path: str, challenge: Mapping[str, Any], body: Any = None) -> tuple[int, Any]:
        """Send a command with this device's signature of the challenge."""
        return await self.ask("POST", path, body, X_Passkey=self.device.header(challenge))


async def permit(service: Any, admin: str, person: str) -> str:
    """Return an admin's permission for `person` to enrol."""
    status, made = await call(service, "POST", "/api/v1/admin/passkeys/permissions", admin, json={"person": person})
    assert status == 201, made
    return str(made["permission"])
