//! The log: checkpoints, receipts and proofs.

use std::collections::HashMap;

use evidence_domain::{Moment, receipt::Issued};
use evidence_ledger::{
    BatchSeal, Digest, Nodes, encode_receipt,
    hash::{leaf_hash, node_hash},
    tree::{consistency_nodes, consistency_proof, inclusion_nodes, inclusion_proof},
};

use crate::{
    Store, StoreError,
    db::{Row, Value},
    keys::Source,
};

/// Levels between stored nodes: a tile is 256 wide.
pub(crate) const TILE_LEVELS: u8 = 8;

/// A signed tree head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    pub size: u64,
    pub root: Digest,
    pub at: Moment,
    /// C2SP signed note.
    pub note: String,
    seal: BatchSeal,
}

impl Store {
    /// How many entries there are.
    pub async fn size(&self) -> Result<u64, StoreError> {
        let rows = self
            .db()
            .fetch("SELECT size FROM head WHERE id = 1", &[])
            .await?;
        rows.first().map_or(Ok(0), |row| Ok(unsigned(row.int(0)?)))
    }

    /// The newest checkpoint, or that of exactly this size.
    pub async fn checkpoint(
        &self,
        size: Option<u64>,
    ) -> Result<Option<StoredCheckpoint>, StoreError> {
        let (filter, args) = match size {
            Some(size) => ("WHERE size = ?", vec![signed(size).into()]),
            None => ("ORDER BY size DESC LIMIT 1", Vec::new()),
        };
        let sql =
            format!("SELECT size, root, at, note, protected, signature FROM checkpoint {filter}");
        self.db()
            .fetch(sql, &args)
            .await?
            .first()
            .map(checkpoint)
            .transpose()
    }

    /// Every checkpoint, oldest first.
    pub async fn checkpoints(&self) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let sql = "SELECT size, root, at, note, protected, signature FROM checkpoint ORDER BY size";
        self.db()
            .fetch(sql, &[])
            .await?
            .iter()
            .map(checkpoint)
            .collect()
    }

    /// The receipt of an entry, with its statement if that can still be opened. Always the same
    /// bytes: it speaks of the first checkpoint that covers the entry.
    pub async fn receipt(&self, entry: &Digest) -> Result<Option<Issued>, StoreError> {
        Ok(self.receipts(std::slice::from_ref(entry)).await?.pop())
    }

    /// Receipts of these entries, in this order; those not in the log are left out.
    pub async fn receipts(&self, entries: &[Digest]) -> Result<Vec<Issued>, StoreError> {
        let mut issued = Vec::with_capacity(entries.len());
        let sql = "SELECT idx FROM entry WHERE digest = ?";
        for entry in entries {
            let rows = self
                .db()
                .fetch(sql, &[Value::Blob(entry.as_bytes().to_vec())])
                .await?;
            if let Some(row) = rows.first() {
                let at = unsigned(row.int(0)?);
                issued.extend(self.issued(at, 1).await?);
            }
        }
        Ok(issued)
    }

    /// Receipts of `count` entries from `first` on, which one batch logged.
    pub async fn issued(&self, first: u64, count: u64) -> Result<Vec<Issued>, StoreError> {
        let sql = "SELECT size, root, at, note, protected, signature FROM checkpoint \
                   WHERE size > ? ORDER BY size LIMIT 1";
        let found = self.db().fetch(sql, &[signed(first).into()]).await?;
        let Some(row) = found.first() else {
            return Ok(Vec::new());
        };
        let checkpoint = checkpoint(row)?;
        let indexes: Vec<u64> = (first..first.saturating_add(count).min(checkpoint.size)).collect();
        let wanted: Vec<_> = indexes
            .iter()
            .flat_map(|index| inclusion_nodes(*index, checkpoint.size))
            .collect();
        let nodes = self.nodes(&wanted).await?;
        let mut issued = Vec::with_capacity(indexes.len());
        for entry in self.entries(first, indexes.len()).await? {
            let path = inclusion_proof(&nodes, entry.index, checkpoint.size).map_err(unproved)?;
            issued.push(Issued {
                entry: entry.digest,
                index: entry.index,
                tree_size: checkpoint.size,
                receipt: encode_receipt(&checkpoint.seal, checkpoint.size, entry.index, &path),
                statement: self
                    .open_statement(&mut Source::Pool(self), &entry)
                    .await?
                    .unwrap_or_default(),
                at: entry.at,
            });
        }
        Ok(issued)
    }

    /// The path of entry `index` in the tree of `size` (RFC 9162 §2.1.3).
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, StoreError> {
        let nodes = self.nodes(&inclusion_nodes(index, size)).await?;
        inclusion_proof(&nodes, index, size).map_err(unproved)
    }

    /// That the tree of `old` entries is the beginning of that of `new` (RFC 9162 §2.1.4).
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, StoreError> {
        let nodes = self.nodes(&consistency_nodes(old, new)).await?;
        consistency_proof(&nodes, old, new).map_err(unproved)
    }

    /// Hashes of perfect subtrees, each folded from the stored nodes below it.
    async fn nodes(&self, wanted: &[(u8, u64)]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded(HashMap::with_capacity(wanted.len()));
        for &(level, index) in wanted {
            if loaded.0.contains_key(&(level, index)) {
                continue;
            }
            let below = level % TILE_LEVELS;
            let (from, to) = (index << below, (index + 1) << below);
            let range = [signed(from).into(), signed(to).into()];
            let hashes = if level < TILE_LEVELS {
                let sql = "SELECT digest FROM entry WHERE idx >= ? AND idx < ? ORDER BY idx";
                let rows = self.db().fetch(sql, &range).await?;
                rows.iter()
                    .map(|row| Ok(leaf_hash(&digest(row, 0)?)))
                    .collect::<Result<Vec<_>, StoreError>>()?
            } else {
                let sql =
                    "SELECT hash FROM node WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx";
                let [from, to] = range;
                let args = [i64::from(level - below).into(), from, to];
                let rows = self.db().fetch(sql, &args).await?;
                rows.iter()
                    .map(|row| digest(row, 0))
                    .collect::<Result<Vec<_>, _>>()?
            };
            if hashes.len() != 1 << below {
                return Err(StoreError::Corrupt(format!(
                    "the tree lacks nodes under ({level}, {index})"
                )));
            }
            loaded.0.insert((level, index), perfect(hashes));
        }
        Ok(loaded)
    }
}

/// The root over a power of two of hashes.
fn perfect(mut hashes: Vec<Digest>) -> Digest {
    while hashes.len() > 1 {
        hashes = hashes
            .chunks(2)
            .map(|pair| node_hash(&pair[0], &pair[1]))
            .collect();
    }
    hashes[0]
}

struct Loaded(HashMap<(u8, u64), Digest>);

impl Nodes for Loaded {
    type Error = String;

    fn node(&self, level: u8, index: u64) -> Result<Digest, String> {
        self.0
            .get(&(level, index))
            .copied()
            .ok_or_else(|| format!("node ({level}, {index}) was not loaded"))
    }
}

fn unproved<E: std::fmt::Display>(error: E) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

fn checkpoint(row: &Row) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint {
        size: unsigned(row.int(0)?),
        root: digest(row, 1)?,
        at: Moment::from_micros(row.int(2)?),
        note: row.text(3)?.to_owned(),
        seal: BatchSeal {
            protected: row.blob(4)?.to_vec(),
            signature: row.blob(5)?.to_vec(),
        },
    })
}

pub(crate) fn digest(row: &Row, column: usize) -> Result<Digest, StoreError> {
    Digest::try_from(row.blob(column)?)
        .map_err(|_| StoreError::Corrupt("a digest is not 32 bytes".to_owned()))
}

/// Sizes and indexes are stored as BIGINT; none reaches 2^63.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
