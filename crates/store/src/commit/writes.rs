//! Writing a decided batch: one multi-row statement for each table.

use std::collections::{BTreeSet, HashMap};

use evidence_ledger::to_canonical;

use super::{
    NewKeys, Rows,
    batch::{Batch, Pending, Sealed},
    number, optional,
};
use crate::{
    Store, StoreError,
    db::{DbError, Tx, Value, in_list},
    entries::{aside_context, statement_context},
    keys::Source,
    log::TILE_LEVELS,
};

impl Store {
    pub(super) async fn write(&self, tx: &mut Tx, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.write_keys(tx, batch).await?;
        if !batch.pending.is_empty() {
            let sealed = batch.seal()?;
            self.write_log(tx, batch, &sealed).await?;
            self.write_state(tx, batch).await?;
        }
        let keys = batch
            .keys
            .drain(..)
            .map(|(key, fingerprint, entries, resource)| {
                let fingerprint = Value::Blob(fingerprint.as_bytes().to_vec());
                vec![
                    key.into(),
                    fingerprint,
                    number(entries.start),
                    number(entries.end - entries.start),
                    resource.into(),
                ]
            });
        let columns = ["id", "fingerprint", "first_idx", "entries", "resource"];
        tx.insert_many("idempotency", &columns, keys.collect())
            .await?;
        Ok(())
    }

    /// Keys and documents that came with the batch. The item keys are unwrapped here, for sealing.
    async fn write_keys(&self, tx: &mut Tx, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let documents = std::mem::take(&mut batch.documents);
        let owners: HashMap<String, String> = batch
            .pending
            .iter()
            .filter_map(|pending| {
                let subject = &pending.subject;
                Some((
                    subject.item.as_ref()?.to_string(),
                    subject.claimant.as_ref()?.to_string(),
                ))
            })
            .collect();
        let claimants: BTreeSet<String> = owners.values().cloned().collect();
        self.sealing_keys(&mut Source::Write(tx), &claimants)
            .await?;
        let mut rows = Rows::with_capacity(documents.len());
        for document in documents {
            let item = document.item.to_string();
            let owner = owners.get(&item).cloned().ok_or_else(|| {
                StoreError::Corrupt(format!("`{item}` has a document and no claimant"))
            })?;
            self.admit_key(&item, &owner, &document.wrapped_key)?;
            batch
                .new_keys
                .insert(item.clone(), (owner, document.wrapped_key));
            let inline = document.inline.map_or(Value::Null, Value::Blob);
            rows.push(vec![
                item.into(),
                document.document.to_string().into(),
                number(document.size),
                inline,
            ]);
        }
        tx.insert_many(
            "document",
            &["item_id", "document_id", "size", "inline"],
            rows,
        )
        .await?;
        let keys: NewKeys = std::mem::take(&mut batch.new_keys);
        let rows = keys
            .into_iter()
            .map(|(id, (parent, wrapped))| vec![id.into(), parent.into(), Value::Blob(wrapped)]);
        tx.insert_many("sealing_key", &["id", "parent", "wrapped"], rows.collect())
            .await?;
        finish_uploads(tx, std::mem::take(&mut batch.uploads)).await
    }

    async fn write_log(
        &self,
        tx: &mut Tx,
        batch: &Batch<'_>,
        sealed: &Sealed,
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<String> = batch.pending.iter().filter_map(key_id).collect();
        let keys = self.sealing_keys(&mut Source::Write(tx), &ids).await?;
        let mut rows = Rows::with_capacity(batch.pending.len());
        let mut feed = Rows::new();
        for ((pending, digest), index) in batch
            .pending
            .iter()
            .zip(&batch.digests)
            .zip(batch.first()..)
        {
            let id = key_id(pending);
            let (mut statement, mut aside) = (pending.statement.bytes().to_vec(), None);
            if !pending.aside.is_empty() {
                aside = Some(to_canonical(&pending.aside)?);
            }
            if let Some(id) = &id {
                let key = keys.get(id).ok_or_else(|| StoreError::NoKey(id.clone()))?;
                statement =
                    key.seal(&statement_context(digest), 0, true, &statement, self.rng())?;
                aside = aside
                    .map(|plain| key.seal(&aside_context(digest), 0, true, &plain, self.rng()))
                    .transpose()?;
            }
            let subject = &pending.subject;
            rows.push(vec![
                number(index),
                Value::Blob(digest.as_bytes().to_vec()),
                batch.now.micros().into(),
                pending.event.into(),
                optional(subject.claimant.as_ref().map(ToString::to_string)),
                optional(subject.case.as_ref().map(ToString::to_string)),
                optional(subject.item.as_ref().map(ToString::to_string)),
                optional(id),
                Value::Blob(statement),
                aside.map_or(Value::Null, Value::Blob),
            ]);
            feed.extend(
                subject
                    .audience
                    .iter()
                    .map(|org| vec![org.to_string().into(), number(index)]),
            );
        }
        let columns = [
            "idx",
            "digest",
            "at",
            "event",
            "claimant_id",
            "case_id",
            "item_id",
            "key_id",
            "statement",
            "aside",
        ];
        tx.insert_many("entry", &columns, rows).await?;
        tx.insert_many("feed", &["org_id", "idx"], feed).await?;
        write_head(tx, batch, sealed).await
    }

    async fn write_state(&self, tx: &mut Tx, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let changed = batch.changed();
        let mut rows = Rows::with_capacity(changed.len());
        let mut parties = Rows::new();
        for record in &changed {
            let index = record.index();
            let key = record.key();
            for org in &index.parties {
                parties.push(vec![
                    org.to_string().into(),
                    record.kind().into(),
                    number(index.entry),
                    key.clone().into(),
                ]);
            }
            rows.push(vec![
                key.into(),
                record.kind().into(),
                optional(index.claimant),
                optional(index.case),
                optional(index.link),
                number(index.entry),
                record.to_json()?.into(),
            ]);
        }
        let columns = [
            "id",
            "kind",
            "claimant_id",
            "case_id",
            "link",
            "entry",
            "body",
        ];
        tx.upsert_many("state", &["id"], &columns, rows).await?;
        let columns = ["org_id", "kind", "entry", "id"];
        tx.upsert_many("party", &columns, &columns, parties).await?;
        Ok(())
    }
}

async fn write_head(tx: &mut Tx, batch: &Batch<'_>, sealed: &Sealed) -> Result<(), StoreError> {
    let nodes = sealed
        .appended
        .completed_nodes()
        .filter(|(level, ..)| *level > 0 && level % TILE_LEVELS == 0)
        .map(|(level, index, hash)| {
            vec![
                i64::from(level).into(),
                number(index),
                Value::Blob(hash.as_bytes().to_vec()),
            ]
        });
    tx.insert_many("node", &["level", "idx", "hash"], nodes.collect())
        .await?;
    let checkpoint = vec![
        number(sealed.size),
        Value::Blob(sealed.root.as_bytes().to_vec()),
        batch.now.micros().into(),
        sealed.note.clone().into(),
        Value::Blob(sealed.seal.protected.clone()),
        Value::Blob(sealed.seal.signature.clone()),
    ];
    let columns = ["size", "root", "at", "note", "protected", "signature"];
    tx.insert_many("checkpoint", &columns, vec![checkpoint])
        .await?;
    let head = vec![
        1.into(),
        number(sealed.size),
        Value::Blob(sealed.frontier.clone()),
        batch.now.micros().into(),
    ];
    tx.upsert_many(
        "head",
        &["id"],
        &["id", "size", "frontier", "at"],
        vec![head],
    )
    .await?;
    Ok(())
}

/// The key that seals a statement: its item's, or its claimant's; what is about nobody is plain.
fn key_id(pending: &Pending) -> Option<String> {
    let subject = &pending.subject;
    subject
        .item
        .as_ref()
        .map(ToString::to_string)
        .or_else(|| subject.claimant.as_ref().map(ToString::to_string))
}

/// Marks the uploads whose items are being received.
async fn finish_uploads(tx: &mut Tx, uploads: BTreeSet<String>) -> Result<(), StoreError> {
    if uploads.is_empty() {
        return Ok(());
    }
    let ids: Vec<Value> = uploads.into_iter().map(Value::Text).collect();
    let sql = format!(
        "UPDATE upload SET completed = 1 WHERE id IN {}",
        in_list(ids.len())
    );
    // One that was dropped meanwhile has no bytes any more: its item must not be received.
    if tx.execute(sql, &ids).await? < ids.len() as u64 {
        let why = "an upload was dropped as it was completed".to_owned();
        return Err(DbError::Unavailable(why).into());
    }
    Ok(())
}
