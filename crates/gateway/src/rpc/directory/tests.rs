use evidence_domain::{Caller, Role};
use evidence_ledger::{Alg, PublicKey};
use evidence_wire::common::timestamp;

use super::*;
use crate::rpc::fixture::{Fixture, call, reason};

async fn directory() -> (Fixture, Directory) {
    let fixture = Fixture::start().await;
    let identity = Identity::new(fixture.app.store.clone(), crate::tls::tests::some_tls());
    let directory = Directory {
        app: fixture.app.clone(),
        identity,
    };
    (fixture, directory)
}

async fn trust(
    directory: &Directory,
    operator: &Caller,
    request_id: &str,
) -> v1::OrganisationResponse {
    let body = v1::RegisterOrganisationRequest {
        request_id: request_id.to_owned(),
        identifier: "ods:RXX".to_owned(),
        name: "Riverside Trust".to_owned(),
        roles: vec![v1::Role::Discloser.into()],
    };
    directory
        .register_organisation(call(operator, body))
        .await
        .unwrap()
        .into_inner()
}

#[tokio::test]
async fn an_organisation_is_registered_changed_and_shown() {
    let (fixture, directory) = directory().await;
    let operator = &fixture.operator;
    let made = trust(&directory, operator, "one").await;
    let organisation = made.organisation.unwrap();
    let id = organisation.organisation_id.clone();
    assert!(!made.receipt.as_ref().unwrap().statement.is_empty());

    // The same call again finds the same organisation and receipt.
    let again = trust(&directory, operator, "one").await;
    assert_eq!(again.organisation.unwrap().organisation_id, id);
    let (first, second) = (made.receipt.unwrap(), again.receipt.unwrap());
    assert_eq!(
        (first.receipt, first.replay, second.replay),
        (second.receipt, false, true)
    );

    let body = v1::UpdateOrganisationRequest {
        organisation_id: id.clone(),
        name: "Riverside and District Trust".to_owned(),
        roles: vec![v1::Role::Discloser.into(), v1::Role::Intermediary.into()],
        ..v1::UpdateOrganisationRequest::default()
    };
    directory
        .update_organisation(call(operator, body))
        .await
        .unwrap();
    let asked = v1::GetOrganisationRequest {
        organisation_id: id.clone(),
    };
    let shown = directory
        .get_organisation(call(operator, asked))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(shown.name, "Riverside and District Trust");
    assert_eq!(shown.roles.len(), 2);

    let listed =
        directory.list_organisations(call(operator, v1::ListOrganisationsRequest::default()));
    let listed = listed.await.unwrap().into_inner().organisations;
    let ids: Vec<_> = listed
        .iter()
        .map(|row| row.organisation_id.as_str())
        .collect();
    assert_eq!(ids, [operator.org.as_str(), id.as_str()]);
}

#[tokio::test]
async fn one_identifier_is_one_organisation() {
    let (fixture, directory) = directory().await;
    trust(&directory, &fixture.operator, "").await;
    let body = v1::RegisterOrganisationRequest {
        identifier: "ods:rxx".to_owned(),
        name: "Somebody else".to_owned(),
        roles: vec![v1::Role::Discloser.into()],
        ..v1::RegisterOrganisationRequest::default()
    };
    let answer = directory
        .register_organisation(call(&fixture.operator, body))
        .await;
    assert_eq!(reason(answer), "already_exists");
}

#[tokio::test]
async fn certificates_come_and_go() {
    let (fixture, directory) = directory().await;
    let operator = &fixture.operator;
    let id = trust(&directory, operator, "")
        .await
        .organisation
        .unwrap()
        .organisation_id;
    let fingerprint = "ab".repeat(32);
    let add = v1::AddCertificateRequest {
        organisation_id: id.clone(),
        fingerprint: fingerprint.clone(),
        ..v1::AddCertificateRequest::default()
    };
    let answer = directory
        .add_certificate(call(operator, add.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.organisation.unwrap().certificates,
        std::slice::from_ref(&fingerprint)
    );
    let answer = directory
        .add_certificate(call(operator, add))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.receipt, None, "it was there already");
    let other = fixture.organisation(&[Role::Discloser]).await;
    let add = v1::AddCertificateRequest {
        organisation_id: other.org.to_string(),
        fingerprint: fingerprint.clone(),
        ..v1::AddCertificateRequest::default()
    };
    assert_eq!(
        reason(directory.add_certificate(call(operator, add)).await),
        "already_exists"
    );
    let remove = v1::RemoveCertificateRequest {
        organisation_id: id,
        fingerprint,
        ..v1::RemoveCertificateRequest::default()
    };
    let answer = directory
        .remove_certificate(call(operator, remove))
        .await
        .unwrap()
        .into_inner();
    assert!(answer.organisation.unwrap().certificates.is_empty());
}

#[tokio::test]
async fn a_key_is_registered_and_retired() {
    let (fixture, directory) = directory().await;
    let operator = &fixture.operator;
    let id = trust(&directory, operator, "")
        .await
        .organisation
        .unwrap()
        .organisation_id;
    let now = fixture.app.now();
    let at = |seconds: i64| Some(timestamp(now.plus_seconds(seconds)));
    let key = PublicKey::new(Alg::EdDsa, &[7; 32]).unwrap();
    let register = v1::RegisterKeyRequest {
        organisation_id: id.clone(),
        cose_key: key.to_cose_key(),
        not_before: at(0),
        not_after: at(3_600),
        ..v1::RegisterKeyRequest::default()
    };
    let answer = directory
        .register_key(call(operator, register))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.organisation.unwrap().keys[0].kid, key.kid());
    let retire = |not_after| v1::RetireKeyRequest {
        organisation_id: id.clone(),
        kid: key.kid(),
        not_after,
        ..v1::RetireKeyRequest::default()
    };
    let answer = directory
        .retire_key(call(operator, retire(at(60))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.organisation.unwrap().keys[0].not_after, at(60));
    assert_eq!(
        reason(directory.retire_key(call(operator, retire(at(61)))).await),
        "only_narrowing"
    );
}

#[tokio::test]
async fn a_policy_is_set_whole_or_refused() {
    let (fixture, directory) = directory().await;
    let operator = &fixture.operator;
    let set = |document: &str| v1::SetPolicyRequest {
        name: "clocks".to_owned(),
        document: document.to_owned(),
        ..v1::SetPolicyRequest::default()
    };
    let document = "[request]\nanswer_days = 21\n";
    let answer = directory
        .set_policy(call(operator, set(document)))
        .await
        .unwrap()
        .into_inner();
    let policy = answer.policy.unwrap();
    assert_eq!((policy.document.as_str(), policy.version), (document, 2));
    assert!(answer.receipt.is_some());
    assert_eq!(
        reason(
            directory
                .set_policy(call(operator, set("answer_days = 1")))
                .await
        ),
        "policy_invalid"
    );
    let asked = |name: &str| v1::GetPolicyRequest {
        name: name.to_owned(),
    };
    let anybody = fixture.organisation(&[Role::Discloser]).await;
    let shown = directory
        .get_policy(call(&anybody, asked("clocks")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(shown, policy);
    assert_eq!(
        reason(directory.get_policy(call(&anybody, asked("weather"))).await),
        "not_found"
    );
}
