//! Who and what there is in a new sandbox, put there through the API as anyone would: the operator
//! registers the organisations, the claimants' pages the claimants and a first grant.

use std::{collections::BTreeMap, fs, net::SocketAddr};

use anyhow::Context as _;
use evidence_domain::{Moment, time::days_after};
use evidence_ledger::{Alg, SigningKey};
use evidence_store::seal::Rng;
use evidence_wire::{
    common::timestamp,
    v1::{
        self, consent_service_client::ConsentServiceClient,
        directory_service_client::DirectoryServiceClient,
        ledger_service_client::LedgerServiceClient,
    },
};
use serde::{Deserialize, Serialize};
use tonic::transport::Channel;

use super::{
    cast::{COUNCIL, DWP, GP, HOSPITAL, MEMBERS, Member, OPERATOR, PEOPLE, PORTAL, SAM, VCSE},
    client::connect,
    folder::{Folder, write},
};
use crate::clock::Clock;

/// What has been put into this folder's gateway. Written last: without it, setting up broke off.
const FACTS: &str = "sandbox.json";
const READY: &str = "ready.json";
/// How long the organisations' keys and the first grant last.
const DAYS: i64 = 365;

/// The ids that the sandbox's gateway has given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Organisation ids by folder.
    pub organisations: BTreeMap<String, String>,
    /// Claimant ids by name.
    pub claimants: BTreeMap<String, String>,
    /// Sam's grant.
    pub grant: String,
}

impl Facts {
    /// `None` in a new folder.
    pub fn load(folder: &Folder) -> anyhow::Result<Option<Self>> {
        let path = folder.path(FACTS);
        if !path.exists() {
            anyhow::ensure!(
                !folder.path("gateway/evidence.sqlite").exists(),
                "setting up {} broke off; start again with --fresh",
                folder.root().display()
            );
            return Ok(None);
        }
        let facts = serde_json::from_slice(&fs::read(&path)?).with_context(|| {
            format!(
                "{} cannot be read; start again with --fresh",
                path.display()
            )
        })?;
        Ok(Some(facts))
    }

    pub fn organisation(&self, member: &Member) -> &str {
        self.organisations
            .get(member.folder)
            .map_or("", String::as_str)
    }
}

/// Sets up a new gateway that listens on `address`.
pub async fn settle(
    folder: &Folder,
    address: SocketAddr,
    clock: &Clock,
    rng: &Rng,
) -> anyhow::Result<Facts> {
    let now = Moment::from(clock.now());
    let operator = connect(folder, OPERATOR, address).await?;
    let mut directory = DirectoryServiceClient::new(operator.clone());
    let mut organisations = BTreeMap::new();
    for member in MEMBERS {
        let id = register(&mut directory, folder, member, now, rng).await?;
        organisations.insert(member.folder.to_owned(), id);
    }
    write_log_keys(folder, operator).await?;
    let mut facts = Facts {
        organisations,
        claimants: BTreeMap::new(),
        grant: String::new(),
    };
    let mut consent = ConsentServiceClient::new(connect(folder, PORTAL, address).await?);
    for person in PEOPLE {
        let request = v1::RegisterClaimantRequest {
            request_id: format!("sandbox-{}", person.key),
            name: person.name.to_owned(),
            date_of_birth: person.date_of_birth.to_owned(),
            nhs_number: person.nhs_number.to_owned(),
            ..Default::default()
        };
        let id = consent
            .register_claimant(request)
            .await?
            .into_inner()
            .claimant_id;
        facts.claimants.insert(person.key.to_owned(), id);
    }
    let granted = consent
        .create_grant(first_grant(&facts, now))
        .await?
        .into_inner();
    facts.grant = granted
        .grant
        .context("the gateway answered without the grant")?
        .grant_id;
    write(&folder.path(FACTS), &serde_json::to_vec_pretty(&facts)?)?;
    Ok(facts)
}

/// The id of an organisation that is registered by now, with its certificate and key.
async fn register(
    directory: &mut DirectoryServiceClient<Channel>,
    folder: &Folder,
    member: &Member,
    now: Moment,
    rng: &Rng,
) -> anyhow::Result<String> {
    if member.folder == OPERATOR.folder {
        // The first start has registered it.
        let known = directory
            .list_organisations(v1::ListOrganisationsRequest::default())
            .await?
            .into_inner();
        let own = known
            .organisations
            .into_iter()
            .find(|known| known.identifier == member.identifier);
        return Ok(own
            .context("the operator is not registered")?
            .organisation_id);
    }
    let request = v1::RegisterOrganisationRequest {
        request_id: format!("sandbox-{}", member.folder),
        identifier: member.identifier.to_owned(),
        name: member.name.to_owned(),
        roles: member.roles.iter().map(|role| (*role).into()).collect(),
    };
    let registered = directory.register_organisation(request).await?.into_inner();
    let id = registered
        .organisation
        .context("the gateway answered without the organisation")?
        .organisation_id;
    let request = v1::AddCertificateRequest {
        request_id: format!("sandbox-{}-certificate", member.folder),
        organisation_id: id.clone(),
        fingerprint: super::authority::fingerprint(&folder.of(member, "certificate.pem"))?
            .to_string(),
    };
    directory.add_certificate(request).await?;
    if let Some(alg) = member.signs {
        let key = new_signing_key(folder, member, alg, rng)?;
        let request = v1::RegisterKeyRequest {
            request_id: format!("sandbox-{}-key", member.folder),
            organisation_id: id.clone(),
            cose_key: key.public().to_cose_key(),
            // What is signed today with a clock a little behind is good too.
            not_before: Some(timestamp(now.plus_seconds(-24 * 60 * 60))),
            not_after: Some(timestamp(now.plus_seconds(DAYS * 24 * 60 * 60))),
        };
        directory.register_key(request).await?;
    }
    Ok(id)
}

/// Makes a key and keeps both halves, the public one as hex of its COSE_Key.
fn new_signing_key(
    folder: &Folder,
    member: &Member,
    alg: Alg,
    rng: &Rng,
) -> anyhow::Result<SigningKey> {
    let pkcs8 = SigningKey::generate_pkcs8(alg, rng)?;
    write(&folder.of(member, "signing-key.der"), &pkcs8)?;
    let key = SigningKey::from_pkcs8(alg, &pkcs8, rng)?;
    let public = data_encoding::HEXLOWER.encode(&key.public().to_cose_key());
    write(&folder.of(member, "signing-key.pub"), public.as_bytes())?;
    Ok(key)
}

fn first_grant(facts: &Facts, now: Moment) -> v1::CreateGrantRequest {
    let claimant = facts.claimants.get(SAM.key).cloned().unwrap_or_default();
    v1::CreateGrantRequest {
        request_id: "sandbox-grant".to_owned(),
        claimant_id: claimant,
        disclosers: [HOSPITAL, GP, COUNCIL, VCSE]
            .map(|member| facts.organisation(member).to_owned())
            .into(),
        kinds: vec!["*".to_owned()],
        recipient: facts.organisation(DWP).to_owned(),
        purposes: vec!["wca".to_owned(), "pip".to_owned()],
        expires_on: days_after(now.day(), DAYS).to_string(),
        capture: v1::Capture::InPortal.into(),
        lawful_basis: "uk-gdpr-6-1-e_9-2-b".to_owned(),
        ..Default::default()
    }
}

/// The log's public keys, for checking receipts offline.
async fn write_log_keys(folder: &Folder, channel: Channel) -> anyhow::Result<()> {
    let answer = LedgerServiceClient::new(channel)
        .list_log_keys(v1::ListLogKeysRequest {})
        .await?
        .into_inner();
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let keys: Vec<_> = answer
        .keys
        .iter()
        .map(|key| {
            let (kid, cose_key) = (hex(&key.kid), hex(&key.cose_key));
            serde_json::json!({ "use": key.r#use, "kid": kid, "cose_key": cose_key, "verifier_key": key.verifier_key })
        })
        .collect();
    let file = serde_json::json!({ "origin": answer.origin, "keys": keys });
    write(
        &folder.path("log-keys.json"),
        &serde_json::to_vec_pretty(&file)?,
    )
}

/// An `evidence.toml` for each organisation, at each start: the address may be another.
pub fn write_client_configs(folder: &Folder, facts: &Facts, endpoint: &str) -> anyhow::Result<()> {
    for member in MEMBERS {
        let mut config = serde_json::json!({
            "endpoint": endpoint,
            "ca": "../authority/root.pem",
            "certificate": "certificate.pem",
            "key": "key.pem",
            "organisation_id": facts.organisation(member),
            "log_keys": "../log-keys.json",
        });
        if member.signs.is_some() {
            config["signing_key"] = "signing-key.der".into();
        }
        write(
            &folder.of(member, "evidence.toml"),
            toml::to_string(&config)?.as_bytes(),
        )?;
    }
    Ok(())
}

/// Tells scripts that it is running, where, and what the ids are. Gone again when it has stopped.
pub fn write_ready(
    folder: &Folder,
    facts: &Facts,
    endpoint: &str,
    clock: &Clock,
) -> anyhow::Result<()> {
    let now = clock.now();
    let ready = serde_json::json!({
        "endpoint": endpoint,
        "data": folder.root(),
        "now": now.to_string(),
        "today": Moment::from(now).day().to_string(),
        "organisations": facts.organisations,
        "claimants": facts.claimants,
        "grant": facts.grant,
    });
    write(&folder.path(READY), &serde_json::to_vec_pretty(&ready)?)
}
