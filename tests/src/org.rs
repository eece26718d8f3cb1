//! An organisation as the suites play it: its certificate, its signing key, its calls.

use std::collections::BTreeSet;

use anyhow::Result;
use evidence_domain::{Aside, Event, Moment, Role, event::typ, ids::OrgId};
use evidence_ledger::{
    Alg, Claims, Payload, Salt, SigningKey, Statement, aside_digest, to_canonical,
};
use evidence_wire::v1::{
    self, bundle_service_client::BundleServiceClient, consent_service_client::ConsentServiceClient,
    decision_service_client::DecisionServiceClient,
    directory_service_client::DirectoryServiceClient,
    evidence_service_client::EvidenceServiceClient, ledger_service_client::LedgerServiceClient,
    record_service_client::RecordServiceClient, request_service_client::RequestServiceClient,
};
use tonic::transport::Channel;

use crate::{ca::Identity, rng};

/// One registered organisation.
pub struct Org {
    pub id: OrgId,
    pub identifier: String,
    pub name: String,
    pub roles: BTreeSet<Role>,
    pub key: SigningKey,
    pub identity: Identity,
    pub channel: Channel,
}

macro_rules! services {
    ($($name:ident: $client:ident;)*) => {
        impl Org {$(
            pub fn $name(&self) -> $client<Channel> {
                $client::new(self.channel.clone()).max_decoding_message_size(16 * 1024 * 1024)
            }
        )*}
    };
}

services! {
    consent: ConsentServiceClient;
    requests: RequestServiceClient;
    evidence: EvidenceServiceClient;
    bundles: BundleServiceClient;
    decisions: DecisionServiceClient;
    record: RecordServiceClient;
    ledger: LedgerServiceClient;
    directory: DirectoryServiceClient;
}

impl Org {
    pub fn new_key(alg: Alg) -> Result<SigningKey> {
        let der = SigningKey::generate_pkcs8(alg, &rng())?;
        Ok(SigningKey::from_pkcs8(alg, &der, &rng())?)
    }

    /// Signs one event (docs/api/signing.md).
    pub fn sign(
        &self,
        subject: &str,
        event: impl Into<Event>,
        aside: Aside,
        at: Moment,
    ) -> Result<v1::SignedStatement> {
        sign_with(&self.key, &self.id.urn(), subject, event, aside, at)
    }
}

/// Signs one event with any key and in any name.
pub fn sign_with(
    key: &SigningKey,
    issuer: &str,
    subject: &str,
    event: impl Into<Event>,
    aside: Aside,
    at: Moment,
) -> Result<v1::SignedStatement> {
    let event = event.into();
    let salt = Salt::from(crate::random::<32>());
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
        iss: issuer.to_owned(),
        sub: subject.to_owned(),
        iat: at.seconds(),
    };
    let statement = Statement::sign(&typ(event.name()), &claims, &payload.encode()?, key, &rng())?;
    Ok(v1::SignedStatement {
        statement: statement.bytes().to_vec(),
        aside,
    })
}
