//! Conversions of the bundle service.

use evidence_domain::{
    Refusal,
    command::{JoinItems, PullBundle},
    ids::{BundleId, ItemId},
    rows::Bundle,
    signed::Signed,
};

use crate::{
    common::{self, chain_head, texts, timestamp},
    fields::Fields,
    v1,
};

/// What a call to `Pull` asks for.
#[derive(Debug, Clone)]
pub enum Pull {
    /// A new bundle: first its items join the case, then it is made.
    New(JoinItems, PullBundle),
    /// The rest of one whose stream broke.
    Rest(Rest),
}

/// From where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    pub bundle: BundleId,
    /// `None`: from the first item.
    pub item: Option<ItemId>,
    /// Bytes of that item that the caller has.
    pub offset: u64,
}

/// Reads `Pull`; `id` is for a new bundle.
pub fn pull(body: &v1::PullRequest, id: BundleId) -> Result<Pull, Refusal> {
    let mut f = Fields::new();
    if body.bundle_id.is_empty() {
        let case = f.parse("case_id", &body.case_id);
        let purpose = f.code("purpose", &body.purpose);
        let actor = f.optional_name("actor", &body.actor);
        if !body.from_item_id.is_empty() || body.from_offset != 0 {
            f.violation("bundle_id", "is required to go on from an item or offset");
        }
        return f.finish(case.map(|case: evidence_domain::ids::CaseId| {
            let join = JoinItems {
                case: case.clone(),
                purpose: purpose.clone(),
            };
            let pull = PullBundle {
                id,
                case,
                purpose,
                actor,
            };
            Pull::New(join, pull)
        }));
    }
    if !body.case_id.is_empty() || !body.purpose.is_empty() {
        f.violation("bundle_id", "goes without case_id and purpose");
    }
    let bundle = f.parse("bundle_id", &body.bundle_id);
    let item = f.optional("from_item_id", &body.from_item_id);
    if item.is_none() && body.from_offset != 0 {
        f.violation("from_offset", "needs from_item_id");
    }
    f.finish(bundle.map(|bundle| {
        Pull::Rest(Rest {
            bundle,
            item,
            offset: body.from_offset,
        })
    }))
}

pub fn acknowledgement(body: &v1::AcknowledgeBundleRequest) -> Result<Signed, Refusal> {
    common::signed("acknowledgement", body.acknowledgement.as_ref())
}

/// The bundle as its recipient sees it.
pub fn bundle(row: &Bundle) -> v1::Bundle {
    v1::Bundle {
        bundle_id: row.id.to_string(),
        case_id: row.case.to_string(),
        purpose: row.purpose.clone(),
        items: texts(row.items.keys()),
        chain: Some(chain_head(&row.chain)),
        official_chain: row.official_chain.as_ref().map(chain_head),
        pulled_at: Some(timestamp(row.pulled_at)),
        acknowledged_at: row.acknowledged_at.map(timestamp),
        entry: row.pulled.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence_domain::{Reason, ids::CaseId};

    fn new_pull() -> v1::PullRequest {
        v1::PullRequest {
            case_id: CaseId::from_random([1; 16]).to_string(),
            purpose: "wca".to_owned(),
            actor: "A. Officer".to_owned(),
            ..v1::PullRequest::default()
        }
    }

    fn read(body: &v1::PullRequest) -> Result<Pull, Refusal> {
        pull(body, BundleId::from_random([2; 16]))
    }

    #[test]
    fn a_new_pull_joins_the_same_case_first() {
        let Ok(Pull::New(join, pull)) = read(&new_pull()) else {
            panic!("a new bundle")
        };
        assert_eq!((&join.case, &join.purpose), (&pull.case, &pull.purpose));
        assert_eq!(pull.id, BundleId::from_random([2; 16]));
        assert_eq!(pull.actor, "A. Officer");
    }

    #[test]
    fn the_rest_of_a_bundle_starts_where_it_is_told() {
        let (bundle, item) = (BundleId::from_random([3; 16]), ItemId::from_random([4; 16]));
        let mut body = v1::PullRequest {
            bundle_id: bundle.to_string(),
            from_item_id: item.to_string(),
            from_offset: 70_000,
            ..v1::PullRequest::default()
        };
        let Ok(Pull::Rest(rest)) = read(&body) else {
            panic!("the rest of one")
        };
        let expected = Rest {
            bundle,
            item: Some(item),
            offset: 70_000,
        };
        assert_eq!(rest, expected);
        body.from_item_id.clear();
        assert_eq!(
            read(&body).expect_err("an offset in nothing").fields.len(),
            1
        );
    }

    #[test]
    fn a_new_bundle_and_the_rest_of_one_do_not_mix() {
        let mixed = v1::PullRequest {
            bundle_id: BundleId::from_random([3; 16]).to_string(),
            ..new_pull()
        };
        let from = v1::PullRequest {
            from_offset: 1,
            ..new_pull()
        };
        let wrong = v1::PullRequest {
            case_id: "grant_1".to_owned(),
            purpose: "All of it".to_owned(),
            ..new_pull()
        };
        for (body, fields) in [(mixed, 1), (from, 1), (wrong, 2)] {
            let refusal = read(&body).expect_err("refused");
            assert_eq!(
                (refusal.reason, refusal.fields.len()),
                (Reason::InvalidField, fields)
            );
        }
    }

    #[test]
    fn an_acknowledgement_is_required_and_strict() {
        let none = v1::AcknowledgeBundleRequest::default();
        assert_eq!(
            acknowledgement(&none).expect_err("none").reason,
            Reason::InvalidField
        );
        let junk = v1::AcknowledgeBundleRequest {
            acknowledgement: Some(v1::SignedStatement {
                statement: vec![0xff],
                aside: [].into(),
            }),
        };
        let refusal = acknowledgement(&junk).expect_err("no statement");
        assert_eq!(refusal.reason, Reason::StatementMalformed);
    }
}
