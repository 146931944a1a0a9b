"""A fake of AWS KMS at wire level: GetPublicKey and Sign of the JSON 1.1 protocol, with one key."""

import asyncio
import base64
import binascii
import uuid
from typing import Any, Final

import orjson
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from onramp.dev.kms.server import DevKey

KEY_ID: Final = "alias/onramp-development"
_ARN: Final = "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000"


class FakeAwsKms:
    """The fake service with one key; `key.faults` are the faults to simulate."""

    def __init__(self, key: DevKey) -> None:
        self.key = key

    def app(self) -> web.Application:
        """Return the aiohttp application to serve."""
        app = web.Application()
        app.router.add_post("/", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.key.requests += 1
        faults = self.key.faults
        body: dict[str, Any] = orjson.loads(await request.read())
        self.key.last_request = body
        operation = request.headers.get("X-Amz-Target", "").removeprefix("TrentService.")
        await asyncio.sleep(faults.delay)
        if "Credential=" not in request.headers.get("Authorization", ""):
            return _error("MissingAuthenticationTokenException")
        if self.key.use_fault("throttle"):
            return _error("ThrottlingException")
        if self.key.use_fault("internal_error"):
            return _error("KMSInternalException", 500)
        if faults.denied:
            return _error("AccessDeniedException")
        if body.get("KeyId") not in {KEY_ID, _ARN}:
            return _error("NotFoundException")
        if faults.disabled:
            return _error("DisabledException")
        match operation:
            case "GetPublicKey":
                return _json(self._public_key())
            case "Sign":
                return self._sign(request, body)
            case _:
                return _error("UnknownOperationException")

    def _public_key(self) -> dict[str, Any]:
        return {
            "KeyId": _ARN,
            "PublicKey": base64.b64encode(self.key.public_key(Encoding.DER)).decode(),
            "KeySpec": "ECC_NIST_P256" if self.key.faults.another_curve else "ECC_SECG_P256K1",
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        }

    def _sign(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        try:
            message = base64.b64decode(body.get("Message", ""), validate=True)
        except (binascii.Error, TypeError):
            return _error("ValidationException")
        if body.get("SigningAlgorithm") != "ECDSA_SHA_256" or body.get("MessageType") != "DIGEST" or len(message) != 32:
            return _error("ValidationException")
        if body.get("DryRun"):
            return _error("DryRunOperationException", 412)
        signature = self.key.sign(message)
        if self.key.use_fault("lose_reply"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return _json(
            {"KeyId": _ARN, "Signature": base64.b64encode(signature).decode(), "SigningAlgorithm": "ECDSA_SHA_256"}
        )


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return web.Response(
        body=orjson.dumps(value), status=status, content_type="application/x-amz-json-1.1", headers=headers
    )


def _error(code: str, status: int = 400) -> web.Response:
    return _json({"__type": code, "message": f"The development service returns {code}."}, status)
