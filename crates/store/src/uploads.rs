//! Uploads under way, which can be left and gone on with.
//!
//! An upload is not state: nothing counts as received until its entry is committed. Its bytes lie
//! as parts of a document (see [`crate::documents`]) that no item has yet. Two promises keep what
//! was committed safe from a sender that went on too long: a part is only ever created, never
//! written over, and parts are deleted only once the upload's row is gone, which a row that was
//! completed never is before its parts belong to an item.

mod parts;

use std::time::Duration;

use evidence_domain::{
    Moment,
    ids::{ClaimantId, DocumentId, OrgId, UploadId},
};
use evidence_ledger::Digest;
use futures::{TryStreamExt as _, pin_mut};

use crate::{
    Store, StoreError,
    db::{CommitError, DbError, Row, Value, in_list},
    log::signed,
};

pub use parts::UploadWriter;

/// Rows looked at in one step of a sweep.
const SWEEP_STEP: usize = 500;

/// A push whose bytes come in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub id: UploadId,
    pub org: OrgId,
    /// The digest that the evidence statement will have as an entry.
    pub entry: Digest,
    pub document: DocumentId,
    pub claimant: ClaimantId,
    /// Bytes of the whole document.
    pub size: u64,
    /// The push as it was started; sealed under the claimant's key while stored.
    pub push: Vec<u8>,
    /// The document's key, wrapped by the claimant's.
    pub wrapped_key: Vec<u8>,
    /// When it may be swept.
    pub expires_at: Moment,
    /// Its entry is committed.
    pub completed: bool,
}

const COLUMNS: &str =
    "id, org_id, entry, document_id, claimant_id, size, push, wrapped_key, expires_at, completed";

impl Store {
    /// Keeps a new upload; or finds the one that this organisation has for the same statement,
    /// which then lives until the new one would have.
    pub async fn start_upload(&self, new: Upload) -> Result<Upload, StoreError> {
        let key = self.claimant_key(&new.claimant).await?;
        let sealed = key.seal(&context(&new.id), 0, true, &new.push, self.rng())?;
        let sql = format!(
            "INSERT INTO upload ({COLUMNS}) VALUES {} \
             ON CONFLICT (org_id, entry) DO UPDATE SET expires_at = excluded.expires_at RETURNING {COLUMNS}",
            in_list(10)
        );
        let args = [
            new.id.to_string().into(),
            new.org.to_string().into(),
            new.entry.to_string().into(),
            new.document.to_string().into(),
            new.claimant.to_string().into(),
            signed(new.size).into(),
            Value::Blob(sealed),
            Value::Blob(new.wrapped_key),
            new.expires_at.micros().into(),
            new.completed.into(),
        ];
        let mut tx = self.db().begin().await?;
        let rows = tx.fetch(sql, &args).await?;
        tx.commit().await.map_err(|error| not_committed(&error))?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Corrupt("an upload was kept and not found".to_owned()))?;
        self.upload_row(row).await
    }

    pub async fn upload(&self, id: &UploadId) -> Result<Option<Upload>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM upload WHERE id = ?");
        match self
            .db()
            .fetch(sql, &[id.to_string().into()])
            .await?
            .first()
        {
            Some(row) => self.upload_row(row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Lets an upload live until `until`; false where it is gone.
    pub async fn extend_upload(&self, id: &UploadId, until: Moment) -> Result<bool, StoreError> {
        let sql = "UPDATE upload SET expires_at = ? WHERE id = ?";
        Ok(self
            .change(sql, &[until.micros().into(), id.to_string().into()])
            .await?
            > 0)
    }

    /// Drops an upload that will not be completed, and the bytes that came.
    pub async fn drop_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let sql = "DELETE FROM upload WHERE id = ? AND completed = 0";
        if self.change(sql, &[upload.id.to_string().into()]).await? > 0 {
            self.documents()
                .delete_all(upload.document.as_str())
                .await?;
        }
        Ok(())
    }

    /// Ends an upload whose statement has been committed in another way: it counts as completed, and
    /// the bytes that came for it are deleted.
    pub async fn close_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let sql = "UPDATE upload SET completed = 1 WHERE id = ? AND completed = 0";
        if self.change(sql, &[upload.id.to_string().into()]).await? > 0 {
            self.documents()
                .delete_all(upload.document.as_str())
                .await?;
        }
        Ok(())
    }

    /// Drops what has expired: uploads never completed, with their bytes, and the rows of completed
    /// ones, whose bytes are an item's by now. Returns how many.
    pub async fn sweep_uploads(&self, now: Moment) -> Result<usize, StoreError> {
        let mut swept = 0;
        loop {
            let sql = "SELECT id, document_id FROM upload WHERE expires_at < ? LIMIT ?";
            let limit = i64::try_from(SWEEP_STEP).unwrap_or(i64::MAX);
            let expired = self
                .db()
                .fetch(sql, &[now.micros().into(), limit.into()])
                .await?;
            for row in &expired {
                // Asked again as it is deleted: it may have been extended or completed since.
                let again = [row.text(0)?.into(), now.micros().into()];
                let unfinished =
                    "DELETE FROM upload WHERE id = ? AND expires_at < ? AND completed = 0";
                let finished =
                    "DELETE FROM upload WHERE id = ? AND expires_at < ? AND completed = 1";
                if self.change(unfinished, &again).await? > 0 {
                    self.documents().delete_all(row.text(1)?).await?;
                } else {
                    self.change(finished, &again).await?;
                }
            }
            swept += expired.len();
            if expired.len() < SWEEP_STEP {
                return Ok(swept);
            }
        }
    }

    /// Deletes the parts of documents that no item and no upload has, left by a crash or by a
    /// sender who went away. `age` must be longer than any connection lives, so that nothing still
    /// being written is taken. Returns how many documents.
    pub async fn sweep_orphans(&self, age: Duration) -> Result<usize, StoreError> {
        let old = self
            .documents()
            .untouched_for(age, self.rng())
            .await?
            .try_chunks(SWEEP_STEP);
        pin_mut!(old);
        let mut swept = 0;
        while let Some(ids) = old.try_next().await.map_err(|error| error.1)? {
            for id in self.ownerless(ids).await? {
                self.documents().delete_all(&id).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    async fn ownerless(&self, mut ids: Vec<String>) -> Result<Vec<String>, StoreError> {
        let places = in_list(ids.len());
        let sql = format!(
            "SELECT document_id FROM document WHERE document_id IN {places} \
             UNION ALL SELECT document_id FROM upload WHERE document_id IN {places}"
        );
        let args: Vec<Value> = ids
            .iter()
            .chain(&ids)
            .map(|id| id.as_str().into())
            .collect();
        for row in self.db().fetch(sql, &args).await? {
            let owned = row.text(0)?;
            ids.retain(|id| id != owned);
        }
        Ok(ids)
    }

    async fn upload_row(&self, row: &Row) -> Result<Upload, StoreError> {
        let id: UploadId = read(row, 0)?;
        let claimant: ClaimantId = read(row, 4)?;
        let key = self.claimant_key(&claimant).await?;
        Ok(Upload {
            org: read(row, 1)?,
            entry: read(row, 2)?,
            document: read(row, 3)?,
            size: u64::try_from(row.int(5)?)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?,
            push: key.open(&context(&id), 0, true, row.blob(6)?)?,
            wrapped_key: row.blob(7)?.to_vec(),
            expires_at: Moment::from_micros(row.int(8)?),
            completed: row.int(9)? != 0,
            id,
            claimant,
        })
    }

    /// One statement in a transaction of its own; returns how many rows it touched.
    async fn change(&self, sql: &'static str, args: &[Value]) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        let rows = tx.execute(sql, args).await?;
        tx.commit().await.map_err(|error| not_committed(&error))?;
        Ok(rows)
    }
}

/// What the stored push is sealed for.
fn context(id: &UploadId) -> String {
    format!("upload/{id}")
}

fn read<T: std::str::FromStr>(row: &Row, column: usize) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    row.text(column)?
        .parse()
        .map_err(|error| StoreError::Corrupt(format!("upload: {error}")))
}

/// Each of these statements may safely be sent again, so an unknown outcome is a passing fault.
fn not_committed(error: &CommitError) -> StoreError {
    DbError::Unavailable(error.to_string()).into()
}

#[cfg(test)]
mod tests;
