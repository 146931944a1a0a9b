"""A key that is created inside a PKCS#11 token (SoftHSM) and never leaves it."""

import secrets
from typing import Any

import pkcs11
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11.util.ec import encode_named_curve_parameters

from treasury.signers.remote import KeySignature, address_of_public_key


class SoftHsm:
    """Implements `KeyService`."""

    def __init__(self, library: str, pin: str) -> None:
        token = pkcs11.lib(library).get_token(token_label="onramp")
        self._session = token.open(rw=True, user_pin=pin)
        parameters = self._session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("1.3.132.0.10")},
            local=True,
        )
        self._public, self._private = parameters.generate_keypair(
            store=False,
            capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            private_template={pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False},
        )
        self._spki = self._encoded()
        self.address = address_of_public_key(self._spki)

    def _encoded(self) -> bytes:
        point = bytes(self._public[pkcs11.Attribute.EC_POINT])[2:]  # an octet string around the point
        key = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), point)
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def private(self) -> Any:
        return self._private

    async def public_key(self) -> bytes:
        return self._spki

    async def sign(self, digest: bytes) -> KeySignature:
        raw = bytes(self.private.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        return KeySignature(encode_dss_signature(r, s), "hsm-" + secrets.token_hex(8))

    async def probe(self) -> None:
        return

    async def close(self) -> None:
        self.end()

    def end(self) -> None:
        self._session.close()
