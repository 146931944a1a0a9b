"""AWS KMS through its official SDK, in threads of its own (docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html).

The key is asymmetric, of spec ECC_SECG_P256K1, for SIGN_VERIFY. The service's identity needs kms:Sign and kms:GetPublicKey on it and
nothing else. The SDK finds region, credentials and endpoint in its usual way.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

from treasury.signers.protocol import SignerError, SignerRefused, SignerUnavailable
from treasury.signers.remote import ATTEMPT_SECONDS, KeySignature, SignerThrottled

THREADS: Final = 16
"""How many requests run at the same time: one for each signature that the deepest pipeline asks for."""
CONNECT_SECONDS: Final = 2.0
THROTTLED: Final = frozenset({"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})
REFUSED: Final = {
    "DisabledException": "The hot wallet's key is disabled in AWS KMS. Enable it, or leave payouts paused.",
    "KMSInvalidStateException": "The hot wallet's key in AWS KMS cannot sign in its present state; it may be scheduled for deletion.",
    "NotFoundException": "AWS KMS has no key AWS_KMS_KEY_ID in this region and account.",
    "AccessDeniedException": "AWS KMS does not allow this identity to use the hot wallet's key: it needs kms:Sign and kms:GetPublicKey.",
    "InvalidKeyUsageException": "The key AWS_KMS_KEY_ID is not for signing (SIGN_VERIFY).",
    "UnrecognizedClientException": "AWS does not know the credentials of this service.",
    "InvalidClientTokenId": "AWS does not know the credentials of this service.",
    "InvalidSignatureException": "AWS refuses the credentials of this service.",
    "ExpiredTokenException": "The credentials of this service at AWS have expired.",
}


class AwsKms:
    """A hot-wallet key in AWS KMS. Implements `KeyService`; raises SignerError only."""

    def __init__(self, key_id: str) -> None:
        """Name the key: `key_id` is a key id, ARN or alias. The SDK is first imported and called by the first request."""
        self._key_id = key_id
        self._client: Any = None
        self._connecting = Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aws-kms")

    async def public_key(self) -> bytes:
        """Return the public key as SubjectPublicKeyInfo in DER. Raises SignerError."""
        response = await self._call("get_public_key", KeyId=self._key_id)
        if response.get("KeySpec") != "ECC_SECG_P256K1" or response.get("KeyUsage") != "SIGN_VERIFY":
            raise SignerRefused("The key AWS_KMS_KEY_ID is not an ECC_SECG_P256K1 key for SIGN_VERIFY.")
        return bytes(response["PublicKey"])

    async def sign(self, digest: bytes) -> KeySignature:
        """Sign a digest of 32 bytes without hashing it again. Raises SignerError."""
        response = await self._call("sign", **self._parameters(digest))
        request_id = "aws-" + str(response["ResponseMetadata"].get("RequestId", ""))
        return KeySignature(bytes(response["Signature"]), request_id)

    async def probe(self) -> None:
        """Do a dry run: AWS checks the permission and the key's state, and signs nothing. Raises SignerError."""
        try:
            await self._call("sign", **self._parameters(bytes(32)), DryRun=True)
        except _DryRunSucceeded:
            return
        raise SignerRefused("The service signed in a dry run, so it is not AWS KMS.")

    async def close(self) -> None:
        """Release the threads; one that waits for AWS ends at its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _parameters(self, digest: bytes) -> dict[str, Any]:
        # DIGEST: with RAW the service would hash the digest again, and the signature would not recover to the wallet.
        return {
            "KeyId": self._key_id,
            "Message": digest,
            "MessageType": "DIGEST",
            "SigningAlgorithm": "ECDSA_SHA_256",
        }

    async def _call(self, name: str, **parameters: Any) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS + CONNECT_SECONDS):
                response: dict[str, Any] = await loop.run_in_executor(self._threads, self._blocking, name, parameters)
        except TimeoutError:
            raise SignerUnavailable("AWS KMS did not respond in time.") from None
        return response

    def _blocking(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._connecting:
                if self._client is None:
                    self._client = _connect()
            response: dict[str, Any] = getattr(self._client, name)(**parameters)
        except ClientError as error:
            # The SDK's message may quote the key's ARN and the account.
            raise _error_of(str(error.response.get("Error", {}).get("Code", ""))) from None
        except BotoCoreError as error:
            raise SignerUnavailable(f"AWS KMS cannot be reached ({type(error).__name__}).") from None
        return response


class _DryRunSucceeded(SignerError):
    """AWS's error for a dry run whose request would have succeeded."""


def _error_of(code: str) -> SignerError:
    if code == "DryRunOperationException":
        return _DryRunSucceeded("The request would have succeeded.")
    if code in THROTTLED:
        return SignerThrottled("AWS KMS limits the rate of requests.")
    if code in REFUSED:
        return SignerRefused(REFUSED[code])
    return SignerUnavailable(f"AWS KMS failed ({code[:60] or 'no code'}).")


def _connect() -> Any:
    import boto3
    from botocore.config import Config

    # No retries here: `RemoteSigner` retries within one deadline, and never after a signature that may have been made.
    limits = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ATTEMPT_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=THREADS,
    )
    return boto3.client("kms", config=limits)
