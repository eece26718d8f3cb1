//! Signing statements at source: evidence, relay, disclosure declaration, bundle acknowledgement
//! and decision (docs/api/signing.md).

use evidence_domain::{
    Aside, Event,
    event::{DecisionRecorded, EventError, typ},
    ids::OrgId,
    rules::decision::official_uses_digest,
};
use evidence_ledger::{
    CborError, Claims, Digest, KeyError, Payload, Salt, SecureRandom, SigningKey, Statement,
    StatementError, aside_digest, key::random, sha256, to_canonical,
};
use evidence_wire::v1;

/// An organisation and the key it signs with.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    organisation: OrgId,
}

/// Why a statement was not made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("organisations do not sign `{0}` statements; the gateway states them")]
    NotOurs(&'static str),
    #[error(transparent)]
    Event(#[from] EventError),
    #[error(transparent)]
    Cbor(#[from] CborError),
    #[error(transparent)]
    Statement(#[from] StatementError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Signer {
    pub fn new(organisation: OrgId, key: SigningKey) -> Self {
        Self { key, organisation }
    }

    pub fn organisation(&self) -> &OrgId {
        &self.organisation
    }

    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Signs one event. `subject` is the case's URN, or the grant's for evidence that nobody has
    /// asked for yet; `aside` the texts that go sealed beside the statement; `now` the time of
    /// signing in seconds since 1970.
    pub fn sign(
        &self,
        subject: &str,
        event: impl Into<Event>,
        aside: Aside,
        now: i64,
        rng: &dyn SecureRandom,
    ) -> Result<v1::SignedStatement, SignError> {
        let event = event.into();
        if !event.signed_at_source() {
            return Err(SignError::NotOurs(event.name()));
        }
        let salt = Salt::from(random(rng)?);
        let commitment = if aside.is_empty() {
            None
        } else {
            Some(aside_digest(&salt, &to_canonical(&aside)?))
        };
        let payload = Payload {
            event: event.name().to_owned(),
            salt,
            aside: commitment,
            body: event.body()?,
        };
        let claims = Claims {
            iss: self.organisation.urn(),
            sub: subject.to_owned(),
            iat: now,
        };
        let statement = Statement::sign(
            &typ(event.name()),
            &claims,
            &payload.encode()?,
            &self.key,
            rng,
        )?;
        Ok(v1::SignedStatement {
            statement: statement.bytes().to_vec(),
            aside,
        })
    }

    /// Signs a decision record. `official` says how the items withheld from the claimant were
    /// used (`use/<item>`, `reason/<item>`); the body's `official_uses` is set to commit to it.
    pub fn sign_decision(
        &self,
        subject: &str,
        mut body: DecisionRecorded,
        aside: Aside,
        official: Aside,
        now: i64,
        rng: &dyn SecureRandom,
    ) -> Result<v1::RecordDecisionRequest, SignError> {
        let salt: [u8; 32] = random(rng)?;
        body.official_uses = official_uses_digest(&Salt::from(salt), &official);
        let decision = self.sign(subject, body, aside, now, rng)?;
        Ok(v1::RecordDecisionRequest {
            decision: Some(decision),
            official,
            official_salt: salt.to_vec(),
        })
    }
}

/// The digest under which the log enters a statement as [`Signer::sign`] made it.
pub fn entry(statement: &v1::SignedStatement) -> Digest {
    sha256(&statement.statement)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use evidence_domain::{
        event::{BundleAcknowledged, Disclosure, Evidence, RequestCancelled},
        ids::{BundleId, GrantId, ItemId, RequestId},
        signed::Signed,
        time::Period,
    };
    use evidence_ledger::Alg;
    use jiff::civil::date;
    use ring::rand::SystemRandom;

    #[expect(
        clippy::disallowed_methods,
        reason = "a test makes its own random source"
    )]
    pub fn rng() -> SystemRandom {
        SystemRandom::new()
    }

    pub fn signer(alg: Alg) -> Signer {
        let der = SigningKey::generate_pkcs8(alg, &rng()).unwrap();
        Signer::new(
            OrgId::from_random([1; 16]),
            SigningKey::from_pkcs8(alg, &der, &rng()).unwrap(),
        )
    }

    pub fn evidence(document: &[u8]) -> Evidence {
        Evidence {
            item: ItemId::from_random([2; 16]),
            grant: GrantId::from_random([3; 16]),
            request: None,
            kind: "clinical-letter".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: document.len() as u64,
            digest: sha256(document),
            period: Period {
                from: Some(date(2026, 1, 1)),
                to: None,
            },
            written_on: date(2026, 3, 1),
            profession: "nurse".to_owned(),
            certified_copy: None,
            completes: false,
            supersedes: None,
            disclosure: Disclosure::Open,
        }
    }

    pub fn texts() -> Aside {
        [
            ("title".to_owned(), "Letter".to_owned()),
            ("author".to_owned(), "A. Nurse".to_owned()),
        ]
        .into()
    }

    #[test]
    fn the_gateway_reads_what_is_signed() {
        for alg in [Alg::Es256, Alg::EdDsa] {
            let signer = signer(alg);
            let body = evidence(b"document");
            let subject = body.grant.urn();
            let made = signer
                .sign(&subject, body.clone(), texts(), 1_790_000_000, &rng())
                .unwrap();
            let read = Signed::open(&made.statement, made.aside.clone()).unwrap();
            assert_eq!(read.issuer(), signer.organisation());
            assert_eq!(read.event(), &Event::Evidence(body));
            assert_eq!(read.statement().entry(), entry(&made));
            assert_eq!(read.statement().claims().iat, 1_790_000_000);
            read.statement().verify(signer.key().public()).unwrap();
            let other = [("title".to_owned(), "Another".to_owned())].into();
            assert!(Signed::open(&made.statement, other).is_err());
        }
    }

    #[test]
    fn without_texts_there_is_no_commitment_to_any() {
        let body = BundleAcknowledged {
            bundle: BundleId::from_random([4; 16]),
            pulled: sha256(b"pulled"),
            official: sha256(b"official"),
            received_on: date(2026, 3, 1),
        };
        let made = signer(Alg::Es256)
            .sign("urn:evidence:case", body, Aside::new(), 0, &rng())
            .unwrap();
        let statement = Statement::parse(&made.statement).unwrap();
        assert_eq!(Payload::decode(statement.payload()).unwrap().aside, None);
    }

    #[test]
    fn two_statements_about_the_same_thing_are_two_entries() {
        let signer = signer(Alg::EdDsa);
        let sign = || {
            signer
                .sign("urn:evidence:case", evidence(b"d"), Aside::new(), 0, &rng())
                .unwrap()
        };
        assert_ne!(entry(&sign()), entry(&sign()));
    }

    #[test]
    fn what_only_the_gateway_states_is_not_signed_here() {
        let body = RequestCancelled {
            request: RequestId::from_random([5; 16]),
            by: OrgId::from_random([1; 16]),
        };
        let refused = signer(Alg::Es256).sign("urn:evidence:case", body, Aside::new(), 0, &rng());
        assert!(matches!(
            refused,
            Err(SignError::NotOurs("request-cancelled"))
        ));
    }
}
