use evidence_domain::{event::Capture, ids::OrgId, time::Period};

use super::*;

fn fields(refusal: &Refusal) -> Vec<&str> {
    refusal.fields.iter().map(|v| v.field.as_str()).collect()
}

fn claimant() -> ClaimantId {
    ClaimantId::from_random([1; 16])
}

fn org(seed: u8) -> OrgId {
    OrgId::from_random([seed; 16])
}

fn grant_id() -> GrantId {
    GrantId::from_random([2; 16])
}

fn index(kind: &str, value: &str) -> String {
    format!("{kind}={value}")
}

fn person() -> v1::RegisterClaimantRequest {
    v1::RegisterClaimantRequest {
        request_id: String::new(),
        name: "Ada Example".to_owned(),
        date_of_birth: "1970-03-04".to_owned(),
        nhs_number: "943 476 5919".to_owned(),
        national_insurance_number: "ab 12 34 56 c".to_owned(),
    }
}

fn register(body: &v1::RegisterClaimantRequest) -> Result<RegisterClaimant, Refusal> {
    register_claimant(body, claimant(), index)
}

#[test]
fn normalises_and_indexes_identifiers() {
    let command = register(&person()).expect("good");
    assert_eq!(command.nhs_number.as_deref(), Some("9434765919"));
    assert_eq!(command.nino.as_deref(), Some("AB123456C"));
    assert_eq!(command.identifiers["nhs-number"], "nhs-number=9434765919");
    assert_eq!(command.identifiers["nino"], "nino=AB123456C");
    assert_eq!(command.birth, "date-of-birth=1970-03-04");
    let one = v1::RegisterClaimantRequest {
        nhs_number: String::new(),
        ..person()
    };
    assert_eq!(register(&one).expect("good").identifiers.len(), 1);
}

#[test]
fn a_number_that_fails_its_check_has_its_own_reason_and_is_not_echoed() {
    let bad_nhs = v1::RegisterClaimantRequest {
        nhs_number: "9434765918".to_owned(),
        ..person()
    };
    let refusal = register(&bad_nhs).expect_err("wrong check digit");
    assert_eq!(refusal.reason, Reason::NhsNumberInvalid);
    assert_eq!(fields(&refusal), ["nhs_number"]);
    assert!(!refusal.message().contains("943"));
    let bad_nino = v1::RegisterClaimantRequest {
        national_insurance_number: "QQ123456C".to_owned(),
        ..person()
    };
    let refusal = register(&bad_nino).expect_err("never issued");
    assert_eq!(refusal.reason, Reason::NinoInvalid);
    assert!(!refusal.message().contains("QQ"));
    let bad_both = v1::RegisterClaimantRequest {
        national_insurance_number: "1".to_owned(),
        ..bad_nhs
    };
    let refusal = register(&bad_both).expect_err("neither");
    assert_eq!(refusal.reason, Reason::NhsNumberInvalid);
    assert_eq!(
        fields(&refusal),
        ["nhs_number", "national_insurance_number"]
    );
}

#[test]
fn a_person_has_a_name_a_birth_date_and_an_identifier() {
    let refusal = register(&v1::RegisterClaimantRequest::default()).expect_err("empty");
    assert_eq!(refusal.reason, Reason::InvalidField);
    assert_eq!(fields(&refusal), ["name", "date_of_birth", "nhs_number"]);
    let odd = v1::RegisterClaimantRequest {
        date_of_birth: "4 March 1970".to_owned(),
        ..person()
    };
    let refusal = register(&odd).expect_err("not a date");
    assert!(!refusal.message().contains("March"));
}

fn consent() -> v1::CreateGrantRequest {
    v1::CreateGrantRequest {
        request_id: String::new(),
        claimant_id: claimant().to_string(),
        disclosers: vec![org(1).to_string(), org(2).to_string()],
        kinds: vec!["clinical-letter".to_owned(), "care-plan".to_owned()],
        recipient: org(3).to_string(),
        purposes: vec!["wca".to_owned()],
        period: None,
        expires_on: "2027-01-31".to_owned(),
        capture: v1::Capture::ByPhone.into(),
        witness: "Jo at the front desk".to_owned(),
        lawful_basis: "uk-gdpr-6-1-e_9-2-b".to_owned(),
        representation_id: String::new(),
    }
}

#[test]
fn reads_a_grant() {
    let command = create_grant(&consent(), grant_id()).expect("good");
    assert_eq!(command.disclosers, [org(1), org(2)].into());
    assert_eq!(command.capture, Capture::ByPhone);
    assert_eq!(command.period, Period::default());
    assert_eq!(command.representation, None);
}

#[test]
fn a_grants_faults_are_named_together() {
    let empty = create_grant(&v1::CreateGrantRequest::default(), grant_id()).expect_err("empty");
    let expected = [
        "claimant_id",
        "kinds",
        "recipient",
        "disclosers",
        "purposes",
        "expires_on",
        "capture",
        "lawful_basis",
    ];
    assert_eq!(fields(&empty), expected);
    let wrong = v1::CreateGrantRequest {
        kinds: vec!["*".to_owned(), "care-plan".to_owned()],
        lawful_basis: "because I said so".to_owned(),
        representation_id: "grant_1".to_owned(),
        ..consent()
    };
    let refusal = create_grant(&wrong, grant_id()).expect_err("three faults");
    assert_eq!(
        fields(&refusal),
        ["kinds", "lawful_basis", "representation_id"]
    );
    let long = v1::CreateGrantRequest {
        disclosers: (0..=100).map(|seed| org(seed).to_string()).collect(),
        witness: "x".repeat(16 * 1024 + 1),
        ..consent()
    };
    let refusal = create_grant(&long, grant_id()).expect_err("over the limits");
    assert_eq!(fields(&refusal), ["disclosers", "witness"]);
}

#[test]
fn a_narrowing_names_only_what_changes() {
    let mut body = v1::NarrowGrantRequest {
        grant_id: grant_id().to_string(),
        remove_kinds: vec!["care-plan".to_owned()],
        ..v1::NarrowGrantRequest::default()
    };
    let command = narrow_grant(&body).expect("good");
    assert_eq!((command.period, command.expires_on), (None, None));
    body.period = Some(v1::Period::default());
    let command = narrow_grant(&body).expect("good");
    assert_eq!(command.period, Some(Period::default()));
    let refusal = narrow_grant(&v1::NarrowGrantRequest::default()).expect_err("empty");
    assert_eq!(fields(&refusal), ["grant_id"]);
}

#[test]
fn a_withdrawal_needs_only_how_it_was_taken() {
    let body = v1::WithdrawGrantRequest {
        grant_id: grant_id().to_string(),
        capture: v1::Capture::InPortal.into(),
        ..v1::WithdrawGrantRequest::default()
    };
    assert_eq!(
        withdraw_grant(&body).expect("good").capture,
        Capture::InPortal
    );
    let refusal = withdraw_grant(&v1::WithdrawGrantRequest::default()).expect_err("empty");
    assert_eq!(fields(&refusal), ["grant_id", "capture"]);
}

#[test]
fn reads_delegations() {
    let id = DelegationId::from_random([4; 16]);
    let body = v1::CreateDelegationRequest {
        grant_id: grant_id().to_string(),
        intermediary: org(5).to_string(),
        kinds: vec!["*".to_owned()],
        ..v1::CreateDelegationRequest::default()
    };
    let command = create_delegation(&body, id.clone()).expect("good");
    assert_eq!(
        (command.intermediary, command.expires_on),
        (org(5), None::<Date>)
    );
    let refusal =
        create_delegation(&v1::CreateDelegationRequest::default(), id.clone()).expect_err("empty");
    assert_eq!(fields(&refusal), ["grant_id", "intermediary", "kinds"]);
    let end = v1::EndDelegationRequest {
        request_id: String::new(),
        delegation_id: id.to_string(),
    };
    assert_eq!(end_delegation(&end).expect("good").delegation, id);
}

#[test]
fn reads_and_shows_representations() {
    let id = RepresentationId::from_random([6; 16]);
    let body = v1::NameRepresentativeRequest {
        request_id: String::new(),
        claimant_id: claimant().to_string(),
        kind: v1::RepresentationKind::Appointee.into(),
        name: "Ben Helper".to_owned(),
        scopes: (1..=4).collect(),
        expires_on: "2027-01-31".to_owned(),
        capture: v1::Capture::InPerson.into(),
        witness: String::new(),
    };
    let command = name_representative(&body, id.clone()).expect("good");
    assert_eq!(command.scopes.len(), 4);
    let row = Representation {
        id: id.clone(),
        claimant: command.claimant,
        kind: command.kind,
        scopes: command.scopes,
        expires_on: command.expires_on,
        by: org(3),
        ended_at: None,
        entry: 1,
    };
    let shown = representation(&row, "Ben Helper".to_owned(), Moment::from_micros(0));
    assert_eq!((shown.kind, &shown.scopes), (body.kind, &body.scopes));
    assert!(shown.live);
    let empty = v1::NameRepresentativeRequest::default();
    let refusal = name_representative(&empty, id.clone()).expect_err("empty");
    let expected = [
        "claimant_id",
        "kind",
        "name",
        "scopes",
        "expires_on",
        "capture",
    ];
    assert_eq!(fields(&refusal), expected);
    let end = v1::EndRepresentationRequest {
        request_id: String::new(),
        representation_id: id.to_string(),
    };
    assert_eq!(end_representation(&end).expect("good").representation, id);
}

#[test]
fn shows_a_grant_as_it_stands() {
    let row = Grant {
        id: grant_id(),
        claimant: claimant(),
        disclosers: [org(1)].into(),
        kinds: ["*".to_owned()].into(),
        recipient: org(3),
        purposes: ["wca".to_owned()].into(),
        period: Period::default(),
        expires_on: jiff::civil::date(1970, 1, 2),
        capture: Capture::InWriting,
        captured_by: org(3),
        lawful_basis: "uk-gdpr-6-1-e".to_owned(),
        representation: None,
        granted_at: Moment::from_micros(0),
        withdrawn_at: None,
        narrowed: 2,
        intermediaries: [].into(),
        entry: 1,
    };
    let shown = grant(&row, Moment::from_micros(0));
    assert_eq!((shown.live, shown.withdrawn_at), (true, None));
    assert_eq!(shown.subject, grant_id().urn());
    let later = Moment::from_micros(0).plus_seconds(3 * 24 * 60 * 60);
    assert!(!grant(&row, later).live);
    let withdrawn = Grant {
        withdrawn_at: Some(Moment::from_micros(5)),
        ..row
    };
    let shown = grant(&withdrawn, Moment::from_micros(6));
    assert!(!shown.live && shown.withdrawn_at.is_some());
}
