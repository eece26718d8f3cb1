//! Reading entries: statements, the texts sealed beside them, the feed of an
//! organisation, and the bytes of documents.

use std::collections::BTreeMap;

use bytes::Bytes;
use evidence_domain::{
    Aside, Event, Moment, Permit,
    ids::{CaseId, DocumentId, ItemId, OrgId},
};
use evidence_ledger::{Digest, Payload, Statement, from_canonical};
use futures::{Stream, StreamExt as _, future::Either, stream};

use crate::{
    Store, StoreError,
    db::{Row, Value, in_list},
    documents::open_inline,
    keys::Source,
    log::{digest, signed, unsigned},
};

const COLUMNS: &str =
    "idx, digest, at, event, claimant_id, case_id, item_id, key_id, statement, aside";

/// A stored entry, its statement still sealed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub index: u64,
    pub digest: Digest,
    pub at: Moment,
    pub case: Option<String>,
    pub item: Option<String>,
    key_id: Option<String>,
    statement: Vec<u8>,
    aside: Option<Vec<u8>>,
}

/// One entry of an organisation's feed.
#[derive(Debug, Clone)]
pub struct FeedEntry {
    pub index: u64,
    pub entry: Digest,
    pub at: Moment,
    pub event: Event,
    pub case: Option<CaseId>,
    pub item: Option<ItemId>,
}

/// A log entry opened whole, for fsck and the invariant checker. `statement` is `None` when erased.
#[derive(Debug, Clone)]
pub struct OpenedEntry {
    pub index: u64,
    pub entry: Digest,
    pub at: Moment,
    pub statement: Option<Vec<u8>>,
    pub aside: Aside,
}

impl Store {
    /// What is sealed beside these entries; erased and absent texts are empty.
    pub async fn asides(&self, indexes: &[u64]) -> Result<BTreeMap<u64, Aside>, StoreError> {
        let mut opened = BTreeMap::new();
        for chunk in indexes.chunks(500) {
            let sql = format!(
                "SELECT {COLUMNS} FROM entry WHERE idx IN {}",
                in_list(chunk.len())
            );
            let args: Vec<Value> = chunk.iter().map(|index| signed(*index).into()).collect();
            for row in self.db().fetch(sql, &args).await? {
                let entry = entry(&row)?;
                opened.insert(
                    entry.index,
                    self.open_aside(&mut Source::Pool(self), &entry).await?,
                );
            }
        }
        Ok(opened)
    }

    pub async fn aside(&self, index: u64) -> Result<Aside, StoreError> {
        Ok(self
            .asides(&[index])
            .await?
            .remove(&index)
            .unwrap_or_default())
    }

    /// What an organisation is told of, after entry `after`, in the log's order. Empty: there is
    /// nothing further now.
    pub async fn feed(
        &self,
        org: &OrgId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM entry WHERE idx IN \
             (SELECT idx FROM feed WHERE org_id = ? AND idx > ? ORDER BY idx LIMIT ?) ORDER BY idx"
        );
        let mut after = after.map_or(-1, signed);
        let mut told = Vec::new();
        // A page may hold nothing but what was erased since: that is not the end.
        while told.is_empty() {
            let args = [
                org.to_string().into(),
                after.into(),
                signed(limit as u64).into(),
            ];
            let rows = self.db().fetch(sql.clone(), &args).await?;
            let Some(last) = rows.last() else { break };
            after = last.int(0)?;
            for row in rows {
                let entry = entry(&row)?;
                let Some(bytes) = self.open_statement(&mut Source::Pool(self), &entry).await?
                else {
                    continue;
                };
                told.push(FeedEntry {
                    index: entry.index,
                    entry: entry.digest,
                    at: entry.at,
                    event: event(&bytes)?,
                    case: entry.case.as_deref().and_then(|id| id.parse().ok()),
                    item: entry.item.as_deref().and_then(|id| id.parse().ok()),
                });
            }
        }
        Ok(told)
    }

    /// Entries from `first` on, opened, for a check of the whole log.
    pub async fn opened(&self, first: u64, count: usize) -> Result<Vec<OpenedEntry>, StoreError> {
        let mut opened = Vec::with_capacity(count);
        for entry in self.entries(first, count).await? {
            let source = &mut Source::Pool(self);
            opened.push(OpenedEntry {
                index: entry.index,
                entry: entry.digest,
                at: entry.at,
                statement: self.open_statement(source, &entry).await?,
                aside: self.open_aside(source, &entry).await?,
            });
        }
        Ok(opened)
    }

    /// Streams a document's plaintext from `offset`, against a permit.
    pub async fn open_document(
        &self,
        permit: &Permit,
        offset: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, StoreError>> + Send + use<>, StoreError> {
        let sql = "SELECT document_id, size, inline FROM document WHERE item_id = ?";
        let item = permit.item().to_string();
        let rows = self.db().fetch(sql, &[item.clone().into()]).await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Corrupt(format!("`{item}` has no document")))?;
        let (document, size) = (row.text(0)?.to_owned(), unsigned(row.int(1)?));
        let key = self.sealing_key(&mut Source::Pool(self), &item).await?;
        if size != permit.size() {
            return Err(StoreError::Corrupt(format!(
                "`{item}` has a document of another size"
            )));
        }
        if let Some(sealed) = row.opt_blob(2)? {
            let plain = Bytes::from(open_inline(&document, &key, sealed)?);
            let from = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(plain.len());
            return Ok(Either::Left(stream::iter([Ok(plain.slice(from..))])));
        }
        let parts = self.documents().read(&document, key, size, offset)?;
        Ok(Either::Right(
            parts.map(|part| part.map_err(StoreError::from)),
        ))
    }

    /// Every (item, document) there is, for the sweep of orphans and the invariant checker.
    pub async fn every_document(&self) -> Result<Vec<(String, DocumentId)>, StoreError> {
        let sql = "SELECT item_id, document_id FROM document ORDER BY item_id";
        let rows = self.db().fetch(sql, &[]).await?;
        rows.iter()
            .map(|row| {
                let id = row
                    .text(1)?
                    .parse()
                    .map_err(|error| StoreError::Corrupt(format!("{error}")))?;
                Ok((row.text(0)?.to_owned(), id))
            })
            .collect()
    }

    pub(crate) async fn entries(&self, first: u64, count: usize) -> Result<Vec<Entry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM entry WHERE idx >= ? ORDER BY idx LIMIT ?");
        let rows = self
            .db()
            .fetch(sql, &[signed(first).into(), signed(count as u64).into()])
            .await?;
        rows.iter().map(entry).collect()
    }

    /// The statement's bytes; `None` once its key is destroyed.
    pub(crate) async fn open_statement(
        &self,
        source: &mut Source<'_>,
        entry: &Entry,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(id) = &entry.key_id else {
            return Ok(Some(entry.statement.clone()));
        };
        match self.sealing_key(source, id).await {
            Ok(key) => Ok(Some(key.open(
                &statement_context(&entry.digest),
                0,
                true,
                &entry.statement,
            )?)),
            Err(StoreError::NoKey(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn open_aside(
        &self,
        source: &mut Source<'_>,
        entry: &Entry,
    ) -> Result<Aside, StoreError> {
        let Some(sealed) = &entry.aside else {
            return Ok(Aside::new());
        };
        let Some(id) = &entry.key_id else {
            return Ok(from_canonical(sealed)?);
        };
        match self.sealing_key(source, id).await {
            Ok(key) => Ok(from_canonical(&key.open(
                &aside_context(&entry.digest),
                0,
                true,
                sealed,
            )?)?),
            Err(StoreError::NoKey(_)) => Ok(Aside::new()),
            Err(error) => Err(error),
        }
    }
}

/// What a sealed statement is bound to: its own digest.
pub(crate) fn statement_context(entry: &Digest) -> String {
    format!("statement/{entry}")
}

pub(crate) fn aside_context(entry: &Digest) -> String {
    format!("aside/{entry}")
}

fn event(statement: &[u8]) -> Result<Event, StoreError> {
    let statement = Statement::parse(statement)?;
    let payload = Payload::decode(statement.payload())?;
    Event::from_payload(&payload).map_err(|error| StoreError::Corrupt(error.to_string()))
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        index: unsigned(row.int(0)?),
        digest: digest(row, 1)?,
        at: Moment::from_micros(row.int(2)?),
        case: row.opt_text(5)?.map(str::to_owned),
        item: row.opt_text(6)?.map(str::to_owned),
        key_id: row.opt_text(7)?.map(str::to_owned),
        statement: row.blob(8)?.to_vec(),
        aside: row.opt_blob(9)?.map(<[u8]>::to_vec),
    })
}
