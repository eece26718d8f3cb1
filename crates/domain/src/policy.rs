//! Policies: what evidence may be used for and how long each party has, as
//! TOML that the operator sets. Every version of one is a statement.

use std::{collections::BTreeSet, sync::Arc};

use jiff::civil::Date;
use serde::Deserialize;

use crate::{
    event::Kinds,
    refusal::{Reason, Refusal},
    rows::covers_kind,
    world::World,
};

/// The name of the policy that lists the purposes.
pub const PURPOSES: &str = "purposes";
/// The name of the policy that holds the deadlines.
pub const CLOCKS: &str = "clocks";

/// What a new log starts with, by name. The project's own, not the DWP's.
pub const DEFAULTS: [(&str, &str); 2] = [
    (PURPOSES, include_str!("policy/defaults/purposes.toml")),
    (CLOCKS, include_str!("policy/defaults/clocks.toml")),
];

/// Evidence about a person's health is never turned against them: a purpose
/// that says so in any of these words is refused.
const FORBIDDEN: [&str; 2] = ["sanction", "conditionality"];

const LONGEST_DAYS: i64 = 3_653;
const MOST_PURPOSES: usize = 100;

/// Whether the operator may set this document under this name.
pub fn check(name: &str, document: &str) -> Result<(), Refusal> {
    match name {
        PURPOSES => Purposes::parse(document).map(|_| ()),
        CLOCKS => Clocks::parse(document).map(|_| ()),
        _ => Err(Refusal::field(
            "name",
            format!("there is no such policy; there are `{PURPOSES}` and `{CLOCKS}`"),
        )),
    }
}

/// The purposes in force.
pub fn purposes(world: &World) -> Result<Arc<Purposes>, Refusal> {
    if let Some(read) = world.purposes.get() {
        return Ok(Arc::clone(read));
    }
    let read = Arc::new(Purposes::parse(&in_force(world, PURPOSES)?.document)?);
    Ok(Arc::clone(world.purposes.get_or_init(|| read)))
}

/// The deadlines in force.
pub fn clocks(world: &World) -> Result<Clocks, Refusal> {
    Clocks::parse(&in_force(world, CLOCKS)?.document)
}

fn in_force<'w>(world: &'w World, name: &str) -> Result<&'w crate::rows::Policy, Refusal> {
    let missing = || {
        Refusal::new(
            Reason::PolicyMissing,
            format!("The operator has set no policy `{name}`."),
        )
    };
    world.policy(name).ok_or_else(missing)
}

/// The purposes policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purposes {
    purposes: Vec<Purpose>,
}

/// Something that evidence may be used for, and its caps: a grant, a request
/// and a pull can only ask for less.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Such as `wca`; stays in signed statements, so it is never used again.
    pub id: String,
    /// For people.
    pub title: String,
    /// The kinds of evidence it may cover; `*` is every kind.
    pub kinds: Kinds,
    /// The longest that a grant may last, in calendar days.
    pub longest_days: i64,
    /// Identifiers of the organisations that may receive; `None` is any recipient.
    #[serde(default)]
    pub recipients: Option<BTreeSet<String>>,
    /// Never together with another purpose in one grant.
    #[serde(default)]
    pub separate: bool,
    /// The decisions it feeds, in words.
    #[serde(default)]
    pub serves: Vec<String>,
}

impl Purposes {
    /// Reads the policy. Refused with `policy_invalid`, or `purpose_forbidden`.
    pub fn parse(document: &str) -> Result<Self, Refusal> {
        let read: Self =
            toml::from_str(document).map_err(|error| invalid(PURPOSES, error.message()))?;
        if read.purposes.is_empty() || read.purposes.len() > MOST_PURPOSES {
            return Err(invalid(
                PURPOSES,
                format!("it lists between 1 and {MOST_PURPOSES} [[purposes]]"),
            ));
        }
        let mut seen = BTreeSet::new();
        for purpose in &read.purposes {
            purpose.check()?;
            if !seen.insert(&purpose.id) {
                return Err(invalid(
                    PURPOSES,
                    format!("the id `{}` is there twice", purpose.id),
                ));
            }
        }
        Ok(read)
    }

    pub fn get(&self, id: &str) -> Result<&Purpose, Refusal> {
        self.purposes
            .iter()
            .find(|purpose| purpose.id == id)
            .ok_or_else(|| {
                Refusal::new(
                    Reason::PurposeUnknown,
                    "The purposes policy in force does not have this purpose.",
                )
            })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Purpose> {
        self.purposes.iter()
    }
}

impl Purpose {
    /// Each of the kinds lies within the purpose's; `*` only within `*`.
    pub fn allows_kinds<'k>(
        &self,
        kinds: impl IntoIterator<Item = &'k String>,
    ) -> Result<(), Refusal> {
        match kinds
            .into_iter()
            .find(|kind| !covers_kind(&self.kinds, kind))
        {
            None => Ok(()),
            Some(kind) => Err(self.exceeded(&format!("does not cover the kind `{kind}`"))),
        }
    }

    /// The organisation with this identifier may receive for the purpose.
    pub fn allows_recipient(&self, identifier: &str) -> Result<(), Refusal> {
        if self
            .recipients
            .as_ref()
            .is_none_or(|recipients| recipients.contains(identifier))
        {
            Ok(())
        } else {
            Err(self.exceeded("does not allow this recipient"))
        }
    }

    /// A grant made today may last until `expires_on`.
    pub fn allows_until(&self, today: Date, expires_on: Date) -> Result<(), Refusal> {
        if expires_on <= crate::time::days_after(today, self.longest_days) {
            Ok(())
        } else {
            Err(self.exceeded(&format!(
                "allows a grant {} days at most",
                self.longest_days
            )))
        }
    }

    fn exceeded(&self, what: &str) -> Refusal {
        Refusal::new(
            Reason::PurposeCapExceeded,
            format!("The purpose `{}` {what}.", self.id),
        )
    }

    fn check(&self) -> Result<(), Refusal> {
        self.check_not_forbidden()?;
        let wrong = |what: &str| Err(invalid(PURPOSES, format!("purpose `{}`: {what}", self.id)));
        if !is_code(&self.id) {
            return wrong(
                "the id is not 1 to 64 lower-case letters, digits, hyphens or underscores",
            );
        }
        if self.title.trim().is_empty() {
            return wrong("the title is empty");
        }
        if self.kinds.is_empty() || !self.kinds.iter().all(|kind| kind == "*" || is_code(kind)) {
            return wrong("`kinds` lists neither kinds of evidence nor [\"*\"]");
        }
        if !(1..=LONGEST_DAYS).contains(&self.longest_days) {
            return wrong("`longest_days` is not between 1 and 3653");
        }
        let nobody = |list: &BTreeSet<String>| {
            list.is_empty() || list.iter().any(|entry| entry.trim().is_empty())
        };
        if self.recipients.as_ref().is_some_and(nobody) {
            return wrong(
                "`recipients` leaves nobody to receive; leave it out to allow any recipient",
            );
        }
        Ok(())
    }

    fn check_not_forbidden(&self) -> Result<(), Refusal> {
        let forbidden = [&self.id, &self.title]
            .into_iter()
            .chain(&self.serves)
            .any(|words| {
                let words = words.to_lowercase();
                FORBIDDEN.iter().any(|forbidden| words.contains(forbidden))
            });
        if forbidden {
            let detail = "A purpose in the policy serves sanctions or conditionality.";
            return Err(Refusal::new(Reason::PurposeForbidden, detail));
        }
        Ok(())
    }
}

/// The deadlines policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    pub request: RequestClock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestClock {
    /// Calendar days from a request to the day its answer is due.
    pub answer_days: i64,
}

impl Clocks {
    /// Reads the policy. Refused with `policy_invalid`.
    pub fn parse(document: &str) -> Result<Self, Refusal> {
        let read: Self =
            toml::from_str(document).map_err(|error| invalid(CLOCKS, error.message()))?;
        if (1..=366).contains(&read.request.answer_days) {
            Ok(read)
        } else {
            Err(invalid(
                CLOCKS,
                "`request.answer_days` is not between 1 and 366",
            ))
        }
    }
}

/// Whether the text is a code such as a purpose's id or a kind of evidence.
/// Codes stand in statements, where free text may not.
pub fn is_code(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    text.len() <= 64
        && text.bytes().all(plain)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

fn invalid(name: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Reason::PolicyInvalid,
        format!("The policy `{name}`: {what}."),
    )
}

#[cfg(test)]
mod tests;
