//! Delegations only narrow.

use super::*;

fn delegation(scene: &mut Scene, grant: &GrantId) -> CreateDelegation {
    CreateDelegation {
        id: DelegationId::from_random(scene.kit.draw()),
        grant: grant.clone(),
        intermediary: scene.charity.org.clone(),
        kinds: kinds(&["care-plan"]),
        expires_on: None,
    }
}

/// A grant that the department itself took.
fn granted(scene: &mut Scene) -> GrantId {
    let command = scene.command();
    let id = command.id.clone();
    let department = scene.department.clone();
    scene.kit.done(&department, command);
    id
}

#[test]
fn a_discloser_delegates_for_itself_and_the_others_for_the_claimant() {
    let mut scene = scene();
    let grant = granted(&mut scene);
    let givers = [
        (scene.practice.clone(), Some(scene.practice.org.clone())),
        (scene.department.clone(), None),
        (scene.portal.clone(), None),
    ];
    for (giver, discloser) in givers {
        let command = delegation(&mut scene, &grant);
        scene.kit.done(&giver, command.clone());
        let row = scene.kit.world.delegation(&command.id).expect("there");
        assert_eq!((&row.discloser, &row.by), (&discloser, &giver.org));
        assert_eq!(row.expires_on, scene.kit.grant_row(&grant).expires_on);
    }
    assert!(
        scene
            .kit
            .grant_row(&grant)
            .intermediaries
            .contains(&scene.charity.org)
    );
}

#[test]
fn nobody_else_delegates() {
    let mut scene = scene();
    let grant = scene.granted();
    let command = delegation(&mut scene, &grant);
    let (stranger, department) = (scene.stranger.clone(), scene.department.clone());
    assert_eq!(
        scene.kit.refused(&stranger, command.clone()),
        Reason::NotFound
    );
    // The charity took this consent, so the recipient does not act for the claimant.
    assert_eq!(
        scene.kit.refused(&department, command.clone()),
        Reason::NotYoursToChange
    );
    let absent = CreateDelegation {
        grant: GrantId::from_random([9; 16]),
        ..command
    };
    assert_eq!(scene.kit.refused(&department, absent), Reason::NotFound);
}

#[test]
fn a_delegation_lies_within_its_grant() {
    let mut scene = scene();
    let grant = granted(&mut scene);
    let practice = scene.practice.clone();
    let last = scene.kit.grant_row(&grant).expires_on;
    let good = delegation(&mut scene, &grant);
    let cases = [
        (
            CreateDelegation {
                kinds: kinds(&["care-plan", "x-ray"]),
                ..good.clone()
            },
            Reason::OnlyNarrowing,
        ),
        (
            CreateDelegation {
                kinds: kinds(&["*"]),
                ..good.clone()
            },
            Reason::OnlyNarrowing,
        ),
        (
            CreateDelegation {
                expires_on: Some(days_after(last, 1)),
                ..good.clone()
            },
            Reason::OnlyNarrowing,
        ),
        (
            CreateDelegation {
                kinds: kinds(&[]),
                ..good.clone()
            },
            Reason::InvalidField,
        ),
        (
            CreateDelegation {
                expires_on: Some(date(2026, 11, 1)),
                ..good.clone()
            },
            Reason::InvalidField,
        ),
        (
            CreateDelegation {
                intermediary: scene.trust.org.clone(),
                ..good.clone()
            },
            Reason::RoleNotAllowed,
        ),
        (
            CreateDelegation {
                intermediary: OrgId::from_random([9; 16]),
                ..good.clone()
            },
            Reason::OrganisationUnknown,
        ),
    ];
    for (command, reason) in cases {
        assert_eq!(
            scene.kit.refused(&practice, command.clone()),
            reason,
            "{command:?}"
        );
    }
    scene.suspend(&scene.charity.clone());
    assert_eq!(
        scene.kit.refused(&practice, good),
        Reason::OrganisationSuspended
    );
}

#[test]
fn only_under_a_live_grant() {
    let mut scene = scene();
    let (expired, withdrawn) = (granted(&mut scene), granted(&mut scene));
    scene.withdraw(&withdrawn);
    let practice = scene.practice.clone();
    let command = delegation(&mut scene, &withdrawn);
    assert_eq!(
        scene.kit.refused(&practice, command),
        Reason::GrantWithdrawn
    );
    scene.kit.pass_days(91);
    let command = delegation(&mut scene, &expired);
    assert_eq!(scene.kit.refused(&practice, command), Reason::GrantExpired);
}

#[test]
fn either_side_or_the_portal_ends_it() {
    let mut scene = scene();
    let grant = granted(&mut scene);
    let (practice, trust) = (scene.practice.clone(), scene.trust.clone());
    let end = |id: &DelegationId| EndDelegation {
        delegation: id.clone(),
    };
    for caller in [
        scene.practice.clone(),
        scene.charity.clone(),
        scene.portal.clone(),
    ] {
        let command = delegation(&mut scene, &grant);
        scene.kit.done(&practice, command.clone());
        assert_eq!(
            scene.kit.refused(&trust, end(&command.id)),
            Reason::NotFound
        );
        scene.kit.done(&caller, end(&command.id));
        let row = scene.kit.world.delegation(&command.id).expect("there");
        assert!(!row.is_live(scene.kit.now));
        assert!(
            scene
                .kit
                .run(&caller, end(&command.id))
                .expect("ended already")
                .emitted
                .is_empty()
        );
    }
    assert_eq!(
        scene
            .kit
            .refused(&practice, end(&DelegationId::from_random([9; 16]))),
        Reason::NotFound
    );
}

#[test]
fn the_statement_names_who_gave_it() {
    let mut scene = scene();
    let grant = granted(&mut scene);
    let practice = scene.practice.clone();
    let command = delegation(&mut scene, &grant);
    let outcome = scene.kit.run(&practice, command).expect("delegated");
    let Event::DelegationCreated(body) = &outcome.emitted[0].event else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (&body.discloser, &body.by),
        (&Some(practice.org.clone()), &practice.org)
    );
}
