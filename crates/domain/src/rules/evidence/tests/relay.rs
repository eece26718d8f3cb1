use super::*;

#[test]
fn a_request_is_answered_by_the_organisation_it_asks() {
    let mut scene = Scene::new();
    let (claimant, dwp, trust, vcse) = (
        scene.claimant.clone(),
        scene.dwp.clone(),
        scene.trust.clone(),
        scene.vcse.clone(),
    );
    scene.grant = scene.kit.grant(&claimant, &[&trust, &vcse], &dwp);
    scene.delegated(&trust, &["*"]);
    let case = scene.case();
    let request = scene.request(&case, &["*"]);
    // The charity may see the request, but it is not asked for evidence of its own.
    let answer = Evidence {
        request: Some(request),
        ..scene.letter()
    };
    let push = scene.push_by(&vcse, answer);
    assert_eq!(
        scene.kit.refused(&vcse, push),
        Reason::StatementWrongSubject
    );
}

#[test]
fn a_delegation_lets_an_intermediary_relay_and_only_narrows() {
    let mut scene = Scene::new();
    let (trust, vcse) = (scene.trust.clone(), scene.vcse.clone());
    let letter = scene.letter();
    let stranger = scene.relayed(letter.clone(), None);
    assert_eq!(scene.kit.refused(&vcse, stranger), Reason::NotFound);
    let delegation = scene.delegated(&trust, &["clinical-letter"]);
    let unnamed = scene.relayed(letter.clone(), None);
    assert_eq!(
        scene.kit.refused(&vcse, unnamed),
        Reason::GrantDoesNotCoverOrganisation
    );
    let plan = Evidence {
        kind: "care-plan".to_owned(),
        ..letter.clone()
    };
    let too_much = scene.relayed(plan, Some(delegation.clone()));
    assert_eq!(
        scene.kit.refused(&vcse, too_much),
        Reason::DelegationNotLive
    );
    let push = scene.relayed(letter.clone(), Some(delegation.clone()));
    let outcome = scene.kit.run(&vcse, push).expect("delegated");
    let names: Vec<_> = outcome
        .emitted
        .iter()
        .map(|emitted| emitted.event.name())
        .collect();
    assert_eq!(names, ["evidence", "evidence-relayed"]);
    let row = scene.kit.world.item(&letter.item).expect("held");
    assert_eq!(
        (&row.discloser, row.intermediary.as_ref()),
        (&trust.org, Some(&vcse.org))
    );
    let next = scene.letter();
    let late = scene.relayed(next, Some(delegation.clone()));
    scene.kit.done(&trust, EndDelegation { delegation });
    assert_eq!(scene.kit.refused(&vcse, late), Reason::DelegationNotLive);
}

#[test]
fn a_relay_is_about_the_statement_it_comes_with() {
    let mut scene = Scene::new();
    let (trust, vcse, dwp) = (scene.trust.clone(), scene.vcse.clone(), scene.dwp.clone());
    let delegation = scene.delegated(&dwp, &["*"]);
    let (one, two) = (scene.letter(), scene.letter());
    let first = scene.relayed(one, Some(delegation.clone()));
    let second = scene.relayed(two.clone(), Some(delegation.clone()));
    let mixed = Push {
        relay: second.relay.clone(),
        ..first.clone()
    };
    assert_eq!(
        scene.kit.refused(&vcse, mixed),
        Reason::StatementWrongSubject
    );
    let not_a_relay = Push {
        relay: Some(scene.push_by(&vcse, two).evidence),
        ..first.clone()
    };
    assert_eq!(
        scene.kit.refused(&vcse, not_a_relay),
        Reason::StatementPayloadInvalid
    );
    assert_eq!(
        scene.kit.refused(&trust, first.clone()),
        Reason::StatementWrongIssuer
    );
    let own = scene.letter();
    let mut own = scene.push_by(&vcse, own);
    own.relay = first.relay.clone();
    assert_eq!(scene.kit.refused(&vcse, own), Reason::StatementWrongIssuer);
    scene.kit.done(&vcse, first);
}

#[test]
fn an_intermediary_certifies_a_copy_under_the_claimants_delegation() {
    let mut scene = Scene::new();
    let (dwp, trust, vcse) = (scene.dwp.clone(), scene.trust.clone(), scene.vcse.clone());
    let delegation = scene.delegated(&dwp, &["*"]);
    let case = scene.case();
    let request = scene.request(&case, &["*"]);
    let copy = |delegation| {
        let origin = Some(trust.org.clone());
        Some(CertifiedCopy {
            method: "scan".to_owned(),
            origin,
            delegation,
        })
    };
    let letter = scene.letter();
    let plain = scene.push_by(&vcse, letter.clone());
    assert_eq!(
        scene.kit.refused(&vcse, plain),
        Reason::GrantDoesNotCoverOrganisation
    );
    let unnamed = Evidence {
        certified_copy: copy(None),
        ..letter.clone()
    };
    let unnamed = scene.push_by(&vcse, unnamed);
    assert_eq!(
        scene.kit.refused(&vcse, unnamed),
        Reason::GrantDoesNotCoverOrganisation
    );
    let early = Evidence {
        certified_copy: copy(Some(delegation.clone())),
        ..letter.clone()
    };
    let push = scene.push_by(&vcse, early);
    scene.kit.done(&vcse, push);
    // And for the request to the organisation that wrote the paper.
    let answer = Evidence {
        certified_copy: copy(Some(delegation)),
        request: Some(request),
        ..scene.letter()
    };
    let item = answer.item.clone();
    let push = scene.push_by(&vcse, answer);
    scene.kit.done(&vcse, push);
    assert_eq!(
        scene.kit.world.item(&item).expect("held").cases,
        [case].into()
    );
}

#[test]
fn a_discloser_gives_on_only_what_it_still_holds() {
    let mut scene = Scene::new();
    let (claimant, dwp, trust, vcse) = (
        scene.claimant.clone(),
        scene.dwp.clone(),
        scene.trust.clone(),
        scene.vcse.clone(),
    );
    let other = scene.kit.org(&[Role::Discloser]);
    scene.grant = scene.kit.grant(&claimant, &[&trust, &other], &dwp);
    let delegation = scene.delegated(&trust, &["*"]);
    let copy = |origin: &Caller| {
        let origin = Some(origin.org.clone());
        Some(CertifiedCopy {
            method: "photograph".to_owned(),
            origin,
            delegation: Some(delegation.clone()),
        })
    };
    let others = Evidence {
        certified_copy: copy(&other),
        ..scene.letter()
    };
    let push = scene.push_by(&vcse, others);
    assert_eq!(scene.kit.refused(&vcse, push), Reason::DelegationNotLive);
    let trusts = Evidence {
        certified_copy: copy(&trust),
        ..scene.letter()
    };
    let push = scene.push_by(&vcse, trusts);
    let narrower = NarrowGrant {
        remove_disclosers: [trust.org.clone()].into(),
        ..narrowing(&scene)
    };
    scene.kit.done(&dwp, narrower);
    assert_eq!(scene.kit.refused(&vcse, push), Reason::DelegationNotLive);
}
