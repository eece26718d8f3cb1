use super::*;

fn kinds(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(ToString::to_string).collect()
}

#[test]
fn opening_sets_the_due_day_and_seals_the_words() {
    let mut scene = Scene::new();
    let (dwp, command) = (scene.dwp.clone(), open_request_command(&mut scene));
    let outcome = scene.kit.run(&dwp, command.clone()).expect("covered");
    assert_eq!(outcome.resource, command.id.to_string());
    assert_eq!(names(&outcome), ["request-opened"]);
    let aside = &outcome.emitted[0].aside;
    assert_eq!(aside["question"], "How far can they walk?");
    assert_eq!(aside["assurance"], "Consent seen on paper.");
    assert_eq!(aside["payer"], "DWP");
    let row = scene.kit.world.request(&command.id).expect("is there");
    assert_eq!(row.due_on, date(2026, 11, 30), "28 days after {TODAY}");
    assert_eq!(row.state, RequestState::Open);
    assert_eq!(row.turn(), Some(&scene.hospital.org));
    assert_eq!(scene.case().chain.count, 1);
}

#[test]
fn the_due_day_follows_the_policy_in_force() {
    let mut scene = Scene::new();
    let operator = scene.kit.operator();
    let document = "[request]\nanswer_days = 7".to_owned();
    scene.kit.done(
        &operator,
        SetPolicy {
            name: policy::CLOCKS.to_owned(),
            document,
        },
    );
    let (dwp, command) = (scene.dwp.clone(), open_request_command(&mut scene));
    scene.kit.done(&dwp, command.clone());
    let row = scene.kit.world.request(&command.id).expect("is there");
    assert_eq!(row.due_on, date(2026, 11, 9));
}

#[test]
fn early_evidence_of_that_discloser_joins_the_case() {
    let (mut scene, practice) = scene_with_practice();
    let (dwp, grant) = (scene.dwp.clone(), scene.grant.clone());
    let early = scene.push_under(&grant, None, Disclosure::Open);
    let hospital = std::mem::replace(&mut scene.hospital, practice.clone());
    let of_practice = scene.push_under(&grant, None, Disclosure::Open);
    scene.hospital = hospital;

    let command = open_request_command(&mut scene);
    let outcome = scene.kit.run(&dwp, command).expect("covered");
    assert_eq!(names(&outcome), ["request-opened", "evidence-joined"]);
    assert!(scene.item(&early).cases.contains(&scene.case));
    assert!(scene.item(&of_practice).cases.is_empty());

    // The second request finds nothing that is not in the case already.
    let command = open_request_command(&mut scene);
    let outcome = scene.kit.run(&dwp, command).expect("covered");
    assert_eq!(names(&outcome), ["request-opened"]);
}

#[test]
fn only_for_the_callers_case_and_grant() {
    let mut scene = Scene::new();
    let dwp = scene.dwp.clone();
    let stranger = scene.kit.org(&[Role::Recipient]);
    let (claimant, hospital) = (scene.claimant.clone(), scene.hospital.clone());
    let theirs = scene.kit.grant(&claimant, &[&hospital], &stranger);
    let command = open_request_command(&mut scene);
    let with_their_grant = OpenRequest {
        grant: theirs,
        ..command.clone()
    };
    assert_eq!(
        scene.kit.refused(&stranger, with_their_grant.clone()),
        Reason::NotFound
    );
    assert_eq!(scene.kit.refused(&dwp, with_their_grant), Reason::NotFound);
    let absent = OpenRequest {
        case: CaseId::from_random([0xaa; 16]),
        ..command.clone()
    };
    assert_eq!(scene.kit.refused(&dwp, absent), Reason::NotFound);

    let other = scene.kit.claimant(&dwp);
    let of_other = scene.kit.grant(&other, &[&hospital], &dwp);
    let command = OpenRequest {
        grant: of_other,
        ..command
    };
    assert_eq!(scene.kit.refused(&dwp, command), Reason::InvalidField);
}

#[test]
fn only_within_what_the_claimant_agreed_to() {
    let mut scene = Scene::new();
    let (dwp, claimant, hospital) = (
        scene.dwp.clone(),
        scene.claimant.clone(),
        scene.hospital.clone(),
    );
    let practice = scene.kit.org(&[Role::Discloser]);
    let mut grant = scene.kit.grant_command(&claimant, &[&hospital], &dwp);
    grant.kinds = ["care-plan".to_owned(), "clinical-letter".to_owned()].into();
    grant.period = Period {
        from: Some(date(2025, 1, 1)),
        to: Some(date(2025, 12, 31)),
    };
    scene.grant = grant.id.clone();
    scene.kit.done(&dwp, grant.clone());
    let year = Period {
        from: Some(date(2025, 3, 1)),
        to: Some(date(2025, 3, 31)),
    };
    let within = OpenRequest {
        period: year,
        ..open_request_command(&mut scene)
    };
    let with = |change: fn(&mut OpenRequest)| {
        let mut command = within.clone();
        change(&mut command);
        command
    };
    let elsewhere = OpenRequest {
        discloser: practice.org,
        ..within.clone()
    };
    let refusals = [
        (
            with(|c| c.kinds = kinds(&["care-plan", "blood-test"])),
            Reason::GrantDoesNotCoverKind,
        ),
        (
            with(|c| c.kinds = kinds(&["*"])),
            Reason::GrantDoesNotCoverKind,
        ),
        (
            with(|c| c.period = Period::default()),
            Reason::GrantDoesNotCoverPeriod,
        ),
        (elsewhere, Reason::GrantDoesNotCoverOrganisation),
        (
            with(|c| std::mem::swap(&mut c.period.from, &mut c.period.to)),
            Reason::InvalidField,
        ),
    ];
    for (command, reason) in refusals {
        assert_eq!(scene.kit.refused(&dwp, command), reason);
    }
    scene.kit.done(&dwp, within);
}

#[test]
fn only_for_the_cases_purpose() {
    let mut scene = Scene::new();
    let (dwp, claimant, hospital) = (
        scene.dwp.clone(),
        scene.claimant.clone(),
        scene.hospital.clone(),
    );
    let mut for_pip = scene.kit.grant_command(&claimant, &[&hospital], &dwp);
    for_pip.purposes = kinds(&["pip"]);
    scene.grant = for_pip.id.clone();
    scene.kit.done(&dwp, for_pip);
    let command = open_request_command(&mut scene);
    assert_eq!(
        scene.kit.refused(&dwp, command),
        Reason::GrantDoesNotCoverPurpose
    );
}

#[test]
fn only_within_the_policy_in_force_now() {
    let mut scene = Scene::new();
    let dwp = scene.dwp.clone();
    let command = open_request_command(&mut scene);
    set_purposes(&mut scene.kit, &wca_policy("kinds = [\"clinical-letter\"]"));
    assert_eq!(
        scene.kit.refused(&dwp, command.clone()),
        Reason::PurposeCapExceeded
    );
    set_purposes(
        &mut scene.kit,
        &wca_policy("kinds = [\"*\"]\nrecipients = [\"dfc:wca\"]"),
    );
    assert_eq!(scene.kit.refused(&dwp, command), Reason::PurposeCapExceeded);
}

#[test]
fn only_while_the_grant_lives_and_the_discloser_can_answer() {
    let mut scene = Scene::new();
    let (dwp, operator, command) = (
        scene.dwp.clone(),
        scene.kit.operator(),
        open_request_command(&mut scene),
    );
    let suspended = |suspended| UpdateOrganisation {
        id: command.discloser.clone(),
        name: "Hospital".to_owned(),
        roles: [Role::Discloser].into(),
        suspended,
    };
    scene.kit.done(&operator, suspended(true));
    assert_eq!(
        scene.kit.refused(&dwp, command.clone()),
        Reason::OrganisationSuspended
    );
    scene.kit.done(&operator, suspended(false));
    scene.kit.pass_days(91);
    assert_eq!(
        scene.kit.refused(&dwp, command.clone()),
        Reason::GrantExpired
    );
    withdraw(&mut scene);
    assert_eq!(scene.kit.refused(&dwp, command), Reason::GrantWithdrawn);
}
