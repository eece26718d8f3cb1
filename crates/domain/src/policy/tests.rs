use std::collections::BTreeSet;

use jiff::civil::date;

use super::*;

const PIP: &str =
    "[[purposes]]\nid = \"pip\"\ntitle = \"PIP\"\nkinds = [\"*\"]\nlongest_days = 366\n";

fn kinds(names: &[&str]) -> Kinds {
    names.iter().map(ToString::to_string).collect()
}

fn reason(document: &str) -> Reason {
    Purposes::parse(document)
        .expect_err("must be refused")
        .reason
}

#[test]
fn the_shipped_defaults_are_accepted_and_say_whose_they_are() {
    for (name, document) in DEFAULTS {
        assert_eq!(check(name, document), Ok(()), "{name}");
        assert!(
            document.contains("not\n# the DWP's") || document.contains("not the\n# DWP's"),
            "{name}"
        );
    }
    let purposes = Purposes::parse(DEFAULTS[0].1).expect("checked above");
    let ids: Vec<&str> = purposes.iter().map(|purpose| purpose.id.as_str()).collect();
    assert_eq!(ids, ["wca", "pip", "voluntary-employment-support"]);
    let separate = |id| purposes.get(id).expect("is there").separate;
    assert!(separate("voluntary-employment-support"));
    assert!(!separate("wca"));
    let clocks = Clocks::parse(DEFAULTS[1].1).expect("checked above");
    assert_eq!(clocks.request.answer_days, 28);
}

#[test]
fn sanctions_and_conditionality_are_refused_wherever_they_hide() {
    for id in ["sanctions", "uc_sanction", "conditionality-check"] {
        let document = PIP.replace("\"pip\"", &format!("{id:?}"));
        assert_eq!(reason(&document), Reason::PurposeForbidden, "{id}");
    }
    for line in [
        "serves = [\"benefit Sanctions\"]",
        "serves = [\"fine\", \"work CONDITIONALITY\"]",
    ] {
        assert_eq!(
            reason(&format!("{PIP}{line}\n")),
            Reason::PurposeForbidden,
            "{line}"
        );
    }
    let title = PIP.replace("\"PIP\"", "\"Sanction review\"");
    assert_eq!(reason(&title), Reason::PurposeForbidden);
    // A forbidden purpose is refused among good ones too.
    let second = PIP.replace("\"pip\"", "\"sanctions\"");
    assert_eq!(reason(&format!("{PIP}{second}")), Reason::PurposeForbidden);
}

#[test]
fn a_document_that_does_not_hold_is_refused() {
    let wrong = [
        String::new(),
        "purposes = []".to_owned(),
        "not toml".to_owned(),
        format!("{PIP}unknown = 1\n"),
        format!("{PIP}{PIP}"),
        format!("{PIP}recipients = []\n"),
        format!("{PIP}recipients = [\" \"]\n"),
        PIP.replace("366", "0"),
        PIP.replace("366", "3654"),
        PIP.replace("366", "\"long\""),
        PIP.replace("[\"*\"]", "[]"),
        PIP.replace("[\"*\"]", "[\"Clinical letter\"]"),
        PIP.replace("\"pip\"", "\"\""),
        PIP.replace("\"pip\"", "\"PIP\""),
        PIP.replace("\"pip\"", "\"p i p\""),
        PIP.replace("\"PIP\"", "\" \""),
    ];
    for document in wrong {
        assert_eq!(reason(&document), Reason::PolicyInvalid, "{document}");
    }
}

#[test]
fn an_unknown_purpose_is_not_found() {
    let purposes = Purposes::parse(PIP).expect("valid");
    assert_eq!(purposes.get("pip").map(|p| p.longest_days), Ok(366));
    assert_eq!(
        purposes.get("wca").map_err(|refusal| refusal.reason),
        Err(Reason::PurposeUnknown)
    );
}

#[test]
fn caps_hold_kinds_recipients_and_time() {
    let document = PIP.replace("\"*\"", "\"care-plan\", \"own-words\"")
        + "recipients = [\"dwp:pip\", \"dfc:pip\"]\n";
    let purposes = Purposes::parse(&document).expect("valid");
    let pip = purposes.get("pip").expect("is there");
    let exceeded = |result: Result<(), Refusal>| {
        assert_eq!(
            result.map_err(|refusal| refusal.reason),
            Err(Reason::PurposeCapExceeded)
        );
    };
    assert_eq!(pip.allows_kinds(&kinds(&["care-plan"])), Ok(()));
    exceeded(pip.allows_kinds(&kinds(&["care-plan", "blood-test"])));
    exceeded(pip.allows_kinds(&kinds(&["*"])));

    assert_eq!(pip.allows_recipient("dfc:pip"), Ok(()));
    exceeded(pip.allows_recipient("dwp:uc"));

    let today = date(2026, 11, 2);
    assert_eq!(pip.allows_until(today, date(2027, 11, 3)), Ok(()));
    exceeded(pip.allows_until(today, date(2027, 11, 4)));
}

#[test]
fn a_purpose_without_lists_allows_every_kind_and_recipient() {
    let purposes = Purposes::parse(PIP).expect("valid");
    let pip = purposes.get("pip").expect("is there");
    assert_eq!(pip.allows_kinds(&kinds(&["*"])), Ok(()));
    assert_eq!(pip.allows_kinds(&kinds(&["anything"])), Ok(()));
    assert_eq!(pip.allows_recipient("dwp:any"), Ok(()));
    assert_eq!(pip.recipients, None::<BTreeSet<String>>);
}

#[test]
fn clocks_have_bounds_and_no_unknown_fields() {
    let parse = |document: &str| Clocks::parse(document).map_err(|refusal| refusal.reason);
    assert_eq!(
        parse("[request]\nanswer_days = 366").map(|clocks| clocks.request.answer_days),
        Ok(366)
    );
    for document in [
        "",
        "[request]",
        "[request]\nanswer_days = 0",
        "[request]\nanswer_days = 367",
        "[request]\nanswer_days = -1",
        "[request]\nanswer_days = 28\nanswer_hours = 1",
        "[request]\nanswer_days = 28\n[other]",
    ] {
        assert_eq!(parse(document), Err(Reason::PolicyInvalid), "{document}");
    }
}

#[test]
fn there_are_no_other_policies() {
    let refusal = check("opening-hours", "").expect_err("no such policy");
    assert_eq!(refusal.reason, Reason::InvalidField);
    assert_eq!(refusal.fields[0].field, "name");
}

#[test]
fn without_a_policy_in_force_nothing_is_guessed() {
    let world = World::default();
    assert_eq!(
        purposes(&world).map_err(|refusal| refusal.reason),
        Err(Reason::PolicyMissing)
    );
    assert_eq!(
        clocks(&world).map_err(|refusal| refusal.reason),
        Err(Reason::PolicyMissing)
    );
}

#[test]
fn a_code_is_short_plain_and_no_number() {
    assert!(is_code("clinical-letter"));
    assert!(is_code("uc_50"));
    for text in ["", "*", "9434765919", "Letter", "a letter", "-a"] {
        assert!(!is_code(text), "{text}");
    }
    assert!(!is_code(&"a".repeat(65)));
}
