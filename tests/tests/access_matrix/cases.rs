//! One call of every method, and one of everything to call it about.

use std::time::Duration;

use anyhow::{Context as _, Result};
use evidence_domain::{
    Aside, Role,
    event::{BundleAcknowledged, CertifiedCopy, DecisionRecorded, Disclosure, DisclosureDeclared},
    ids::{
        BundleId, CaseId, ClaimantId, DecisionId, DelegationId, GrantId, ItemId, OrgId,
        RepresentationId, RequestId, UploadId,
    },
};
use evidence_ledger::sha256;
use evidence_tests::{
    Org, World, ok, random,
    world::{Decide, Pulled, use_::pull},
};
use evidence_wire::v1::{self, submit_response::Outcome};
use jiff::civil::date;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// What a call may name.
#[derive(Debug, Clone)]
pub struct Ids {
    claimant: String,
    grant: String,
    delegation: String,
    representation: String,
    case: String,
    request: String,
    item: String,
    bundle: String,
    decision: String,
    upload: String,
    organisation: String,
    decide: Decide,
}

/// One of everything, whose parties are the trust, the DWP and, by delegation, `other_vcse`.
pub struct Things {
    ids: Ids,
    /// A delegation that the recipient wrote down for the claimant.
    of_recipient: String,
    /// A copy of paper that the intermediary certified.
    copy: String,
}

impl Things {
    /// What a role is a party to.
    pub fn of(&self, role: Role) -> Ids {
        match role {
            Role::Recipient => Ids {
                delegation: self.of_recipient.clone(),
                ..self.ids.clone()
            },
            Role::Intermediary => Ids {
                item: self.copy.clone(),
                ..self.ids.clone()
            },
            _ => self.ids.clone(),
        }
    }
}

pub async fn things(world: &World) -> Result<Things> {
    let claimant = world.claimant().await?;
    let disclosers = vec![world.trust.id.to_string(), world.gp.id.to_string()];
    let grant = world
        .grant_with(v1::CreateGrantRequest {
            disclosers,
            ..world.grant_request(&claimant)
        })
        .await?;
    let delegation = world
        .delegate(&world.trust, &grant, &world.other_vcse)
        .await?;
    let taken = ok!(world.dwp.consent().create_grant(v1::CreateGrantRequest {
        capture: v1::Capture::ByPhone.into(),
        witness: "A. Witness".to_owned(),
        ..world.grant_request(&claimant)
    }));
    let taken = taken.grant.context("no grant")?;
    let of_recipient = world
        .delegate(&world.dwp, &taken, &world.other_vcse)
        .await?
        .delegation_id;
    let case = world.case(&grant, "wca").await?;
    let request = world.request(&case, &grant, &world.trust).await?;
    let evidence = world.evidence(&grant, Some(&request), b"letter");
    let item = evidence.item.clone();
    let push = world.push(&world.trust, &request.subject, evidence)?;
    let relay = world.relay(&item, &push, Some(&delegation))?;
    let push = world.relayed(&world.other_vcse, &request.subject, push, relay)?;
    world.give(&world.other_vcse, &push, b"letter").await?;
    let mut copy = world.evidence(&grant, Some(&request), b"scan");
    let delegation_id = Some(delegation.delegation_id.parse()?);
    copy.certified_copy = Some(CertifiedCopy {
        method: "scan".to_owned(),
        origin: None,
        delegation: delegation_id,
    });
    let push = world.push(&world.other_vcse, &request.subject, copy)?;
    let copy = world
        .give(&world.other_vcse, &push, b"scan")
        .await?
        .to_string();
    let named = ok!(world
        .dwp
        .consent()
        .name_representative(naming(world, &claimant)));
    let pulled: Pulled = world.pull(&case).await?;
    let decide = world.decide(&case, &pulled)?;
    let decision = world.record(&decide).await?;
    let ids = Ids {
        claimant,
        grant: grant.grant_id,
        delegation: delegation.delegation_id,
        representation: named
            .representation
            .context("no representation")?
            .representation_id,
        case: case.case_id,
        request: request.request_id,
        item: item.to_string(),
        bundle: pulled.bundle().bundle_id.clone(),
        decision: decision.decision_id,
        upload: String::new(),
        organisation: world.gp.id.to_string(),
        decide,
    };
    Ok(Things {
        ids,
        of_recipient,
        copy,
    })
}

impl Ids {
    /// Ids of the same kinds that were never given.
    pub fn absent(&self) -> Self {
        let case = CaseId::from_random(random());
        let body = DecisionRecorded {
            case: case.clone(),
            ..self.decide.body.clone()
        };
        Self {
            claimant: ClaimantId::from_random(random()).to_string(),
            grant: GrantId::from_random(random()).to_string(),
            delegation: DelegationId::from_random(random()).to_string(),
            representation: RepresentationId::from_random(random()).to_string(),
            request: RequestId::from_random(random()).to_string(),
            item: ItemId::from_random(random()).to_string(),
            bundle: BundleId::from_random(random()).to_string(),
            decision: DecisionId::from_random(random()).to_string(),
            upload: UploadId::from_random(random()).to_string(),
            organisation: OrgId::from_random(random()).to_string(),
            decide: Decide {
                body,
                subject: case.urn(),
                ..self.decide.clone()
            },
            case: case.to_string(),
        }
    }

    /// What a list must show to its party, and to nobody else.
    pub fn listed(&self, path: &str) -> Option<&str> {
        Some(match name(path) {
            "ListGrants" => &self.grant,
            "ListDelegations" => &self.delegation,
            "ListRepresentations" => &self.representation,
            "ListCases" => &self.case,
            "ListRequests" | "Watch" => &self.request,
            "ListItems" => &self.item,
            _ => return None,
        })
    }
}

/// Methods after which there is less to call the others about.
pub fn ends_something(path: &str) -> bool {
    let ends = [
        "Withdraw", "End", "Cancel", "Decline", "Narrow", "Update", "Remove", "Retire",
    ];
    ends.iter().any(|verb| name(path).starts_with(verb))
}

/// Methods for which knowing a claimant's id is enough: whoever sits with them takes their consent.
pub fn is_open_to_any(path: &str) -> bool {
    ["CreateGrant", "NameRepresentative"].contains(&name(path))
}

/// Calls a method about these ids; what it answered, as text.
pub async fn call(world: &World, org: &Org, ids: &Ids, path: &str) -> Result<String, Status> {
    let service = path.rsplit('/').nth(1).unwrap_or_default();
    match service.trim_start_matches("evidence.v1.") {
        "ConsentService" => consent(world, org, ids, name(path)).await,
        "RequestService" => requests(world, org, ids, name(path)).await,
        "EvidenceService" => evidence(world, org, ids, name(path)).await,
        "BundleService" => bundles(world, org, ids, name(path)).await,
        "DecisionService" => decisions(world, org, ids, name(path)).await,
        "RecordService" => record(world, org, ids, name(path)).await,
        "LedgerService" => ledger(org, name(path)).await,
        "DirectoryService" => directory(world, org, ids, name(path)).await,
        _ => Err(no_case(path)),
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn no_case(path: &str) -> Status {
    Status::unimplemented(format!("{path} has no case: add one here"))
}

fn text<T: std::fmt::Debug>(answer: Response<T>) -> String {
    format!("{:?}", answer.into_inner())
}

fn faulty(error: anyhow::Error) -> Status {
    Status::internal(format!("the case cannot be made: {error:#}"))
}

async fn consent(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.consent();
    let (request_id, grant_id) = (world.key(), ids.grant.clone());
    let claimant_id = ids.claimant.clone();
    Ok(match name {
        "RegisterClaimant" => text(
            client
                .register_claimant(v1::RegisterClaimantRequest {
                    request_id,
                    name: "Sam Placeholder".to_owned(),
                    date_of_birth: "1991-08-02".to_owned(),
                    nhs_number: world.nhs_number(),
                    ..Default::default()
                })
                .await?,
        ),
        "CreateGrant" => text(
            client
                .create_grant(v1::CreateGrantRequest {
                    witness: "A. Witness".to_owned(),
                    ..world.grant_request(&ids.claimant)
                })
                .await?,
        ),
        "NarrowGrant" => text(
            client
                .narrow_grant(v1::NarrowGrantRequest {
                    request_id,
                    grant_id,
                    remove_purposes: vec!["pip".to_owned()],
                    ..Default::default()
                })
                .await?,
        ),
        "WithdrawGrant" => text(
            client
                .withdraw_grant(v1::WithdrawGrantRequest {
                    request_id,
                    grant_id,
                    capture: v1::Capture::ByPhone.into(),
                    note: String::new(),
                })
                .await?,
        ),
        "GetGrant" => text(client.get_grant(v1::GetGrantRequest { grant_id }).await?),
        "ListGrants" => text(
            client
                .list_grants(v1::ListGrantsRequest {
                    claimant_id,
                    ..Default::default()
                })
                .await?,
        ),
        "CreateDelegation" => text(
            client
                .create_delegation(v1::CreateDelegationRequest {
                    request_id,
                    grant_id,
                    intermediary: world.other_vcse.id.to_string(),
                    kinds: vec!["*".to_owned()],
                    expires_on: String::new(),
                })
                .await?,
        ),
        "EndDelegation" => text(
            client
                .end_delegation(v1::EndDelegationRequest {
                    request_id,
                    delegation_id: ids.delegation.clone(),
                })
                .await?,
        ),
        "ListDelegations" => text(
            client
                .list_delegations(v1::ListDelegationsRequest {
                    // The portal is a party to all grants, and to none: it says which.
                    grant_id: if org.id == world.portal.id {
                        grant_id
                    } else {
                        String::new()
                    },
                    ..Default::default()
                })
                .await?,
        ),
        "NameRepresentative" => text(
            client
                .name_representative(naming(world, &ids.claimant))
                .await?,
        ),
        "EndRepresentation" => text(
            client
                .end_representation(v1::EndRepresentationRequest {
                    request_id,
                    representation_id: ids.representation.clone(),
                })
                .await?,
        ),
        "ListRepresentations" => text(
            client
                .list_representations(v1::ListRepresentationsRequest { claimant_id })
                .await?,
        ),
        _ => return Err(no_case(name)),
    })
}

fn naming(world: &World, claimant: &str) -> v1::NameRepresentativeRequest {
    v1::NameRepresentativeRequest {
        request_id: world.key(),
        claimant_id: claimant.to_owned(),
        kind: v1::RepresentationKind::Representative.into(),
        name: "A. Friend".to_owned(),
        scopes: vec![v1::RepresentationScope::SeeProgress.into()],
        expires_on: evidence_domain::time::days_after(world.now().day(), 100).to_string(),
        capture: v1::Capture::InPerson.into(),
        witness: "A. Witness".to_owned(),
    }
}

async fn requests(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.requests();
    let (request_id, evidence_request_id) = (world.key(), ids.request.clone());
    let words = || "In a few words.".to_owned();
    Ok(match name {
        "OpenCase" => text(
            client
                .open_case(v1::OpenCaseRequest {
                    request_id,
                    claimant_id: ids.claimant.clone(),
                    grant_id: ids.grant.clone(),
                    assessment_type: "wca".to_owned(),
                    nation: "england-and-wales".to_owned(),
                    reference: "R".to_owned(),
                    mental_health: false,
                })
                .await?,
        ),
        "GetCase" => text(
            client
                .get_case(v1::GetCaseRequest {
                    case_id: ids.case.clone(),
                })
                .await?,
        ),
        "ListCases" => text(client.list_cases(v1::ListCasesRequest::default()).await?),
        "OpenRequest" => text(
            client
                .open_request(v1::OpenRequestRequest {
                    request_id,
                    case_id: ids.case.clone(),
                    grant_id: ids.grant.clone(),
                    discloser: world.trust.id.to_string(),
                    kinds: vec!["clinical-letter".to_owned()],
                    question: words(),
                    assurance: words(),
                    ..Default::default()
                })
                .await?,
        ),
        "AcknowledgeRequest" => text(
            client
                .acknowledge_request(v1::AcknowledgeRequestRequest {
                    request_id,
                    evidence_request_id,
                })
                .await?,
        ),
        "AskClarification" => text(
            client
                .ask_clarification(v1::AskClarificationRequest {
                    request_id,
                    evidence_request_id,
                    question: words(),
                })
                .await?,
        ),
        "AnswerClarification" => text(
            client
                .answer_clarification(v1::AnswerClarificationRequest {
                    request_id,
                    evidence_request_id,
                    answer: words(),
                })
                .await?,
        ),
        "DeclineRequest" => text(
            client
                .decline_request(v1::DeclineRequestRequest {
                    request_id,
                    evidence_request_id,
                    reason: "no_record_held".to_owned(),
                    note: String::new(),
                })
                .await?,
        ),
        "CancelRequest" => text(
            client
                .cancel_request(v1::CancelRequestRequest {
                    request_id,
                    evidence_request_id,
                    note: String::new(),
                })
                .await?,
        ),
        "GetRequest" => text(
            client
                .get_request(v1::GetRequestRequest {
                    evidence_request_id,
                })
                .await?,
        ),
        "ListRequests" => text(
            client
                .list_requests(v1::ListRequestsRequest::default())
                .await?,
        ),
        "Watch" => {
            let mut stream = client
                .watch(v1::WatchRequest::default())
                .await?
                .into_inner();
            let mut seen = String::new();
            // It stays open: nothing more for a while is all there is.
            while let Ok(Some(event)) =
                tokio::time::timeout(Duration::from_millis(500), stream.message())
                    .await
                    .unwrap_or(Ok(None))
            {
                seen.push_str(&format!("{event:?}"));
            }
            seen
        }
        _ => return Err(no_case(name)),
    })
}

/// Evidence for the ids, as this organisation would send it.
fn push(world: &World, org: &Org, ids: &Ids) -> Result<v1::Push> {
    let grant = v1::Grant {
        grant_id: ids.grant.clone(),
        ..Default::default()
    };
    let body = world.evidence(&grant, None, b"letter");
    let subject = body.grant.urn();
    if !org.roles.contains(&evidence_domain::Role::Intermediary) {
        return world.push(org, &subject, body);
    }
    let item = body.item.clone();
    let push = world.push(&world.trust, &subject, body)?;
    let delegation = v1::Delegation {
        delegation_id: ids.delegation.clone(),
        ..Default::default()
    };
    let relay = world.relay(&item, &push, Some(&delegation))?;
    world.relayed(org, &subject, push, relay)
}

/// A refusal within an answer, as the status it would be.
fn refused(reason: &str, message: &str) -> Status {
    let details =
        ErrorDetails::with_error_info(reason, "evidence.v1", std::collections::HashMap::new());
    Status::with_error_details(
        if reason == "not_found" {
            Code::NotFound
        } else {
            Code::FailedPrecondition
        },
        message,
        details,
    )
}

async fn evidence(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.evidence();
    let item_id = ids.item.clone();
    let push = || push(world, org, ids).map_err(faulty);
    let upload = || async {
        if !ids.upload.is_empty() {
            return Ok(ids.upload.clone());
        }
        // The caller's own: whose it is cannot be passed on.
        let owner = if [&world.trust.id, &world.other_vcse.id].contains(&&org.id) {
            org
        } else {
            &world.trust
        };
        let push = self::push(world, owner, ids).map_err(faulty)?;
        let started = owner
            .evidence()
            .start_upload(v1::StartUploadRequest { push: Some(push) })
            .await?;
        Ok::<_, Status>(started.into_inner().upload_id)
    };
    Ok(match name {
        "Validate" => {
            let told = client
                .validate(v1::ValidateRequest {
                    push: Some(push()?),
                })
                .await?
                .into_inner();
            if !told.acceptable {
                return Err(refused(&told.reason, &told.message));
            }
            format!("{told:?}")
        }
        "Submit" => match world.submit(org, &push()?, b"letter").await?.outcome {
            Some(Outcome::Refusal(told)) => return Err(refused(&told.reason, &told.message)),
            other => format!("{other:?}"),
        },
        "StartUpload" => text(
            client
                .start_upload(v1::StartUploadRequest {
                    push: Some(push()?),
                })
                .await?,
        ),
        "SendUpload" => {
            let first = v1::SendUploadRequest {
                upload_id: upload().await?,
                offset: 0,
                chunk: b"let".to_vec().into(),
            };
            text(client.send_upload(tokio_stream::iter([first])).await?)
        }
        "QueryUpload" => text(
            client
                .query_upload(v1::QueryUploadRequest {
                    upload_id: upload().await?,
                })
                .await?,
        ),
        "CompleteUpload" => text(
            client
                .complete_upload(v1::CompleteUploadRequest {
                    upload_id: upload().await?,
                })
                .await?,
        ),
        "WithdrawItem" => text(
            client
                .withdraw_item(v1::WithdrawItemRequest {
                    request_id: world.key(),
                    item_id,
                    reason: "inaccurate".to_owned(),
                })
                .await?,
        ),
        "DeclareDisclosure" => {
            let item = ids
                .item
                .parse()
                .map_err(|_| Status::internal("an item id"))?;
            let body = DisclosureDeclared {
                item,
                disclosure: Disclosure::Open,
                profession: "doctor".to_owned(),
                declared_on: date(2026, 7, 2),
            };
            let aside: Aside = [
                ("professional", "Dr A"),
                ("registration", "1"),
                ("reasons", "None."),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into();
            let declaration = Some(
                world
                    .sign(org, &ids.decide.subject, body, aside)
                    .map_err(faulty)?,
            );
            text(
                client
                    .declare_disclosure(v1::DeclareDisclosureRequest { declaration })
                    .await?,
            )
        }
        "GetItem" => text(client.get_item(v1::GetItemRequest { item_id }).await?),
        "ListItems" => text(client.list_items(v1::ListItemsRequest::default()).await?),
        _ => return Err(no_case(name)),
    })
}

async fn bundles(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.bundles();
    Ok(match name {
        "Pull" => format!(
            "{:?}",
            pull(
                org,
                v1::PullRequest {
                    request_id: world.key(),
                    case_id: ids.case.clone(),
                    purpose: "wca".to_owned(),
                    actor: "A".to_owned(),
                    ..Default::default()
                }
            )
            .await?
        ),
        "Acknowledge" => {
            let bundle = ids
                .bundle
                .parse()
                .map_err(|_| Status::internal("a bundle id"))?;
            let body = BundleAcknowledged {
                bundle,
                pulled: sha256(b"one"),
                official: sha256(b"two"),
                received_on: world.now().day(),
            };
            let acknowledgement = Some(
                world
                    .sign(org, &ids.decide.subject, body, Aside::new())
                    .map_err(faulty)?,
            );
            text(
                client
                    .acknowledge(v1::AcknowledgeBundleRequest { acknowledgement })
                    .await?,
            )
        }
        "GetBundle" => text(
            client
                .get_bundle(v1::GetBundleRequest {
                    bundle_id: ids.bundle.clone(),
                })
                .await?,
        ),
        "ListBundles" => text(
            client
                .list_bundles(v1::ListBundlesRequest {
                    case_id: ids.case.clone(),
                    ..Default::default()
                })
                .await?,
        ),
        _ => return Err(no_case(name)),
    })
}

async fn decisions(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let (mut client, decision_id) = (org.decisions(), ids.decision.clone());
    Ok(match name {
        "Record" => text(
            client
                .record(world.decision(org, &ids.decide).map_err(faulty)?)
                .await?,
        ),
        "GetDecision" => text(
            client
                .get_decision(v1::GetDecisionRequest { decision_id })
                .await?,
        ),
        "GetUses" => text(client.get_uses(v1::GetUsesRequest { decision_id }).await?),
        _ => return Err(no_case(name)),
    })
}

async fn record(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let (mut client, request_id) = (org.record(), world.key());
    let viewer = Some(v1::Viewer {
        claimant_id: ids.claimant.clone(),
        representation_id: String::new(),
    });
    let words = "In my own words.".to_owned();
    Ok(match name {
        "GetRecord" => text(client.get_record(v1::GetRecordRequest { viewer }).await?),
        "ReadItem" => {
            let asked = v1::ReadItemRequest {
                viewer,
                item_id: ids.item.clone(),
                from_offset: 0,
            };
            format!(
                "{:?}",
                client
                    .read_item(asked)
                    .await?
                    .into_inner()
                    .message()
                    .await?
            )
        }
        "ListAccesses" => text(
            client
                .list_accesses(v1::ListAccessesRequest {
                    viewer,
                    ..Default::default()
                })
                .await?,
        ),
        "ListDecisions" => text(
            client
                .list_decisions(v1::ListDecisionsRequest { viewer })
                .await?,
        ),
        "AddStatement" => text(
            client
                .add_statement(v1::AddStatementRequest {
                    request_id,
                    viewer,
                    grant_id: ids.grant.clone(),
                    title: words.clone(),
                    text: words,
                })
                .await?,
        ),
        "AddNote" => text(
            client
                .add_note(v1::AddNoteRequest {
                    request_id,
                    viewer,
                    item_id: ids.item.clone(),
                    text: words,
                })
                .await?,
        ),
        "StateAdjustment" => text(
            client
                .state_adjustment(v1::StateAdjustmentRequest {
                    request_id,
                    viewer,
                    text: words,
                })
                .await?,
        ),
        _ => return Err(no_case(name)),
    })
}

async fn ledger(org: &Org, name: &str) -> Result<String, Status> {
    let mut client = org.ledger();
    Ok(match name {
        "GetReceipt" => {
            // Of an entry that there is: the log's policy opens every log.
            let entry = sha256(b"no entry").as_bytes().to_vec();
            match client.get_receipt(v1::GetReceiptRequest { entry }).await {
                Err(status) if status.code() == Code::NotFound => "no such entry".to_owned(),
                other => text(other?),
            }
        }
        "GetCheckpoint" => text(
            client
                .get_checkpoint(v1::GetCheckpointRequest { size: 0 })
                .await?,
        ),
        "GetInclusionProof" => text(
            client
                .get_inclusion_proof(v1::GetInclusionProofRequest { index: 0, size: 0 })
                .await?,
        ),
        "GetConsistencyProof" => {
            let newest = client
                .get_checkpoint(v1::GetCheckpointRequest { size: 0 })
                .await?
                .into_inner()
                .size;
            text(
                client
                    .get_consistency_proof(v1::GetConsistencyProofRequest {
                        from_size: newest,
                        to_size: newest,
                    })
                    .await?,
            )
        }
        "ListLogKeys" => text(client.list_log_keys(v1::ListLogKeysRequest {}).await?),
        _ => return Err(no_case(name)),
    })
}

async fn directory(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let (mut client, request_id) = (org.directory(), world.key());
    let (organisation_id, roles) = (ids.organisation.clone(), vec![v1::Role::Discloser.into()]);
    let fingerprint = sha256(b"a certificate").to_string();
    Ok(match name {
        "RegisterOrganisation" => text(
            client
                .register_organisation(v1::RegisterOrganisationRequest {
                    identifier: format!("ods:{request_id}"),
                    request_id,
                    name: "New".to_owned(),
                    roles,
                })
                .await?,
        ),
        "UpdateOrganisation" => text(
            client
                .update_organisation(v1::UpdateOrganisationRequest {
                    request_id,
                    organisation_id,
                    name: "Renamed".to_owned(),
                    roles,
                    suspended: false,
                })
                .await?,
        ),
        "AddCertificate" => text(
            client
                .add_certificate(v1::AddCertificateRequest {
                    request_id,
                    organisation_id,
                    fingerprint,
                })
                .await?,
        ),
        "RemoveCertificate" => text(
            client
                .remove_certificate(v1::RemoveCertificateRequest {
                    request_id,
                    organisation_id,
                    fingerprint,
                })
                .await?,
        ),
        "RegisterKey" => {
            let key = world.council.key.public().to_cose_key();
            let at = |days: i64| {
                Some(evidence_wire::common::timestamp(
                    world.now().plus_seconds(days * 86_400),
                ))
            };
            text(
                client
                    .register_key(v1::RegisterKeyRequest {
                        request_id,
                        organisation_id,
                        cose_key: key,
                        not_before: at(0),
                        not_after: at(9),
                    })
                    .await?,
            )
        }
        "RetireKey" => text(
            client
                .retire_key(v1::RetireKeyRequest {
                    request_id,
                    organisation_id,
                    kid: world.gp.key.public().kid(),
                    not_after: Some(evidence_wire::common::timestamp(world.now())),
                })
                .await?,
        ),
        "SetPolicy" => text(
            client
                .set_policy(v1::SetPolicyRequest {
                    request_id,
                    name: "clocks".to_owned(),
                    document: "[request]\nanswer_days = 28\n".to_owned(),
                })
                .await?,
        ),
        "GetPolicy" => text(
            client
                .get_policy(v1::GetPolicyRequest {
                    name: "clocks".to_owned(),
                })
                .await?,
        ),
        "GetOrganisation" => text(
            client
                .get_organisation(v1::GetOrganisationRequest { organisation_id })
                .await?,
        ),
        "ListOrganisations" => text(
            client
                .list_organisations(v1::ListOrganisationsRequest::default())
                .await?,
        ),
        _ => return Err(no_case(name)),
    })
}
