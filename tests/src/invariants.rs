//! The invariant checker, run after every end-to-end test on what the test leaves behind.
//!
//! What it shows: every receipt in hand proves its entry, and the entry's document is there, byte
//! for byte; the tree is the one that every checkpoint ever signed speaks of; there is one entry
//! for each push; state, its indexes and the feeds are what the statements add up to; no document
//! is without its item; nobody reads what is not theirs.

mod access;
mod log;
mod state;

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use evidence_domain::{
    Caller, Moment, Role,
    access::{Guarded, claimant_view, document_for_claimant},
    event::{Disclosure, Scope},
    ids::{ItemId, OrgId},
    rows::{Claimant, Item, ItemState},
};
use evidence_store::Store;
use futures::TryStreamExt as _;

use crate::{
    World, random,
    world::{Kept, LogKeys},
};

/// Checks everything. The gateway is stopped for it, started again for what only a running one
/// can show, and stopped for good.
pub async fn check(world: &mut World) -> Result<()> {
    world.gateway.stop().await?;
    let store = world.gateway.store().await?;
    let folded = check_store(&store, &world.log, &world.kept()).await;
    store.close().await;
    let folded = folded?;
    world.gateway.serve().await?;
    access::nobody_reads_what_is_not_theirs(world, &folded).await?;
    world.gateway.stop().await
}

/// Checks a store that nobody writes to; gives the world that its statements add up to.
pub async fn check_store(
    store: &Store,
    keys: &LogKeys,
    kept: &[Kept],
) -> Result<Arc<evidence_domain::World>> {
    log::checkpoints_are_of_one_tree(store, keys)
        .await
        .context("checkpoints")?;
    let entries = log::open(store, keys).await.context("entries")?;
    log::one_entry_for_each_push(store, &entries)
        .await
        .context("idempotency")?;
    log::every_key_has_its_own_entries(store, &entries)
        .await
        .context("keys")?;
    let folded = state::is_what_the_statements_rebuild(store, keys, &entries)
        .await
        .context("state")?;
    state::is_found_where_it_belongs(store)
        .await
        .context("indexes")?;
    state::every_document_has_its_item(store, &folded)
        .await
        .context("documents")?;
    receipts_hold(store, keys, kept, &entries)
        .await
        .context("receipts in hand")?;
    every_item_opens(store, &folded).await.context("items")?;
    Ok(Arc::new(folded))
}

/// Each receipt in hand verifies, is the log's, and its document is there.
async fn receipts_hold(
    store: &Store,
    keys: &LogKeys,
    kept: &[Kept],
    entries: &[log::Opened],
) -> Result<()> {
    for each in kept {
        let entry = keys.verify(&each.receipt)?;
        let index = usize::try_from(each.receipt.index)?;
        let logged = entries
            .get(index)
            .context("a receipt is for an entry that is not there")?;
        ensure!(
            logged.entry == entry,
            "entry {index} is not the one receipted"
        );
        if !each.receipt.statement.is_empty() {
            ensure!(
                each.receipt.statement == logged.bytes,
                "statement {index} is not as it was"
            );
        }
        let again = store
            .receipt(&entry)
            .await?
            .context("the receipt cannot be had again")?;
        ensure!(
            again.receipt == each.receipt.receipt,
            "the receipt of {index} is another now"
        );
        if let Some((item, document)) = &each.document {
            let held = document_of(store, item).await?;
            ensure!(
                held == *document,
                "the document of {item} is not what was receipted"
            );
        }
    }
    Ok(())
}

/// Every item's document opens and is the one signed for, also where nobody kept the receipt.
async fn every_item_opens(store: &Store, world: &evidence_domain::World) -> Result<()> {
    for item in world.all::<Item>() {
        let document = document_of(store, &item.id).await?;
        ensure!(
            document.len() as u64 == item.size,
            "{} has another size",
            item.id
        );
        ensure!(
            evidence_ledger::sha256(&document) == item.digest,
            "{} has other bytes",
            item.id
        );
    }
    Ok(())
}

/// A document's bytes, whatever has become of the item: the checker looks past the rules on who
/// may read what is withheld or taken back.
async fn document_of(store: &Store, id: &ItemId) -> Result<Vec<u8>> {
    let found = store
        .world(evidence_domain::Needs::default().key(id))
        .await?;
    let mut item = found
        .item(id)
        .with_context(|| format!("{id} is not there"))?
        .clone();
    item.state = ItemState::Received;
    item.disclosure = Disclosure::Open;
    let owner = Claimant {
        id: item.claimant.clone(),
        identifiers: std::collections::BTreeMap::default(),
        birth: String::new(),
        entry: 0,
    };
    let portal = Caller {
        org: OrgId::from_random(random()),
        roles: [Role::Portal].into(),
    };
    let at = Moment::from_micros(0);
    let view = claimant_view(&portal, Some(&owner), None, None, Scope::ReadEvidence, at)?;
    let (_, permit) = document_for_claimant(&view, Guarded::new(item))?;
    let mut stream = std::pin::pin!(store.open_document(&permit, 0).await?);
    let mut bytes = Vec::new();
    while let Some(part) = stream.try_next().await? {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
