//! Conversions of the decision service, and the sentences that a letter quotes.

use evidence_domain::{
    Aside, Refusal,
    apply::OWN_WORDS,
    event::{DecisionOutcome, Use},
    ids::ItemId,
    rows::{Bundle, Decision, Item},
    rules::decision::REASON,
    signed::Signed,
};
use evidence_ledger::Salt;
use jiff::civil::Date;

use crate::{
    common::{self, chain_head, texts, timestamp, use_number},
    fields::Fields,
    v1,
};

/// A decision to record; its signature is not verified yet.
#[derive(Debug)]
pub struct Record {
    pub decision: Signed,
    pub official: Aside,
    pub official_salt: Salt,
}

pub fn record(body: &v1::RecordDecisionRequest) -> Result<Record, Refusal> {
    let mut f = Fields::new();
    f.aside("official", &body.official);
    let salt = f.digest("official_salt", &body.official_salt);
    let salt = f.finish(salt)?;
    Ok(Record {
        decision: common::signed("decision", body.decision.as_ref())?,
        official: body.official.clone(),
        official_salt: Salt::from(*salt.as_bytes()),
    })
}

/// The decision as its recipient sees it. `texts_of` are the signed record's,
/// `official` those about withheld items; `bundle` is the one it names.
pub fn decision(
    row: &Decision,
    bundle: Option<&Bundle>,
    texts_of: &Aside,
    official: &Aside,
) -> v1::Decision {
    let open = row
        .uses
        .iter()
        .map(|(item, how)| (item, how, texts_of, false));
    let withheld = row
        .official_uses
        .iter()
        .map(|(item, how)| (item, how, official, true));
    v1::Decision {
        decision_id: row.id.to_string(),
        case_id: row.case.to_string(),
        bundle_id: row.bundle.to_string(),
        outcome: outcome(row.outcome).to_owned(),
        for_lack_of_evidence: row.for_lack_of_evidence,
        recorded_at: Some(timestamp(row.recorded_at)),
        uses: open
            .chain(withheld)
            .map(|(item, how, texts, withheld)| v1::ItemUse {
                item_id: item.to_string(),
                r#use: use_number(*how),
                reason: reason(texts, item),
                withheld,
            })
            .collect(),
        adjustments_acknowledged: texts(&row.adjustments),
        overdue_requests: texts(&row.overdue),
        chain: Some(chain_head(&row.chain)),
        official_chain: bundle
            .and_then(|bundle| bundle.official_chain.as_ref())
            .map(chain_head),
        entry: row.digest.as_bytes().to_vec(),
    }
}

pub fn outcome(outcome: DecisionOutcome) -> &'static str {
    match outcome {
        DecisionOutcome::Favourable => "favourable",
        DecisionOutcome::PartlyFavourable => "partly-favourable",
        DecisionOutcome::Adverse => "adverse",
    }
}

/// The reason that a record's texts give for the use of an item, if any.
pub fn reason(texts: &Aside, item: &ItemId) -> String {
    texts
        .get(&format!("{REASON}{item}"))
        .cloned()
        .unwrap_or_default()
}

/// How a decision used an item, as its maker says it to the claimant.
/// `opened` are the item's own texts, `from` the name of who gave it.
pub fn sentence(how: Use, item: &Item, opened: &Aside, from: &str, reason: &str) -> String {
    let what = describe(item, opened, from);
    let said = match how {
        Use::ReliedOn => format!("We relied on {what}."),
        Use::Considered => format!("We considered {what}."),
        Use::GivenLittleWeight => format!("We gave little weight to {what}."),
        Use::Discounted => format!("We did not use {what}."),
    };
    let reason = reason.trim();
    if reason.is_empty() {
        return said;
    }
    let stop = if reason.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    format!("{said} Our reason: {reason}{stop}")
}

fn describe(item: &Item, opened: &Aside, from: &str) -> String {
    let text = |name: &str| opened.get(name).map_or("", |text| text.trim());
    let on = day(item.written_on);
    if item.kind == OWN_WORDS {
        return match text("title") {
            "" => format!("what you told us on {on}"),
            title => format!("what you told us on {on}, “{title}”"),
        };
    }
    let what = match text("title") {
        "" => format!("the {}", item.kind.replace(['-', '_'], " ")),
        title => format!("“{title}”"),
    };
    match text("author") {
        "" => format!("{what}, written by {from} on {on}"),
        author => format!("{what}, written by {author} ({from}) on {on}"),
    }
}

/// 3 March 2026.
fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

#[cfg(test)]
pub(crate) mod tests;
