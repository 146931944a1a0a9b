"""Google Cloud KMS's wire, as far as a hot wallet needs it: GetPublicKey and AsymmetricSign over gRPC, by Google's own messages."""

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
    """The service; `key` holds its faults."""

    def __init__(self, key: DevKey) -> None:
        """Nothing listens before `start`."""
        self.key = key
        self._server: Any = None

    async def start(self) -> str:
        """Listen on the loopback; the endpoint, as GCP_KMS_ENDPOINT takes it."""
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
        def method(serve: Any, asked: Any, answered: Any) -> RpcMethodHandler:
            return unary(
                serve, request_deserializer=asked.pb().FromString, response_serializer=answered.pb().SerializeToString
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
        if self.key.take("throttle"):
            await context.abort(StatusCode.RESOURCE_EXHAUSTED, "quota")
        if self.key.take("unwell"):
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
        answer = types.PublicKey(
            name=self._shown(),
            pem=pem.decode(),
            pem_crc32c=self._sum(pem),
            algorithm=algorithm,
            protection_level=self._level(),
        )
        return types.PublicKey.pb(answer)

    async def _sign(self, request: Any, context: Any) -> Any:
        await self._begin(request, context)
        digest = request.digest.sha256
        if len(digest) != 32:
            await context.abort(StatusCode.INVALID_ARGUMENT, "a digest has 32 bytes")
        if request.digest_crc32c.value != google_crc32c.value(digest):
            await context.abort(StatusCode.INVALID_ARGUMENT, "the digest was changed on its way")
        signature = self.key.sign(digest)
        if self.key.take("lose"):
            await context.abort(StatusCode.UNAVAILABLE, "the connection was lost")
        answer = types.AsymmetricSignResponse(
            name=self._shown(),
            signature=signature,
            signature_crc32c=self._sum(signature),
            verified_digest_crc32c=not self.key.faults.unverified,
            protection_level=self._level(),
        )
        return types.AsymmetricSignResponse.pb(answer)

    def _shown(self) -> str:
        return KEY_VERSION[:-1] + "2" if self.key.faults.other_name else KEY_VERSION

    def _sum(self, data: bytes) -> int:
        return int(google_crc32c.value(data)) ^ (1 if self.key.faults.bad_crc else 0)

    def _level(self) -> Any:
        return types.ProtectionLevel.SOFTWARE if self.key.faults.software else types.ProtectionLevel.HSM
