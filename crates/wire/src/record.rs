//! Conversions of the record service: the claimant's side.

use std::collections::{BTreeMap, BTreeSet};

use evidence_domain::{
    Aside, Moment, Refusal,
    apply::OWN_WORDS,
    command::{AddNote, AddStatement, StateAdjustment},
    event::Use,
    ids::{AdjustmentId, ClaimantId, GrantId, ItemId, NoteId, OrgId, RepresentationId},
    rows::{Access, AccessAction, Adjustment, Case, Decision, Item, Note, Organisation, Request},
    rules::record::OWN_WORDS_LIMIT,
};
use evidence_ledger::sha256;

use crate::{
    common::{chain_head, item_state_number, request_state_number, texts, timestamp, use_number},
    decision::{outcome, reason, sentence},
    fields::Fields,
    v1,
};

/// Who looks: the claimant, or someone who acts for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub claimant: ClaimantId,
    pub representation: Option<RepresentationId>,
}

pub fn viewer(viewer: Option<&v1::Viewer>) -> Result<Viewer, Refusal> {
    let mut f = Fields::new();
    let viewer = read_viewer(&mut f, viewer);
    f.finish(viewer)
}

/// Reads `ReadItem`: who, which item, and from which byte on.
pub fn read_item(body: &v1::ReadItemRequest) -> Result<(Viewer, ItemId, u64), Refusal> {
    let mut f = Fields::new();
    let viewer = read_viewer(&mut f, body.viewer.as_ref());
    let item = f.parse("item_id", &body.item_id);
    let (viewer, item) = f.finish(viewer.zip(item))?;
    Ok((viewer, item, body.from_offset))
}

/// Reads `AddStatement`; the document is the text's UTF-8.
pub fn add_statement(
    body: &v1::AddStatementRequest,
    item: ItemId,
) -> Result<AddStatement, Refusal> {
    let mut f = Fields::new();
    let viewer = read_viewer(&mut f, body.viewer.as_ref());
    let grant: Option<GrantId> = f.parse("grant_id", &body.grant_id);
    let title = f.name("title", &body.title);
    let size = body.text.len() as u64;
    if body.text.trim().is_empty() {
        f.violation("text", "is required");
    }
    if size > OWN_WORDS_LIMIT {
        f.violation("text", format!("must be at most {OWN_WORDS_LIMIT} bytes"));
    }
    let (viewer, grant) = f.finish(viewer.zip(grant))?;
    Ok(AddStatement {
        item,
        claimant: viewer.claimant,
        grant,
        title,
        size,
        digest: sha256(body.text.as_bytes()),
        representation: viewer.representation,
    })
}

pub fn add_note(body: &v1::AddNoteRequest, id: NoteId) -> Result<AddNote, Refusal> {
    let mut f = Fields::new();
    let viewer = read_viewer(&mut f, body.viewer.as_ref());
    let item = f.parse("item_id", &body.item_id);
    let text = f.text("text", &body.text);
    let (viewer, item) = f.finish(viewer.zip(item))?;
    Ok(AddNote {
        id,
        claimant: viewer.claimant,
        item,
        text,
        representation: viewer.representation,
    })
}

pub fn state_adjustment(
    body: &v1::StateAdjustmentRequest,
    id: AdjustmentId,
) -> Result<StateAdjustment, Refusal> {
    let mut f = Fields::new();
    let viewer = read_viewer(&mut f, body.viewer.as_ref());
    let text = f.text("text", &body.text);
    let viewer = f.finish(viewer)?;
    Ok(StateAdjustment {
        id,
        claimant: viewer.claimant,
        text,
        representation: viewer.representation,
    })
}

fn read_viewer(f: &mut Fields, viewer: Option<&v1::Viewer>) -> Option<Viewer> {
    let Some(viewer) = viewer else {
        f.violation("viewer", "is required");
        return None;
    };
    let claimant = f.parse("viewer.claimant_id", &viewer.claimant_id)?;
    let representation = f.optional("viewer.representation_id", &viewer.representation_id);
    Some(Viewer {
        claimant,
        representation,
    })
}

/// Organisations by their names, as claimants know them.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<OrgId, String>);

impl Names {
    pub fn of(&self, id: &OrgId) -> String {
        self.0.get(id).cloned().unwrap_or_default()
    }
}

impl FromIterator<Organisation> for Names {
    fn from_iter<T: IntoIterator<Item = Organisation>>(rows: T) -> Self {
        Self(rows.into_iter().map(|row| (row.id, row.name)).collect())
    }
}

/// An item that the claimant may know of. `opened` are its own texts.
pub fn item(
    row: &Item,
    opened: &Aside,
    names: &Names,
    receipt: Option<v1::Receipt>,
    notes: Vec<v1::Note>,
) -> v1::RecordItem {
    v1::RecordItem {
        item_id: row.id.to_string(),
        from_name: from_name(row, names),
        relayed_by_name: row
            .intermediary
            .as_ref()
            .map(|id| names.of(id))
            .unwrap_or_default(),
        kind: row.kind.clone(),
        title: text(opened, "title"),
        written_on: row.written_on.to_string(),
        received_at: Some(timestamp(row.received_at)),
        state: item_state_number(row.state),
        r#final: row.state.is_final(),
        media_type: row.media_type.clone(),
        size: row.size,
        digest: row.digest.as_bytes().to_vec(),
        receipt,
        notes,
        cases: texts(&row.cases),
    }
}

pub fn note(row: &Note, opened: &Aside) -> v1::Note {
    v1::Note {
        note_id: row.id.to_string(),
        text: text(opened, "text"),
        at: Some(timestamp(row.at)),
    }
}

pub fn adjustment(row: &Adjustment, opened: &Aside) -> v1::Adjustment {
    v1::Adjustment {
        adjustment_id: row.id.to_string(),
        text: text(opened, "text"),
        at: Some(timestamp(row.at)),
    }
}

pub fn case(row: &Case, names: &Names) -> v1::RecordCase {
    v1::RecordCase {
        case_id: row.id.to_string(),
        assessment_type: row.assessment_type.clone(),
        recipient_name: names.of(&row.recipient),
        opened_at: Some(timestamp(row.opened_at)),
        chain: Some(chain_head(&row.chain)),
    }
}

/// A request in the state in which the claimant sees it.
pub fn request(row: Request, opened: &Aside, names: &Names, now: Moment) -> v1::RecordRequest {
    let row = Request {
        state: row.claimant_state,
        ..row
    };
    v1::RecordRequest {
        evidence_request_id: row.id.to_string(),
        asked_by_name: names.of(&row.recipient),
        asked_of_name: names.of(&row.discloser),
        kinds: texts(&row.kinds),
        state: request_state_number(row.state),
        r#final: row.state.is_final(),
        turn_name: row.turn().map(|id| names.of(id)).unwrap_or_default(),
        due_on: row.due_on.to_string(),
        overdue: row.is_overdue(now),
        opened_at: Some(timestamp(row.opened_at)),
        question: text(opened, "question"),
        decline_reason: row.decline_reason.unwrap_or_default(),
    }
}

/// A logged read. `representative` is who looked for the claimant, if anyone did.
pub fn access(
    row: &Access,
    opened: &Aside,
    names: &Names,
    representative: &str,
) -> v1::AccessRecord {
    let actor = if representative.is_empty() {
        text(opened, "actor")
    } else {
        representative.to_owned()
    };
    let action = match row.action {
        AccessAction::Pulled => "pulled",
        AccessAction::Viewed => "viewed",
    };
    v1::AccessRecord {
        at: Some(timestamp(row.at)),
        organisation_name: names.of(&row.organisation),
        actor,
        purpose: row.purpose.clone(),
        action: action.to_owned(),
        items: texts(&row.items),
        entry: row.digest.as_bytes().to_vec(),
    }
}

/// A decision as the claimant may see it: what was withheld has no part in it.
pub fn decision(
    row: &Decision,
    names: &Names,
    uses: Vec<v1::RecordUse>,
    receipt: Option<v1::Receipt>,
) -> v1::RecordDecision {
    v1::RecordDecision {
        decision_id: row.id.to_string(),
        case_id: row.case.to_string(),
        decided_by_name: names.of(&row.recipient),
        outcome: outcome(row.outcome).to_owned(),
        recorded_at: Some(timestamp(row.recorded_at)),
        uses,
        overdue_requests: texts(&row.overdue),
        receipt,
    }
}

/// How a decision used an item. `record` are the decision's texts, `opened`
/// the item's own.
pub fn item_use(
    how: Use,
    item: &Item,
    record: &Aside,
    opened: &Aside,
    names: &Names,
) -> v1::RecordUse {
    let reason = reason(record, &item.id);
    v1::RecordUse {
        item_id: item.id.to_string(),
        r#use: use_number(how),
        sentence: sentence(how, item, opened, &names.of(&item.discloser), &reason),
        reason,
    }
}

/// The organisations that these rows name.
pub fn organisations<'a>(
    items: &'a [Item],
    requests: &'a [Request],
    cases: &'a [Case],
) -> BTreeSet<&'a OrgId> {
    let of_items = items
        .iter()
        .flat_map(|row| row.intermediary.iter().chain([&row.discloser]));
    let of_requests = requests
        .iter()
        .flat_map(|row| [&row.recipient, &row.discloser]);
    of_items
        .chain(of_requests)
        .chain(cases.iter().map(|row| &row.recipient))
        .collect()
}

/// Who an item is from. The claimant's own words came through an organisation
/// and are not its.
fn from_name(row: &Item, names: &Names) -> String {
    if row.kind == OWN_WORDS {
        "The claimant".to_owned()
    } else {
        names.of(&row.discloser)
    }
}

fn text(opened: &Aside, name: &str) -> String {
    opened.get(name).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
