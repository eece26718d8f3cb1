//! Reading request messages: every violation is collected, so that a caller
//! learns of all of them at once.

use std::{collections::BTreeSet, str::FromStr};

use evidence_domain::{
    Aside, Moment, Reason, Refusal, policy::is_code, refusal::FieldViolation, time::Period,
};
use evidence_ledger::Digest;
use jiff::civil::Date;

use crate::v1;

/// Longest free text, bytes.
pub const TEXT_LIMIT: usize = 16 * 1024;
/// Longest name or code, bytes.
pub const NAME_LIMIT: usize = 200;
/// Longest list.
pub const LIST_LIMIT: usize = 100;

/// Most texts beside one statement.
pub const ASIDE_LIMIT: usize = 1_000;

/// Collects field violations. Each reader returns a value to go on with;
/// [`Fields::done`] refuses if any was bad.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn violation(&mut self, field: &str, description: impl Into<String>) {
        self.violations.push(FieldViolation {
            field: field.to_owned(),
            description: description.into(),
        });
    }

    /// All fields held, or the one refusal that names those that did not.
    pub fn done(self) -> Result<(), Refusal> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = self
            .violations
            .iter()
            .map(|v| format!("`{}`: {}", v.field, v.description))
            .collect();
        Err(Refusal {
            reason: Reason::InvalidField,
            detail: format!("{}.", list.join("; ")),
            fields: self.violations,
        })
    }

    /// Finishes: `value` is there unless a field was bad.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Refusal> {
        self.done()?;
        value.ok_or_else(|| Refusal::field("message", "a field is missing"))
    }

    /// A required id, date or other parseable text.
    pub fn parse<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if text.is_empty() {
            self.violation(field, "is required");
            return None;
        }
        text.parse()
            .map_err(|error| self.violation(field, format!("{error}")))
            .ok()
    }

    /// As [`Fields::parse`], where empty means none.
    pub fn optional<T: FromStr>(&mut self, field: &str, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if text.is_empty() {
            None
        } else {
            self.parse(field, text)
        }
    }

    /// A list of ids, without doubles.
    pub fn set<T: FromStr + Ord>(&mut self, field: &str, texts: &[String]) -> BTreeSet<T>
    where
        T::Err: std::fmt::Display,
    {
        self.bounded(field, texts.len());
        texts
            .iter()
            .filter_map(|text| self.parse(field, text))
            .collect()
    }

    /// A list of codes (kinds, purposes): lower-case letters, digits, hyphens; or `*`.
    pub fn codes(&mut self, field: &str, texts: &[String]) -> BTreeSet<String> {
        self.bounded(field, texts.len());
        texts.iter().map(|text| self.code(field, text)).collect()
    }

    /// A code: lower-case letters, digits, hyphens, underscores, a letter first; or `*`.
    pub fn code(&mut self, field: &str, text: &str) -> String {
        if text != "*" && !is_code(text) {
            self.violation(
                field,
                "must be 1 to 64 lower-case letters, digits and hyphens, a letter first",
            );
        }
        text.to_owned()
    }

    /// A required short text.
    pub fn name(&mut self, field: &str, text: &str) -> String {
        self.sized(field, text, true, NAME_LIMIT)
    }

    /// A short text that may be empty.
    pub fn optional_name(&mut self, field: &str, text: &str) -> String {
        self.sized(field, text, false, NAME_LIMIT)
    }

    /// A required free text.
    pub fn text(&mut self, field: &str, text: &str) -> String {
        self.sized(field, text, true, TEXT_LIMIT)
    }

    /// A free text that may be empty.
    pub fn optional_text(&mut self, field: &str, text: &str) -> String {
        self.sized(field, text, false, TEXT_LIMIT)
    }

    /// Texts by name: at most [`ASIDE_LIMIT`], each a free text.
    pub fn aside(&mut self, field: &str, texts: &Aside) {
        if texts.len() > ASIDE_LIMIT {
            self.violation(field, format!("must have at most {ASIDE_LIMIT} texts"));
        }
        // The names of texts are not repeated: they are the caller's words.
        if texts
            .keys()
            .any(|name| name.is_empty() || name.len() > NAME_LIMIT)
        {
            self.violation(field, format!("must have names of 1 to {NAME_LIMIT} bytes"));
        }
        if texts.values().any(|text| text.len() > TEXT_LIMIT) {
            self.violation(
                field,
                format!("must have texts of at most {TEXT_LIMIT} bytes"),
            );
        }
    }

    /// A period; absent means open at both ends.
    pub fn period(&mut self, field: &str, period: Option<&v1::Period>) -> Period {
        let Some(period) = period else {
            return Period::default();
        };
        let read = Period {
            from: self.optional::<Date>(&format!("{field}.from"), &period.from),
            to: self.optional::<Date>(&format!("{field}.to"), &period.to),
        };
        if read.is_backwards() {
            self.violation(field, "ends before it starts");
        }
        read
    }

    /// 32 bytes.
    pub fn digest(&mut self, field: &str, bytes: &[u8]) -> Option<Digest> {
        Digest::try_from(bytes)
            .map_err(|_| self.violation(field, "must be 32 bytes"))
            .ok()
    }

    /// A required moment.
    pub fn moment(
        &mut self,
        field: &str,
        timestamp: Option<&prost_types::Timestamp>,
    ) -> Option<Moment> {
        let Some(timestamp) = timestamp else {
            self.violation(field, "is required");
            return None;
        };
        jiff::Timestamp::new(timestamp.seconds, timestamp.nanos)
            .map(Moment::from)
            .map_err(|_| self.violation(field, "is not a moment"))
            .ok()
    }

    /// An enum number that must be a known, specified value.
    pub fn choice<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.violation(field, "must be one of the values the API lists");
        }
        value
    }

    fn sized(&mut self, field: &str, text: &str, required: bool, limit: usize) -> String {
        if required && text.trim().is_empty() {
            self.violation(field, "is required");
        }
        if text.len() > limit {
            self.violation(field, format!("must be at most {limit} bytes"));
        }
        text.to_owned()
    }

    fn bounded(&mut self, field: &str, count: usize) {
        if count > LIST_LIMIT {
            self.violation(field, format!("must have at most {LIST_LIMIT} entries"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence_domain::ids::GrantId;

    #[test]
    fn all_violations_are_named_at_once() {
        let mut fields = Fields::new();
        assert_eq!(fields.parse::<GrantId>("grant_id", "case_1"), None);
        fields.name("name", " ");
        fields.code("kind", "Clinical Letter");
        let refusal = fields.done().expect_err("three are bad");
        assert_eq!(refusal.reason, Reason::InvalidField);
        let named: Vec<_> = refusal.fields.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(named, ["grant_id", "name", "kind"]);
    }

    #[test]
    fn an_absent_period_is_open() {
        let mut fields = Fields::new();
        assert_eq!(fields.period("period", None), Period::default());
        let backwards = v1::Period {
            from: "2026-02-01".into(),
            to: "2026-01-01".into(),
        };
        fields.period("period", Some(&backwards));
        assert!(fields.done().is_err());
    }
}
