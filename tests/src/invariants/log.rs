//! The log: its tree, its checkpoints, its statements.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use evidence_domain::{Aside, Event, Moment, event::typ, ids::OrgId, signed::Signed};
use evidence_ledger::{
    Checkpoint, Digest, Frontier, Payload, PublicKey, Statement, aside_digest, to_canonical,
    tree::{verify_consistency, verify_inclusion},
};
use evidence_store::Store;

use crate::world::LogKeys;

/// Entries read at once.
const PAGE: usize = 500;

/// An entry, opened and checked.
#[derive(Debug, Clone)]
pub struct Opened {
    pub index: u64,
    pub entry: Digest,
    pub at: Moment,
    pub bytes: Vec<u8>,
    pub subject: String,
    /// The organisation that signed it; `None` for the gateway's own.
    pub issuer: Option<OrgId>,
    pub event: Event,
    /// By which a push is found again.
    pub content: Option<Digest>,
}

/// Every checkpoint is signed, continues the one before, and has the root of the entries there are.
pub async fn checkpoints_are_of_one_tree(store: &Store, keys: &LogKeys) -> Result<()> {
    let checkpoints = store.checkpoints().await?;
    let digests = digests(store).await?;
    ensure!(
        checkpoints.last().map_or(0, |last| last.size) == digests.len() as u64,
        "the newest checkpoint is not of the whole log"
    );
    let mut tree = Frontier::new();
    let mut before: Option<(u64, Digest)> = None;
    for checkpoint in &checkpoints {
        let (from, to) = (
            usize::try_from(tree.size())?,
            usize::try_from(checkpoint.size)?,
        );
        ensure!(
            from < to && to <= digests.len(),
            "checkpoint {to} does not grow the log"
        );
        tree.append(&digests[from..to]);
        ensure!(
            tree.root() == checkpoint.root,
            "checkpoint {to} has another root than the entries"
        );
        let signed = Checkpoint::parse_verified(&checkpoint.note, &keys.checkpoint)?;
        ensure!(
            (signed.size, signed.root) == (checkpoint.size, checkpoint.root),
            "note {to} says something else"
        );
        if let Some((size, root)) = before {
            let proof = store.consistency(size, checkpoint.size).await?;
            verify_consistency(size, &root, checkpoint.size, &checkpoint.root, &proof)?;
        }
        before = Some((checkpoint.size, checkpoint.root));
    }
    let Some((size, root)) = before else {
        bail!("there is no checkpoint")
    };
    for (index, entry) in digests.iter().enumerate() {
        let path = store.inclusion(index as u64, size).await?;
        verify_inclusion(entry, index as u64, size, &path, &root)?;
    }
    Ok(())
}

/// Every statement opens, is its entry, is signed by whom it names with a key that was theirs, and
/// commits to its texts.
pub async fn open(store: &Store, keys: &LogKeys) -> Result<Vec<Opened>> {
    let mut entries = Vec::new();
    let mut org_keys: BTreeMap<OrgId, Vec<PublicKey>> = BTreeMap::new();
    let mut last = Moment::from_micros(0);
    loop {
        let page = store.opened(entries.len() as u64, PAGE).await?;
        if page.is_empty() {
            return Ok(entries);
        }
        for each in page {
            ensure!(
                each.index == entries.len() as u64,
                "the log has a gap before {}",
                each.index
            );
            ensure!(each.at >= last, "time goes back at {}", each.index);
            last = each.at;
            let bytes = each
                .statement
                .with_context(|| format!("entry {} does not open", each.index))?;
            let opened = read(each.index, each.entry, each.at, bytes, &each.aside)?;
            check_signature(&opened, keys, &org_keys)
                .with_context(|| format!("entry {}", each.index))?;
            if let Event::KeyRegistered(body) = &opened.event {
                org_keys
                    .entry(body.organisation.clone())
                    .or_default()
                    .push(body.key.clone());
            }
            entries.push(opened);
        }
    }
}

/// No statement, no item and no answer is in the log twice, and the keys of pushes find them.
pub async fn one_entry_for_each_push(store: &Store, entries: &[Opened]) -> Result<()> {
    let (mut digests, mut contents, mut items) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for each in entries {
        ensure!(
            digests.insert(each.entry),
            "entry {} is there twice",
            each.index
        );
        if let Some(content) = each.content {
            ensure!(
                contents.insert(content),
                "statement {} is there twice",
                each.index
            );
        }
        let Event::Evidence(body) = &each.event else {
            continue;
        };
        ensure!(
            items.insert(body.item.clone()),
            "{} was pushed twice",
            body.item
        );
        let content = each.content.context("evidence is signed at source")?;
        let done = store
            .replay(&content)
            .await?
            .context("a push is not found again")?;
        ensure!(
            done.replay && done.receipt().map(|issued| issued.entry) == Some(each.entry),
            "a push is found as another"
        );
    }
    Ok(())
}

/// Every key leads into the log, and no two keys of callers lead to the same entry.
pub async fn every_key_has_its_own_entries(store: &Store, entries: &[Opened]) -> Result<()> {
    let mut owned = BTreeSet::new();
    for (key, first, count) in store.every_key().await? {
        let range = first..first + count;
        ensure!(
            range.end <= entries.len() as u64,
            "{key} leads out of the log"
        );
        // A push has two keys when its caller gave one; the statement's was checked above.
        if key.starts_with("statement/") {
            continue;
        }
        for index in range {
            ensure!(
                owned.insert(index),
                "{key} leads to another call's entry {index}"
            );
        }
    }
    Ok(())
}

async fn digests(store: &Store) -> Result<Vec<Digest>> {
    let mut digests = Vec::new();
    loop {
        let page = store.opened(digests.len() as u64, PAGE).await?;
        if page.is_empty() {
            return Ok(digests);
        }
        digests.extend(page.into_iter().map(|each| each.entry));
    }
}

fn read(index: u64, entry: Digest, at: Moment, bytes: Vec<u8>, aside: &Aside) -> Result<Opened> {
    let statement = Statement::parse(&bytes)?;
    ensure!(
        statement.entry() == entry && statement.bytes() == bytes,
        "statement {index} is not its entry"
    );
    let payload = Payload::decode(statement.payload())?;
    let event = Event::from_payload(&payload)?;
    ensure!(
        statement.typ() == typ(event.name()),
        "statement {index} names another event"
    );
    let commitment = if aside.is_empty() {
        None
    } else {
        Some(aside_digest(&payload.salt, &to_canonical(aside)?))
    };
    ensure!(
        payload.aside == commitment,
        "the texts beside {index} are not those committed to"
    );
    let at_source = event.signed_at_source();
    let issuer = at_source
        .then(|| OrgId::from_urn(&statement.claims().iss))
        .transpose()?;
    let content = at_source
        .then(|| Signed::open(&bytes, aside.clone()).map(|signed| signed.content()))
        .transpose()?;
    let subject = statement.claims().sub.clone();
    Ok(Opened {
        index,
        entry,
        at,
        bytes,
        subject,
        issuer,
        event,
        content,
    })
}

fn check_signature(
    opened: &Opened,
    keys: &LogKeys,
    org_keys: &BTreeMap<OrgId, Vec<PublicKey>>,
) -> Result<()> {
    let statement = Statement::parse(&opened.bytes)?;
    let key = match &opened.issuer {
        None => &keys.statement,
        Some(issuer) => {
            let mut known = org_keys.get(issuer).into_iter().flatten();
            known
                .find(|key| key.kid() == statement.kid())
                .context("the key was never registered")?
        }
    };
    Ok(statement.verify(key)?)
}
