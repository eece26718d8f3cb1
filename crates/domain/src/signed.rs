//! Statements signed at source: parsed strictly, then verified against the
//! registered key. [`Verified`] can be made only by [`Signed::verify`], so
//! "the signature was checked" is a compile-time fact.

use evidence_ledger::{
    Digest, Payload, Statement, StatementError, aside_digest, sha256_parts, to_canonical,
};

use crate::{
    event::{Aside, Event, EventError, typ},
    ids::OrgId,
    refusal::{Reason, Refusal},
    rows::{OrgKey, Organisation},
    time::Moment,
};

/// How far ahead of ours a signer's clock may be.
const CLOCK_SKEW_SECONDS: i64 = 300;

/// Parsed, and as its CDDL says; not yet verified.
#[derive(Debug, Clone)]
pub struct Signed {
    statement: Statement,
    event: Event,
    issuer: OrgId,
    aside: Aside,
}

impl Signed {
    /// Parses a statement signed at source and checks that `aside` is what it
    /// commits to (SHA-256 over salt and deterministic CBOR of the map).
    pub fn open(bytes: &[u8], aside: Aside) -> Result<Self, Refusal> {
        let statement = Statement::parse(bytes).map_err(|error| malformed(&error))?;
        let payload = Payload::decode(statement.payload()).map_err(|error| {
            Refusal::new(
                Reason::StatementPayloadInvalid,
                format!("The payload: {error}."),
            )
        })?;
        let event = Event::from_payload(&payload).map_err(|error| payload_invalid(&error))?;
        if statement.typ() != typ(event.name()) {
            let detail = format!("The typ header must be `{}`.", typ(event.name()));
            return Err(Refusal::new(Reason::StatementPayloadInvalid, detail));
        }
        if !event.signed_at_source() {
            let detail = format!(
                "`{}` is stated by the gateway, not by organisations.",
                event.name()
            );
            return Err(Refusal::new(Reason::StatementPayloadInvalid, detail));
        }
        check_aside(&payload, &aside)?;
        let issuer = OrgId::from_urn(&statement.claims().iss).map_err(|error| {
            Refusal::new(
                Reason::OrganisationUnknown,
                format!("The iss claim: {error}."),
            )
        })?;
        Ok(Self {
            statement,
            event,
            issuer,
            aside,
        })
    }

    pub fn issuer(&self) -> &OrgId {
        &self.issuer
    }

    pub fn event(&self) -> &Event {
        &self.event
    }

    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// A digest of what is signed, whatever way the signature is spelled.
    pub fn content(&self) -> Digest {
        let claims = self.statement.claims();
        sha256_parts(&[
            claims.iss.as_bytes(),
            &[0],
            claims.sub.as_bytes(),
            &[0],
            self.statement.payload(),
        ])
    }

    /// Verifies the signature with the issuer's registered key, valid both when
    /// it signed and now. `issuer` is the issuer's row, if there is one.
    pub fn verify(self, issuer: Option<&Organisation>, now: Moment) -> Result<Verified, Refusal> {
        let key = usable_key(&self, issuer, now)?;
        self.statement
            .verify(&key.key)
            .map_err(|error| match error {
                StatementError::WrongAlg { .. } => Refusal::new(
                    Reason::AlgorithmNotAccepted,
                    "The statement names another algorithm than its registered key's.",
                ),
                _ => Refusal::new(
                    Reason::SignatureInvalid,
                    "The statement's signature does not verify.",
                ),
            })?;
        Ok(Verified(self))
    }
}

/// A statement whose signature verified.
#[derive(Debug, Clone)]
pub struct Verified(Signed);

impl Verified {
    /// Checks again, under the lock, what may have changed since: that the
    /// issuer and its key are still good.
    pub fn recheck(&self, issuer: Option<&Organisation>, now: Moment) -> Result<(), Refusal> {
        usable_key(&self.0, issuer, now).map(|_| ())
    }

    pub fn issuer(&self) -> &OrgId {
        &self.0.issuer
    }

    pub fn event(&self) -> &Event {
        &self.0.event
    }

    pub fn statement(&self) -> &Statement {
        &self.0.statement
    }

    pub fn aside(&self) -> &Aside {
        &self.0.aside
    }

    /// See [`Signed::content`].
    pub fn content(&self) -> Digest {
        self.0.content()
    }

    /// The subject the statement claims.
    pub fn subject(&self) -> &str {
        &self.0.statement.claims().sub
    }
}

fn usable_key<'o>(
    signed: &Signed,
    issuer: Option<&'o Organisation>,
    now: Moment,
) -> Result<&'o OrgKey, Refusal> {
    let issuer = issuer
        .filter(|organisation| organisation.id == signed.issuer)
        .ok_or_else(|| {
            Refusal::new(
                Reason::OrganisationUnknown,
                "The statement's issuer is not registered.",
            )
        })?;
    if issuer.suspended {
        return Err(Refusal::new(
            Reason::OrganisationSuspended,
            "The statement's issuer is suspended.",
        ));
    }
    let signed_at = Moment::from_micros(signed.statement.claims().iat.saturating_mul(1_000_000));
    if signed_at > now.plus_seconds(CLOCK_SKEW_SECONDS) {
        return Err(Refusal::new(
            Reason::StatementTimeInvalid,
            "The statement was signed in the future.",
        ));
    }
    let key = issuer.signing_key(signed.statement.kid()).ok_or_else(|| {
        Refusal::new(
            Reason::KeyUnknown,
            "No key of this issuer has the statement's kid.",
        )
    })?;
    // iat has whole seconds: a key valid from the middle of a second is valid for all of it.
    if signed_at.seconds() < key.not_before.seconds() || now < key.not_before {
        return Err(Refusal::new(
            Reason::KeyNotYetValid,
            "The statement's key was not valid yet.",
        ));
    }
    if signed_at > key.not_after || now > key.not_after {
        return Err(Refusal::new(
            Reason::KeyExpired,
            "The statement's key is not valid any more.",
        ));
    }
    Ok(key)
}

fn check_aside(payload: &Payload, aside: &Aside) -> Result<(), Refusal> {
    let given = if aside.is_empty() {
        None
    } else {
        let cbor = to_canonical(aside).map_err(|error| {
            Refusal::new(
                Reason::AsideMismatch,
                format!("The texts cannot be encoded: {error}."),
            )
        })?;
        Some(aside_digest(&payload.salt, &cbor))
    };
    if given == payload.aside {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::AsideMismatch,
            "The statement commits to other texts than those sent.",
        ))
    }
}

fn malformed(error: &StatementError) -> Refusal {
    let reason = match error {
        StatementError::UnknownHeader(_) | StatementError::UnknownCritical => {
            Reason::StatementHeaderUnknown
        }
        StatementError::UnknownAlg(_) => Reason::AlgorithmNotAccepted,
        _ => Reason::StatementMalformed,
    };
    Refusal::new(reason, format!("The statement: {error}."))
}

fn payload_invalid(error: &EventError) -> Refusal {
    Refusal::new(
        Reason::StatementPayloadInvalid,
        format!("The payload: {error}."),
    )
}
