//! The chain of a case: a fold over its entries in order, so that a holder of the list can check
//! that nothing is missing.

use serde::{Deserialize, Serialize};

use crate::hash::{Digest, sha256_parts};

/// How many entries a case has, and the fold over them:
/// `head(0) = seed`, `head(n) = SHA-256(head(n-1) ‖ entry(n))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainHead {
    pub count: u64,
    pub head: Digest,
}

impl ChainHead {
    /// The chain with no entries. The seed is random, so that equal lists do not show as equal.
    pub const fn seed(seed: Digest) -> Self {
        Self {
            count: 0,
            head: seed,
        }
    }

    /// The chain with `entry` added at its end.
    #[must_use]
    pub fn fold(self, entry: &Digest) -> Self {
        Self {
            count: self.count + 1,
            head: sha256_parts(&[self.head.as_bytes(), entry.as_bytes()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha256;

    #[test]
    fn folds_by_the_stated_rule() {
        let seed = sha256(b"seed");
        let (a, b) = (sha256(b"a"), sha256(b"b"));
        let chain = ChainHead::seed(seed).fold(&a).fold(&b);
        let first = sha256(&[seed.as_ref(), a.as_ref()].concat());
        let second = sha256(&[first.as_ref(), b.as_ref()].concat());
        assert_eq!(
            chain,
            ChainHead {
                count: 2,
                head: second
            }
        );
    }

    #[test]
    fn order_seed_and_every_entry_count() {
        let (a, b) = (sha256(b"a"), sha256(b"b"));
        let start = ChainHead::seed(sha256(b"seed"));
        let whole = start.fold(&a).fold(&b);
        assert_ne!(whole, start.fold(&b).fold(&a));
        assert_ne!(whole, start.fold(&b));
        assert_ne!(
            whole.head,
            ChainHead::seed(sha256(b"other")).fold(&a).fold(&b).head
        );
    }
}
