//! The services about evidence: pushing, pulling, deciding.

use anyhow::Result;
use evidence_domain::{
    Aside, Role,
    event::{BundleAcknowledged, Disclosure, DisclosureDeclared},
};
use evidence_ledger::sha256;
use evidence_tests::{Org, World, world::use_::pull};
use evidence_wire::v1::{self, submit_response::Outcome};
use jiff::civil::date;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Ids, calls, faulty, text};

pub async fn evidence(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.evidence();
    let (request_id, item_id) = (world.key(), ids.item.clone());
    let push = push(world, org, ids).map_err(faulty)?;
    match name {
        "Validate" => return validate(org, push).await,
        "Submit" => return submit(world, org, &push).await,
        "SendUpload" => {
            let upload_id = upload(world, org, ids).await?;
            let first = v1::SendUploadRequest {
                upload_id,
                offset: 0,
                chunk: b"let".to_vec().into(),
            };
            return client
                .send_upload(tokio_stream::iter([first]))
                .await
                .map(text);
        }
        _ => {}
    }
    Ok(calls! { name, client;
        "StartUpload" => start_upload(v1::StartUploadRequest { push: Some(push) });
        "QueryUpload" => query_upload(v1::QueryUploadRequest { upload_id: upload(world, org, ids).await? });
        "CompleteUpload" => complete_upload(v1::CompleteUploadRequest {
            upload_id: upload(world, org, ids).await?
        });
        "WithdrawItem" => withdraw_item(v1::WithdrawItemRequest {
            request_id, item_id, reason: "inaccurate".to_owned()
        });
        "DeclareDisclosure" => declare_disclosure(declaration(world, org, ids).map_err(faulty)?);
        "GetItem" => get_item(v1::GetItemRequest { item_id });
        "ListItems" => list_items(v1::ListItemsRequest::default());
    })
}

pub async fn bundles(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.bundles();
    let (bundle_id, case_id) = (ids.bundle.clone(), ids.case.clone());
    if name == "Pull" {
        let (request_id, purpose, actor) = (world.key(), "wca".to_owned(), "A".to_owned());
        let asked = v1::PullRequest {
            request_id,
            case_id,
            purpose,
            actor,
            ..Default::default()
        };
        return pull(org, asked).await.map(Response::new).map(text);
    }
    Ok(calls! { name, client;
        "Acknowledge" => acknowledge(acknowledgement(world, org, ids).map_err(faulty)?);
        "GetBundle" => get_bundle(v1::GetBundleRequest { bundle_id });
        "ListBundles" => list_bundles(v1::ListBundlesRequest { case_id, ..Default::default() });
    })
}

pub async fn decisions(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let (mut client, decision_id) = (org.decisions(), ids.decision.clone());
    Ok(calls! { name, client;
        "Record" => record(world.decision(org, &ids.decide).map_err(faulty)?);
        "GetDecision" => get_decision(v1::GetDecisionRequest { decision_id });
        "GetUses" => get_uses(v1::GetUsesRequest { decision_id });
    })
}

async fn validate(org: &Org, push: v1::Push) -> Result<String, Status> {
    let asked = v1::ValidateRequest { push: Some(push) };
    let told = org.evidence().validate(asked).await?.into_inner();
    if told.acceptable {
        Ok(format!("{told:?}"))
    } else {
        Err(refused(&told.reason, &told.message))
    }
}

async fn submit(world: &World, org: &Org, push: &v1::Push) -> Result<String, Status> {
    match world.submit(org, push, b"letter").await?.outcome {
        Some(Outcome::Refusal(told)) => Err(refused(&told.reason, &told.message)),
        other => Ok(format!("{other:?}")),
    }
}

/// The named upload; where none is named, a new one of the caller's, or the trust's for those who
/// have nothing to send here.
async fn upload(world: &World, org: &Org, ids: &Ids) -> Result<String, Status> {
    if !ids.upload.is_empty() {
        return Ok(ids.upload.clone());
    }
    let gives = [&world.trust.id, &world.other_vcse.id].contains(&&org.id);
    let owner = if gives { org } else { &world.trust };
    let push = Some(push(world, owner, ids).map_err(faulty)?);
    let started = owner
        .evidence()
        .start_upload(v1::StartUploadRequest { push })
        .await?;
    Ok(started.into_inner().upload_id)
}

fn declaration(world: &World, org: &Org, ids: &Ids) -> Result<v1::DeclareDisclosureRequest> {
    let body = DisclosureDeclared {
        item: ids.item.parse()?,
        disclosure: Disclosure::Open,
        profession: "doctor".to_owned(),
        declared_on: date(2026, 7, 2),
    };
    let texts = [
        ("professional", "Dr A"),
        ("registration", "1"),
        ("reasons", "None."),
    ];
    let aside: Aside = texts
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    let declaration = Some(world.sign(org, &ids.decide.subject, body, aside)?);
    Ok(v1::DeclareDisclosureRequest { declaration })
}

fn acknowledgement(world: &World, org: &Org, ids: &Ids) -> Result<v1::AcknowledgeBundleRequest> {
    let body = BundleAcknowledged {
        bundle: ids.bundle.parse()?,
        pulled: sha256(b"one"),
        official: sha256(b"two"),
        received_on: world.now().day(),
    };
    let acknowledgement = Some(world.sign(org, &ids.decide.subject, body, Aside::new())?);
    Ok(v1::AcknowledgeBundleRequest { acknowledgement })
}

fn push(world: &World, org: &Org, ids: &Ids) -> Result<v1::Push> {
    let grant = v1::Grant {
        grant_id: ids.grant.clone(),
        ..Default::default()
    };
    let body = world.evidence(&grant, None, b"letter");
    let subject = body.grant.urn();
    if !org.roles.contains(&Role::Intermediary) {
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
