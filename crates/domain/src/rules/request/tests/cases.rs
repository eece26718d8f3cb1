use super::*;

#[test]
fn opening_starts_both_chains_and_seals_the_reference() {
    let mut scene = Scene::new();
    let (dwp, command) = (scene.dwp.clone(), open_case_command(&mut scene));
    let outcome = scene.kit.run(&dwp, command.clone()).expect("a live grant");
    assert_eq!(outcome.resource, command.id.to_string());
    assert_eq!(names(&outcome), ["case-opened", "official-opened"]);
    assert_eq!(outcome.emitted[0].aside["reference"], "UC/55");
    let case = scene.kit.world.case(&command.id).expect("is there");
    assert_eq!((case.chain.count, case.chain.head), (0, command.chain_seed));
    assert_eq!(
        (case.official_chain.count, case.official_chain.head),
        (0, command.official_seed)
    );
    assert_eq!(case.nation, Nation::Scotland);
}

#[test]
fn what_is_held_joins_in_the_order_it_came_withheld_items_out_of_sight() {
    let mut scene = Scene::new();
    let open = scene.push(None, Disclosure::Open);
    let withheld = scene.push(None, Disclosure::Withheld);
    let own = scene.own_words();
    let (dwp, command) = (scene.dwp.clone(), open_case_command(&mut scene));
    let outcome = scene.kit.run(&dwp, command.clone()).expect("a live grant");
    let joined: Vec<_> = outcome.emitted[2..]
        .iter()
        .map(|emitted| match &emitted.event {
            Event::EvidenceJoined(body) => body.item.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(joined, [open, withheld, own]);
    let case = scene.kit.world.case(&command.id).expect("is there");
    assert_eq!((case.chain.count, case.official_chain.count), (2, 1));
    assert!(
        joined
            .iter()
            .all(|item| scene.item(item).cases.contains(&command.id))
    );
}

#[test]
fn what_the_claimant_has_taken_back_does_not_join() {
    let (mut scene, practice) = scene_with_practice();
    scene.push(None, Disclosure::Open);
    let command = NarrowGrant {
        remove_disclosers: [scene.hospital.org.clone()].into(),
        ..narrow(&scene)
    };
    let dwp = scene.dwp.clone();
    scene.kit.done(&dwp, command);
    let command = open_case_command(&mut scene);
    let outcome = scene
        .kit
        .run(&dwp, command)
        .expect("the practice is named still");
    assert_eq!(names(&outcome), ["case-opened", "official-opened"]);
    assert!(
        scene
            .kit
            .grant_row(&scene.grant)
            .disclosers
            .contains(&practice.org)
    );
}

#[test]
fn only_under_a_grant_of_the_callers() {
    let mut scene = Scene::new();
    let stranger = scene.kit.org(&[Role::Recipient]);
    let command = open_case_command(&mut scene);
    assert_eq!(
        scene.kit.refused(&stranger, command.clone()),
        Reason::NotFound
    );
    let absent = OpenCase {
        grant: GrantId::from_random([0xaa; 16]),
        ..command.clone()
    };
    let dwp = scene.dwp.clone();
    assert_eq!(scene.kit.refused(&dwp, absent), Reason::NotFound);

    // Whoever took the grant for another recipient knows of it, and is told why not.
    let claimant = scene.claimant.clone();
    let hospital = scene.hospital.clone();
    let to_other = scene.kit.grant_command(&claimant, &[&hospital], &stranger);
    let grant = to_other.id.clone();
    scene.kit.done(&dwp, to_other);
    let command = OpenCase { grant, ..command };
    assert_eq!(
        scene.kit.refused(&dwp, command),
        Reason::GrantDoesNotCoverRecipient
    );
}

#[test]
fn only_for_the_grants_claimant() {
    let mut scene = Scene::new();
    let dwp = scene.dwp.clone();
    let other = scene.kit.claimant(&dwp);
    let command = OpenCase {
        claimant: other,
        ..open_case_command(&mut scene)
    };
    assert_eq!(scene.kit.refused(&dwp, command), Reason::InvalidField);
}

#[test]
fn only_for_a_purpose_that_claimant_and_policy_allow() {
    let mut scene = Scene::new();
    let dwp = scene.dwp.clone();
    let command = open_case_command(&mut scene);
    let pip = OpenCase {
        assessment_type: "pip".to_owned(),
        ..command.clone()
    };
    assert_eq!(
        scene.kit.refused(&dwp, pip),
        Reason::GrantDoesNotCoverPurpose
    );

    let mut kit = scene.kit;
    set_purposes(
        &mut kit,
        &wca_policy("kinds = [\"*\"]\nrecipients = [\"dfc:wca\"]"),
    );
    assert_eq!(
        kit.refused(&dwp, command.clone()),
        Reason::PurposeCapExceeded
    );
    set_purposes(
        &mut kit,
        &wca_policy("kinds = [\"*\"]").replace("\"wca\"", "\"pip\""),
    );
    assert_eq!(kit.refused(&dwp, command), Reason::PurposeUnknown);
}

#[test]
fn only_while_the_grant_lives() {
    let mut scene = Scene::new();
    let dwp = scene.dwp.clone();
    let command = open_case_command(&mut scene);
    scene.kit.pass_days(90);
    scene.kit.done(&dwp, open_case_command_again(&command));
    scene.kit.pass_days(1);
    assert_eq!(
        scene.kit.refused(&dwp, command.clone()),
        Reason::GrantExpired
    );

    let mut scene = Scene::new();
    let (dwp, command) = (scene.dwp.clone(), open_case_command(&mut scene));
    withdraw(&mut scene);
    assert_eq!(scene.kit.refused(&dwp, command), Reason::GrantWithdrawn);
}

fn open_case_command_again(command: &OpenCase) -> OpenCase {
    OpenCase {
        id: CaseId::from_random([0xbb; 16]),
        ..command.clone()
    }
}
