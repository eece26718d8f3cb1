//! Evidence: what may be pushed, taken back, and shown to the claimant.

use evidence_ledger::Digest;
use jiff::civil::Date;

use super::{Emitted, Outcome, grants};
use crate::{
    access::ForOrganisations,
    apply::OWN_WORDS,
    caller::{Caller, Role},
    command::{Push, Received, Refuse},
    event::{CertifiedCopy, Event, Evidence, EvidenceRelayed, Refused},
    ids::{DelegationId, OrgId},
    policy,
    refusal::{Reason, Refusal},
    rows::{Delegation, Grant, Item, Request, RequestState, covers_kind},
    signed::Verified,
    time::Moment,
    world::{Needs, World},
};

mod item;

pub use item::{WITHDRAWAL_REASONS, declaration_needs, declare_disclosure, withdraw_item};

/// How a certified copy may have been made.
pub const COPY_METHODS: [&str; 2] = ["photograph", "scan"];

/// The rows that deciding a push needs.
pub fn needs(c: &Push) -> Needs {
    let mut needs = Needs::default().key(c.evidence.issuer());
    if let Event::Evidence(body) = c.evidence.event() {
        let copy = body.certified_copy.as_ref();
        needs = needs
            .key(&body.grant)
            .key(&body.item)
            .keys(&body.request)
            .keys(&body.supersedes)
            .keys(copy.and_then(|copy| copy.delegation.as_ref()))
            .keys(copy.and_then(|copy| copy.origin.as_ref()));
    }
    if let Some(relay) = &c.relay {
        needs = needs.key(relay.issuer());
        if let Event::EvidenceRelayed(body) = relay.event() {
            needs = needs.keys(&body.delegation);
        }
    }
    needs
}

/// Decides a push; with nothing received yet, decides all that can be told from
/// the statements alone.
pub fn push(world: &World, caller: &Caller, c: &Push, now: Moment) -> Result<Outcome, Refusal> {
    let Event::Evidence(body) = c.evidence.event() else {
        return Err(Refusal::new(
            Reason::StatementPayloadInvalid,
            "This is not an evidence statement.",
        ));
    };
    let relay = c.relay.as_ref().map(relay_of).transpose()?;
    check_sender(caller, c, body, relay)?;
    check_issuer(world, &c.evidence, now)?;
    if let Some(relay) = &c.relay {
        check_issuer(world, relay, now)?;
    }
    check_content(world, body, relay, now)?;
    let (grant, request) = found(world, caller, body)?;
    grants::live(grant, now)?;
    check_organisations(world, grant, request, c, body, relay, now)?;
    grants::covers_kind_of(grant, &body.kind)?;
    grants::covers_period(grant, &body.period)?;
    check_purpose(world, grant, request, &body.kind)?;
    if let Some(request) = request {
        check_request(request, c.evidence.issuer(), body)?;
    }
    check_subjects(c, grant, request)?;
    if let Some(held) = world.item(&body.item) {
        return already_held(held, c.evidence.statement().entry());
    }
    check_supersedes(world, caller, c.evidence.issuer(), grant, body)?;
    check_received(body, c.received)?;
    let outcome = Outcome::of(&body.item, Emitted::signed(&c.evidence));
    Ok(match &c.relay {
        Some(relay) => outcome.and(Emitted::signed(relay)),
        None => outcome,
    })
}

/// States that a push was refused.
pub fn refuse(caller: &Caller, c: &Refuse) -> Outcome {
    let refused = Refused {
        refusal: c.id.clone(),
        organisation: caller.org.clone(),
        reason: c.reason.code().to_owned(),
        statement: c.statement,
    };
    Outcome::of(&c.id, Emitted::stated(refused))
}

fn relay_of(relay: &Verified) -> Result<&EvidenceRelayed, Refusal> {
    match relay.event() {
        Event::EvidenceRelayed(body) => Ok(body),
        _ => Err(Refusal::new(
            Reason::StatementPayloadInvalid,
            "This is not a relay statement.",
        )),
    }
}

/// Who sends it has signed it: as its origin, or as the one who relays it.
fn check_sender(
    caller: &Caller,
    c: &Push,
    body: &Evidence,
    relay: Option<&EvidenceRelayed>,
) -> Result<(), Refusal> {
    let sender = c.relay.as_ref().unwrap_or(&c.evidence).issuer();
    if *sender != caller.org {
        return Err(Refusal::new(
            Reason::StatementWrongIssuer,
            "Another organisation than the caller has signed this.",
        ));
    }
    let Some(relay) = relay else { return Ok(()) };
    if *c.evidence.issuer() == caller.org {
        return Err(Refusal::new(
            Reason::StatementWrongIssuer,
            "Nobody relays their own evidence: send it without a relay.",
        ));
    }
    if relay.item != body.item || relay.evidence != c.evidence.statement().entry() {
        return Err(Refusal::new(
            Reason::StatementWrongSubject,
            "The relay statement is about another evidence statement.",
        ));
    }
    Ok(())
}

fn check_issuer(world: &World, statement: &Verified, now: Moment) -> Result<(), Refusal> {
    let issuer = world.organisation(statement.issuer());
    statement.recheck(issuer, now)?;
    let gives = |role: &Role| matches!(role, Role::Discloser | Role::Intermediary);
    if issuer.is_some_and(|issuer| issuer.roles.iter().any(gives)) {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::RoleNotAllowed,
            "The statement's issuer neither discloses nor relays evidence.",
        ))
    }
}

/// What the statements say about the document makes sense and holds no free text.
fn check_content(
    world: &World,
    body: &Evidence,
    relay: Option<&EvidenceRelayed>,
    now: Moment,
) -> Result<(), Refusal> {
    let invalid = |detail: &str| Err(Refusal::new(Reason::StatementPayloadInvalid, detail));
    if !is_code(&body.kind) || body.kind == OWN_WORDS {
        return invalid(
            "`kind` must be a code of small letters, digits and hyphens, and not `own-words`.",
        );
    }
    if !is_code(&body.profession) {
        return invalid("`profession` must be a code of small letters, digits and hyphens.");
    }
    if !is_media_type(&body.media_type) {
        return invalid("`media_type` must be one, such as `application/pdf`.");
    }
    if body.period.is_backwards() {
        return invalid("`period` ends before it starts.");
    }
    if is_future(body.written_on, now)
        || relay.is_some_and(|relay| is_future(relay.received_on, now))
    {
        return invalid("`written_on` or `received_on` lies in the future.");
    }
    match &body.certified_copy {
        Some(copy) => check_copy(world, copy),
        None => Ok(()),
    }
}

fn check_copy(world: &World, copy: &CertifiedCopy) -> Result<(), Refusal> {
    if !COPY_METHODS.contains(&copy.method.as_str()) {
        let detail = format!(
            "A certified copy's method is one of {}.",
            COPY_METHODS.join(", ")
        );
        return Err(Refusal::new(Reason::StatementPayloadInvalid, detail));
    }
    if copy
        .origin
        .as_ref()
        .is_some_and(|origin| world.organisation(origin).is_none())
    {
        return Err(Refusal::new(
            Reason::OrganisationUnknown,
            "The origin of the copy is not registered.",
        ));
    }
    Ok(())
}

pub(super) fn is_future(date: Date, now: Moment) -> bool {
    date > now.day()
}

/// Small letters, digits and single hyphens between them, at most 64.
pub(super) fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.len() <= 64 && text.split('-').all(word)
}

/// `type/subtype` (RFC 6838), perhaps with a parameter such as `; charset=utf-8`.
fn is_media_type(text: &str) -> bool {
    let name = |name: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        !name.is_empty() && name.bytes().all(fits)
    };
    let (essence, parameter) = text
        .split_once("; ")
        .map_or((text, None), |(essence, rest)| (essence, Some(rest)));
    let parameter = parameter.is_none_or(|text| {
        text.split_once('=')
            .is_some_and(|(key, value)| name(key) && name(value))
    });
    text.len() <= 127
        && parameter
        && essence
            .split_once('/')
            .is_some_and(|(kind, sub)| name(kind) && name(sub))
}

/// The grant, and the request if one is named. A grant is the caller's to know
/// of when it names the caller, or when a request under it does.
fn found<'w>(
    world: &'w World,
    caller: &Caller,
    body: &Evidence,
) -> Result<(&'w Grant, Option<&'w Request>), Refusal> {
    let request = match &body.request {
        Some(id) => {
            let request = world
                .request(id)
                .filter(|request| request.is_seen_by(caller));
            Some(request.ok_or_else(Refusal::not_found)?)
        }
        None => None,
    };
    let grant = world.grant(&body.grant).ok_or_else(Refusal::not_found)?;
    let asked = request.is_some_and(|request| request.grant == grant.id);
    if !asked && !grant.is_seen_by(caller) {
        return Err(Refusal::not_found());
    }
    if request.is_some() && !asked {
        return Err(Refusal::new(
            Reason::StatementWrongSubject,
            "The request is under another grant.",
        ));
    }
    Ok((grant, request))
}

/// The grant, by itself or through a delegation, lets the issuer disclose and
/// the caller relay.
fn check_organisations(
    world: &World,
    grant: &Grant,
    request: Option<&Request>,
    c: &Push,
    body: &Evidence,
    relay: Option<&EvidenceRelayed>,
    now: Moment,
) -> Result<(), Refusal> {
    let issuer = c.evidence.issuer();
    match &body.certified_copy {
        Some(copy) if !grant.disclosers.contains(issuer) => {
            let giver = request
                .map(|request| &request.discloser)
                .or(copy.origin.as_ref());
            let under = Delegated {
                grant,
                to: issuer,
                giver,
                kind: &body.kind,
            };
            under.check(world, copy.delegation.as_ref(), now)?;
        }
        _ => grants::covers_discloser(grant, issuer)?,
    }
    match (&c.relay, relay) {
        (Some(signed), Some(relay)) if !grant.disclosers.contains(signed.issuer()) => {
            let under = Delegated {
                grant,
                to: signed.issuer(),
                giver: Some(issuer),
                kind: &body.kind,
            };
            under.check(world, relay.delegation.as_ref(), now)
        }
        _ => Ok(()),
    }
}

/// What a delegation must allow.
struct Delegated<'a> {
    grant: &'a Grant,
    to: &'a OrgId,
    /// The discloser for whom it acts. A claimant's delegation is for any.
    giver: Option<&'a OrgId>,
    kind: &'a str,
}

impl Delegated<'_> {
    fn check(&self, world: &World, id: Option<&DelegationId>, now: Moment) -> Result<(), Refusal> {
        let Some(id) = id else {
            let detail = "The grant does not name this organisation, and no delegation is named.";
            return Err(Refusal::new(Reason::GrantDoesNotCoverOrganisation, detail));
        };
        let allows = |row: &&Delegation| {
            row.grant == self.grant.id
                && row.intermediary == *self.to
                && row.is_live(now)
                && covers_kind(&row.kinds, self.kind)
                // Nobody gives on what they do not hold (any more).
                && row.discloser.as_ref().is_none_or(|by| Some(by) == self.giver && self.grant.disclosers.contains(by))
        };
        match world.delegation(id).filter(allows) {
            Some(_) => Ok(()),
            None => Err(Refusal::new(
                Reason::DelegationNotLive,
                "The delegation named does not let this organisation do this, or has ended.",
            )),
        }
    }
}

/// The policy still allows the kind for the purpose of the request's case, or
/// for one that the grant names.
fn check_purpose(
    world: &World,
    grant: &Grant,
    request: Option<&Request>,
    kind: &String,
) -> Result<(), Refusal> {
    let purposes = policy::purposes(world)?;
    let allows = |purpose: &String| purposes.get(purpose)?.allows_kinds([kind]);
    if let Some(case) = request.and_then(|request| world.case(&request.case)) {
        grants::covers_purpose(grant, &case.assessment_type)?;
        return allows(&case.assessment_type);
    }
    let any = grant.purposes.iter().map(allows).reduce(Result::or);
    any.unwrap_or_else(|| {
        Err(Refusal::new(
            Reason::GrantDoesNotCoverPurpose,
            "The grant names no purpose.",
        ))
    })
}

fn check_request(request: &Request, issuer: &OrgId, body: &Evidence) -> Result<(), Refusal> {
    let copied_for = body.certified_copy.is_some() && request.intermediaries.contains(issuer);
    if request.discloser != *issuer && !copied_for {
        return Err(Refusal::new(
            Reason::StatementWrongSubject,
            "The request asks another organisation.",
        ));
    }
    if !covers_kind(&request.kinds, &body.kind) {
        let detail = format!("The request does not ask for the kind `{}`.", body.kind);
        return Err(Refusal::new(Reason::RequestDoesNotCoverKind, detail));
    }
    match request.state {
        RequestState::Open
        | RequestState::Acknowledged
        | RequestState::Paused
        | RequestState::Answered => Ok(()),
        RequestState::Declined | RequestState::Cancelled | RequestState::Lapsed => {
            Err(Refusal::new(
                Reason::RequestNotOpen,
                "The request has been declined or cancelled, or has lapsed.",
            ))
        }
    }
}

/// The statements are about the request's case, or about the grant while there
/// is no request.
fn check_subjects(c: &Push, grant: &Grant, request: Option<&Request>) -> Result<(), Refusal> {
    let expected = request.map_or_else(|| grant.id.urn(), |request| request.case.urn());
    if [Some(&c.evidence), c.relay.as_ref()]
        .into_iter()
        .flatten()
        .all(|signed| signed.subject() == expected)
    {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::StatementWrongSubject,
            format!("The sub claim must be `{expected}`."),
        ))
    }
}

/// The same statement again is no second push.
fn already_held(held: &Item, statement: Digest) -> Result<Outcome, Refusal> {
    if held.evidence == statement {
        Ok(Outcome::already(&held.id))
    } else {
        Err(Refusal::new(
            Reason::ItemIdTaken,
            "The item id belongs to another statement.",
        ))
    }
}

fn check_supersedes(
    world: &World,
    caller: &Caller,
    issuer: &OrgId,
    grant: &Grant,
    body: &Evidence,
) -> Result<(), Refusal> {
    let Some(id) = &body.supersedes else {
        return Ok(());
    };
    let theirs = |old: &&Item| {
        let parties = [Some(&old.discloser), old.intermediary.as_ref()];
        old.claimant == grant.claimant
            && parties
                .into_iter()
                .flatten()
                .any(|org| *org == *issuer || *org == caller.org)
    };
    let old = world
        .item(id)
        .filter(theirs)
        .ok_or_else(Refusal::not_found)?;
    if !old.state.is_available() {
        return Err(Refusal::new(
            Reason::ItemNotAvailable,
            "The item to supersede is not available any more.",
        ));
    }
    // Otherwise the claimant's side would show half of the exchange.
    if old.disclosure != body.disclosure {
        let detail =
            "An item the claimant may see and one they may not cannot replace one another.";
        return Err(Refusal::new(Reason::DisclosureConflict, detail));
    }
    Ok(())
}

fn check_received(body: &Evidence, received: Option<Received>) -> Result<(), Refusal> {
    if body.size == 0 {
        return Err(Refusal::new(
            Reason::DocumentEmpty,
            "The statement is about a document of no bytes.",
        ));
    }
    let Some(received) = received else {
        return Ok(());
    };
    if received.size != body.size {
        let detail = format!(
            "{} bytes came; {} were signed for.",
            received.size, body.size
        );
        return Err(Refusal::new(Reason::SizeMismatch, detail));
    }
    if received.digest != body.digest {
        return Err(Refusal::new(
            Reason::DigestMismatch,
            "The SHA-256 of what came is not the one signed for.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
