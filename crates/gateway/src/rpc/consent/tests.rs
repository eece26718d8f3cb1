use evidence_domain::ids::OrgId;

use super::*;
use crate::rpc::fixture::{Fixture, call, reason};

const NHS_NUMBER: &str = "943 476 5919";

struct Scene {
    consent: Consent,
    practice: Caller,
    charity: Caller,
    department: Caller,
    portal: Caller,
    stranger: Caller,
    _fixture: Fixture,
}

async fn scene() -> Scene {
    let fixture = Fixture::start().await;
    Scene {
        consent: Consent {
            app: fixture.app.clone(),
        },
        practice: fixture.organisation(&[Role::Discloser]).await,
        charity: fixture.organisation(&[Role::Intermediary]).await,
        department: fixture.organisation(&[Role::Recipient]).await,
        portal: fixture.organisation(&[Role::Portal]).await,
        stranger: fixture
            .organisation(&[Role::Discloser, Role::Recipient])
            .await,
        _fixture: fixture,
    }
}

fn person(nhs_number: &str) -> v1::RegisterClaimantRequest {
    v1::RegisterClaimantRequest {
        name: "Ada Example".to_owned(),
        date_of_birth: "1970-03-04".to_owned(),
        nhs_number: nhs_number.to_owned(),
        ..v1::RegisterClaimantRequest::default()
    }
}

impl Scene {
    async fn register(&self, body: v1::RegisterClaimantRequest) -> v1::RegisterClaimantResponse {
        let answer = self
            .consent
            .register_claimant(call(&self.department, body))
            .await;
        answer.unwrap().into_inner()
    }

    async fn claimant(&self) -> String {
        self.register(person(NHS_NUMBER)).await.claimant_id
    }

    fn terms(&self, claimant: &str) -> v1::CreateGrantRequest {
        v1::CreateGrantRequest {
            claimant_id: claimant.to_owned(),
            disclosers: vec![self.practice.org.to_string()],
            kinds: vec!["clinical-letter".to_owned(), "care-plan".to_owned()],
            recipient: self.department.org.to_string(),
            purposes: vec!["wca".to_owned()],
            expires_on: "2027-01-31".to_owned(),
            capture: v1::Capture::ByPhone.into(),
            witness: "Jo at the front desk".to_owned(),
            lawful_basis: "uk-gdpr-6-1-e".to_owned(),
            ..v1::CreateGrantRequest::default()
        }
    }

    async fn grant(&self, claimant: &str) -> v1::Grant {
        let body = self.terms(claimant);
        let answer = self
            .consent
            .create_grant(call(&self.department, body))
            .await;
        answer.unwrap().into_inner().grant.unwrap()
    }

    async fn grants_of(
        &self,
        caller: &Caller,
        body: v1::ListGrantsRequest,
    ) -> (Vec<String>, String) {
        let answer = self
            .consent
            .list_grants(call(caller, body))
            .await
            .unwrap()
            .into_inner();
        (
            answer.grants.into_iter().map(|row| row.grant_id).collect(),
            answer.next_page_token,
        )
    }
}

#[tokio::test]
async fn a_person_is_registered_once_and_their_texts_are_sealed() {
    let scene = scene().await;
    let first = scene.register(person(NHS_NUMBER)).await;
    assert!(first.created);
    let receipt = first.receipt.unwrap();
    let sealed = scene.consent.app.store.aside(receipt.index).await.unwrap();
    assert_eq!(sealed["nhs_number"], "9434765919");
    assert_eq!(sealed["name"], "Ada Example");
    let statement = receipt.statement;
    for told in ["9434765919", "Ada", "1970"] {
        assert!(
            !statement
                .windows(told.len())
                .any(|window| window == told.as_bytes()),
            "{told}"
        );
    }
    let again = scene.register(person("9434765919")).await;
    assert_eq!((again.created, again.receipt), (false, None));
    assert_eq!(again.claimant_id, first.claimant_id);

    let other_birth = v1::RegisterClaimantRequest {
        date_of_birth: "1970-03-05".to_owned(),
        ..person(NHS_NUMBER)
    };
    let answer = scene
        .consent
        .register_claimant(call(&scene.practice, other_birth))
        .await;
    assert_eq!(reason(answer), "identity_conflict");
    let answer = scene
        .consent
        .register_claimant(call(&scene.practice, person("9434765918")))
        .await;
    assert_eq!(reason(answer), "nhs_number_invalid");
}

#[tokio::test]
async fn the_same_registration_again_answers_the_same() {
    let scene = scene().await;
    let body = v1::RegisterClaimantRequest {
        request_id: "one".to_owned(),
        ..person(NHS_NUMBER)
    };
    let (first, second) = (
        scene.register(body.clone()).await,
        scene.register(body).await,
    );
    assert!(first.created && second.created);
    assert!(
        second
            .receipt
            .as_ref()
            .is_some_and(|receipt| receipt.replay)
    );
    assert_eq!(
        first.receipt.unwrap().receipt,
        second.receipt.unwrap().receipt
    );
    let different = v1::RegisterClaimantRequest {
        request_id: "one".to_owned(),
        ..person("9990000050")
    };
    let answer = scene
        .consent
        .register_claimant(call(&scene.department, different))
        .await;
    assert_eq!(reason(answer), "idempotency_key_reused");
}

#[tokio::test]
async fn a_grant_is_made_narrowed_and_withdrawn() {
    let scene = scene().await;
    let claimant = scene.claimant().await;
    let grant = scene.grant(&claimant).await;
    assert!(grant.live);
    let narrow = v1::NarrowGrantRequest {
        grant_id: grant.grant_id.clone(),
        remove_kinds: vec!["care-plan".to_owned()],
        ..v1::NarrowGrantRequest::default()
    };
    let answer = scene
        .consent
        .narrow_grant(call(&scene.portal, narrow))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.grant.unwrap().kinds, ["clinical-letter"]);
    let withdraw = v1::WithdrawGrantRequest {
        grant_id: grant.grant_id.clone(),
        capture: v1::Capture::InPortal.into(),
        note: "no more".to_owned(),
        ..v1::WithdrawGrantRequest::default()
    };
    let answer = scene
        .consent
        .withdraw_grant(call(&scene.portal, withdraw.clone()))
        .await
        .unwrap()
        .into_inner();
    assert!(answer.receipt.is_some());
    let answer = scene
        .consent
        .withdraw_grant(call(&scene.portal, withdraw))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.receipt, None, "it was withdrawn already");
    let asked = v1::GetGrantRequest {
        grant_id: grant.grant_id,
    };
    let shown = scene
        .consent
        .get_grant(call(&scene.practice, asked))
        .await
        .unwrap()
        .into_inner();
    assert!(!shown.live && shown.withdrawn_at.is_some());
    assert_eq!(shown.narrowed, 1);
}

#[tokio::test]
async fn a_refused_grant_leaves_nothing_behind() {
    let scene = scene().await;
    let claimant = scene.claimant().await;
    let size = scene.consent.app.store.size().await.unwrap();
    let wrong = [
        (
            v1::CreateGrantRequest {
                purposes: vec!["curiosity".to_owned()],
                ..scene.terms(&claimant)
            },
            "purpose_unknown",
        ),
        (
            v1::CreateGrantRequest {
                witness: String::new(),
                ..scene.terms(&claimant)
            },
            "invalid_field",
        ),
        (
            v1::CreateGrantRequest {
                claimant_id: ClaimantId::from_random([9; 16]).to_string(),
                ..scene.terms("")
            },
            "not_found",
        ),
        (
            v1::CreateGrantRequest {
                recipient: OrgId::from_random([9; 16]).to_string(),
                ..scene.terms(&claimant)
            },
            "organisation_unknown",
        ),
    ];
    for (body, expected) in wrong {
        let answer = scene
            .consent
            .create_grant(call(&scene.department, body))
            .await;
        assert_eq!(reason(answer), expected);
    }
    assert_eq!(scene.consent.app.store.size().await.unwrap(), size);
    assert!(
        scene
            .grants_of(&scene.department, v1::ListGrantsRequest::default())
            .await
            .0
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_not_yours_looks_absent() {
    let scene = scene().await;
    let claimant = scene.claimant().await;
    let grant = scene.grant(&claimant).await.grant_id;
    for grant_id in [grant.clone(), GrantId::from_random([9; 16]).to_string()] {
        let asked = v1::GetGrantRequest {
            grant_id: grant_id.clone(),
        };
        assert_eq!(
            reason(scene.consent.get_grant(call(&scene.stranger, asked)).await),
            "not_found"
        );
        let withdraw = v1::WithdrawGrantRequest {
            grant_id,
            capture: v1::Capture::ByPhone.into(),
            ..v1::WithdrawGrantRequest::default()
        };
        assert_eq!(
            reason(
                scene
                    .consent
                    .withdraw_grant(call(&scene.stranger, withdraw))
                    .await
            ),
            "not_found"
        );
    }
    let of_claimant = v1::ListGrantsRequest {
        claimant_id: claimant,
        ..v1::ListGrantsRequest::default()
    };
    assert!(
        scene
            .grants_of(&scene.stranger, of_claimant.clone())
            .await
            .0
            .is_empty()
    );
    for caller in [&scene.department, &scene.practice, &scene.portal] {
        assert_eq!(
            scene.grants_of(caller, of_claimant.clone()).await.0,
            std::slice::from_ref(&grant)
        );
    }
}

#[tokio::test]
async fn grants_are_listed_page_by_page() {
    let scene = scene().await;
    let claimant = scene.claimant().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(scene.grant(&claimant).await.grant_id);
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let body = v1::ListGrantsRequest {
            claimant_id: claimant.clone(),
            page_size: 2,
            page_token,
        };
        let (mut page, next) = scene.grants_of(&scene.practice, body).await;
        listed.append(&mut page);
        page_token = next;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, made);
    let negative = v1::ListGrantsRequest {
        page_size: -1,
        ..v1::ListGrantsRequest::default()
    };
    assert_eq!(
        reason(
            scene
                .consent
                .list_grants(call(&scene.practice, negative))
                .await
        ),
        "invalid_field"
    );
}

#[tokio::test]
async fn a_delegation_is_made_listed_and_ended() {
    let scene = scene().await;
    let claimant = scene.claimant().await;
    let grant = scene.grant(&claimant).await;
    let body = v1::CreateDelegationRequest {
        grant_id: grant.grant_id.clone(),
        intermediary: scene.charity.org.to_string(),
        kinds: vec!["care-plan".to_owned()],
        ..v1::CreateDelegationRequest::default()
    };
    let answer = scene
        .consent
        .create_delegation(call(&scene.practice, body))
        .await
        .unwrap()
        .into_inner();
    let delegation = answer.delegation.unwrap();
    assert_eq!(delegation.discloser, scene.practice.org.to_string());
    assert_eq!(delegation.expires_on, grant.expires_on);
    let list = v1::ListDelegationsRequest {
        grant_id: grant.grant_id,
        ..v1::ListDelegationsRequest::default()
    };
    for (caller, count) in [
        (&scene.charity, 1),
        (&scene.practice, 1),
        (&scene.portal, 1),
        (&scene.stranger, 0),
    ] {
        let listed = scene
            .consent
            .list_delegations(call(caller, list.clone()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(listed.delegations.len(), count);
    }
    let end = v1::EndDelegationRequest {
        request_id: String::new(),
        delegation_id: delegation.delegation_id,
    };
    let answer = scene
        .consent
        .end_delegation(call(&scene.charity, end))
        .await
        .unwrap()
        .into_inner();
    assert!(
        answer
            .delegation
            .is_some_and(|row| !row.live && row.ended_at.is_some())
    );
}

#[tokio::test]
async fn a_representative_is_named_shown_by_name_and_ended() {
    let scene = scene().await;
    let claimant = scene.claimant().await;
    let body = v1::NameRepresentativeRequest {
        claimant_id: claimant.clone(),
        kind: v1::RepresentationKind::Representative.into(),
        name: "Ben Helper".to_owned(),
        scopes: vec![v1::RepresentationScope::SeeProgress.into()],
        expires_on: "2027-01-31".to_owned(),
        capture: v1::Capture::InPortal.into(),
        ..v1::NameRepresentativeRequest::default()
    };
    let answer = scene
        .consent
        .name_representative(call(&scene.portal, body))
        .await
        .unwrap()
        .into_inner();
    let named = answer.representation.unwrap();
    assert_eq!(named.name, "Ben Helper");
    let list = v1::ListRepresentationsRequest {
        claimant_id: claimant,
    };
    for (caller, count) in [(&scene.portal, 1), (&scene.department, 0)] {
        let listed = scene
            .consent
            .list_representations(call(caller, list.clone()))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(listed.representations.len(), count);
    }
    let end = v1::EndRepresentationRequest {
        request_id: String::new(),
        representation_id: named.representation_id,
    };
    assert_eq!(
        reason(
            scene
                .consent
                .end_representation(call(&scene.department, end.clone()))
                .await
        ),
        "not_found"
    );
    let answer = scene
        .consent
        .end_representation(call(&scene.portal, end))
        .await
        .unwrap()
        .into_inner();
    assert!(
        answer
            .representation
            .is_some_and(|row| !row.live && row.name == "Ben Helper")
    );
}
