//! Claimants, representatives, appointees.

use super::*;

fn registration(kit: &mut Kit, identifiers: &[(&str, &str)], birth: &str) -> RegisterClaimant {
    RegisterClaimant {
        id: ClaimantId::from_random(kit.draw()),
        name: "Ada Example".to_owned(),
        date_of_birth: date(1970, 3, 4),
        nhs_number: Some("9434765919".to_owned()),
        nino: Some("AB123456C".to_owned()),
        identifiers: identifiers
            .iter()
            .map(|(kind, index)| ((*kind).to_owned(), (*index).to_owned()))
            .collect(),
        birth: birth.to_owned(),
    }
}

#[test]
fn makes_a_record_once_and_finds_it_by_any_of_its_identifiers() {
    let Scene {
        mut kit,
        practice,
        charity,
        ..
    } = scene();
    let first = registration(&mut kit, &[("nhs-number", "n1"), ("nino", "i1")], "b1");
    let outcome = kit.run(&practice, first.clone()).expect("nobody has these");
    let sealed = [
        ("name", "Ada Example"),
        ("date_of_birth", "1970-03-04"),
        ("nhs_number", "9434765919"),
        ("nino", "AB123456C"),
    ];
    assert_eq!(only_aside(&outcome), texts(&sealed));
    for identifiers in [
        &[("nhs-number", "n1")][..],
        &[("nino", "i1")],
        &[("nhs-number", "n1"), ("nino", "i1")],
    ] {
        let again = registration(&mut kit, identifiers, "b1");
        let outcome = kit.run(&charity, again).expect("the same person");
        assert_eq!(outcome.resource, first.id.to_string());
        assert!(outcome.emitted.is_empty());
    }
}

#[test]
fn absent_identifiers_are_not_sealed_as_empty_texts() {
    let Scene {
        mut kit, practice, ..
    } = scene();
    let mut command = registration(&mut kit, &[("nhs-number", "n1")], "b1");
    command.nino = None;
    let outcome = kit.run(&practice, command).expect("nobody has this");
    assert!(!only_aside(&outcome).contains_key("nino"));
}

#[test]
fn identifiers_and_birth_date_must_belong_together() {
    let Scene {
        mut kit, practice, ..
    } = scene();
    let one = registration(&mut kit, &[("nhs-number", "n1"), ("nino", "i1")], "b1");
    let two = registration(&mut kit, &[("nhs-number", "n2")], "b1");
    kit.done(&practice, one);
    kit.done(&practice, two.clone());
    for (identifiers, birth) in [
        // Another birth date.
        (&[("nhs-number", "n1")][..], "b2"),
        // The identifiers of two people.
        (&[("nhs-number", "n2"), ("nino", "i1")], "b1"),
        // A number that the person here does not have.
        (&[("nhs-number", "n1"), ("nino", "i9")], "b1"),
        (&[("nhs-number", "n9"), ("nino", "i1")], "b1"),
    ] {
        let conflict = registration(&mut kit, identifiers, birth);
        assert_eq!(
            kit.refused(&practice, conflict),
            Reason::IdentityConflict,
            "{identifiers:?}"
        );
    }
    // One not known so far is accepted, but not added.
    let more = registration(&mut kit, &[("nhs-number", "n2"), ("nino", "i2")], "b1");
    assert_eq!(kit.done(&practice, more), two.id.to_string());
    let alone = registration(&mut kit, &[("nino", "i2")], "b7");
    assert_eq!(kit.done(&practice, alone.clone()), alone.id.to_string());
}

#[test]
fn a_registration_has_an_identifier_and_a_birth_date_that_has_come() {
    let Scene {
        mut kit, practice, ..
    } = scene();
    let nameless = registration(&mut kit, &[], "b1");
    assert_eq!(kit.refused(&practice, nameless), Reason::InvalidField);
    let mut unborn = registration(&mut kit, &[("nhs-number", "n1")], "b1");
    unborn.date_of_birth = days_after(kit.now.day(), 1);
    assert_eq!(kit.refused(&practice, unborn.clone()), Reason::InvalidField);
    unborn.date_of_birth = kit.now.day();
    kit.done(&practice, unborn);
}

fn naming(scene: &mut Scene) -> NameRepresentative {
    NameRepresentative {
        id: RepresentationId::from_random(scene.kit.draw()),
        claimant: scene.claimant.clone(),
        kind: RepresentationKind::Representative,
        name: "Ben Helper".to_owned(),
        scopes: [Scope::SeeProgress, Scope::GrantConsent].into(),
        expires_on: days_after(scene.kit.now.day(), 30),
        capture: Capture::InPerson,
        witness: "Jo at the front desk".to_owned(),
    }
}

#[test]
fn names_a_representative_with_a_scope_and_an_end() {
    let mut scene = scene();
    let department = scene.department.clone();
    let command = naming(&mut scene);
    let outcome = scene.kit.run(&department, command.clone()).expect("named");
    assert_eq!(
        only_aside(&outcome),
        texts(&[("name", "Ben Helper"), ("witness", "Jo at the front desk")])
    );
    let row = scene.kit.world.representation(&command.id).expect("there");
    assert_eq!(
        (&row.scopes, row.expires_on, row.kind),
        (&command.scopes, command.expires_on, command.kind)
    );
}

#[test]
fn a_naming_needs_scopes_a_future_and_a_witness() {
    let mut scene = scene();
    let (department, portal) = (scene.department.clone(), scene.portal.clone());
    let good = naming(&mut scene);
    let bad = [
        NameRepresentative {
            scopes: [].into(),
            ..good.clone()
        },
        NameRepresentative {
            expires_on: days_after(scene.kit.now.day(), -1),
            ..good.clone()
        },
        NameRepresentative {
            witness: " ".to_owned(),
            ..good.clone()
        },
        NameRepresentative {
            capture: Capture::InPortal,
            ..good.clone()
        },
    ];
    for command in bad {
        assert_eq!(
            scene.kit.refused(&department, command),
            Reason::InvalidField
        );
    }
    let unknown = NameRepresentative {
        claimant: ClaimantId::from_random([9; 16]),
        ..good.clone()
    };
    assert_eq!(scene.kit.refused(&department, unknown), Reason::NotFound);
    let in_portal = NameRepresentative {
        capture: Capture::InPortal,
        witness: String::new(),
        ..good
    };
    scene.kit.done(&portal, in_portal);
}

#[test]
fn an_appointee_is_the_departments_to_name() {
    let mut scene = scene();
    let (department, portal) = (scene.department.clone(), scene.portal.clone());
    let command = NameRepresentative {
        kind: RepresentationKind::Appointee,
        ..naming(&mut scene)
    };
    assert_eq!(
        scene.kit.refused(&portal, command.clone()),
        Reason::InvalidField
    );
    scene.kit.done(&department, command);
}

#[test]
fn whoever_named_or_the_portal_ends_a_representation() {
    let mut scene = scene();
    let (department, portal, stranger) = (
        scene.department.clone(),
        scene.portal.clone(),
        scene.stranger.clone(),
    );
    let (first, second) = (naming(&mut scene), naming(&mut scene));
    let end = |id: &RepresentationId| EndRepresentation {
        representation: id.clone(),
    };
    assert_eq!(
        scene.kit.refused(&department, end(&first.id)),
        Reason::NotFound
    );
    scene.kit.done(&department, first.clone());
    scene.kit.done(&department, second.clone());
    assert_eq!(
        scene.kit.refused(&stranger, end(&first.id)),
        Reason::NotFound
    );
    scene.kit.done(&department, end(&first.id));
    scene.kit.done(&portal, end(&second.id));
    assert!(
        scene
            .kit
            .run(&department, end(&first.id))
            .expect("ended already")
            .emitted
            .is_empty()
    );
    let row = scene.kit.world.representation(&first.id).expect("there");
    assert!(!row.is_live(scene.kit.now));
}

#[test]
fn a_representative_grants_within_their_scope() {
    let mut scene = scene();
    let (department, portal) = (scene.department.clone(), scene.portal.clone());
    let (may, may_not) = (naming(&mut scene), naming(&mut scene));
    let may_not = NameRepresentative {
        scopes: [Scope::SeeProgress].into(),
        ..may_not
    };
    scene.kit.done(&department, may.clone());
    scene.kit.done(&department, may_not.clone());
    let for_them = |scene: &mut Scene, id: &RepresentationId| CreateGrant {
        capture: Capture::InPortal,
        witness: String::new(),
        representation: Some(id.clone()),
        ..scene.command()
    };
    let command = for_them(&mut scene, &may.id);
    let grant = command.id.clone();
    scene.kit.done(&portal, command);
    assert_eq!(
        scene.kit.grant_row(&grant).representation,
        Some(may.id.clone())
    );

    let command = for_them(&mut scene, &may_not.id);
    assert_eq!(
        scene.kit.refused(&portal, command),
        Reason::RepresentationOutOfScope
    );
    let command = for_them(&mut scene, &RepresentationId::from_random([9; 16]));
    assert_eq!(scene.kit.refused(&portal, command), Reason::NotFound);

    // Someone else's representative stands for nobody here.
    let mut elsewhere = for_them(&mut scene, &may.id);
    elsewhere.claimant = scene.kit.claimant(&department);
    assert_eq!(scene.kit.refused(&portal, elsewhere), Reason::NotFound);

    scene.kit.pass_days(31);
    let command = for_them(&mut scene, &may.id);
    assert_eq!(
        scene.kit.refused(&portal, command),
        Reason::RepresentationOutOfScope
    );
}
