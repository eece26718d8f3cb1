use evidence_ledger::{Alg, Digest, PublicKey};

use super::*;
use crate::{Moment, event::LogPolicy, ids::OrgId, testkit::Kit};

fn registration(kit: &mut Kit, identifier: &str) -> RegisterOrganisation {
    RegisterOrganisation {
        id: OrgId::from_random(kit.draw()),
        identifier: identifier.to_owned(),
        name: "Riverside Practice".to_owned(),
        roles: [Role::Discloser].into(),
    }
}

fn key(seed: u8) -> PublicKey {
    PublicKey::new(Alg::EdDsa, &[seed; 32]).expect("32 bytes")
}

fn key_registration(kit: &Kit, organisation: &Caller, days: i64) -> RegisterKey {
    RegisterKey {
        organisation: organisation.org.clone(),
        key: key(1),
        not_before: kit.now,
        not_after: kit.now.plus_seconds(days * 24 * 60 * 60),
    }
}

fn row<'k>(kit: &'k Kit, caller: &Caller) -> &'k Organisation {
    kit.world.organisation(&caller.org).expect("registered")
}

#[test]
fn a_log_starts_with_its_policy() {
    let policy = LogPolicy {
        origin: "evidence.example".to_owned(),
        receipt_key: key(1),
        statement_key: key(2),
        checkpoint_key: "evidence.example+0+x".to_owned(),
    };
    let outcome = start_log(&StartLog { policy }).expect("a log starts");
    assert_eq!(outcome.emitted.len(), 1);
    assert_eq!(outcome.emitted[0].event.name(), "log-policy");
}

#[test]
fn registers_an_organisation_once_however_its_identifier_is_spelt() {
    let mut kit = Kit::new();
    let first = registration(&mut kit, "ods:A81001");
    let operator = kit.operator();
    let id = kit.done(&operator, first.clone());
    let row = kit.world.organisation(&first.id).expect("registered");
    assert_eq!((row.id.to_string(), row.suspended), (id, false));
    for identifier in ["ods:A81001", "ods:a81001"] {
        let again = registration(&mut kit, identifier);
        assert_eq!(kit.refused(&operator, again), Reason::AlreadyExists);
    }
    let other = registration(&mut kit, "charity:81001");
    kit.done(&operator, other);
}

#[test]
fn an_organisation_has_a_role() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let mut none = registration(&mut kit, "ods:A81001");
    none.roles.clear();
    assert_eq!(kit.refused(&operator, none), Reason::InvalidField);
    let practice = kit.org(&[Role::Discloser]);
    let update = UpdateOrganisation {
        id: practice.org,
        name: "x".to_owned(),
        roles: [].into(),
        suspended: false,
    };
    assert_eq!(kit.refused(&operator, update), Reason::InvalidField);
}

#[test]
fn updates_suspends_and_restores() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let practice = kit.org(&[Role::Discloser]);
    let mut update = UpdateOrganisation {
        id: practice.org.clone(),
        name: "New name".to_owned(),
        roles: [Role::Discloser, Role::Intermediary].into(),
        suspended: true,
    };
    kit.done(&operator, update.clone());
    assert_eq!(row(&kit, &practice).name, "New name");
    assert!(row(&kit, &practice).suspended);
    assert_eq!(row(&kit, &practice).keys.len(), 1);
    let again = kit.run(&operator, update.clone()).expect("is so already");
    assert!(again.emitted.is_empty());
    update.suspended = false;
    kit.done(&operator, update.clone());
    assert!(!row(&kit, &practice).suspended);
    update.id = OrgId::from_random(kit.draw());
    assert_eq!(kit.refused(&operator, update), Reason::NotFound);
}

#[test]
fn an_operator_cannot_shut_itself_out() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let mut update = UpdateOrganisation {
        id: operator.org.clone(),
        name: "Operator".to_owned(),
        roles: [Role::Operator].into(),
        suspended: true,
    };
    assert_eq!(kit.refused(&operator, update.clone()), Reason::InvalidField);
    update.suspended = false;
    update.roles = [Role::Discloser].into();
    assert_eq!(kit.refused(&operator, update.clone()), Reason::InvalidField);
    let another = kit.org(&[Role::Operator]);
    kit.done(&another, update);

    let fingerprint = kit.digest();
    kit.done(
        &another,
        AddCertificate {
            organisation: another.org.clone(),
            fingerprint,
        },
    );
    let removal = RemoveCertificate {
        organisation: another.org.clone(),
        fingerprint,
    };
    assert_eq!(kit.refused(&another, removal.clone()), Reason::InvalidField);
    let next = kit.digest();
    kit.done(
        &another,
        AddCertificate {
            organisation: another.org.clone(),
            fingerprint: next,
        },
    );
    kit.done(&another, removal);
    assert_eq!(row(&kit, &another).certificates, [next].into());
}

#[test]
fn a_certificate_speaks_for_one_organisation_for_good() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let (one, two) = (kit.org(&[Role::Discloser]), kit.org(&[Role::Discloser]));
    let fingerprint: Digest = kit.digest();
    let add = |caller: &Caller| AddCertificate {
        organisation: caller.org.clone(),
        fingerprint,
    };
    let remove = |caller: &Caller| RemoveCertificate {
        organisation: caller.org.clone(),
        fingerprint,
    };
    assert_eq!(kit.refused(&operator, remove(&one)), Reason::NotFound);
    kit.done(&operator, add(&one));
    assert!(
        kit.run(&operator, add(&one))
            .expect("is so already")
            .emitted
            .is_empty()
    );
    assert_eq!(kit.refused(&operator, add(&two)), Reason::AlreadyExists);
    assert_eq!(kit.refused(&operator, remove(&two)), Reason::NotFound);
    kit.done(&operator, remove(&one));
    assert!(row(&kit, &one).certificates.is_empty());
    assert!(
        kit.run(&operator, remove(&one))
            .expect("is so already")
            .emitted
            .is_empty()
    );
    assert_eq!(kit.refused(&operator, add(&two)), Reason::AlreadyExists);
    kit.done(&operator, add(&one));
    assert_eq!(row(&kit, &one).certificates, [fingerprint].into());
    let nobody = Caller {
        org: OrgId::from_random(kit.draw()),
        roles: [].into(),
    };
    assert_eq!(kit.refused(&operator, add(&nobody)), Reason::NotFound);
    assert_eq!(kit.refused(&operator, remove(&nobody)), Reason::NotFound);
}

#[test]
fn a_key_is_valid_for_three_years_at_most() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let practice = kit.org(&[Role::Discloser]);
    for days in [-1, 0, 3 * 366 + 1] {
        let registration = key_registration(&kit, &practice, days);
        assert_eq!(
            kit.refused(&operator, registration),
            Reason::InvalidField,
            "{days}"
        );
    }
    let registration = key_registration(&kit, &practice, 3 * 365);
    kit.done(&operator, registration.clone());
    assert_eq!(row(&kit, &practice).keys.len(), 2);
    assert!(
        kit.run(&operator, registration)
            .expect("is so already")
            .emitted
            .is_empty()
    );
    let nobody = Caller {
        org: OrgId::from_random(kit.draw()),
        roles: [].into(),
    };
    let registration = key_registration(&kit, &nobody, 1);
    assert_eq!(kit.refused(&operator, registration), Reason::NotFound);
}

#[test]
fn a_retired_key_stays_retired() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let practice = kit.org(&[Role::Discloser]);
    let registration = key_registration(&kit, &practice, 365);
    kit.done(&operator, registration.clone());
    let retire = |not_after: Moment| RetireKey {
        organisation: practice.org.clone(),
        kid: kid(&key(1)),
        not_after,
    };
    let soon = kit.now.plus_seconds(60);
    assert_eq!(
        kit.refused(&operator, retire(registration.not_after.plus_seconds(1))),
        Reason::OnlyNarrowing
    );
    kit.done(&operator, retire(soon));
    let held = row(&kit, &practice)
        .signing_key(kid(&key(1)).as_bytes())
        .expect("still listed");
    assert_eq!(held.not_after, soon);
    assert!(
        kit.run(&operator, retire(soon))
            .expect("is so already")
            .emitted
            .is_empty()
    );
    assert_eq!(kit.refused(&operator, registration), Reason::AlreadyExists);
    let unknown = RetireKey {
        organisation: practice.org.clone(),
        kid: kid(&key(9)),
        not_after: soon,
    };
    assert_eq!(kit.refused(&operator, unknown), Reason::NotFound);
}

#[test]
fn a_policy_counts_its_versions() {
    let mut kit = Kit::new();
    let operator = kit.operator();
    let set = |name: &str, document: String| SetPolicy {
        name: name.to_owned(),
        document,
    };
    let clocks = |days: u8| format!("[request]\nanswer_days = {days}\n");
    let before = kit.world.policy("clocks").expect("shipped").version;
    kit.done(&operator, set("clocks", clocks(20)));
    kit.done(&operator, set("clocks", clocks(21)));
    let row = kit.world.policy("clocks").expect("set");
    assert_eq!(
        (row.version, row.document.clone()),
        (before + 2, clocks(21))
    );
    assert!(
        kit.run(&operator, set("clocks", clocks(21)))
            .expect("is so already")
            .emitted
            .is_empty()
    );
    assert_eq!(
        kit.refused(&operator, set("clocks", clocks(0))),
        Reason::PolicyInvalid
    );
    assert_eq!(
        kit.refused(&operator, set("weather", clocks(1))),
        Reason::InvalidField
    );
    let sanctions = policy::DEFAULTS[0].1.replace("\"wca\"", "\"sanctions\"");
    assert_eq!(
        kit.refused(&operator, set("purposes", sanctions)),
        Reason::PurposeForbidden
    );
}
