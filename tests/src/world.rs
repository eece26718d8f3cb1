//! A gateway with organisations and people, all put there through the API as anyone would.

pub mod evidence;
mod people;
pub mod use_;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use evidence_domain::{
    Aside, Event, Moment, Role,
    ids::{ItemId, OrgId},
};
use evidence_ledger::{Alg, Digest, NoteVerifier, PublicKey, Receipt, Statement, sha256};
use evidence_wire::{access::role_number, common::timestamp, v1};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::{Engine, Gateway, Org, client, invariants, now, ok};

pub use use_::{Decide, Pulled};

/// Everything that a suite needs to play the exchange.
pub struct World {
    pub gateway: Gateway,
    pub operator: Org,
    pub trust: Org,
    pub gp: Org,
    pub council: Org,
    /// Discloses in its own name and relays for others.
    pub vcse: Org,
    pub dwp: Org,
    pub portal: Org,
    /// Have nothing to do with the people here.
    pub other_trust: Org,
    pub other_vcse: Org,
    pub other_dwp: Org,
    pub log: LogKeys,
    kept: Mutex<Vec<Kept>>,
    counter: AtomicU64,
}

/// The log's public keys, as an outsider has them.
#[derive(Debug, Clone)]
pub struct LogKeys {
    pub receipt: PublicKey,
    pub statement: PublicKey,
    pub checkpoint: NoteVerifier,
}

/// A receipt in hand, and the document that it is for.
#[derive(Debug, Clone)]
pub struct Kept {
    pub receipt: v1::Receipt,
    pub document: Option<(ItemId, Vec<u8>)>,
}

impl World {
    /// A new gateway on `engine` with every organisation.
    pub async fn start(engine: Engine) -> Result<Self> {
        Self::with(Gateway::start(engine).await?).await
    }

    /// Registers everybody with a gateway that has just been started for the first time.
    pub async fn with(gateway: Gateway) -> Result<Self> {
        let operator = operator(&gateway).await?;
        let log = log_keys(&operator).await?;
        let giver: &[Role] = &[Role::Discloser];
        let relayer: &[Role] = &[Role::Discloser, Role::Intermediary];
        let register = async |identifier: &str, roles: &[Role], alg| {
            register(&gateway, &operator, identifier, roles, alg).await
        };
        Ok(Self {
            trust: register("ods:RX1", giver, Alg::Es256).await?,
            gp: register("ods:A81001", giver, Alg::Es256).await?,
            council: register("local-authority:E06000001", giver, Alg::EdDsa).await?,
            vcse: register("charity:1000001", relayer, Alg::Es256).await?,
            dwp: register("dwp:health", &[Role::Recipient], Alg::Es256).await?,
            portal: register("company:00000002", &[Role::Portal], Alg::Es256).await?,
            other_trust: register("ods:RX2", giver, Alg::Es256).await?,
            other_vcse: register("charity:1000002", &[Role::Intermediary], Alg::Es256).await?,
            other_dwp: register("dwp:other", &[Role::Recipient], Alg::Es256).await?,
            operator,
            log,
            gateway,
            kept: Mutex::default(),
            counter: AtomicU64::new(1),
        })
    }

    /// Runs the invariant checker on what the test leaves behind.
    pub async fn finish(self) -> Result<()> {
        let mut world = self;
        invariants::check(&mut world).await
    }

    /// Everybody, the operator first.
    pub fn organisations(&self) -> [&Org; 10] {
        [
            &self.operator,
            &self.trust,
            &self.gp,
            &self.council,
            &self.vcse,
            &self.dwp,
            &self.portal,
            &self.other_trust,
            &self.other_vcse,
            &self.other_dwp,
        ]
    }

    pub fn now(&self) -> Moment {
        now()
    }

    /// A number that this test has not had before.
    pub fn next(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A new idempotency key.
    pub fn key(&self) -> String {
        format!("test-{}", self.next())
    }

    pub fn sign(
        &self,
        org: &Org,
        subject: &str,
        event: impl Into<Event>,
        aside: Aside,
    ) -> Result<v1::SignedStatement> {
        org.sign(subject, event, aside, self.now())
    }

    /// Checks a receipt offline, and keeps it for the invariant checker.
    pub fn keep(&self, receipt: Option<v1::Receipt>) -> Result<v1::Receipt> {
        self.keep_with(receipt, None)
    }

    /// As [`World::keep`], with the document that the receipt is for.
    pub fn keep_with(
        &self,
        receipt: Option<v1::Receipt>,
        document: Option<(ItemId, Vec<u8>)>,
    ) -> Result<v1::Receipt> {
        let receipt = receipt.context("the answer has no receipt")?;
        self.log.verify(&receipt)?;
        let kept = Kept {
            receipt: receipt.clone(),
            document,
        };
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kept);
        Ok(receipt)
    }

    /// Every receipt in hand.
    pub fn kept(&self) -> Vec<Kept> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl LogKeys {
    /// That the receipt proves its entry to be in the log, and that its statement is that entry.
    pub fn verify(&self, receipt: &v1::Receipt) -> Result<Digest> {
        let entry = Digest::try_from(receipt.entry.as_slice())?;
        let parsed = Receipt::parse(&receipt.receipt)?;
        parsed.verify(&entry, &self.receipt)?;
        ensure!(
            (parsed.index, parsed.size) == (receipt.index, receipt.tree_size),
            "the receipt speaks of another place"
        );
        if !receipt.statement.is_empty() {
            ensure!(
                Statement::parse(&receipt.statement)?.entry() == entry,
                "the statement is another entry"
            );
            ensure!(
                sha256(&receipt.statement) == entry,
                "the statement is not as logged"
            );
        }
        ensure!(receipt.received_at.is_some(), "the receipt has no time");
        Ok(entry)
    }
}

/// The stable reason in a status, or its code where it has none.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().map_or_else(
        || format!("{:?}", status.code()),
        |info| info.reason.clone(),
    )
}

/// A status in one line.
pub fn describe(status: &Status) -> String {
    format!(
        "{:?} {}: {}",
        status.code(),
        reason(status),
        status.message()
    )
}

async fn operator(gateway: &Gateway) -> Result<Org> {
    let identity = gateway.ca.client("unused")?;
    let channel = client::channel(&gateway.address, &gateway.ca, &gateway.operator)?;
    let mut org = Org {
        id: OrgId::from_random([0; 16]),
        identifier: "company:00000001".to_owned(),
        name: "Operator".to_owned(),
        roles: [Role::Operator].into(),
        key: Org::new_key(Alg::Es256)?,
        identity,
        channel,
    };
    let listed = ok!(org
        .directory()
        .list_organisations(v1::ListOrganisationsRequest::default()));
    let own = listed
        .organisations
        .iter()
        .find(|each| each.identifier == org.identifier);
    org.id = own
        .context("the operator is not registered")?
        .organisation_id
        .parse()?;
    Ok(org)
}

async fn register(
    gateway: &Gateway,
    operator: &Org,
    identifier: &str,
    roles: &[Role],
    alg: Alg,
) -> Result<Org> {
    let identity = gateway.ca.client(identifier)?;
    let channel = client::channel(&gateway.address, &gateway.ca, &identity)?;
    let name = format!("Organisation {identifier}");
    let registered =
        ok!(operator
            .directory()
            .register_organisation(v1::RegisterOrganisationRequest {
                request_id: format!("register-{identifier}"),
                identifier: identifier.to_owned(),
                name: name.clone(),
                roles: roles.iter().map(|role| role_number(*role)).collect(),
            }));
    let id = registered
        .organisation
        .context("no organisation")?
        .organisation_id;
    ok!(operator
        .directory()
        .add_certificate(v1::AddCertificateRequest {
            request_id: format!("certificate-{identifier}"),
            organisation_id: id.clone(),
            fingerprint: identity.fingerprint().to_string(),
        }));
    let key = Org::new_key(alg)?;
    ok!(operator.directory().register_key(v1::RegisterKeyRequest {
        request_id: format!("key-{identifier}"),
        organisation_id: id.clone(),
        cose_key: key.public().to_cose_key(),
        not_before: Some(timestamp(now().plus_seconds(-86_400))),
        not_after: Some(timestamp(now().plus_seconds(365 * 86_400))),
    }));
    let roles = roles.iter().copied().collect();
    Ok(Org {
        id: id.parse()?,
        identifier: identifier.to_owned(),
        name,
        roles,
        key,
        identity,
        channel,
    })
}

async fn log_keys(org: &Org) -> Result<LogKeys> {
    let listed = ok!(org.ledger().list_log_keys(v1::ListLogKeysRequest {}));
    let find = |usage: &str| {
        listed
            .keys
            .iter()
            .find(|key| key.r#use == usage)
            .context("a key is missing")
    };
    Ok(LogKeys {
        receipt: PublicKey::from_cose_key(&find("receipt")?.cose_key)?,
        statement: PublicKey::from_cose_key(&find("statement")?.cose_key)?,
        checkpoint: find("checkpoint")?
            .verifier_key
            .parse()
            .context("a verifier key")?,
    })
}
