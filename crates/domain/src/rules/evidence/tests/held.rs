use super::*;

#[test]
fn early_evidence_is_held_under_its_grant() {
    let mut scene = Scene::new();
    let letter = scene.letter();
    let item = scene.pushed(letter);
    let row = scene.kit.world.item(&item).expect("held");
    assert_eq!(
        (row.state, &row.discloser),
        (ItemState::Received, &scene.trust.org)
    );
    assert!(row.cases.is_empty());
}

#[test]
fn an_answer_joins_its_case_and_completes_the_request() {
    let mut scene = Scene::new();
    let case = scene.case();
    let request = scene.request(&case, &["clinical-letter"]);
    let before = scene.kit.world.case(&case).expect("open").chain.count;
    let letter = Evidence {
        request: Some(request.clone()),
        completes: true,
        ..scene.letter()
    };
    let item = scene.pushed(letter);
    assert_eq!(
        scene.kit.world.item(&item).expect("held").cases,
        [case.clone()].into()
    );
    assert_eq!(
        scene.kit.world.request(&request).expect("there").state,
        RequestState::Answered
    );
    assert_eq!(
        scene.kit.world.case(&case).expect("open").chain.count,
        before + 1
    );
    // More may follow a completed answer.
    let more = Evidence {
        request: Some(request),
        ..scene.letter()
    };
    scene.pushed(more);
}

#[test]
fn a_dry_run_decides_without_the_bytes() {
    let mut scene = Scene::new();
    let (letter, trust) = (scene.letter(), scene.trust.clone());
    let push = Push {
        received: None,
        ..scene.push_by(&trust, letter)
    };
    assert!(push.received.is_none() && scene.kit.run(&trust, push).is_ok());
}

#[test]
fn the_same_statement_again_changes_nothing_and_another_may_not_take_its_id() {
    let mut scene = Scene::new();
    let (letter, trust) = (scene.letter(), scene.trust.clone());
    let push = scene.push_by(&trust, letter.clone());
    scene.kit.done(&trust, push.clone());
    let again = scene.kit.run(&trust, push).expect("so already");
    assert!(again.emitted.is_empty());
    assert_eq!(scene.refused(letter), Reason::ItemIdTaken);
}

#[test]
fn a_new_item_takes_the_place_of_ones_own_available_one() {
    let mut scene = Scene::new();
    let (claimant, dwp, trust) = (
        scene.claimant.clone(),
        scene.dwp.clone(),
        scene.trust.clone(),
    );
    let other = scene.kit.org(&[Role::Discloser]);
    scene.grant = scene.kit.grant(&claimant, &[&trust, &other], &dwp);
    let old = scene.letter();
    let old = scene.pushed(old);
    let new = Evidence {
        supersedes: Some(old.clone()),
        ..scene.letter()
    };
    let push = scene.push_by(&other, new.clone());
    assert_eq!(scene.kit.refused(&other, push), Reason::NotFound);
    let hidden = Evidence {
        disclosure: Disclosure::Withheld,
        ..new.clone()
    };
    assert_eq!(scene.refused(hidden), Reason::DisclosureConflict);
    let absent = Evidence {
        supersedes: Some(ItemId::from_random(scene.kit.draw())),
        ..new.clone()
    };
    assert_eq!(scene.refused(absent), Reason::NotFound);
    let new = scene.pushed(new);
    let row = scene.kit.world.item(&old).expect("kept");
    assert_eq!(
        (row.state, row.superseded_by.as_ref()),
        (ItemState::Superseded, Some(&new))
    );
    let again = Evidence {
        supersedes: Some(old),
        ..scene.letter()
    };
    assert_eq!(scene.refused(again), Reason::ItemNotAvailable);
    scene.kit.done(
        &trust,
        WithdrawItem {
            item: new.clone(),
            reason: "inaccurate".to_owned(),
        },
    );
    let again = Evidence {
        supersedes: Some(new),
        ..scene.letter()
    };
    assert_eq!(scene.refused(again), Reason::ItemNotAvailable);
}

#[test]
fn a_refusal_is_stated_with_its_code_and_the_statements_digest() {
    let mut scene = Scene::new();
    let (id, statement) = (RefusalId::from_random(scene.kit.draw()), scene.kit.digest());
    let trust = scene.trust.clone();
    let command = Refuse {
        id: id.clone(),
        reason: Reason::GrantWithdrawn,
        statement,
    };
    let outcome = scene.kit.run(&trust, command).expect("always");
    let Event::Refused(body) = &outcome.emitted[0].event else {
        panic!("a refusal")
    };
    assert_eq!(
        (body.reason.as_str(), body.statement, &body.organisation),
        ("grant_withdrawn", statement, &trust.org)
    );
    assert_eq!(
        (outcome.resource.as_str(), outcome.emitted.len()),
        (id.as_str(), 1)
    );
}
