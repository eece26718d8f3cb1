//! Conversions of the evidence service.

use evidence_domain::{
    Aside, Moment, Reason, Refusal, command::WithdrawItem, receipt::Issued,
    refusal::FieldViolation, rows::Item, signed::Signed,
};
use evidence_ledger::{Digest, Statement, sha256};

use crate::{
    common::{item_state_number, period, receipt, texts, timestamp},
    fields::{Fields, LIST_LIMIT, NAME_LIMIT, TEXT_LIMIT},
    v1,
};

/// The statements of a push, parsed and not yet verified.
#[derive(Debug, Clone)]
pub struct Pushed {
    pub evidence: Signed,
    pub relay: Option<Signed>,
}

pub fn push(push: &v1::Push) -> Result<Pushed, Refusal> {
    let evidence = push.evidence.as_ref();
    let evidence = evidence.ok_or_else(|| Refusal::field("push.evidence", "is required"))?;
    Ok(Pushed {
        evidence: signed("push.evidence", evidence)?,
        relay: push
            .relay
            .as_ref()
            .map(|relay| signed("push.relay", relay))
            .transpose()?,
    })
}

/// The digest by which a push is known: the entry that its evidence statement would have, or the
/// SHA-256 of bytes that are no statement.
pub fn push_digest(push: &v1::Push) -> Digest {
    let bytes = push
        .evidence
        .as_ref()
        .map_or(&[][..], |signed| &signed.statement);
    Statement::parse(bytes).map_or_else(|_| sha256(bytes), |statement| statement.entry())
}

pub fn declaration(body: &v1::DeclareDisclosureRequest) -> Result<Signed, Refusal> {
    let declaration = body.declaration.as_ref();
    let declaration = declaration.ok_or_else(|| Refusal::field("declaration", "is required"))?;
    signed("declaration", declaration)
}

/// A signed statement and its texts, within their limits.
pub fn signed(field: &str, signed: &v1::SignedStatement) -> Result<Signed, Refusal> {
    let mut violations = Vec::new();
    let mut wrong = |description: String| {
        let field = format!("{field}.aside");
        violations.push(FieldViolation { field, description });
    };
    if signed.aside.len() > LIST_LIMIT {
        wrong(format!("must have at most {LIST_LIMIT} entries"));
    }
    // The names of texts are not repeated: they come from the caller.
    if signed
        .aside
        .keys()
        .any(|name| name.is_empty() || name.len() > NAME_LIMIT)
    {
        wrong(format!("must have names of 1 to {NAME_LIMIT} bytes"));
    }
    if signed.aside.values().any(|text| text.len() > TEXT_LIMIT) {
        wrong(format!("must have texts of at most {TEXT_LIMIT} bytes"));
    }
    if let Some(first) = violations.first() {
        let detail = format!("`{}` {}.", first.field, first.description);
        return Err(Refusal {
            reason: Reason::InvalidField,
            detail,
            fields: violations,
        });
    }
    Signed::open(&signed.statement, signed.aside.clone())
}

pub fn withdraw_item(body: &v1::WithdrawItemRequest) -> Result<WithdrawItem, Refusal> {
    let mut fields = Fields::new();
    let item = fields.parse("item_id", &body.item_id);
    let reason = fields.name("reason", &body.reason);
    fields.finish(item.map(|item| WithdrawItem { item, reason }))
}

/// An item as its parties see it; `aside` holds what its discloser wrote beside the statement.
pub fn item(row: &Item, aside: Aside) -> v1::Item {
    let text = |id: Option<String>| id.unwrap_or_default();
    v1::Item {
        item_id: row.id.to_string(),
        claimant_id: row.claimant.to_string(),
        grant_id: row.grant.to_string(),
        evidence_request_id: text(row.request.as_ref().map(ToString::to_string)),
        discloser: row.discloser.to_string(),
        intermediary: text(row.intermediary.as_ref().map(ToString::to_string)),
        kind: row.kind.clone(),
        media_type: row.media_type.clone(),
        size: row.size,
        digest: row.digest.as_bytes().to_vec(),
        period: Some(period(&row.period)),
        written_on: row.written_on.to_string(),
        profession: row.profession.clone(),
        state: item_state_number(row.state),
        r#final: row.state.is_final(),
        received_at: Some(timestamp(row.received_at)),
        supersedes: text(row.supersedes.as_ref().map(ToString::to_string)),
        superseded_by: text(row.superseded_by.as_ref().map(ToString::to_string)),
        certified_copy: row.certified_copy.is_some(),
        cases: texts(&row.cases),
        aside,
        entry: row.evidence.as_bytes().to_vec(),
    }
}

/// A refusal, with the receipt of its own statement.
pub fn refusal(refusal: &Refusal, logged: Option<&Issued>) -> v1::Refusal {
    v1::Refusal {
        reason: refusal.reason.code().to_owned(),
        message: refusal.message(),
        receipt: logged.map(|issued| receipt(issued, false)),
    }
}

/// `offset`: bytes held durably.
pub fn upload(
    id: &evidence_domain::ids::UploadId,
    offset: u64,
    size: u64,
    expires_at: Moment,
) -> v1::Upload {
    v1::Upload {
        upload_id: id.to_string(),
        offset,
        size,
        expires_at: Some(timestamp(expires_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(bytes: &[u8], aside: &[(&str, usize)]) -> v1::SignedStatement {
        let aside = aside
            .iter()
            .map(|(name, size)| ((*name).to_owned(), "x".repeat(*size)));
        v1::SignedStatement {
            statement: bytes.to_vec(),
            aside: aside.collect(),
        }
    }

    #[test]
    fn a_push_needs_a_well_formed_statement() {
        let empty = push(&v1::Push::default()).expect_err("nothing is there");
        assert_eq!(
            (empty.reason, empty.fields[0].field.as_str()),
            (Reason::InvalidField, "push.evidence")
        );
        let garbage = v1::Push {
            evidence: Some(statement(b"garbage", &[])),
            ..v1::Push::default()
        };
        assert_eq!(
            push(&garbage).expect_err("no statement").reason,
            Reason::StatementMalformed
        );
        assert_eq!(push_digest(&garbage), sha256(b"garbage"));
        assert_eq!(push_digest(&v1::Push::default()), sha256(b""));
    }

    #[test]
    fn texts_have_limits() {
        let names: Vec<String> = (0..=LIST_LIMIT).map(|n| n.to_string()).collect();
        let many: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        for aside in [&many[..], &[("", 1)], &[("title", TEXT_LIMIT + 1)]] {
            let refusal = signed("push.relay", &statement(b"", aside)).expect_err("beyond a limit");
            assert_eq!(
                (refusal.reason, refusal.fields[0].field.as_str()),
                (Reason::InvalidField, "push.relay.aside")
            );
        }
    }

    #[test]
    fn a_withdrawal_names_item_and_reason() {
        let refusal =
            withdraw_item(&v1::WithdrawItemRequest::default()).expect_err("both are missing");
        let fields: Vec<_> = refusal.fields.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["item_id", "reason"]);
    }
}
