//! The Merkle tree of RFC 6962 and RFC 9162: growing it, proving from it, checking proofs.
//!
//! A *node* is a perfect subtree, named by `(level, index)`: the hash of the entries
//! `[index << level, (index + 1) << level)`. Nodes never change once made. What lies right of the
//! last node of a level, the *edge*, is folded together from smaller nodes when it is asked for.

mod proof;

pub use proof::{
    Nodes, ProofError, VerifyError, consistency_nodes, consistency_proof, inclusion_nodes,
    inclusion_proof, root_from_inclusion, verify_consistency, verify_inclusion,
};

use crate::hash::{self, Digest, empty_root, leaf_hash, node_hash};

/// The largest tree: sizes fit a signed 64-bit column.
pub const MAX_SIZE: u64 = i64::MAX as u64;

/// All that is needed to go on growing a tree: its size, and the hashes of the perfect subtrees it
/// splits into, largest first, one per set bit of the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Digest>,
}

impl Frontier {
    /// The tree with no entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root at this size.
    pub fn root(&self) -> Digest {
        let from_the_right = self.hashes.iter().rev().copied();
        from_the_right
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }

    /// Appends a batch. What comes back proves the batch's own entries at the new size, and names
    /// the nodes to store so that anything can be proved later.
    ///
    /// # Panics
    /// When the tree would outgrow [`MAX_SIZE`].
    pub fn append(&mut self, entries: &[Digest]) -> Appended {
        self.append_leaves(entries.iter().map(leaf_hash))
    }

    fn append_leaves(&mut self, leaves: impl ExactSizeIterator<Item = Digest>) -> Appended {
        let first = self.size;
        let count = leaves.len();
        let size = first + count as u64;
        assert!(size <= MAX_SIZE, "a tree has at most 2^63 - 1 entries");
        let height = u64::BITS - size.leading_zeros();

        let mut leaves = Some(leaves);
        let mut levels: Vec<Level> = Vec::with_capacity(height as usize);
        for level in 0..height {
            let known = first >> level;
            let mut nodes = Vec::with_capacity((count >> level) + 2);
            if known & 1 == 1 {
                nodes.push(self.hashes.pop().expect("one hash per set bit of the size"));
            }
            match levels.last() {
                None => nodes.extend(leaves.take().into_iter().flatten()),
                Some(below) => {
                    let pairs = below.nodes.chunks_exact(2);
                    nodes.extend(pairs.map(|pair| node_hash(&pair[0], &pair[1])));
                }
            }
            levels.push(Level {
                base: known & !1,
                nodes,
            });
        }

        let edges = edges(size, &levels);
        self.size = size;
        self.hashes.extend(peaks(size, &levels).rev());
        let root = edges.last().copied().flatten();
        Appended {
            first,
            size,
            root: root.unwrap_or_else(empty_root),
            levels,
            edges,
        }
    }

    /// The size, 8 bytes big-endian, then the hashes, largest subtree first.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.hashes.len() * hash::LEN);
        bytes.extend(self.size.to_be_bytes());
        for hash in &self.hashes {
            bytes.extend(hash.as_bytes());
        }
        bytes
    }

    /// Reads what [`Frontier::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, hashes) = bytes.split_first_chunk().ok_or(FrontierError::Length)?;
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(FrontierError::Size(size));
        }
        if hashes.len() != size.count_ones() as usize * hash::LEN {
            return Err(FrontierError::Length);
        }
        let (hashes, _) = hashes.as_chunks::<{ hash::LEN }>();
        Ok(Self {
            size,
            hashes: hashes.iter().map(|hash| Digest::from(*hash)).collect(),
        })
    }
}

/// Why stored bytes are no frontier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontierError {
    #[error("the frontier's length does not fit its size; rebuild it from the stored entries")]
    Length,
    #[error("a frontier of {0} entries is beyond 2^63 - 1; rebuild it from the stored entries")]
    Size(u64),
}

/// One batch, appended: entries `first..size`, and the root with them in.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The index of the batch's first entry: the size before.
    pub first: u64,
    /// The size after.
    pub size: u64,
    /// The root at `size`.
    pub root: Digest,
    levels: Vec<Level>,
    /// `edges[l]`: the hash of the entries right of the last node of level `l`, if there are any.
    edges: Vec<Option<Digest>>,
}

/// The nodes of one level that the batch made or met: `base`, `base + 1`, … `base` is even, so
/// neighbours pair up. At most the first was there before the batch.
#[derive(Debug, Clone)]
struct Level {
    base: u64,
    nodes: Vec<Digest>,
}

impl Appended {
    /// The inclusion path (RFC 9162 §2.1.3.1) of one of the batch's entries at the new size,
    /// lowest sibling first.
    ///
    /// # Panics
    /// When `index` is not in `first..size`; older entries need [`inclusion_proof`].
    pub fn inclusion(&self, index: u64) -> Vec<Digest> {
        assert!(
            (self.first..self.size).contains(&index),
            "entry {index} is not in the batch {}..{}",
            self.first,
            self.size
        );
        proof::siblings(0, index, self.size)
            .map(|(level, index)| {
                // A complete left sibling was a subtree of the old frontier or is made of the
                // batch; a right sibling holds entries of the batch only.
                let known = &self.levels[usize::from(level)];
                let node = usize::try_from(index - known.base).ok();
                let node = node.and_then(|node| known.nodes.get(node).copied());
                node.or(self.edges[usize::from(level)])
                    .expect("a sibling within the tree is a node or its edge")
            })
            .collect()
    }

    /// The nodes this batch completed, as `(level, index, hash)`, level 0 being the entries' own
    /// leaves. Stored, they let any later proof be made; levels 0, 8, 16, … make up the tiles.
    pub fn completed_nodes(&self) -> impl Iterator<Item = (u8, u64, Digest)> + '_ {
        (0u8..).zip(&self.levels).flat_map(|(level, known)| {
            let made_before = self.first >> level;
            (known.base..)
                .zip(&known.nodes)
                .filter(move |(index, _)| *index >= made_before)
                .map(move |(index, node)| (level, index, *node))
        })
    }
}

/// The perfect subtrees that `size` splits into, smallest first.
fn peaks(size: u64, levels: &[Level]) -> impl DoubleEndedIterator<Item = Digest> {
    levels.iter().enumerate().filter_map(move |(level, known)| {
        let is_peak = (size >> level) & 1 == 1;
        is_peak.then(|| *known.nodes.last().expect("a peak was met or made"))
    })
}

/// `edges[l]` for every level, and the root (if any) last.
fn edges(size: u64, levels: &[Level]) -> Vec<Option<Digest>> {
    let mut edges = Vec::with_capacity(levels.len() + 1);
    let mut edge: Option<Digest> = None;
    edges.push(edge);
    for (level, known) in levels.iter().enumerate() {
        if (size >> level) & 1 == 1 {
            let peak = known.nodes.last().expect("a peak was met or made");
            edge = Some(edge.map_or(*peak, |right| node_hash(peak, &right)));
        }
        edges.push(edge);
    }
    edges
}

#[cfg(test)]
mod tests;
