"""Checking what the gateway says without trusting it: statements, receipts, checkpoints.

A receipt (RFC 9942) is a COSE_Sign1 of the log without its payload. The payload is the root of the
Merkle tree, which whoever checks works out from the statement and the path in the receipt:

    leaf = SHA-256(00 || entry)        entry = SHA-256(statement)
    node = SHA-256(01 || left || right)

Everything is checked twice: by hand, and by `scitt_cose`, another's reading of the same RFCs.
"""

import base64

import cbor2
import scitt_cose
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cose import ALG, CLAIMS, ES256, IAT, ISS, KID, SIGN1, SUB, TYP
from cose import commitment, dumps, entry, sha256, sig_structure, thumbprint

# Protected: the kind of tree (RFC 9162, SHA-256), and the tree's size under a private label.
VDS, RFC9162_SHA256, SIZE = 395, 1, -70395
# Unprotected: the proofs, and inclusion proofs among them.
PROOFS, INCLUSION = 396, -1
EDDSA = -8


class NotProved(Exception):
    """What was received does not prove what it should."""


def require(holds: bool, why: str) -> None:
    if not holds:
        raise NotProved(why)


def public_key(key: bytes):
    """A COSE_Key as `cryptography` knows it."""
    parts = cbor2.loads(key)
    if parts[1] == 1:
        return ed25519.Ed25519PublicKey.from_public_bytes(parts[-2])
    x, y = int.from_bytes(parts[-2], "big"), int.from_bytes(parts[-3], "big")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def pem(key: bytes) -> bytes:
    return public_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def check_signature(key: bytes, algorithm: int, signature: bytes, message: bytes) -> None:
    """The key decides the algorithm; the message may only agree."""
    public = public_key(key)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            require(algorithm == EDDSA, "the key is an Ed25519 key")
            public.verify(signature, message)
        else:
            require(algorithm == ES256, "the key is a P-256 key")
            require(len(signature) == 64, "an ES256 signature has 64 bytes")
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            public.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise NotProved("the signature is not that key's") from None


def open_sign1(message: bytes) -> tuple[bytes, dict, dict, bytes | None, bytes]:
    """(protected bytes, protected, unprotected, payload, signature); one encoding or none."""
    outer = cbor2.loads(message)
    require(isinstance(outer, cbor2.CBORTag) and outer.tag == SIGN1, "no COSE_Sign1")
    require(dumps(outer) == message, "not deterministic CBOR")
    protected, unprotected, payload, signature = outer.value
    return protected, cbor2.loads(protected), dict(unprotected), payload, signature


def statement(message: bytes, keys: dict[bytes, bytes], issuer: str, texts: dict | None) -> dict:
    """Checks a statement against its issuer's keys, COSE_Keys by kid, and the texts beside it;
    `None` where those are not for the caller. Gives event and body."""
    protected, headers, unprotected, payload, signature = open_sign1(message)
    require(set(headers) == {ALG, KID, CLAIMS, TYP} and not unprotected, "headers that do not belong")
    require(headers[CLAIMS][ISS] == issuer, "another issuer")
    require(headers[KID] in keys, "no key of the issuer's")
    key = keys[headers[KID]]
    require(thumbprint(key) == headers[KID], "the kid is not the key's thumbprint")
    check_signature(key, headers[ALG], signature, sig_structure(protected, payload))
    content = cbor2.loads(payload)
    require(headers[TYP] == f"application/evidence.v1.{content['event']}+cbor", "another type")
    if texts is not None:
        expected = commitment(content["salt"], texts) if texts else None
        require(content.get("aside") == expected, "other texts than were committed to")
    read = scitt_cose.parse_signed_statement(message, public_key_pem=pem(key))
    require(read["signature_verified"] is True, "scitt-cose does not accept the statement")
    require(read["issuer"] == issuer, "scitt-cose reads another issuer")
    return {"event": content["event"], "body": content["body"], "subject": headers[CLAIMS][SUB]}


def receipt(message: bytes, leaf: bytes, log_key: bytes) -> tuple[int, int, bytes]:
    """Checks that the log's key signed a tree with the entry `leaf`; (index, size, root)."""
    protected, headers, unprotected, payload, signature = open_sign1(message)
    require(set(headers) == {ALG, KID, CLAIMS, VDS, SIZE}, "headers that do not belong")
    require(headers[VDS] == RFC9162_SHA256, "another kind of tree")
    require(set(headers[CLAIMS]) == {ISS, SUB, IAT}, "other claims")
    require(headers[KID] == thumbprint(log_key), "another log's receipt")
    require(payload is None, "the root must be left out")
    (proof,) = unprotected[PROOFS][INCLUSION]
    size, index, path = cbor2.loads(proof)
    # RFC 9942 leaves the size unsigned; this log signs it too.
    require(headers[SIZE] == size, "the proof is for a tree of another size than was signed")
    root = root_of(leaf, index, size, path)
    check_signature(log_key, headers[ALG], signature, sig_structure(protected, root))
    check_with_scitt_cose(message, leaf, log_key, root)
    return index, size, root


def check_with_scitt_cose(message: bytes, leaf: bytes, log_key: bytes, root: bytes) -> None:
    """`scitt-cose` agrees, and refuses the receipt for an entry with one bit changed."""
    result = scitt_cose.verify_receipt(message, leaf_entry_hex=leaf.hex(), log_public_key_pem=pem(log_key))
    require(result.ok, f"scitt-cose does not accept the receipt: {result.errors}")
    require(result.root == root.hex(), "scitt-cose finds another root")
    flipped = bytes([leaf[0] ^ 1]) + leaf[1:]
    refused = scitt_cose.verify_receipt(message, leaf_entry_hex=flipped.hex(), log_public_key_pem=pem(log_key))
    require(not refused.ok, "scitt-cose accepts the receipt for another entry")


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def root_of(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2)."""
    require(index < size, "the index lies outside the tree")
    place, last, root = index, size - 1, sha256(b"\x00" + leaf)
    for sibling in path:
        require(last > 0, "the path is too long")
        if place & 1 or place == last:
            root = node(sibling, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node(root, sibling)
        place, last = place >> 1, last >> 1
    require(last == 0, "the path is too short")
    return root


def consistency(first: int, first_root: bytes, second: int, second_root: bytes, path: list[bytes]) -> None:
    """Checks that the first tree is the start of the second (RFC 9162 section 2.1.4.2)."""
    if first == second:
        require(first_root == second_root and not path, "two trees of one size")
        return
    if first & (first - 1) == 0:
        path = [first_root, *path]
    require(bool(path), "the path is empty")
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        require(last > 0, "the path is too long")
        if place & 1 or place == last:
            old, new = node(sibling, old), node(sibling, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node(new, sibling)
        place, last = place >> 1, last >> 1
    require(last == 0 and old == first_root and new == second_root, "the log was rewritten")


def checkpoint(note: str, verifier_key: str) -> tuple[int, bytes]:
    """Checks a signed note (C2SP tlog-checkpoint) with the log's verifier key; (size, root)."""
    name, key_id, key = verifier_key.split("+", 2)
    body, signatures = note.split("\n\n", 1)
    line = next(line for line in signatures.splitlines() if line.startswith(f"\u2014 {name} "))
    signed = base64.b64decode(line.rsplit(" ", 1)[1])
    require(signed[:4].hex() == key_id, "another key's signature")
    public = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:])
    try:
        public.verify(signed[4:], f"{body}\n".encode())
    except InvalidSignature:
        raise NotProved("the checkpoint is not the log's") from None
    origin, size, root = body.splitlines()
    require(origin == name, "another log's checkpoint")
    return int(size), base64.b64decode(root)


def logged(answer, keys: dict[str, bytes]) -> bytes:
    """Checks a `Receipt` message of the API; gives the entry's digest."""
    require(entry(answer.statement) == answer.entry, "the receipt is about another statement")
    index, size, _ = receipt(answer.receipt, answer.entry, keys["receipt"])
    require((index, size) == (answer.index, answer.tree_size), "the message contradicts the receipt")
    return answer.entry
