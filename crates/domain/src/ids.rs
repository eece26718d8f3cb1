//! Identifiers: one newtype each, so that they cannot be swapped. Printed with
//! a prefix (`grant_…`) and 26 characters of lower-case base32 (128 random bits).

use std::{fmt, str::FromStr};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};

/// An identifier that is not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a {expected} id: expected `{expected}_` and 26 letters and digits as the gateway gave them"
)]
pub struct IdError {
    pub text: String,
    pub expected: &'static str,
}

fn base32() -> &'static Encoding {
    static BASE32: std::sync::LazyLock<Encoding> = std::sync::LazyLock::new(|| {
        let mut spec = Specification::new();
        // Crockford's alphabet: nothing that is misread on the telephone.
        spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
        spec.encoding()
            .expect("the alphabet has 32 distinct symbols")
    });
    &BASE32
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// An id from 128 random bits.
            pub fn from_random(bits: [u8; 16]) -> Self {
                Self(format!("{}_{}", $prefix, base32().encode(&bits)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The URN that statements use for it.
            pub fn urn(&self) -> String {
                format!("urn:evidence:{}", self.0)
            }

            /// Reads a URN made by [`Self::urn`].
            pub fn from_urn(urn: &str) -> Result<Self, IdError> {
                urn.strip_prefix("urn:evidence:").unwrap_or(urn).parse()
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { text: text.chars().take(64).collect(), expected: $prefix };
                let rest = text.strip_prefix(concat!($prefix, "_")).ok_or_else(wrong)?;
                match base32().decode(rest.as_bytes()) {
                    Ok(bits) if bits.len() == 16 => Ok(Self(text.to_owned())),
                    _ => Err(wrong()),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A registered body.
    OrgId = "org";
    /// A person whose evidence is held.
    ClaimantId = "claimant";
    /// One assessment of one claimant.
    CaseId = "case";
    /// A claimant's consent.
    GrantId = "grant";
    /// A discloser's or claimant's permission for an intermediary.
    DelegationId = "delegation";
    /// Someone who helps or stands in for a claimant.
    RepresentationId = "representation";
    /// A recipient's question to one discloser.
    RequestId = "request";
    /// One document and its evidence statement.
    ItemId = "item";
    /// What was available for a case and purpose at a moment.
    BundleId = "bundle";
    /// A recorded outcome.
    DecisionId = "decision";
    /// A claimant's correction note on an item.
    NoteId = "note";
    /// A claimant's stated adjustment.
    AdjustmentId = "adjustment";
    /// A resumable upload under way.
    UploadId = "upload";
    /// Where a document's bytes are kept.
    DocumentId = "document";
    /// One logged read of evidence.
    AccessId = "access";
    /// A signed and logged refusal.
    RefusalId = "refusal";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_with_its_prefix_and_reads_back() {
        let id = GrantId::from_random([7; 16]);
        assert!(id.as_str().starts_with("grant_"));
        assert_eq!(id.as_str().len(), "grant_".len() + 26);
        assert_eq!(id.as_str().parse::<GrantId>(), Ok(id.clone()));
        assert_eq!(GrantId::from_urn(&id.urn()), Ok(id));
    }

    #[test]
    fn refuses_another_kinds_id_and_other_text() {
        let id = GrantId::from_random([7; 16]);
        assert!(id.as_str().parse::<CaseId>().is_err());
        for text in [
            "",
            "grant_",
            "grant_abc",
            "grant_UUUUUUUUUUUUUUUUUUUUUUUUUU",
            "GRANT_0",
        ] {
            assert!(text.parse::<GrantId>().is_err(), "{text}");
        }
    }
}
