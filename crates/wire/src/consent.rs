//! Conversions of the consent service.

use std::collections::BTreeMap;

use evidence_domain::{
    Moment, Reason, Refusal,
    command::{
        CreateDelegation, CreateGrant, EndDelegation, EndRepresentation, NameRepresentative,
        NarrowGrant, RegisterClaimant, WithdrawGrant,
    },
    event::{Kinds, RepresentationKind, Scope},
    identifiers::{NhsNumber, Nino},
    ids::{ClaimantId, DelegationId, GrantId, RepresentationId},
    policy::is_code,
    rows::{Delegation, Grant, Representation},
};
use jiff::civil::Date;

use crate::{
    common::{capture, capture_number, period, texts, timestamp},
    fields::Fields,
    v1,
};

/// Reads `RegisterClaimant`. `index` makes the keyed digest of an identifier
/// or birth date from its kind and value. A number that fails its check is
/// refused with `nhs_number_invalid` or `nino_invalid`; none is ever echoed.
pub fn register_claimant(
    body: &v1::RegisterClaimantRequest,
    id: ClaimantId,
    index: impl Fn(&str, &str) -> String,
) -> Result<RegisterClaimant, Refusal> {
    let mut f = Fields::new();
    let name = f.name("name", &body.name);
    let born = born(&mut f, &body.date_of_birth);
    let nhs = f.optional::<NhsNumber>("nhs_number", &body.nhs_number);
    let nino = f.optional::<Nino>("national_insurance_number", &body.national_insurance_number);
    if body.nhs_number.is_empty() && body.national_insurance_number.is_empty() {
        f.violation(
            "nhs_number",
            "this or national_insurance_number is required",
        );
    }
    let reason = if nhs.is_none() && !body.nhs_number.is_empty() {
        Reason::NhsNumberInvalid
    } else if nino.is_none() && !body.national_insurance_number.is_empty() {
        Reason::NinoInvalid
    } else {
        Reason::InvalidField
    };
    let born = f
        .finish(born)
        .map_err(|refusal| Refusal { reason, ..refusal })?;
    let numbers = [
        ("nhs-number", nhs.as_ref().map(NhsNumber::as_str)),
        ("nino", nino.as_ref().map(Nino::as_str)),
    ];
    let identifiers: BTreeMap<String, String> = numbers
        .into_iter()
        .filter_map(|(kind, number)| Some((kind.to_owned(), index(kind, number?))))
        .collect();
    Ok(RegisterClaimant {
        id,
        name,
        date_of_birth: born,
        nhs_number: nhs.map(|number| number.as_str().to_owned()),
        nino: nino.map(|number| number.as_str().to_owned()),
        identifiers,
        birth: index("date-of-birth", &born.to_string()),
    })
}

/// Reads `CreateGrant`.
pub fn create_grant(body: &v1::CreateGrantRequest, id: GrantId) -> Result<CreateGrant, Refusal> {
    let mut f = Fields::new();
    let claimant = f.parse("claimant_id", &body.claimant_id);
    let disclosers = f.set("disclosers", &body.disclosers);
    let kinds = kinds(&mut f, &body.kinds);
    let recipient = f.parse("recipient", &body.recipient);
    let purposes = f.codes("purposes", &body.purposes);
    for (field, is_empty) in [
        ("disclosers", body.disclosers.is_empty()),
        ("purposes", purposes.is_empty()),
    ] {
        if is_empty {
            f.violation(field, "at least one is required");
        }
    }
    let period = f.period("period", body.period.as_ref());
    let expires_on = f.parse("expires_on", &body.expires_on);
    let capture = f.choice("capture", capture(body.capture));
    let witness = f.optional_text("witness", &body.witness);
    if !is_code(&body.lawful_basis) {
        f.violation(
            "lawful_basis",
            "must be a code, such as uk-gdpr-6-1-e_9-2-b",
        );
    }
    let representation = f.optional("representation_id", &body.representation_id);
    let command = || {
        Some(CreateGrant {
            id,
            claimant: claimant?,
            disclosers,
            kinds,
            recipient: recipient?,
            purposes,
            period,
            expires_on: expires_on?,
            capture: capture?,
            witness,
            lawful_basis: body.lawful_basis.clone(),
            representation,
        })
    };
    f.finish(command())
}

/// Reads `NarrowGrant`.
pub fn narrow_grant(body: &v1::NarrowGrantRequest) -> Result<NarrowGrant, Refusal> {
    let mut f = Fields::new();
    let grant = f.parse("grant_id", &body.grant_id);
    let remove_disclosers = f.set("remove_disclosers", &body.remove_disclosers);
    let remove_kinds = f.codes("remove_kinds", &body.remove_kinds);
    let remove_purposes = f.codes("remove_purposes", &body.remove_purposes);
    let period = body
        .period
        .as_ref()
        .map(|period| f.period("period", Some(period)));
    let expires_on = f.optional("expires_on", &body.expires_on);
    let command = grant.map(|grant| NarrowGrant {
        grant,
        remove_disclosers,
        remove_kinds,
        remove_purposes,
        period,
        expires_on,
    });
    f.finish(command)
}

/// Reads `WithdrawGrant`.
pub fn withdraw_grant(body: &v1::WithdrawGrantRequest) -> Result<WithdrawGrant, Refusal> {
    let mut f = Fields::new();
    let grant = f.parse("grant_id", &body.grant_id);
    let capture = f.choice("capture", capture(body.capture));
    let note = f.optional_text("note", &body.note);
    let command = || {
        Some(WithdrawGrant {
            grant: grant?,
            capture: capture?,
            note,
        })
    };
    f.finish(command())
}

/// Reads `CreateDelegation`.
pub fn create_delegation(
    body: &v1::CreateDelegationRequest,
    id: DelegationId,
) -> Result<CreateDelegation, Refusal> {
    let mut f = Fields::new();
    let grant = f.parse("grant_id", &body.grant_id);
    let intermediary = f.parse("intermediary", &body.intermediary);
    let kinds = kinds(&mut f, &body.kinds);
    let expires_on = f.optional("expires_on", &body.expires_on);
    let command = || {
        Some(CreateDelegation {
            id,
            grant: grant?,
            intermediary: intermediary?,
            kinds,
            expires_on,
        })
    };
    f.finish(command())
}

/// Reads `EndDelegation`.
pub fn end_delegation(body: &v1::EndDelegationRequest) -> Result<EndDelegation, Refusal> {
    let mut f = Fields::new();
    let delegation = f.parse("delegation_id", &body.delegation_id);
    f.finish(delegation.map(|delegation| EndDelegation { delegation }))
}

/// Reads `NameRepresentative`.
pub fn name_representative(
    body: &v1::NameRepresentativeRequest,
    id: RepresentationId,
) -> Result<NameRepresentative, Refusal> {
    let mut f = Fields::new();
    let claimant = f.parse("claimant_id", &body.claimant_id);
    let kind = f.choice("kind", representation_kind(body.kind));
    let name = f.name("name", &body.name);
    let scopes: Vec<Option<Scope>> = body
        .scopes
        .iter()
        .map(|number| f.choice("scopes", scope(*number)))
        .collect();
    if scopes.is_empty() {
        f.violation("scopes", "at least one is required");
    }
    let expires_on = f.parse("expires_on", &body.expires_on);
    let capture = f.choice("capture", capture(body.capture));
    let witness = f.optional_text("witness", &body.witness);
    let command = || {
        Some(NameRepresentative {
            id,
            claimant: claimant?,
            kind: kind?,
            name,
            scopes: scopes.into_iter().flatten().collect(),
            expires_on: expires_on?,
            capture: capture?,
            witness,
        })
    };
    f.finish(command())
}

/// Reads `EndRepresentation`.
pub fn end_representation(
    body: &v1::EndRepresentationRequest,
) -> Result<EndRepresentation, Refusal> {
    let mut f = Fields::new();
    let representation = f.parse("representation_id", &body.representation_id);
    f.finish(representation.map(|representation| EndRepresentation { representation }))
}

pub fn grant(row: &Grant, now: Moment) -> v1::Grant {
    v1::Grant {
        grant_id: row.id.to_string(),
        claimant_id: row.claimant.to_string(),
        disclosers: texts(&row.disclosers),
        kinds: texts(&row.kinds),
        recipient: row.recipient.to_string(),
        purposes: texts(&row.purposes),
        period: Some(period(&row.period)),
        expires_on: row.expires_on.to_string(),
        capture: capture_number(row.capture),
        captured_by: row.captured_by.to_string(),
        granted_at: Some(timestamp(row.granted_at)),
        withdrawn_at: row.withdrawn_at.map(timestamp),
        narrowed: row.narrowed,
        subject: row.id.urn(),
        live: row.is_live(now),
        lawful_basis: row.lawful_basis.clone(),
    }
}

pub fn delegation(row: &Delegation, now: Moment) -> v1::Delegation {
    v1::Delegation {
        delegation_id: row.id.to_string(),
        grant_id: row.grant.to_string(),
        discloser: row
            .discloser
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        intermediary: row.intermediary.to_string(),
        kinds: texts(&row.kinds),
        expires_on: row.expires_on.to_string(),
        ended_at: row.ended_at.map(timestamp),
        live: row.is_live(now),
    }
}

/// `name` is the sealed name of the person named.
pub fn representation(row: &Representation, name: String, now: Moment) -> v1::Representation {
    v1::Representation {
        representation_id: row.id.to_string(),
        claimant_id: row.claimant.to_string(),
        kind: representation_kind_number(row.kind),
        scopes: row.scopes.iter().copied().map(scope_number).collect(),
        expires_on: row.expires_on.to_string(),
        ended_at: row.ended_at.map(timestamp),
        live: row.is_live(now),
        name,
    }
}

/// A date of birth; what is not one is not echoed.
fn born(f: &mut Fields, text: &str) -> Option<Date> {
    let date = text.parse().ok();
    if date.is_none() {
        f.violation("date_of_birth", "must be a date, YYYY-MM-DD");
    }
    date
}

/// At least one kind; `*` only by itself.
fn kinds(f: &mut Fields, texts: &[String]) -> Kinds {
    let kinds = f.codes("kinds", texts);
    if kinds.is_empty() {
        f.violation("kinds", "at least one is required");
    }
    if kinds.len() > 1 && kinds.contains("*") {
        f.violation("kinds", "either * or a list of kinds");
    }
    kinds
}

fn representation_kind(number: i32) -> Option<RepresentationKind> {
    match v1::RepresentationKind::try_from(number).ok()? {
        v1::RepresentationKind::Unspecified => None,
        v1::RepresentationKind::Representative => Some(RepresentationKind::Representative),
        v1::RepresentationKind::Appointee => Some(RepresentationKind::Appointee),
    }
}

fn representation_kind_number(kind: RepresentationKind) -> i32 {
    match kind {
        RepresentationKind::Representative => v1::RepresentationKind::Representative,
        RepresentationKind::Appointee => v1::RepresentationKind::Appointee,
    }
    .into()
}

fn scope(number: i32) -> Option<Scope> {
    match v1::RepresentationScope::try_from(number).ok()? {
        v1::RepresentationScope::Unspecified => None,
        v1::RepresentationScope::SeeProgress => Some(Scope::SeeProgress),
        v1::RepresentationScope::ReadEvidence => Some(Scope::ReadEvidence),
        v1::RepresentationScope::GrantConsent => Some(Scope::GrantConsent),
        v1::RepresentationScope::AddStatements => Some(Scope::AddStatements),
    }
}

fn scope_number(scope: Scope) -> i32 {
    match scope {
        Scope::SeeProgress => v1::RepresentationScope::SeeProgress,
        Scope::ReadEvidence => v1::RepresentationScope::ReadEvidence,
        Scope::GrantConsent => v1::RepresentationScope::GrantConsent,
        Scope::AddStatements => v1::RepresentationScope::AddStatements,
    }
    .into()
}

#[cfg(test)]
mod tests;
