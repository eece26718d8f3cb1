//! A bundle's manifest: what is in it, and the proofs.

use evidence_domain::{
    Caller,
    access::{adjustments_for, notes_on},
    event::Disclosure,
    ids::ItemId,
    rows::{Adjustment, Bundle, Case, Item, Note},
};
use evidence_store::By;
use evidence_wire::{bundle, evidence, record, v1};
use tonic::Status;

use crate::{app::App, rpc::rows};

pub(super) async fn of(
    app: &App,
    caller: &Caller,
    row: &Bundle,
    items: &[Item],
) -> Result<v1::Manifest, Status> {
    let of_items = items
        .iter()
        .flat_map(|item| [Some(item.evidence), item.relay]);
    let of_bundle = [Some(row.pulled), row.official];
    let entries: Vec<_> = of_items.chain(of_bundle).flatten().collect();
    let receipts = rows::receipts(app, &entries).await?;
    let texts = rows::texts(app, items.iter().map(|item| item.entry)).await?;
    let notes = notes(app, row, items).await?;
    let manifest_item = |item: &Item| v1::ManifestItem {
        item: Some(evidence::item(
            item,
            texts.get(&item.entry).cloned().unwrap_or_default(),
        )),
        receipt: receipts.get(&item.evidence).cloned(),
        relay_receipt: item.relay.and_then(|relay| receipts.get(&relay).cloned()),
        withheld: item.disclosure == Disclosure::Withheld,
        notes: notes
            .iter()
            .filter(|(on, _)| *on == item.id)
            .map(|(_, note)| note.clone())
            .collect(),
    };
    Ok(v1::Manifest {
        bundle: Some(bundle::bundle(row)),
        items: items.iter().map(manifest_item).collect(),
        receipt: receipts.get(&row.pulled).cloned(),
        official_receipt: row.official.and_then(|entry| receipts.get(&entry).cloned()),
        adjustments: adjustments(app, caller, row).await?,
    })
}

async fn notes(app: &App, row: &Bundle, items: &[Item]) -> Result<Vec<(ItemId, v1::Note)>, Status> {
    let every = rows::every::<Note>(app, By::Claimant(row.claimant.clone())).await?;
    let notes = notes_on(items, every);
    let texts = rows::texts(app, notes.iter().map(|note| note.entry)).await?;
    let shown = |note: Note| {
        let text = texts.get(&note.entry).cloned().unwrap_or_default();
        (note.item.clone(), record::note(&note, &text))
    };
    Ok(notes.into_iter().map(shown).collect())
}

async fn adjustments(
    app: &App,
    caller: &Caller,
    row: &Bundle,
) -> Result<Vec<v1::Adjustment>, Status> {
    let case = rows::row::<Case>(app, caller, row.case.as_str()).await?;
    let every = rows::every::<Adjustment>(app, By::Claimant(row.claimant.clone())).await?;
    let stated = adjustments_for(&case, every);
    let texts = rows::texts(app, stated.iter().map(|row| row.entry)).await?;
    let shown = |row: &Adjustment| {
        let text = texts.get(&row.entry).cloned().unwrap_or_default();
        record::adjustment(row, &text)
    };
    Ok(stated.iter().map(shown).collect())
}
