"""A fake of Google Cloud KMS at wire level: GetPublicKey and AsymmetricSign over gRPC, with Google's own message types."""

import asyncio
from typing import Any, Final

import google_crc32c
from cryptography.hazmat.primitives.serialization import Encoding
from google.cloud.kms_v1 import types
from grpc import GenericRpcHandler, RpcMethodHandler, StatusCode, aio, method_handlers_generic_handler
from grpc import unary_unary_rpc_method_handler as unary

from onramp.dev.kms.server import DevKey

KEY_VERSION: Final = "projects/onramp/locations/global/keyRings/development/cryptoKeys/hot-wallet/cryptoKeyVersions/1"
_SERVICE: Final = "google.cloud.kms.v1.KeyManagementService"


class FakeGcpKms:
    """The fake service with one key; `key.faults` are the faults to simulate."""

    def __init__(self, key: DevKey) -> None:
        self.key = key
        self._server: Any = None

    async def start(self) -> str:
        """Listen on the loopback interface; return the endpoint, a value for GCP_KMS_ENDPOINT."""
        self._server = aio.server()
        self._server.add_generic_rpc_handlers((self._handler(),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return f"127.0.0.1:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.stop(0)

    def _handler(self) -> GenericRpcHandler:
        def method(serve: Any, request: Any, response: Any) -> RpcMethodHandler:
            return unary(
                serve,
                request_deserializer=request.pb().FromString,
                response_serializer=response.pb().SerializeToString,
            )

        return method_handlers_generic_handler(
            _SERVICE,
            {
                "GetPublicKey": method(self._public_key, types.GetPublicKeyRequest, types.PublicKey),
                "AsymmetricSign": method(self._sign, types.AsymmetricSignRequest, types.AsymmetricSignResponse),
            },
        )

    async def _begin(self, request: Any, context: Any) -> None:
        self.key.requests += 1
        faults = self.key.faults
        await asyncio.sleep(faults.delay)
        if self.key.use_fault("throttle"):
            await context.abort(StatusCode.RESOURCE_EXHAUSTED, "quota")
        if self.key.use_fault("internal_error"):
            await context.abort(StatusCode.INTERNAL, "internal")
        if faults.denied:
            await context.abort(StatusCode.PERMISSION_DENIED, "denied")
        if request.name != KEY_VERSION:
            await context.abort(StatusCode.NOT_FOUND, "no such version")
        if faults.disabled:
            await context.abort(StatusCode.FAILED_PRECONDITION, "not enabled")

    async def _public_key(self, request: Any, context: Any) -> Any:
        await self._begin(request, context)
        pem = self.key.public_key(Encoding.PEM)
        algorithms = types.CryptoKeyVersion.CryptoKeyVersionAlgorithm
        algorithm = (
            algorithms.EC_SIGN_P256_SHA256 if self.key.faults.another_curve else algorithms.EC_SIGN_SECP256K1_SHA256
        )
        response = types.PublicKey(
            name=self._version_name(),
            pem=pem.decode(),
            pem_crc32c=self._checksum(pem),
            algorithm=algorithm,
            protection_level=self._protection_level(),
        )
        return types.PublicKey.pb(response)

    async def _sign(self, request: Any, context: Any) -> Any:
        await self._begin(request, context)
        digest = request.digest.sha256
        if len(digest) != 32:
            await context.abort(StatusCode.INVALID_ARGUMENT, "a digest has 32 bytes")
        if request.digest_crc32c.value != google_crc32c.value(digest):
            await context.abort(StatusCode.INVALID_ARGUMENT, "the digest was changed in transit")
        signature = self.key.sign(digest)
        if self.key.use_fault("lose_reply"):
            await context.abort(StatusCode.UNAVAILABLE, "the connection was lost")
        response = types.AsymmetricSignResponse(
            name=self._version_name(),
            signature=signature,
            signature_crc32c=self._checksum(signature),
            verified_digest_crc32c=not self.key.faults.unverified,
            protection_level=self._protection_level(),
        )
        return types.AsymmetricSignResponse.pb(response)

    def _version_name(self) -> str:
        return KEY_VERSION[:-1] + "2" if self.key.faults.other_name else KEY_VERSION

    def _checksum(self, data: bytes) -> int:
        return int(google_crc32c.value(data)) ^ (1 if self.key.faults.bad_crc else 0)

    def _protection_level(self) -> Any:
        return types.ProtectionLevel.SOFTWARE if self.key.faults.software else types.ProtectionLevel.HSM
