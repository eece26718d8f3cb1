//! Grants: made, narrowed, withdrawn.

use super::*;

#[test]
fn records_what_was_agreed_to_and_seals_the_witness() {
    let mut scene = scene();
    let charity = scene.charity.clone();
    let command = scene.command();
    let outcome = scene.kit.run(&charity, command.clone()).expect("granted");
    assert_eq!(
        only_aside(&outcome),
        texts(&[("witness", "Jo at the front desk")])
    );
    let row = scene.kit.grant_row(&command.id);
    assert_eq!(row.captured_by, charity.org);
    assert_eq!(
        (&row.disclosers, &row.kinds),
        (&command.disclosers, &command.kinds)
    );
    assert_eq!(
        (&row.purposes, row.period),
        (&command.purposes, command.period)
    );
    assert!(row.is_live(scene.kit.now));
}

/// A grant with one thing changed is refused, for this reason.
fn changed(change: impl FnOnce(&mut Scene, &mut CreateGrant)) -> Reason {
    let mut scene = scene();
    let mut command = scene.command();
    change(&mut scene, &mut command);
    let charity = scene.charity.clone();
    scene.kit.refused(&charity, command)
}

#[test]
fn a_grant_is_for_a_known_claimant_and_known_organisations() {
    assert_eq!(
        changed(|_, c| c.claimant = ClaimantId::from_random([9; 16])),
        Reason::NotFound
    );
    let nobody = OrgId::from_random([9; 16]);
    assert_eq!(
        changed(|_, c| c.recipient = nobody.clone()),
        Reason::OrganisationUnknown
    );
    assert_eq!(
        changed(|_, c| c.disclosers = [nobody.clone()].into()),
        Reason::OrganisationUnknown
    );
    assert_eq!(
        changed(|s, c| c.recipient = s.practice.org.clone()),
        Reason::RoleNotAllowed
    );
    assert_eq!(
        changed(|s, c| c.disclosers = [s.department.org.clone()].into()),
        Reason::RoleNotAllowed
    );
    assert_eq!(
        changed(|s, _| s.suspend(&s.practice.clone())),
        Reason::OrganisationSuspended
    );
    assert_eq!(
        changed(|s, _| s.suspend(&s.department.clone())),
        Reason::OrganisationSuspended
    );
}

#[test]
fn an_intermediary_may_be_named_as_a_discloser_itself() {
    let mut scene = scene();
    let mut command = scene.command();
    command.disclosers = [scene.charity.org.clone()].into();
    let department = scene.department.clone();
    scene.kit.done(&department, command);
}

#[test]
fn a_grant_names_somebody_something_and_an_end_to_come() {
    assert_eq!(changed(|_, c| c.disclosers.clear()), Reason::InvalidField);
    assert_eq!(changed(|_, c| c.kinds.clear()), Reason::InvalidField);
    assert_eq!(changed(|_, c| c.purposes.clear()), Reason::InvalidField);
    assert_eq!(
        changed(|s, c| c.expires_on = days_after(s.kit.now.day(), -1)),
        Reason::InvalidField
    );
    let backwards = Period {
        from: Some(date(2026, 2, 1)),
        to: Some(date(2026, 1, 1)),
    };
    assert_eq!(changed(|_, c| c.period = backwards), Reason::InvalidField);

    let mut scene = scene();
    let command = CreateGrant {
        expires_on: scene.kit.now.day(),
        ..scene.command()
    };
    let charity = scene.charity.clone();
    scene.kit.done(&charity, command);
}

#[test]
fn consent_has_a_witness_unless_it_was_given_in_the_portal() {
    assert_eq!(
        changed(|_, c| c.witness = "  ".to_owned()),
        Reason::InvalidField
    );
    assert_eq!(
        changed(|_, c| c.capture = Capture::InPortal),
        Reason::InvalidField
    );
    let mut scene = scene();
    let portal = scene.portal.clone();
    let command = CreateGrant {
        capture: Capture::InPortal,
        witness: String::new(),
        ..scene.command()
    };
    scene.kit.done(&portal, command);
}

#[test]
fn purposes_are_those_of_the_policy_within_their_caps() {
    assert_eq!(
        changed(|_, c| c.purposes = kinds(&["wca", "curiosity"])),
        Reason::PurposeUnknown
    );
    assert_eq!(
        changed(|_, c| c.purposes = kinds(&["sanctions"])),
        Reason::PurposeUnknown
    );
    assert_eq!(
        changed(|s, c| c.expires_on = days_after(s.kit.now.day(), 732)),
        Reason::PurposeCapExceeded
    );
    let mut both = scene();
    let command = CreateGrant {
        purposes: kinds(&["wca", "pip"]),
        ..both.command()
    };
    let charity = both.charity.clone();
    both.kit.done(&charity, command);
}

#[test]
fn a_purposes_kinds_and_recipients_bind() {
    let document = "[[purposes]]\nid = \"wca\"\ntitle = \"A\"\nkinds = [\"clinical-letter\"]\nlongest_days = 100\n\
                    [[purposes]]\nid = \"pip\"\ntitle = \"B\"\nkinds = [\"*\"]\nlongest_days = 100\n\
                    recipients = [\"dwp:other\"]\n";
    let set = |scene: &mut Scene| {
        let command = SetPolicy {
            name: policy::PURPOSES.to_owned(),
            document: document.to_owned(),
        };
        let operator = scene.kit.operator();
        scene.kit.done(&operator, command);
    };
    let refused = |change: fn(&mut CreateGrant)| {
        changed(|scene, command| {
            set(scene);
            change(command);
        })
    };
    assert_eq!(refused(|_| ()), Reason::PurposeCapExceeded);
    assert_eq!(
        refused(|c| c.kinds = kinds(&["*"])),
        Reason::PurposeCapExceeded
    );
    assert_eq!(
        refused(|c| c.purposes = kinds(&["pip"])),
        Reason::PurposeCapExceeded
    );
    let mut within = scene();
    set(&mut within);
    let command = CreateGrant {
        kinds: kinds(&["clinical-letter"]),
        ..within.command()
    };
    let charity = within.charity.clone();
    within.kit.done(&charity, command);
}

#[test]
fn voluntary_support_is_never_part_of_another_consent() {
    let voluntary = "voluntary-employment-support";
    assert_eq!(
        changed(|_, c| c.purposes = kinds(&["wca", voluntary])),
        Reason::PurposeNeedsOwnGrant
    );
    let mut alone = scene();
    let command = CreateGrant {
        purposes: kinds(&[voluntary]),
        ..alone.command()
    };
    let charity = alone.charity.clone();
    alone.kit.done(&charity, command);
}

fn narrowing(grant: &GrantId) -> NarrowGrant {
    NarrowGrant {
        grant: grant.clone(),
        remove_disclosers: [].into(),
        remove_kinds: [].into(),
        remove_purposes: [].into(),
        period: None,
        expires_on: None,
    }
}

#[test]
fn narrowing_takes_away() {
    let mut scene = scene();
    let broad = CreateGrant {
        purposes: kinds(&["wca", "pip"]),
        ..scene.command()
    };
    let id = broad.id.clone();
    let charity = scene.charity.clone();
    scene.kit.done(&charity, broad);
    let period = Period {
        from: Some(date(2026, 1, 1)),
        to: Some(date(2026, 6, 30)),
    };
    let expires_on = days_after(scene.kit.now.day(), 10);
    let command = NarrowGrant {
        remove_disclosers: [scene.trust.org.clone(), scene.stranger.org.clone()].into(),
        remove_kinds: kinds(&["care-plan"]),
        remove_purposes: kinds(&["pip"]),
        period: Some(period),
        expires_on: Some(expires_on),
        ..narrowing(&id)
    };
    let department = scene.department.clone();
    scene.kit.done(&department, command.clone());
    let row = scene.kit.grant_row(&id);
    assert_eq!(row.disclosers, [scene.practice.org.clone()].into());
    assert_eq!(
        (&row.kinds, &row.purposes),
        (&kinds(&["clinical-letter"]), &kinds(&["wca"]))
    );
    assert_eq!(
        (row.period, row.expires_on, row.narrowed),
        (period, expires_on, 1)
    );
    assert!(
        scene
            .kit
            .run(&department, command)
            .expect("is so already")
            .emitted
            .is_empty()
    );
}

#[test]
fn narrowing_never_adds_and_never_empties() {
    let mut scene = scene();
    let (id, charity) = (scene.granted(), scene.charity.clone());
    let row = scene.kit.grant_row(&id).clone();
    let mut refused = |command: NarrowGrant| scene.kit.refused(&charity, command);
    let longer = Some(days_after(row.expires_on, 1));
    assert_eq!(
        refused(NarrowGrant {
            expires_on: longer,
            ..narrowing(&id)
        }),
        Reason::OnlyNarrowing
    );
    for period in [
        Period::default(),
        Period {
            from: Some(date(2024, 12, 31)),
            to: row.period.to,
        },
        Period {
            from: row.period.from,
            to: Some(date(2027, 1, 1)),
        },
    ] {
        assert_eq!(
            refused(NarrowGrant {
                period: Some(period),
                ..narrowing(&id)
            }),
            Reason::OnlyNarrowing
        );
    }
    let backwards = Some(Period {
        from: Some(date(2026, 2, 1)),
        to: Some(date(2026, 1, 1)),
    });
    assert_eq!(
        refused(NarrowGrant {
            period: backwards,
            ..narrowing(&id)
        }),
        Reason::InvalidField
    );
    let past = Some(date(2026, 11, 1));
    assert_eq!(
        refused(NarrowGrant {
            expires_on: past,
            ..narrowing(&id)
        }),
        Reason::InvalidField
    );
    let everything = [
        NarrowGrant {
            remove_disclosers: row.disclosers.clone(),
            ..narrowing(&id)
        },
        NarrowGrant {
            remove_kinds: row.kinds.clone(),
            ..narrowing(&id)
        },
        NarrowGrant {
            remove_purposes: row.purposes.clone(),
            ..narrowing(&id)
        },
    ];
    for command in everything {
        assert_eq!(refused(command), Reason::InvalidField);
    }
}

#[test]
fn no_kind_can_be_taken_from_every_kind() {
    let mut scene = scene();
    let every = CreateGrant {
        kinds: kinds(&["*"]),
        ..scene.command()
    };
    let command = NarrowGrant {
        remove_kinds: kinds(&["care-plan"]),
        ..narrowing(&every.id)
    };
    let department = scene.department.clone();
    scene.kit.done(&department, every);
    assert_eq!(
        scene.kit.refused(&department, command),
        Reason::OnlyNarrowing
    );
}

#[test]
fn only_a_live_grant_can_be_narrowed() {
    let mut scene = scene();
    let (id, charity) = (scene.granted(), scene.charity.clone());
    let command = NarrowGrant {
        remove_kinds: kinds(&["care-plan"]),
        ..narrowing(&id)
    };
    scene.kit.pass_days(91);
    assert_eq!(
        scene.kit.refused(&charity, command.clone()),
        Reason::GrantExpired
    );
    scene.withdraw(&id);
    assert_eq!(scene.kit.refused(&charity, command), Reason::GrantWithdrawn);
}

#[test]
fn who_may_take_away() {
    let mut scene = scene();
    let withdrawal = |id: &GrantId| WithdrawGrant {
        grant: id.clone(),
        capture: Capture::InWriting,
        note: String::new(),
    };
    let id = scene.granted();
    let (stranger, practice) = (scene.stranger.clone(), scene.practice.clone());
    for (caller, reason) in [
        (stranger, Reason::NotFound),
        (practice, Reason::NotYoursToChange),
    ] {
        assert_eq!(scene.kit.refused(&caller, narrowing(&id)), reason);
        assert_eq!(scene.kit.refused(&caller, withdrawal(&id)), reason);
    }
    for caller in [
        scene.charity.clone(),
        scene.department.clone(),
        scene.portal.clone(),
    ] {
        let id = scene.granted();
        let command = NarrowGrant {
            remove_kinds: kinds(&["care-plan"]),
            ..narrowing(&id)
        };
        scene.kit.done(&caller, command);
        scene.kit.done(&caller, withdrawal(&id));
    }
    let absent = GrantId::from_random([9; 16]);
    let department = scene.department.clone();
    assert_eq!(
        scene.kit.refused(&department, narrowing(&absent)),
        Reason::NotFound
    );
    assert_eq!(
        scene.kit.refused(&department, withdrawal(&absent)),
        Reason::NotFound
    );
}

#[test]
fn withdrawing_needs_no_reason_and_happens_once() {
    let mut scene = scene();
    let (id, department, portal) = (
        scene.granted(),
        scene.department.clone(),
        scene.portal.clone(),
    );
    let command = WithdrawGrant {
        grant: id.clone(),
        capture: Capture::InPortal,
        note: "no more".to_owned(),
    };
    assert_eq!(
        scene.kit.refused(&department, command.clone()),
        Reason::InvalidField
    );
    let outcome = scene.kit.run(&portal, command.clone()).expect("withdrawn");
    assert_eq!(only_aside(&outcome), texts(&[("note", "no more")]));
    assert_eq!(scene.kit.grant_row(&id).withdrawn_at, Some(scene.kit.now));
    scene.kit.pass_days(1);
    assert!(
        scene
            .kit
            .run(&portal, command)
            .expect("is so already")
            .emitted
            .is_empty()
    );
    assert!(scene.kit.grant_row(&id).withdrawn_at < Some(scene.kit.now));
}
