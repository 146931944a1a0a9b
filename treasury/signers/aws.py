"""AWS KMS, by the official SDK in threads of its own (docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html).

The key is an asymmetric one of spec ECC_SECG_P256K1 for SIGN_VERIFY; the service's identity needs kms:Sign and kms:GetPublicKey on it
and nothing else. Region, credentials and endpoint are found as the SDK finds them.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

from treasury.signers.protocol import SignerError, SignerRefused, SignerUnavailable
from treasury.signers.remote import ATTEMPT_SECONDS, KeySignature, SignerThrottled

THREADS: Final = 16
"""As many signatures may be under way as the deepest pipeline has."""
CONNECT_SECONDS: Final = 2.0
THROTTLED: Final = frozenset({"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"})
REFUSED: Final = {
    "DisabledException": "The hot wallet's key is disabled in AWS KMS. Enable it, or leave payouts paused.",
    "KMSInvalidStateException": "The hot wallet's key in AWS KMS is not in a state that can sign: is it to be deleted?",
    "NotFoundException": "AWS KMS knows no key under AWS_KMS_KEY_ID in this region and account.",
    "AccessDeniedException": "AWS KMS does not let this identity use the hot wallet's key: it needs kms:Sign and kms:GetPublicKey.",
    "InvalidKeyUsageException": "The key under AWS_KMS_KEY_ID is not made for signing (SIGN_VERIFY).",
    "UnrecognizedClientException": "AWS does not know the credentials of this service.",
    "InvalidClientTokenId": "AWS does not know the credentials of this service.",
    "InvalidSignatureException": "AWS refuses the credentials of this service.",
    "ExpiredTokenException": "The credentials of this service at AWS have expired.",
}


class AwsKms:
    """Implements `KeyService`."""

    def __init__(self, key_id: str) -> None:
        """`key_id`: a key id, ARN or alias; nothing is imported or asked before it is used."""
        self._key_id = key_id
        self._client: Any = None
        self._connecting = Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aws-kms")

    async def public_key(self) -> bytes:
        """The public key as SPKI DER."""
        answer = await self._call("get_public_key", KeyId=self._key_id)
        if answer.get("KeySpec") != "ECC_SECG_P256K1" or answer.get("KeyUsage") != "SIGN_VERIFY":
            raise SignerRefused("The key under AWS_KMS_KEY_ID is not an ECC_SECG_P256K1 key for SIGN_VERIFY.")
        return bytes(answer["PublicKey"])

    async def sign(self, digest: bytes) -> KeySignature:
        """Sign a digest as it is."""
        answer = await self._call("sign", **self._question(digest))
        return KeySignature(bytes(answer["Signature"]), "aws-" + str(answer["ResponseMetadata"].get("RequestId", "")))

    async def probe(self) -> None:
        """A dry run: AWS checks the permission and the key's state, and signs nothing."""
        try:
            await self._call("sign", **self._question(bytes(32)), DryRun=True)
        except _DryRunDone:
            return
        raise SignerRefused("AWS KMS signed in a dry run; this is not AWS KMS.")

    async def close(self) -> None:
        """Let the threads go; one that waits for AWS ends by its own time limit."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _question(self, digest: bytes) -> dict[str, Any]:
        # DIGEST: with RAW the service would hash the hash, and the signature would belong to nobody.
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
                answer: dict[str, Any] = await loop.run_in_executor(self._threads, self._blocking, name, parameters)
        except TimeoutError:
            raise SignerUnavailable("AWS KMS did not answer in time.") from None
        return answer

    def _blocking(self, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._connecting:
                if self._client is None:
                    self._client = _connect()
            answer: dict[str, Any] = getattr(self._client, name)(**parameters)
        except ClientError as error:
            # The SDK's own words may quote the key's ARN and the account.
            raise _meaning(str(error.response.get("Error", {}).get("Code", ""))) from None
        except BotoCoreError as error:
            raise SignerUnavailable(f"AWS KMS cannot be asked ({type(error).__name__}).") from None
        return answer


class _DryRunDone(SignerError):
    """What AWS answers to a dry run that would have succeeded."""


def _meaning(code: str) -> SignerError:
    if code == "DryRunOperationException":
        return _DryRunDone("It would have been signed.")
    if code in THROTTLED:
        return SignerThrottled("AWS KMS was asked too often.")
    if code in REFUSED:
        return SignerRefused(REFUSED[code])
    return SignerUnavailable(f"AWS KMS is unwell ({code[:60] or 'no code'}).")


def _connect() -> Any:
    import boto3
    from botocore.config import Config

    # Retries are ours: they end by one deadline, and none follows a signature that may have been made.
    limits = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ATTEMPT_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=THREADS,
    )
    return boto3.client("kms", config=limits)
