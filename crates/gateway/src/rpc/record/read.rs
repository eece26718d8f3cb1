//! What a claimant sees. Withheld items are opened nowhere here, so that
//! nothing can be shown, named or counted of them.

use std::collections::BTreeMap;

use evidence_domain::{
    Aside, Caller, Guarded, Row,
    access::{ClaimantView, ForClaimant},
    ids::{ItemId, OrgId, RepresentationId},
    rows::{Access, Adjustment, Case, Decision, Grant, Item, Note, Representation, Request},
};
use evidence_ledger::Digest;
use evidence_store::{By, Page};
use evidence_wire::{
    consent,
    record::{self as wire, Names},
    v1,
};
use tonic::Status;

use crate::{app::App, error, rpc::rows};

type Texts = BTreeMap<u64, Aside>;

/// What is held, what is awaited and whose turn it is.
pub(super) async fn record(
    app: &App,
    caller: &Caller,
    view: &ClaimantView,
) -> Result<v1::Record, Status> {
    let now = app.now();
    let items = every::<Item>(app, view).await?;
    let requests = every::<Request>(app, view).await?;
    let cases = every::<Case>(app, view).await?;
    let adjustments = every::<Adjustment>(app, view).await?;
    let representations = every::<Representation>(app, view).await?;
    let grants = every::<Grant>(app, view).await?;
    let names = rows::names(app, caller, wire::organisations(&items, &requests, &cases)).await?;
    let entries = (requests.iter().map(|row| row.entry))
        .chain(adjustments.iter().map(|row| row.entry))
        .chain(representations.iter().map(|row| row.entry));
    let texts = rows::texts(app, entries).await?;
    let text = |entry: u64| texts.get(&entry).cloned().unwrap_or_default();
    let name = |row: &Representation| text(row.entry).remove("name").unwrap_or_default();
    Ok(v1::Record {
        claimant_id: view.claimant().to_string(),
        items: shown_items(app, view, &items, &names).await?,
        requests: requests
            .into_iter()
            .map(|row| (text(row.entry), row))
            .map(|(text, row)| wire::request(row, &text, &names, now))
            .collect(),
        grants: grants.iter().map(|row| consent::grant(row, now)).collect(),
        adjustments: adjustments
            .iter()
            .map(|row| wire::adjustment(row, &text(row.entry)))
            .collect(),
        cases: cases.iter().map(|row| wire::case(row, &names)).collect(),
        representations: representations
            .iter()
            .map(|row| consent::representation(row, name(row), now))
            .collect(),
    })
}

/// Who saw what, when and why; a page of it.
pub(super) async fn accesses(
    app: &App,
    caller: &Caller,
    view: &ClaimantView,
    page: Page,
) -> Result<v1::ListAccessesResponse, Status> {
    let by = By::Claimant(view.claimant().clone());
    let listed = app.store.list::<Access>(by, page).await;
    let listed = listed.map_err(|e| error::store(&e))?;
    let accesses = opened(listed.rows, view);
    let names = rows::names(app, caller, accesses.iter().map(|row| &row.organisation)).await?;
    let texts = rows::texts(app, accesses.iter().map(|row| row.entry)).await?;
    let acting = representatives(app, view).await?;
    let shown = |row: &Access| {
        let text = texts.get(&row.entry).cloned().unwrap_or_default();
        let acted = row.representation.as_ref().and_then(|id| acting.get(id));
        wire::access(row, &text, &names, acted.map_or("", String::as_str))
    };
    Ok(v1::ListAccessesResponse {
        accesses: accesses.iter().map(shown).collect(),
        next_page_token: listed.next.unwrap_or_default(),
    })
}

/// What was decided, and how each item was used.
pub(super) async fn decisions(
    app: &App,
    caller: &Caller,
    view: &ClaimantView,
) -> Result<Vec<v1::RecordDecision>, Status> {
    let decisions = every::<Decision>(app, view).await?;
    let items = every::<Item>(app, view).await?;
    let items: BTreeMap<&ItemId, &Item> = items.iter().map(|item| (&item.id, item)).collect();
    let items_used = || {
        decisions
            .iter()
            .flat_map(|row| row.uses.keys())
            .filter_map(|id| items.get(id))
    };
    let organisations = decisions.iter().map(|row| &row.recipient);
    let organisations = organisations.chain(items_used().map(|item| &item.discloser));
    let names = rows::names(app, caller, organisations.collect::<Vec<&OrgId>>()).await?;
    let entries = decisions
        .iter()
        .map(|row| row.entry)
        .chain(items_used().map(|item| item.entry));
    let texts = rows::texts(app, entries.collect::<Vec<_>>()).await?;
    let digests: Vec<Digest> = decisions.iter().map(|row| row.digest).collect();
    let mut receipts = rows::receipts(app, &digests).await?;
    let none = Aside::new();
    let text = |entry: u64| texts.get(&entry).unwrap_or(&none);
    let uses = |row: &Decision| {
        let open = row
            .uses
            .iter()
            .filter_map(|(id, how)| Some((*items.get(id)?, *how)));
        open.map(|(item, how)| wire::item_use(how, item, text(row.entry), text(item.entry), &names))
            .collect()
    };
    Ok(decisions
        .iter()
        .map(|row| wire::decision(row, &names, uses(row), receipts.remove(&row.digest)))
        .collect())
}

/// An item that was just added.
pub(super) async fn added_item(
    app: &App,
    caller: &Caller,
    row: &Item,
    receipt: Option<v1::Receipt>,
) -> Result<v1::RecordItem, Status> {
    let names = rows::names(app, caller, [&row.discloser]).await?;
    let texts = rows::texts(app, [row.entry]).await?;
    let text = texts.get(&row.entry).cloned().unwrap_or_default();
    Ok(wire::item(row, &text, &names, receipt, Vec::new()))
}

async fn shown_items(
    app: &App,
    view: &ClaimantView,
    items: &[Item],
    names: &Names,
) -> Result<Vec<v1::RecordItem>, Status> {
    let notes = every::<Note>(app, view).await?;
    let entries = items
        .iter()
        .map(|row| row.entry)
        .chain(notes.iter().map(|row| row.entry));
    let texts: Texts = rows::texts(app, entries.collect::<Vec<_>>()).await?;
    let digests: Vec<Digest> = items.iter().map(|row| row.evidence).collect();
    let mut receipts = rows::receipts(app, &digests).await?;
    let none = Aside::new();
    let text = |entry: u64| texts.get(&entry).unwrap_or(&none);
    let notes_on = |item: &Item| {
        let on_it = notes.iter().filter(|note| note.item == item.id);
        on_it
            .map(|note| wire::note(note, text(note.entry)))
            .collect()
    };
    Ok(items
        .iter()
        .map(|row| {
            let receipt = receipts.remove(&row.evidence);
            wire::item(row, text(row.entry), names, receipt, notes_on(row))
        })
        .collect())
}

/// The names of those who act, or acted, for the claimant.
async fn representatives(
    app: &App,
    view: &ClaimantView,
) -> Result<BTreeMap<RepresentationId, String>, Status> {
    let named = every::<Representation>(app, view).await?;
    let mut texts = rows::texts(app, named.iter().map(|row| row.entry)).await?;
    let mut name = |entry: u64| texts.get_mut(&entry).and_then(|text| text.remove("name"));
    Ok(named
        .into_iter()
        .filter_map(|row| Some((row.id, name(row.entry)?)))
        .collect())
}

/// Every row of a kind that the claimant may know of.
async fn every<R: Row + ForClaimant>(app: &App, view: &ClaimantView) -> Result<Vec<R>, Status> {
    let by = By::Claimant(view.claimant().clone());
    Ok(opened(rows::every::<R>(app, by).await?, view))
}

fn opened<R: ForClaimant>(rows: Vec<Guarded<R>>, view: &ClaimantView) -> Vec<R> {
    rows.into_iter()
        .filter_map(|row| row.open_for(view).ok())
        .collect()
}
