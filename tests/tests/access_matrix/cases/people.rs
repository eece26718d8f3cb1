//! The services about people: consent, requests, the claimant's record.

use std::{fmt::Write as _, time::Duration};

use evidence_tests::{Org, World};
use evidence_wire::v1;
use tokio::time::timeout;
use tonic::Status;

use super::{Ids, calls, naming, text};

pub async fn consent(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.consent();
    let (request_id, grant_id) = (world.key(), ids.grant.clone());
    let claimant_id = ids.claimant.clone();
    let (delegation_id, representation_id) = (ids.delegation.clone(), ids.representation.clone());
    // The portal is a party to all grants, and to none: it says which.
    let listed = if org.id == world.portal.id {
        grant_id.clone()
    } else {
        String::new()
    };
    Ok(calls! { name, client;
        "RegisterClaimant" => register_claimant(v1::RegisterClaimantRequest {
            request_id, name: "Sam Placeholder".to_owned(), date_of_birth: "1991-08-02".to_owned(),
            nhs_number: world.nhs_number(), ..Default::default()
        });
        "CreateGrant" => create_grant(v1::CreateGrantRequest {
            witness: "A. Witness".to_owned(), ..world.grant_request(&ids.claimant)
        });
        "NarrowGrant" => narrow_grant(v1::NarrowGrantRequest {
            request_id, grant_id, remove_purposes: vec!["pip".to_owned()], ..Default::default()
        });
        "WithdrawGrant" => withdraw_grant(v1::WithdrawGrantRequest {
            request_id, grant_id, capture: v1::Capture::ByPhone.into(), note: String::new()
        });
        "GetGrant" => get_grant(v1::GetGrantRequest { grant_id });
        "ListGrants" => list_grants(v1::ListGrantsRequest { claimant_id, ..Default::default() });
        "CreateDelegation" => create_delegation(v1::CreateDelegationRequest {
            request_id, grant_id, intermediary: world.other_vcse.id.to_string(),
            kinds: vec!["*".to_owned()], expires_on: String::new()
        });
        "EndDelegation" => end_delegation(v1::EndDelegationRequest { request_id, delegation_id });
        "ListDelegations" => list_delegations(v1::ListDelegationsRequest {
            grant_id: listed, ..Default::default()
        });
        "NameRepresentative" => name_representative(naming(world, &ids.claimant));
        "EndRepresentation" => end_representation(v1::EndRepresentationRequest {
            request_id, representation_id
        });
        "ListRepresentations" => list_representations(v1::ListRepresentationsRequest { claimant_id });
    })
}

pub async fn requests(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let mut client = org.requests();
    let (request_id, evidence_request_id) = (world.key(), ids.request.clone());
    let (case_id, grant_id) = (ids.case.clone(), ids.grant.clone());
    let words = || "In a few words.".to_owned();
    if name == "Watch" {
        return watch(org).await;
    }
    Ok(calls! { name, client;
        "OpenCase" => open_case(v1::OpenCaseRequest {
            request_id, claimant_id: ids.claimant.clone(), grant_id, assessment_type: "wca".to_owned(),
            nation: "england-and-wales".to_owned(), reference: "R".to_owned(), mental_health: false
        });
        "GetCase" => get_case(v1::GetCaseRequest { case_id });
        "ListCases" => list_cases(v1::ListCasesRequest::default());
        "OpenRequest" => open_request(v1::OpenRequestRequest {
            request_id, case_id, grant_id, discloser: world.trust.id.to_string(),
            kinds: vec!["clinical-letter".to_owned()], question: words(), assurance: words(),
            ..Default::default()
        });
        "AcknowledgeRequest" => acknowledge_request(v1::AcknowledgeRequestRequest {
            request_id, evidence_request_id
        });
        "AskClarification" => ask_clarification(v1::AskClarificationRequest {
            request_id, evidence_request_id, question: words()
        });
        "AnswerClarification" => answer_clarification(v1::AnswerClarificationRequest {
            request_id, evidence_request_id, answer: words()
        });
        "DeclineRequest" => decline_request(v1::DeclineRequestRequest {
            request_id, evidence_request_id, reason: "no_record_held".to_owned(), note: String::new()
        });
        "CancelRequest" => cancel_request(v1::CancelRequestRequest {
            request_id, evidence_request_id, note: String::new()
        });
        "GetRequest" => get_request(v1::GetRequestRequest { evidence_request_id });
        "ListRequests" => list_requests(v1::ListRequestsRequest::default());
    })
}

/// All that there is to watch. The stream stays open: nothing more for a while is the end.
async fn watch(org: &Org) -> Result<String, Status> {
    let mut stream = org
        .requests()
        .watch(v1::WatchRequest::default())
        .await?
        .into_inner();
    let mut seen = String::new();
    let quiet = Duration::from_millis(500);
    while let Ok(Some(event)) = timeout(quiet, stream.message()).await.unwrap_or(Ok(None)) {
        write!(seen, "{event:?}").map_err(|error| Status::internal(error.to_string()))?;
    }
    Ok(seen)
}

pub async fn record(world: &World, org: &Org, ids: &Ids, name: &str) -> Result<String, Status> {
    let (mut client, request_id) = (org.record(), world.key());
    let viewer = Some(v1::Viewer {
        claimant_id: ids.claimant.clone(),
        representation_id: String::new(),
    });
    let (item_id, words) = (ids.item.clone(), "In my own words.".to_owned());
    if name == "ReadItem" {
        let asked = v1::ReadItemRequest {
            viewer,
            item_id,
            from_offset: 0,
        };
        let first = client
            .read_item(asked)
            .await?
            .into_inner()
            .message()
            .await?;
        return Ok(text(tonic::Response::new(first)));
    }
    Ok(calls! { name, client;
        "GetRecord" => get_record(v1::GetRecordRequest { viewer });
        "ListAccesses" => list_accesses(v1::ListAccessesRequest { viewer, ..Default::default() });
        "ListDecisions" => list_decisions(v1::ListDecisionsRequest { viewer });
        "AddStatement" => add_statement(v1::AddStatementRequest {
            request_id, viewer, grant_id: ids.grant.clone(), title: words.clone(), text: words
        });
        "AddNote" => add_note(v1::AddNoteRequest { request_id, viewer, item_id, text: words });
        "StateAdjustment" => state_adjustment(v1::StateAdjustmentRequest { request_id, viewer, text: words });
    })
}
