"""Google Cloud KMS through its official async client (cloud.google.com/kms/docs/create-validate-signatures).

The key version is the identity: EC_SIGN_SECP256K1_SHA256, at protection level HSM in production. Google asks its callers to
protect data in transit by CRC32C both ways (cloud.google.com/kms/docs/data-integrity-guidelines); a response whose checksum is wrong is
thrown away.
"""

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from treasury.signers.protocol import SignerError, SignerRefused, SignerUnavailable
from treasury.signers.remote import ATTEMPT_SECONDS, KeySignature, SignerThrottled

if TYPE_CHECKING:
    from google.cloud.kms_v1 import KeyManagementServiceAsyncClient

_SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
_TOKEN_SECONDS: Final = 2.0
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
REFUSED: Final = {
    "PermissionDenied": "Google Cloud KMS does not allow this identity to use the hot wallet's key: it needs roles/cloudkms.signer and viewPublicKey.",
    "Unauthenticated": "Google Cloud does not know the credentials of this service.",
    "NotFound": "Google Cloud KMS has no key version GCP_KMS_KEY_VERSION.",
    "FailedPrecondition": "The hot wallet's key version is not enabled in Google Cloud KMS.",
    "InvalidArgument": "Google Cloud KMS rejects GCP_KMS_KEY_VERSION as invalid, or its key is of another kind.",
}
_CORRUPT: Final = "A response of Google Cloud KMS was corrupted in transit; it was thrown away."


class GcpKms:
    """A hot-wallet key in Google Cloud KMS. Implements `KeyService`; raises SignerError only."""

    def __init__(self, key_version: str, *, endpoint: str = "", require_hsm: bool = True) -> None:
        """Name the key: `key_version` is projects/.../cryptoKeyVersions/N.

        `endpoint` is the host and port of another server; only loopback is reached without TLS.
        """
        self._name = key_version
        self._endpoint = endpoint
        self._require_hsm = require_hsm
        self._client: KeyManagementServiceAsyncClient | None = None

    async def public_key(self) -> bytes:
        """Return the public key as SubjectPublicKeyInfo in DER, converted from Google's PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
        from google.cloud.kms_v1 import CryptoKeyVersion

        response = await self._call("get_public_key", {"name": self._name})
        pem = response.pem.encode()
        if response.name != self._name or response.pem_crc32c != _crc32c(pem):
            raise SignerUnavailable(_CORRUPT)
        if response.algorithm != CryptoKeyVersion.CryptoKeyVersionAlgorithm.EC_SIGN_SECP256K1_SHA256:
            raise SignerRefused("The key version is not of the algorithm EC_SIGN_SECP256K1_SHA256.")
        self._check_level(response.protection_level)
        try:
            return load_pem_public_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except ValueError:
            raise SignerRefused("The key service returned something that is not a public key.") from None

    async def sign(self, digest: bytes) -> KeySignature:
        """Sign a digest of 32 bytes without hashing it again. KMS names the field sha256 even if the bytes are another hash. Raises SignerError."""
        # Google's audit log keeps this header, so that our signatures can be told from others.
        request_id = "gcp-" + secrets.token_hex(16)
        request = {"name": self._name, "digest": {"sha256": digest}, "digest_crc32c": _crc32c(digest)}
        response = await self._call("asymmetric_sign", request, (("x-goog-request-reason", request_id),))
        intact = response.verified_digest_crc32c and response.name == self._name
        if not intact or response.signature_crc32c != _crc32c(response.signature):
            raise SignerUnavailable(_CORRUPT)
        self._check_level(response.protection_level)
        return KeySignature(bytes(response.signature), request_id)

    async def probe(self) -> None:
        """Do nothing: Google has no dry run. A disabled key version does not return its public key, and `RemoteSigner.probe` reads that first."""

    async def close(self) -> None:
        """Close the connection to KMS."""
        if self._client is not None:
            await self._client.transport.close()  # type: ignore[no-untyped-call] # Google leaves it untyped
            self._client = None

    def _check_level(self, level: Any) -> None:
        from google.cloud.kms_v1 import ProtectionLevel

        if self._require_hsm and level != ProtectionLevel.HSM:
            raise SignerRefused("The hot wallet's key is not kept in hardware (protection level HSM).")

    async def _call(self, name: str, request: dict[str, Any], metadata: tuple[tuple[str, str], ...] = ()) -> Any:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.auth.exceptions import GoogleAuthError

        try:
            if self._client is None:
                # Finding the credentials reads files and, on Google's machines, asks their metadata server, without a time limit of its own.
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    self._client = await _connect(self._endpoint)
            method = getattr(self._client, name)
            # The client's own time limit does not cover the wait for a token.
            async with asyncio.timeout(ATTEMPT_SECONDS + _TOKEN_SECONDS):
                return await method(request=request, timeout=ATTEMPT_SECONDS, retry=None, metadata=metadata)
        except TimeoutError:
            raise SignerUnavailable(
                "Google Cloud KMS, or the server of its credentials, did not respond in time."
            ) from None
        except GoogleAPICallError as error:
            raise _error_of(type(error).__name__) from None
        except (GoogleAuthError, RetryError, OSError) as error:
            raise SignerUnavailable(f"Google Cloud KMS cannot be reached ({type(error).__name__}).") from None


def _error_of(kind: str) -> SignerError:
    if kind in {"ResourceExhausted", "TooManyRequests"}:
        return SignerThrottled("Google Cloud KMS limits the rate of requests.")
    if kind in REFUSED:
        return SignerRefused(REFUSED[kind])
    if kind == "DeadlineExceeded":
        return SignerUnavailable("Google Cloud KMS did not respond in time.")
    return SignerUnavailable(f"Google Cloud KMS failed ({kind}).")


def is_loopback(endpoint: str) -> bool:
    """Return whether `endpoint` (host and port) is this machine, so that it may be called without TLS and credentials."""
    return urlsplit(f"//{endpoint}").hostname in LOOPBACK


async def _connect(endpoint: str) -> "KeyManagementServiceAsyncClient":
    from google.cloud.kms_v1 import KeyManagementServiceAsyncClient

    if not endpoint or not is_loopback(endpoint):
        from google.api_core.client_options import ClientOptions

        # In a thread, because it blocks.
        credentials = await asyncio.to_thread(_credentials)
        options = ClientOptions(api_endpoint=endpoint) if endpoint else None
        return KeyManagementServiceAsyncClient(credentials=credentials, client_options=options)
    from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcAsyncIOTransport
    from grpc import aio

    transport = KeyManagementServiceGrpcAsyncIOTransport(channel=aio.insecure_channel(endpoint))
    return KeyManagementServiceAsyncClient(transport=transport)


def _credentials() -> Any:
    import google.auth

    credentials, _ = google.auth.default(scopes=_SCOPES)
    return credentials


def _crc32c(data: bytes) -> int:
    import google_crc32c

    return int(google_crc32c.value(data))
