"""Signing statements at source: COSE_Sign1 with ES256, made by hand.

A statement is (RFC 9052 section 4.2, tag 18)

    18([ protected, {}, payload, signature ])

    protected  the bytes of {1: -7, 4: kid, 15: {1: issuer, 2: subject, 6: iat}, 16: typ}
    payload    the bytes of {"event": ..., "salt": ..., "body": ...} and, where texts belong to
               it, "aside": what commits to them
    signature  r and s, 32 bytes each, over the Sig_structure (RFC 9052 section 4.4)

All of it in deterministic CBOR (RFC 8949 section 4.2.1): shortest forms, and maps sorted by the
bytes of their keys. Nothing here reads what the gateway's own code does.
"""

import hashlib
import os
import secrets
import time

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_private_key

ES256 = -7
ALG, KID, CLAIMS, TYP = 1, 4, 15, 16
ISS, SUB, IAT = 1, 2, 6
SIGN1 = 18

# Crockford's base32, lower case: 26 characters for the 128 random bits of an id.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def dumps(value) -> bytes:
    """The one deterministic encoding. Keys of one map are all texts or all small integers here,
    and for those cbor2's order is RFC 8949's."""
    return cbor2.dumps(value, canonical=True)


def new_id(prefix: str) -> str:
    """An id that whoever signs chooses: items and decisions."""
    bits = int.from_bytes(os.urandom(16), "big") << 2  # 26 * 5 = 130 bits, the last two are 0
    return f"{prefix}_" + "".join(ALPHABET[bits >> shift & 31] for shift in range(125, -1, -5))


def urn(identifier: str) -> str:
    """How statements name a case, a grant or an organisation."""
    return f"urn:evidence:{identifier}"


def cose_key(public: ec.EllipticCurvePublicKey) -> bytes:
    """The COSE_Key of a P-256 key (RFC 9053 section 7.1.1), as it is registered."""
    point = public.public_numbers()
    return dumps({1: 2, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})


def thumbprint(key: bytes) -> bytes:
    """The kid of a COSE_Key: SHA-256 over its required parameters (RFC 9679)."""
    parts = cbor2.loads(key)
    return sha256(dumps({label: parts[label] for label in (1, -1, -2, -3) if label in parts}))


def commitment(salt: bytes, texts: dict) -> bytes:
    """What binds texts to the statement they are sent beside. The salt keeps them from being
    guessed by whoever sees only the statement."""
    return sha256(salt + dumps(texts))


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    return dumps(["Signature1", protected, b"", payload])


class Signer:
    """An organisation and its registered ES256 key."""

    def __init__(self, organisation: str, pkcs8: bytes):
        self.issuer = urn(organisation)
        self.key = load_der_private_key(pkcs8, password=None)
        self.kid = thumbprint(cose_key(self.key.public_key()))

    def sign(self, event: str, subject: str, body: dict, texts: dict | None = None) -> bytes:
        """States `body` about `subject`. `texts` are names, titles, reasons: words of people,
        which stand in no statement and are sent beside it."""
        salt = secrets.token_bytes(32)
        payload = {"event": event, "salt": salt, "body": body}
        if texts:
            payload["aside"] = commitment(salt, texts)
        protected = dumps(
            {
                ALG: ES256,
                KID: self.kid,
                CLAIMS: {ISS: self.issuer, SUB: subject, IAT: int(time.time())},
                TYP: f"application/evidence.v1.{event}+cbor",
            }
        )
        signed = dumps(payload)
        der = self.key.sign(sig_structure(protected, signed), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(der)
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return dumps(cbor2.CBORTag(SIGN1, [protected, {}, signed, signature]))


def entry(statement: bytes) -> bytes:
    """What the log holds of a statement whose unprotected header is empty."""
    return sha256(statement)
