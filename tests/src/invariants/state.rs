//! State: what the statements add up to, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use evidence_domain::{
    Event, Record, Row, World,
    apply::{Logged, apply, chains, subject},
    ids::{CaseId, ClaimantId, OrgId},
    rows::{
        Access, Adjustment, Bundle, Case, Decision, Delegation, Grant, Item, Note, Representation,
        Request,
    },
};
use evidence_ledger::{ChainHead, Digest};
use evidence_store::{By, Page, Store};

use super::log::Opened;
use crate::world::LogKeys;

/// Folds every statement into an empty world and compares it with the rows, row by row; the chains
/// of each case and the feed of each organisation are worked out anew.
pub async fn is_what_the_statements_rebuild(
    store: &Store,
    keys: &LogKeys,
    entries: &[Opened],
) -> Result<World> {
    let mut world = World::default();
    let mut feeds: BTreeMap<OrgId, Vec<u64>> = BTreeMap::new();
    let mut heads: BTreeMap<(CaseId, bool), ChainHead> = BTreeMap::new();
    for each in entries {
        let about = subject(&world, &store.log_urn(), &each.event);
        ensure!(
            each.issuer.is_some() || about.urn == each.subject,
            "entry {} names another subject",
            each.index
        );
        for org in about.audience {
            feeds.entry(org).or_default().push(each.index);
        }
        fold(&mut heads, &world, each);
        let logged = Logged {
            index: each.index,
            entry: each.entry,
            at: each.at,
            issuer: each.issuer.clone(),
        };
        apply(&mut world, &logged, &each.event)?;
    }
    let policy = entries.first().map(|first| &first.event);
    let named = matches!(policy, Some(Event::LogPolicy(body)) if body.receipt_key == keys.receipt && body.statement_key == keys.statement);
    ensure!(named, "entry 0 does not name the log's keys");
    same_rows(&world, store.every_record().await?)?;
    for case in world.all::<Case>() {
        let worked_out = |official| heads.get(&(case.id.clone(), official)).copied();
        ensure!(
            Some(case.chain) == worked_out(false),
            "the chain of {} is not its entries",
            case.id
        );
        ensure!(
            Some(case.official_chain) == worked_out(true),
            "the official chain of {} is not its entries",
            case.id
        );
    }
    for (org, expected) in feeds {
        let told = store.feed(&org, None, usize::MAX >> 2).await?;
        let told: Vec<u64> = told.into_iter().map(|entry| entry.index).collect();
        ensure!(
            told == expected,
            "the feed of {org} is not what concerns it"
        );
    }
    Ok(world)
}

/// Every row is listed for each of its parties, its claimant, its case and what it belongs to, and
/// for nobody else.
pub async fn is_found_where_it_belongs(store: &Store) -> Result<()> {
    let records = store.every_record().await?;
    macro_rules! kinds {
        ($($row:ident),*) => { $( listed::<$row>(store, &records).await?; )* };
    }
    kinds!(
        Grant,
        Delegation,
        Representation,
        Case,
        Request,
        Item,
        Bundle,
        Decision,
        Note,
        Adjustment,
        Access
    );
    Ok(())
}

/// A document for every item and an item for every document.
pub async fn every_document_has_its_item(store: &Store, world: &World) -> Result<()> {
    let documents: BTreeSet<String> = store
        .every_document()
        .await?
        .into_iter()
        .map(|(item, _)| item)
        .collect();
    let items: BTreeSet<String> = world
        .all::<Item>()
        .into_iter()
        .map(|item| item.id.to_string())
        .collect();
    ensure!(
        documents == items,
        "documents {documents:?} are not of the items {items:?}"
    );
    Ok(())
}

/// The chains, worked out without the code that keeps them.
fn fold(heads: &mut BTreeMap<(CaseId, bool), ChainHead>, world: &World, each: &Opened) {
    let seed = |head: Digest| ChainHead { count: 0, head };
    match &each.event {
        Event::CaseOpened(body) => {
            heads.insert((body.case.clone(), false), seed(body.chain_seed));
        }
        Event::OfficialOpened(body) => {
            heads.insert((body.case.clone(), true), seed(body.chain_seed));
        }
        event => {
            for (case, chain) in chains(world, event) {
                let official = chain == evidence_domain::apply::Chain::Official;
                if let Some(head) = heads.get_mut(&(case, official)) {
                    let parts = [head.head.as_bytes().as_slice(), each.entry.as_bytes()];
                    *head = ChainHead {
                        count: head.count + 1,
                        head: evidence_ledger::sha256_parts(&parts),
                    };
                }
            }
        }
    }
}

fn same_rows(world: &World, stored: Vec<Record>) -> Result<()> {
    let rebuilt: BTreeMap<String, &Record> = world.records().map(|row| (row.key(), row)).collect();
    let stored: BTreeMap<String, Record> = stored.into_iter().map(|row| (row.key(), row)).collect();
    for (key, row) in &stored {
        let expected = rebuilt
            .get(key)
            .with_context(|| format!("`{key}` is in no statement"))?;
        ensure!(
            *expected == row,
            "`{key}` is stored as\n{row:?}\nbut the statements say\n{expected:?}"
        );
    }
    ensure!(
        rebuilt.len() == stored.len(),
        "rows are missing: {} of {}",
        stored.len(),
        rebuilt.len()
    );
    Ok(())
}

async fn listed<R: Row>(store: &Store, records: &[Record]) -> Result<()> {
    let mut parties: BTreeMap<OrgId, usize> = BTreeMap::new();
    let mut others: BTreeMap<(u8, String), usize> = BTreeMap::new();
    for record in records
        .iter()
        .filter(|record| R::from_record(record).is_some())
    {
        let index = record.index();
        for org in index.parties {
            *parties.entry(org).or_default() += 1;
        }
        let found = [(0, index.claimant), (1, index.case), (2, index.link)];
        for (by, key) in found.into_iter().filter_map(|(by, key)| Some((by, key?))) {
            *others.entry((by, key)).or_default() += 1;
        }
    }
    for record in records {
        if let Record::Organisation(org) = record {
            parties.entry(org.id.clone()).or_default();
        }
    }
    for (org, expected) in parties {
        ensure!(
            count::<R>(store, By::Party(org.clone())).await? == expected,
            "{} rows of {org}",
            R::KIND
        );
    }
    for ((by, key), expected) in others {
        let by = match by {
            0 => By::Claimant(key.parse::<ClaimantId>()?),
            1 => By::Case(key.parse::<CaseId>()?),
            _ => By::Link(key.clone()),
        };
        ensure!(
            count::<R>(store, by).await? == expected,
            "{} rows of {key}",
            R::KIND
        );
    }
    Ok(())
}

async fn count<R: Row>(store: &Store, by: By) -> Result<usize> {
    let mut page = Page::default();
    let mut count = 0;
    loop {
        let listed = store.list::<R>(by.clone(), page).await?;
        count += listed.rows.len();
        match listed.next {
            Some(token) => page = Page { size: 0, token },
            None => return Ok(count),
        }
    }
}
