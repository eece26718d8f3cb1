use super::*;

#[test]
fn only_who_signed_sends() {
    let mut scene = Scene::new();
    let other = scene.kit.org(&[Role::Discloser]);
    let (letter, trust) = (scene.letter(), scene.trust.clone());
    let push = scene.push_by(&trust, letter);
    assert_eq!(
        scene.kit.refused(&other, push),
        Reason::StatementWrongIssuer
    );
    let withdrawal = crate::event::DisclosureDeclared {
        item: ItemId::from_random(scene.kit.draw()),
        disclosure: Disclosure::Open,
        profession: "nurse".to_owned(),
        declared_on: TODAY,
    };
    let evidence = scene
        .kit
        .signed(&trust, &scene.grant.urn(), withdrawal, Aside::new());
    let wrong = Push {
        evidence,
        relay: None,
        received: None,
    };
    assert_eq!(
        scene.kit.refused(&trust, wrong),
        Reason::StatementPayloadInvalid
    );
}

#[test]
fn the_issuer_is_checked_again_under_the_lock() {
    let mut scene = Scene::new();
    let (letter, trust) = (scene.letter(), scene.trust.clone());
    let push = scene.push_by(&trust, letter);
    let operator = scene.kit.operator();
    let change = |suspended, roles: &[Role]| UpdateOrganisation {
        id: trust.org.clone(),
        name: "Trust".to_owned(),
        roles: roles.iter().copied().collect(),
        suspended,
    };
    scene.kit.done(&operator, change(true, &[Role::Discloser]));
    assert_eq!(
        scene.kit.refused(&trust, push.clone()),
        Reason::OrganisationSuspended
    );
    scene.kit.done(&operator, change(false, &[Role::Recipient]));
    assert_eq!(
        scene.kit.refused(&trust, push.clone()),
        Reason::RoleNotAllowed
    );
    scene.kit.done(&operator, change(false, &[Role::Discloser]));
    let kid = scene
        .kit
        .world
        .organisation(&trust.org)
        .expect("registered")
        .keys[0]
        .kid;
    let not_after = scene.kit.now.plus_seconds(60);
    scene.kit.done(
        &operator,
        RetireKey {
            organisation: trust.org.clone(),
            kid,
            not_after,
        },
    );
    scene.kit.pass_days(1);
    assert_eq!(scene.kit.refused(&trust, push), Reason::KeyExpired);
}

#[test]
fn the_statement_says_sensible_things_without_free_text() {
    let mut scene = Scene::new();
    let letter = scene.letter();
    let future = days_after(TODAY, 1);
    let mut wrongs: Vec<Evidence> = Vec::new();
    let mut wrong = |change: &dyn Fn(&mut Evidence)| {
        let mut body = letter.clone();
        change(&mut body);
        wrongs.push(body);
    };
    for kind in ["Clinical letter", "*", OWN_WORDS] {
        wrong(&|body| kind.clone_into(&mut body.kind));
    }
    for profession in ["Dr Jones", ""] {
        wrong(&|body| profession.clone_into(&mut body.profession));
    }
    for media_type in ["pdf", "text/plain; about Sam"] {
        wrong(&|body| media_type.clone_into(&mut body.media_type));
    }
    wrong(&|body| body.written_on = future);
    wrong(&|body| {
        body.period = Period {
            from: Some(future),
            to: Some(TODAY),
        }
    });
    wrong(&|body| body.certified_copy = Some(copy("typed out", None)));
    for wrong in wrongs {
        let reason = scene.refused(wrong.clone());
        assert_eq!(reason, Reason::StatementPayloadInvalid, "{wrong:?}");
    }
    let stranger = OrgId::from_random(scene.kit.draw());
    let unknown = Evidence {
        certified_copy: Some(copy("scan", Some(stranger))),
        ..letter.clone()
    };
    assert_eq!(scene.refused(unknown), Reason::OrganisationUnknown);
    let text = Evidence {
        media_type: "text/plain; charset=utf-8".to_owned(),
        ..letter
    };
    scene.pushed(text);
}

fn copy(method: &str, origin: Option<OrgId>) -> CertifiedCopy {
    CertifiedCopy {
        method: method.to_owned(),
        origin,
        delegation: None,
    }
}

#[test]
fn a_grant_or_request_that_is_not_yours_is_not_there() {
    let mut scene = Scene::new();
    let (letter, other) = (scene.letter(), scene.kit.org(&[Role::Discloser]));
    let case = scene.case();
    let request = scene.request(&case, &["*"]);
    let absent = Evidence {
        grant: GrantId::from_random(scene.kit.draw()),
        ..letter.clone()
    };
    assert_eq!(scene.refused(absent), Reason::NotFound);
    let absent = Evidence {
        request: Some(RequestId::from_random(scene.kit.draw())),
        ..letter.clone()
    };
    assert_eq!(scene.refused(absent), Reason::NotFound);
    for body in [
        letter.clone(),
        Evidence {
            request: Some(request),
            ..letter
        },
    ] {
        let push = scene.push_by(&other, body);
        assert_eq!(scene.kit.refused(&other, push), Reason::NotFound);
    }
}

#[test]
fn a_withdrawn_or_expired_grant_takes_nothing() {
    let mut scene = Scene::new();
    let letter = scene.letter();
    let dwp = scene.dwp.clone();
    scene.kit.pass_days(91);
    assert_eq!(scene.refused(letter.clone()), Reason::GrantExpired);
    let (claimant, trust) = (scene.claimant.clone(), scene.trust.clone());
    let grant = scene.kit.grant(&claimant, &[&trust], &dwp);
    let letter = Evidence {
        grant: grant.clone(),
        ..letter
    };
    let push = scene.push_by(&trust, letter);
    scene.kit.done(
        &dwp,
        WithdrawGrant {
            grant,
            capture: Capture::ByPhone,
            note: String::new(),
        },
    );
    assert_eq!(scene.kit.refused(&trust, push), Reason::GrantWithdrawn);
}

#[test]
fn organisation_kind_and_period_must_be_granted() {
    let mut scene = Scene::new();
    let (claimant, dwp, trust) = (
        scene.claimant.clone(),
        scene.dwp.clone(),
        scene.trust.clone(),
    );
    let second = scene.kit.org(&[Role::Discloser]);
    let mut command = scene.kit.grant_command(&claimant, &[&trust, &second], &dwp);
    command.kinds = ["clinical-letter".to_owned()].into();
    command.period = Period {
        from: Some(date(2026, 1, 1)),
        to: None,
    };
    scene.grant = command.id.clone();
    scene.kit.done(&dwp, command);
    let letter = scene.letter();
    let plan = Evidence {
        kind: "care-plan".to_owned(),
        ..letter.clone()
    };
    assert_eq!(scene.refused(plan), Reason::GrantDoesNotCoverKind);
    let old = Evidence {
        period: Period {
            from: Some(date(2025, 12, 31)),
            to: None,
        },
        ..letter.clone()
    };
    assert_eq!(scene.refused(old), Reason::GrantDoesNotCoverPeriod);
    let case = scene.case();
    let request = scene.request(&case, &["clinical-letter"]);
    let narrower = NarrowGrant {
        remove_disclosers: [trust.org.clone()].into(),
        ..narrowing(&scene)
    };
    scene.kit.done(&dwp, narrower);
    // Who was asked is told why; who is not named any more learns nothing.
    assert_eq!(scene.refused(letter.clone()), Reason::NotFound);
    let answer = Evidence {
        request: Some(request),
        ..letter
    };
    assert_eq!(scene.refused(answer), Reason::GrantDoesNotCoverOrganisation);
}

#[test]
fn the_policy_in_force_must_still_allow_the_purpose_and_the_kind() {
    let mut scene = Scene::new();
    let letter = scene.letter();
    let case = scene.case();
    let request = scene.request(&case, &["*"]);
    let answer = Evidence {
        request: Some(request),
        ..scene.letter()
    };
    let operator = scene.kit.operator();
    let set = |id: &str, kinds: &str| SetPolicy {
        name: policy::PURPOSES.to_owned(),
        document: format!(
            "[[purposes]]\nid = \"{id}\"\ntitle = \"T\"\nkinds = [\"{kinds}\"]\nlongest_days = 30\n"
        ),
    };
    scene.kit.done(&operator, set("pip", "*"));
    assert_eq!(scene.refused(letter.clone()), Reason::PurposeUnknown);
    assert_eq!(scene.refused(answer.clone()), Reason::PurposeUnknown);
    scene.kit.done(&operator, set("wca", "care-plan"));
    assert_eq!(scene.refused(letter), Reason::PurposeCapExceeded);
    assert_eq!(scene.refused(answer), Reason::PurposeCapExceeded);
}

#[test]
fn a_request_takes_what_it_asked_for_while_it_is_open() {
    let mut scene = Scene::new();
    let (dwp, claimant, trust) = (
        scene.dwp.clone(),
        scene.claimant.clone(),
        scene.trust.clone(),
    );
    let case = scene.case();
    let request = scene.request(&case, &["care-plan"]);
    let letter = scene.letter();
    let answer = Evidence {
        request: Some(request.clone()),
        ..letter.clone()
    };
    assert_eq!(
        scene.refused(answer.clone()),
        Reason::RequestDoesNotCoverKind
    );
    let other_grant = scene.kit.grant(&claimant, &[&trust], &dwp);
    let crossed = Evidence {
        grant: other_grant,
        ..answer.clone()
    };
    assert_eq!(scene.refused(crossed), Reason::StatementWrongSubject);
    let plan = Evidence {
        kind: "care-plan".to_owned(),
        ..answer
    };
    let early = scene.grant.urn();
    let evidence = scene.kit.signed(&trust, &early, plan.clone(), Aside::new());
    let astray = Push {
        evidence,
        relay: None,
        received: None,
    };
    assert_eq!(
        scene.kit.refused(&trust, astray),
        Reason::StatementWrongSubject
    );
    scene.kit.done(
        &dwp,
        CancelRequest {
            request,
            note: String::new(),
        },
    );
    assert_eq!(scene.refused(plan), Reason::RequestNotOpen);
}

#[test]
fn what_came_must_be_what_was_signed_for() {
    let mut scene = Scene::new();
    let trust = scene.trust.clone();
    let letter = scene.letter();
    let push = scene.push_by(&trust, letter.clone());
    let came = |size, digest| Push {
        received: Some(Received { size, digest }),
        ..push.clone()
    };
    let digest = scene.kit.digest();
    assert_eq!(
        scene.kit.refused(&trust, came(4_095, letter.digest)),
        Reason::SizeMismatch
    );
    assert_eq!(
        scene.kit.refused(&trust, came(4_096, digest)),
        Reason::DigestMismatch
    );
    let empty = Evidence { size: 0, ..letter };
    assert_eq!(scene.refused(empty), Reason::DocumentEmpty);
}
