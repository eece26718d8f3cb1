//! The laws of a decision record: it leaves nothing out and blames nobody for
//! what others were late with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
};

use evidence_ledger::{Digest, Salt, aside_digest, to_canonical};

use crate::{
    access::ForOrganisations,
    caller::Caller,
    command::RecordDecision,
    event::{Aside, DecisionOfficial, DecisionOutcome, DecisionRecorded, Disclosure, Event, Use},
    ids::{AdjustmentId, ItemId, RequestId},
    refusal::{Reason, Refusal},
    rows::{Adjustment, Case, Item, Request},
    rules::{Emitted, Outcome, bundle::issued_by, grants},
    time::Moment,
    world::{Needs, World},
};

/// Text names, followed by an item's id.
pub const REASON: &str = "reason/";
pub const USE: &str = "use/";
/// Text names of a decision's aside.
pub const OVERRIDE_BY: &str = "override_by";
pub const OVERRIDE_REASON: &str = "override_reason";
pub const PANEL_REFERENCE: &str = "panel_reference";
pub const PANEL_CLINICIAN: &str = "panel_clinician";
/// Text name, beside the official uses, of the salt that commits to them.
const SALT: &str = "salt";

/// SHA-256(salt ‖ deterministic CBOR of the map): the decision's `official_uses`.
/// There is one when the map is empty too, so that it says nothing.
pub fn official_uses_digest(salt: &Salt, official: &Aside) -> Digest {
    aside_digest(
        salt,
        &to_canonical(official).expect("a map of texts has a canonical form"),
    )
}

/// How a use is written in the `use/<item>` texts.
pub const fn use_code(value: Use) -> &'static str {
    match value {
        Use::ReliedOn => "relied-on",
        Use::Considered => "considered",
        Use::GivenLittleWeight => "given-little-weight",
        Use::Discounted => "discounted",
    }
}

/// Records a decision on a case of the caller's.
pub fn record(
    world: &World,
    caller: &Caller,
    c: &RecordDecision,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let Event::DecisionRecorded(body) = c.decision.event() else {
        return Err(Refusal::new(
            Reason::StatementPayloadInvalid,
            "This call takes a `decision` statement.",
        ));
    };
    issued_by(&c.decision, world, caller, now)?;
    let case = world
        .case(&body.case)
        .filter(|case| case.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)?;
    if c.decision.subject() != case.id.urn() {
        return Err(Refusal::new(
            Reason::StatementWrongSubject,
            "The sub claim is not the case.",
        ));
    }
    if world.decision(&body.decision).is_some() {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "There is a decision with this id.",
        ));
    }
    names_newest_bundle(world, case, body)?;
    let official_uses = covers_all_items(world, case, body, &c.official, now)?;
    if body.official_uses != official_uses_digest(&c.official_salt, &c.official) {
        let detail = "`official_uses` does not commit to the official texts sent with this salt.";
        return Err(Refusal::new(Reason::AsideMismatch, detail));
    }
    let texts = c.decision.aside();
    gives_reasons(&body.uses, texts)?;
    gives_reasons(&official_uses, &c.official)?;
    only_known_texts(body, texts, &official_uses, &c.official)?;
    acknowledges_adjustments(world, case, body)?;
    let overdue = names_overdue(world, case, body, now)?;
    may_be_adverse(case, body, texts, &overdue, now)?;
    let official = DecisionOfficial {
        decision: body.decision.clone(),
        uses: official_uses,
        official_uses: body.official_uses,
    };
    let mut official = Emitted::stated(official);
    official.aside.clone_from(&c.official);
    official.aside.insert(
        SALT.to_owned(),
        Digest::from(*c.official_salt.as_bytes()).to_string(),
    );
    Ok(Outcome::of(&body.decision, Emitted::signed(&c.decision)).and(official))
}

pub fn needs(c: &RecordDecision) -> Needs {
    match c.decision.event() {
        Event::DecisionRecorded(body) => Needs::default()
            .whole_claimant_of(&body.case)
            .key(&body.bundle)
            .key(&body.decision),
        _ => Needs::default(),
    }
}

/// A decision rests on all that there was when the case was last pulled.
fn names_newest_bundle(world: &World, case: &Case, body: &DecisionRecorded) -> Result<(), Refusal> {
    let stale = |detail: &str| Err(Refusal::new(Reason::DecisionChainStale, detail));
    let newest = world
        .bundle(&body.bundle)
        .filter(|row| case.bundle.as_ref() == Some(&row.id));
    let Some(bundle) = newest else {
        return stale("The bundle is not the newest of this case.");
    };
    if body.purpose != bundle.purpose {
        return Err(Refusal::new(
            Reason::BundleMismatch,
            "The purpose is not the bundle's.",
        ));
    }
    if body.chain != bundle.chain
        || Some(body.official_head) != bundle.official_chain.map(|chain| chain.head)
    {
        return stale("The chain heads are not those of the bundle.");
    }
    Ok(())
}

/// Says of every item that is available now, pulled or not, how it was used,
/// and of nothing else. Withheld ones only in the official part, which is read
/// and returned here: the signed record is the claimant's too.
fn covers_all_items(
    world: &World,
    case: &Case,
    body: &DecisionRecorded,
    official: &Aside,
    now: Moment,
) -> Result<BTreeMap<ItemId, Use>, Refusal> {
    let held = grants::available(world, &case.claimant, &case.recipient, &body.purpose, now);
    let (open, withheld): (Vec<&Item>, Vec<&Item>) = held
        .into_iter()
        .partition(|item| item.disclosure == Disclosure::Open);
    let official_uses = read_official(official)?;
    same_items("`uses`", &open, body.uses.keys())?;
    same_items("the official part", &withheld, official_uses.keys())?;
    Ok(official_uses)
}

fn read_official(official: &Aside) -> Result<BTreeMap<ItemId, Use>, Refusal> {
    const ALL: [Use; 4] = [
        Use::ReliedOn,
        Use::Considered,
        Use::GivenLittleWeight,
        Use::Discounted,
    ];
    let uses = official
        .iter()
        .filter_map(|(name, code)| Some((name.strip_prefix(USE)?, code)));
    uses.map(|(item, code)| {
        let item = item
            .parse()
            .map_err(|error| Refusal::field("official", format!("{error}")))?;
        let known = ALL.into_iter().find(|known| use_code(*known) == code);
        let known = known.ok_or_else(|| {
            let uses = ALL.map(use_code).join(", ");
            Refusal::field(
                "official",
                format!("the use of {item} must be one of {uses}"),
            )
        })?;
        Ok((item, known))
    })
    .collect()
}

fn same_items<'a>(
    part: &str,
    available: &[&Item],
    named: impl Iterator<Item = &'a ItemId>,
) -> Result<(), Refusal> {
    let available: BTreeSet<&ItemId> = available.iter().map(|item| &item.id).collect();
    let named: BTreeSet<&ItemId> = named.collect();
    if let Some(missing) = list(available.difference(&named)) {
        let detail = format!("In {part} there is nothing about {missing}.");
        return Err(Refusal::new(Reason::DecisionItemMissing, detail));
    }
    if let Some(unknown) = list(named.difference(&available)) {
        let detail =
            format!("In {part} there is something about {unknown}, which does not belong there.");
        return Err(Refusal::new(Reason::DecisionItemUnknown, detail));
    }
    Ok(())
}

fn gives_reasons(uses: &BTreeMap<ItemId, Use>, texts: &Aside) -> Result<(), Refusal> {
    let without = uses
        .iter()
        .filter(|(item, how)| {
            **how == Use::Discounted && !has_text(texts, &format!("{REASON}{item}"))
        })
        .map(|(item, _)| item);
    match list(without) {
        None => Ok(()),
        Some(items) => Err(Refusal::new(
            Reason::DecisionReasonMissing,
            format!("No reason is given for discounting {items}."),
        )),
    }
}

/// No text but those that have a place: a reason under a withheld item's id
/// would reach the claimant.
fn only_known_texts(
    body: &DecisionRecorded,
    texts: &Aside,
    official_uses: &BTreeMap<ItemId, Use>,
    official: &Aside,
) -> Result<(), Refusal> {
    let of_item = |name: &str, prefix: &str, uses: &BTreeMap<ItemId, Use>| {
        name.strip_prefix(prefix)
            .is_some_and(|item| uses.keys().any(|known| known.as_str() == item))
    };
    let fixed = [
        OVERRIDE_BY,
        OVERRIDE_REASON,
        PANEL_REFERENCE,
        PANEL_CLINICIAN,
    ];
    // The names found are not repeated: they are somebody's words.
    if !texts
        .keys()
        .all(|name| fixed.contains(&name.as_str()) || of_item(name, REASON, &body.uses))
    {
        let known = fixed.join(", ");
        let detail =
            format!("only {known}, and `{REASON}` before the id of an item in `uses`, belong here");
        return Err(Refusal::field("decision.aside", detail));
    }
    if !official
        .keys()
        .all(|name| of_item(name, USE, official_uses) || of_item(name, REASON, official_uses))
    {
        let detail =
            format!("only `{USE}` and `{REASON}` before the ids of withheld items belong here");
        return Err(Refusal::field("official", detail));
    }
    Ok(())
}

fn acknowledges_adjustments(
    world: &World,
    case: &Case,
    body: &DecisionRecorded,
) -> Result<(), Refusal> {
    let stated: BTreeSet<&AdjustmentId> = world
        .all::<Adjustment>()
        .into_iter()
        .filter(|row| row.claimant == case.claimant)
        .map(|row| &row.id)
        .collect();
    if let Some(missing) = list(stated.iter().filter(|id| !body.adjustments.contains(**id))) {
        let detail = format!("The record does not acknowledge {missing}.");
        return Err(Refusal::new(Reason::DecisionAdjustmentMissing, detail));
    }
    match list(body.adjustments.iter().filter(|id| !stated.contains(id))) {
        None => Ok(()),
        Some(unknown) => Err(Refusal::field(
            "adjustments",
            format!("the claimant has not stated {unknown}"),
        )),
    }
}

/// The case's overdue requests. An answer that is withheld from the claimant
/// does not take its request off this list: it would tell them of the answer.
fn names_overdue<'w>(
    world: &'w World,
    case: &Case,
    body: &DecisionRecorded,
    now: Moment,
) -> Result<BTreeSet<&'w RequestId>, Refusal> {
    let overdue: BTreeSet<&RequestId> = world
        .all::<Request>()
        .into_iter()
        .filter(|row| row.case == case.id && row.is_overdue_to_claimant(now))
        .map(|row| &row.id)
        .collect();
    if let Some(missing) = list(overdue.iter().filter(|id| !body.overdue.contains(**id))) {
        let detail =
            format!("The record does not name {missing}, which the claimant sees as overdue.");
        return Err(Refusal::new(Reason::DecisionOverdueMissing, detail));
    }
    match list(body.overdue.iter().filter(|id| !overdue.contains(id))) {
        None => Ok(overdue),
        Some(other) => Err(Refusal::new(
            Reason::DecisionOverdueMissing,
            format!("The record names {other}, which is not overdue."),
        )),
    }
}

fn may_be_adverse(
    case: &Case,
    body: &DecisionRecorded,
    texts: &Aside,
    overdue: &BTreeSet<&RequestId>,
    now: Moment,
) -> Result<(), Refusal> {
    let adverse = body.outcome == DecisionOutcome::Adverse;
    if body.senior_override && !(has_text(texts, OVERRIDE_BY) && has_text(texts, OVERRIDE_REASON)) {
        let detail =
            format!("An override needs the texts `{OVERRIDE_BY}` and `{OVERRIDE_REASON}`.");
        return Err(Refusal::new(Reason::DecisionWhileOverdue, detail));
    }
    if adverse && !overdue.is_empty() && !body.senior_override {
        return Err(Refusal::new(
            Reason::DecisionWhileOverdue,
            "The outcome is adverse while a request is overdue.",
        ));
    }
    let panel_missing = |detail: String| Err(Refusal::new(Reason::DecisionPanelMissing, detail));
    if let Some(panel) = &body.panel {
        if panel.referred_on > now.day() {
            return panel_missing("`referred_on` is after today.".to_owned());
        }
        if !has_text(texts, PANEL_REFERENCE) {
            return panel_missing(format!(
                "A panel referral needs the text `{PANEL_REFERENCE}`."
            ));
        }
        if panel.mental_health_clinician && !has_text(texts, PANEL_CLINICIAN) {
            return panel_missing(format!(
                "A mental-health clinician is named in the text `{PANEL_CLINICIAN}`."
            ));
        }
    }
    if !(adverse && body.for_lack_of_evidence) {
        return Ok(());
    }
    match &body.panel {
        None => panel_missing(
            "The outcome is adverse for lack of evidence and names no panel.".to_owned(),
        ),
        Some(panel) if case.mental_health && !panel.mental_health_clinician => {
            panel_missing("The panel has no mental-health clinician.".to_owned())
        }
        Some(_) => Ok(()),
    }
}

fn has_text(texts: &Aside, name: &str) -> bool {
    texts.get(name).is_some_and(|text| !text.trim().is_empty())
}

/// Ids for a sentence: the first ten, comma-separated; `None` if there are none.
fn list<T: Display>(ids: impl Iterator<Item = T>) -> Option<String> {
    let ids: Vec<String> = ids.take(10).map(|id| id.to_string()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

#[cfg(test)]
mod tests;
