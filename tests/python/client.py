"""The whole journey of a piece of evidence, against a running gateway, with stock tools alone:
gRPC stubs made from proto/, cbor2 and cryptography. Written to be read by integrators.

    evidence-gateway sandbox --data sandbox &
    python tests/python/client.py sandbox

FOLDER is laid out as the sandbox's: `ready.json` with the endpoint and the organisations' ids,
`authority/root.pem`, and for each organisation `NAME/certificate.pem`, `NAME/key.pem` and, if it
signs, `NAME/signing-key.der`. Prints what happens; the last line is a summary in JSON. Anything that
is not as it should be ends it with a traceback and exit status 1.
"""

import argparse
import json
import secrets
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import grpc
import grpc_tools
from grpc_tools import protoc

import verify
from cose import Signer, commitment, entry, new_id, sha256, urn

PROTO = Path(__file__).parents[2] / "proto"
# Receipts and statements are small; documents come in pieces.
PIECE = 64 * 1024


def stubs(into: str):
    """Makes the client's code from the protos, as an integrator's build would."""
    includes = [f"-I{PROTO}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("evidence/v1/*.proto"))
    outcome = protoc.main(["protoc", *includes, f"--python_out={into}", f"--grpc_python_out={into}", *files])
    if outcome != 0:
        raise SystemExit("the protos do not compile")
    sys.path.insert(0, into)


class Organisation:
    """One organisation's side: its certificate on the connection, its key under its statements."""

    def __init__(self, folder: Path, name: str, ready: dict):
        own = folder / name
        credentials = grpc.ssl_channel_credentials(
            root_certificates=(folder / "authority/root.pem").read_bytes(),
            private_key=(own / "key.pem").read_bytes(),
            certificate_chain=(own / "certificate.pem").read_bytes(),
        )
        channel = grpc.secure_channel(urlsplit(ready["endpoint"]).netloc, credentials)
        self.id = ready["organisations"][name]
        key = own / "signing-key.der"
        self.signer = Signer(self.id, key.read_bytes()) if key.exists() else None
        for service in ("consent", "request", "evidence", "bundle", "decision", "record", "ledger", "directory"):
            module = __import__(f"evidence.v1.{service}_pb2_grpc", fromlist=["*"])
            setattr(self, service, getattr(module, f"{service.capitalize()}ServiceStub")(channel))

    def keys(self, issuer: str) -> dict[bytes, bytes]:
        """The registered signing keys of an organisation, by kid."""
        found = self.directory.GetOrganisation(pb.GetOrganisationRequest(organisation_id=issuer))
        return {key.kid: key.cose_key for key in found.keys}

    def signed(self, event: str, subject: str, body: dict, texts: dict | None = None):
        """A statement of this organisation's, with the texts beside it, ready to send."""
        return pb.SignedStatement(statement=self.signer.sign(event, subject, body, texts), aside=texts or {})


def messages():
    """Every message of the API in one place."""
    class Messages:
        pass

    for name in ("common", "consent", "request", "evidence", "bundle", "decision", "record", "ledger", "directory"):
        module = __import__(f"evidence.v1.{name}_pb2", fromlist=["*"])
        for message in vars(module):
            setattr(Messages, message, getattr(module, message))
    return Messages


def say(step: str) -> None:
    print(f"- {step}", flush=True)


def key() -> str:
    """A new idempotency key: the same call with the same key again is answered, not done, again."""
    return secrets.token_hex(16)


def today() -> str:
    return datetime.now(ZoneInfo("Europe/London")).date().isoformat()


def test_nhs_number() -> str:
    """A number from the range that is kept for tests, with its check digit."""
    while True:
        digits = [9, 9, 9] + [secrets.randbelow(10) for _ in range(6)]
        check = -sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1))) % 11
        if check != 10:
            return "".join(map(str, digits + [check]))


class Journey:
    """The steps in their order. What each step finds out, the next ones use."""

    def __init__(self, folder: Path):
        ready = json.loads((folder / "ready.json").read_text())
        self.hospital, self.vcse, self.dwp, self.portal = (
            Organisation(folder, name, ready) for name in ("hospital", "vcse", "dwp", "portal")
        )
        # In earnest these come from the operator in some other way than through the gateway.
        answer = self.dwp.ledger.ListLogKeys(pb.ListLogKeysRequest())
        self.log_keys = {key.use: key.cose_key for key in answer.keys}
        self.verifier_key = next(key.verifier_key for key in answer.keys if key.use == "checkpoint")
        self.receipts, self.documents, self.evidence = [], {}, {}

    def run(self) -> dict:
        self.consent()
        self.request()
        self.push()
        self.relay()
        self.refusal()
        self.own_words()
        self.bundle()
        self.acknowledge()
        self.decide()
        self.record()
        self.log()
        return {
            "receipts_verified": len(self.receipts),
            "documents_identical": len(self.documents),
            "scitt_cose": "accepts",
            "flipped_entry": "refused",
            "outcome": "favourable",
        }

    def check(self, receipt) -> bytes:
        """Verifies a receipt with the log's key and keeps it."""
        digest = verify.logged(receipt, self.log_keys)
        self.receipts.append(receipt)
        return digest

    def consent(self) -> None:
        """A person is registered, and says who may give what to whom, for what, until when."""
        registered = self.portal.consent.RegisterClaimant(pb.RegisterClaimantRequest(
            request_id=key(), name="Robin Example", date_of_birth="1984-02-29", nhs_number=test_nhs_number()))
        self.claimant = registered.claimant_id
        self.check(registered.receipt)
        granted = self.portal.consent.CreateGrant(pb.CreateGrantRequest(
            request_id=key(), claimant_id=self.claimant, disclosers=[self.hospital.id],
            kinds=["clinical-letter", "care-plan"], recipient=self.dwp.id, purposes=["wca"],
            expires_on=f"{int(today()[:4]) + 1}-01-31", capture=pb.CAPTURE_IN_PORTAL,
            lawful_basis="uk-gdpr-6-1-e_9-2-b"))
        self.grant = granted.grant.grant_id
        self.check(granted.receipt)
        say("The claimant lets the hospital send letters and care plans to the DWP.")

    def request(self) -> None:
        """The DWP opens a case and asks; the hospital says that it has seen the question."""
        opened = self.dwp.request.OpenCase(pb.OpenCaseRequest(
            request_id=key(), claimant_id=self.claimant, grant_id=self.grant, assessment_type="wca",
            nation="england-and-wales", reference="WCA 0042"))
        self.case, self.subject = opened.case.case_id, opened.case.subject
        self.check(opened.receipt)
        asked = self.dwp.request.OpenRequest(pb.OpenRequestRequest(
            request_id=key(), case_id=self.case, grant_id=self.grant, discloser=self.hospital.id,
            kinds=["clinical-letter", "care-plan"], question="How do they manage stairs?",
            assurance="Seen and agreed.", payer="DWP"))
        self.question = asked.request.request_id
        self.check(asked.receipt)
        waiting = self.hospital.request.ListRequests(pb.ListRequestsRequest(state=pb.REQUEST_STATE_OPEN))
        assert self.question in [request.request_id for request in waiting.requests]
        seen = self.hospital.request.AcknowledgeRequest(pb.AcknowledgeRequestRequest(
            request_id=key(), evidence_request_id=self.question))
        self.check(seen.receipt)
        say(f"The DWP asks the hospital, which has until {asked.request.due_on}.")

    def about(self, document: bytes, kind: str, completes: bool) -> dict:
        """The body of an evidence statement: proto/cddl has its shape."""
        return {
            "item": new_id("item"), "grant": self.grant, "request": self.question, "kind": kind,
            "media_type": "application/pdf", "size": len(document), "digest": sha256(document),
            "period": {"from": "2026-01-01", "to": "2026-03-31"}, "written_on": "2026-04-01",
            "profession": "physiotherapist", "completes": completes, "disclosure": "open",
        }

    @staticmethod
    def pieces(push, document: bytes):
        yield pb.SubmitRequest(begin=push)
        for start in range(0, len(document), PIECE):
            yield pb.SubmitRequest(chunk=document[start:start + PIECE])
        yield pb.SubmitRequest(end=pb.SubmitEnd())

    def submit(self, who: Organisation, push, document: bytes):
        (answer,) = who.evidence.Submit(self.pieces(push, document))
        return answer

    def push(self) -> None:
        """The hospital signs for a document and streams it; the receipt is the legal moment."""
        document = b"%PDF-1.7 a letter " + secrets.token_bytes(200_000)
        body = self.about(document, "clinical-letter", completes=False)
        texts = {"title": "Physiotherapy review", "author": "A. Physiotherapist"}
        signed = self.hospital.signed("evidence", self.subject, body, texts)
        push = pb.Push(evidence=signed)
        checked = self.hospital.evidence.Validate(pb.ValidateRequest(push=push))
        assert checked.acceptable, checked.message
        answer = self.submit(self.hospital, push, document)
        assert self.check(answer.receipt) == entry(signed.statement)
        again = self.submit(self.hospital, push, document)
        assert again.receipt.replay and again.receipt.receipt == answer.receipt.receipt
        self.keep(body, document, signed)
        say(f"The hospital sends a letter and has its receipt: entry {answer.receipt.index} of the log.")

    def relay(self) -> None:
        """A charity carries a document for the hospital. Both sign: one for what it says, the
        other for having carried it unchanged."""
        delegated = self.hospital.consent.CreateDelegation(pb.CreateDelegationRequest(
            request_id=key(), grant_id=self.grant, intermediary=self.vcse.id, kinds=["care-plan"]))
        self.check(delegated.receipt)
        document = b"%PDF-1.7 a care plan " + secrets.token_bytes(9_000)
        body = self.about(document, "care-plan", completes=True)
        evidence = self.hospital.signed("evidence", self.subject, body, {"title": "Care plan"})
        relay = self.vcse.signed("evidence-relayed", self.subject, {
            "item": body["item"], "evidence": entry(evidence.statement),
            "delegation": delegated.delegation.delegation_id, "received_on": today()})
        answer = self.submit(self.vcse, pb.Push(evidence=evidence, relay=relay), document)
        assert self.check(answer.receipt) == entry(evidence.statement)
        assert self.check(answer.relay_receipt) == entry(relay.statement)
        self.keep(body, document, evidence)
        say("A charity relays a care plan for the hospital; both have signed.")

    def keep(self, body: dict, document: bytes, signed) -> None:
        self.documents[body["item"]] = document
        self.evidence[body["item"]] = signed

    def refusal(self) -> None:
        """Bytes that are not those signed for are refused, and the refusal has a receipt too."""
        body = self.about(b"the signed bytes", "clinical-letter", completes=False)
        signed = self.hospital.signed("evidence", self.subject, body)
        answer = self.submit(self.hospital, pb.Push(evidence=signed), b"some other bytes")
        assert answer.WhichOneof("outcome") == "refusal" and answer.refusal.reason == "digest_mismatch"
        self.check(answer.refusal.receipt)
        say("Bytes that nobody signed for are refused, and that is on record.")

    def own_words(self) -> None:
        """The claimant adds their own words, a correction, and what they need done differently."""
        viewer = pb.Viewer(claimant_id=self.claimant)
        said = self.portal.record.AddStatement(pb.AddStatementRequest(
            request_id=key(), viewer=viewer, grant_id=self.grant, title="My stairs", text="I go up once a day."))
        self.own = said.item.item_id
        self.check(said.item.receipt)
        letter = next(iter(self.documents))
        note = self.portal.record.AddNote(pb.AddNoteRequest(
            request_id=key(), viewer=viewer, item_id=letter, text="This is not what I said."))
        self.check(note.receipt)
        stated = self.portal.record.StateAdjustment(pb.StateAdjustmentRequest(
            request_id=key(), viewer=viewer, text="Please write; I cannot use the telephone."))
        self.adjustment = stated.adjustment.adjustment_id
        self.check(stated.receipt)
        say("The claimant adds a statement, a correction and an adjustment.")

    def bundle(self) -> None:
        """The DWP pulls all there is for the case, and checks each item by itself."""
        parts = self.dwp.bundle.Pull(pb.PullRequest(
            request_id=key(), case_id=self.case, purpose="wca", actor="caseworker 7"))
        self.manifest = next(parts).manifest
        received: dict[str, bytes] = {}
        for part in parts:
            held = received.get(part.chunk.item_id, b"")
            assert part.chunk.offset == len(held)
            received[part.chunk.item_id] = held + part.chunk.data
        self.check(self.manifest.receipt)
        self.check(self.manifest.official_receipt)
        assert {line.item.item_id for line in self.manifest.items} == {*self.documents, self.own}
        for line in self.manifest.items:
            self.check(line.receipt)
            item = line.item
            assert sha256(received[item.item_id]) == item.digest
            if item.item_id == self.own:
                continue
            assert received[item.item_id] == self.documents[item.item_id]
            assert line.receipt.statement == self.evidence[item.item_id].statement
            said = verify.statement(
                line.receipt.statement, self.dwp.keys(self.hospital.id), urn(self.hospital.id), dict(item.aside))
            assert said["body"]["digest"] == item.digest and said["subject"] == self.subject
        say(f"The DWP has all {len(received)} items, byte for byte, each with its proof.")

    def acknowledge(self) -> None:
        """The DWP signs that it has them: from here on nobody can say they never came."""
        bundle = self.manifest.bundle
        signed = self.dwp.signed("bundle-acknowledged", self.subject, {
            "bundle": bundle.bundle_id, "pulled": self.manifest.receipt.entry,
            "official": self.manifest.official_receipt.entry, "received_on": today()})
        answer = self.dwp.bundle.Acknowledge(pb.AcknowledgeBundleRequest(acknowledgement=signed))
        assert self.check(answer.receipt) == entry(signed.statement)
        say("The DWP signs for the bundle.")

    def decide(self) -> None:
        """The decision says of every item how it was used. One that leaves any out is refused."""
        bundle = self.manifest.bundle
        letter, plan = self.documents
        uses = {letter: "relied-on", plan: "discounted", self.own: "considered"}
        reasons = {f"reason/{plan}": "It is about an earlier year."}
        official_salt = secrets.token_bytes(32)
        body = {
            "decision": new_id("decision"), "case": self.case, "bundle": bundle.bundle_id, "purpose": "wca",
            "outcome": "favourable", "for_lack_of_evidence": False, "uses": uses,
            "adjustments": [self.adjustment], "overdue": [], "senior_override": False,
            "chain": {"count": bundle.chain.count, "head": bundle.chain.head},
            "official_head": bundle.official_chain.head,
            # No item is withheld from the claimant, and there is a commitment to that too.
            "official_uses": commitment(official_salt, {}),
        }
        left_out = body | {"decision": new_id("decision"), "uses": {letter: "relied-on", plan: "discounted"}}
        try:
            self.dwp.decision.Record(pb.RecordDecisionRequest(
                decision=self.dwp.signed("decision", self.subject, left_out, reasons), official_salt=official_salt))
            raise AssertionError("a decision that leaves an item out was recorded")
        except grpc.RpcError as refused:
            assert refused.code() == grpc.StatusCode.FAILED_PRECONDITION, refused
            # google.rpc.ErrorInfo, where the stable reason stands; docs/api/reasons.md lists them.
            details = dict(refused.trailing_metadata())["grpc-status-details-bin"]
            assert b"decision_item_missing" in details, details
        signed = self.dwp.signed("decision", self.subject, body, reasons)
        answer = self.dwp.decision.Record(pb.RecordDecisionRequest(decision=signed, official_salt=official_salt))
        assert self.check(answer.receipt) == entry(signed.statement)
        self.decision = answer.decision.decision_id
        quotable = self.dwp.decision.GetUses(pb.GetUsesRequest(decision_id=self.decision)).uses
        assert {use.item_id for use in quotable} == set(uses)
        say("The decision is recorded; a letter can quote: " + quotable[0].sentence)

    def record(self) -> None:
        """The claimant sees what is held, who saw it, and how each item was used."""
        viewer = pb.Viewer(claimant_id=self.claimant)
        record = self.portal.record.GetRecord(pb.GetRecordRequest(viewer=viewer))
        assert {item.item_id for item in record.items} == {*self.documents, self.own}
        (request,) = record.requests
        assert request.final and request.state == pb.REQUEST_STATE_ANSWERED
        accesses = self.portal.record.ListAccesses(pb.ListAccessesRequest(viewer=viewer)).accesses
        assert "caseworker 7" in [access.actor for access in accesses]
        (decision,) = self.portal.record.ListDecisions(pb.ListDecisionsRequest(viewer=viewer)).decisions
        assert decision.decision_id == self.decision and len(decision.uses) == 3
        self.check(decision.receipt)
        say("The claimant sees the evidence, who looked at it, and what came of it.")

    def log(self) -> None:
        """All receipts are about one log that was only ever added to."""
        newest = self.dwp.ledger.GetCheckpoint(pb.GetCheckpointRequest())
        size, root = verify.checkpoint(newest.note, self.verifier_key)
        for receipt in self.receipts:
            _, at, then = verify.receipt(receipt.receipt, receipt.entry, self.log_keys["receipt"])
            proof = self.dwp.ledger.GetConsistencyProof(pb.GetConsistencyProofRequest(from_size=at, to_size=size))
            verify.consistency(at, then, size, root, list(proof.path))
        say(f"{len(self.receipts)} receipts verify, and the log has only grown, to {size} entries.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as generated:
        stubs(generated)
        pb = messages()
        print(json.dumps(Journey(arguments.folder).run()))
