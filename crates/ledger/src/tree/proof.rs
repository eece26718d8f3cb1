//! Proofs: which nodes they take, making them, checking them (RFC 9162 §2.1.3, §2.1.4).

use std::iter;

use crate::hash::{Digest, empty_root, leaf_hash, node_hash};

/// A store of the tree's nodes, as [`completed_nodes`](super::Appended::completed_nodes) named
/// them. Asked only for nodes that are complete at the size being proved.
pub trait Nodes {
    type Error;

    /// The hash of the perfect subtree `(level, index)`.
    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error>;
}

/// Proves that entry `index` is in the tree of `size` entries: the sibling hashes, lowest first
/// (RFC 9162 §2.1.3.1).
pub fn inclusion_proof<N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, ProofError<N::Error>> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    siblings(0, index, size)
        .map(|(level, index)| subtree(nodes, level, index, size).map_err(ProofError::Node))
        .collect()
}

/// Proves that the tree of `old` entries is the beginning of the tree of `new` entries
/// (RFC 9162 §2.1.4.1). Empty when `old` is 0 or `new`: then there is nothing to prove.
pub fn consistency_proof<N: Nodes>(
    nodes: &N,
    old: u64,
    new: u64,
) -> Result<Vec<Digest>, ProofError<N::Error>> {
    if old > new {
        return Err(ProofError::Sizes { old, new });
    }
    consistency_subtrees(old, new)
        .map(|(level, index)| subtree(nodes, level, index, new).map_err(ProofError::Node))
        .collect()
}

/// The nodes [`inclusion_proof`] will ask for, so that a store can load them together. Empty when
/// `index` is not in the tree.
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<(u8, u64)> {
    let within = (index < size).then(|| siblings(0, index, size));
    within
        .into_iter()
        .flatten()
        .flat_map(|(level, index)| parts(level, index, size))
        .collect()
}

/// The nodes [`consistency_proof`] will ask for. Empty when `old` is larger than `new`.
pub fn consistency_nodes(old: u64, new: u64) -> Vec<(u8, u64)> {
    let growing = (old <= new).then(|| consistency_subtrees(old, new));
    growing
        .into_iter()
        .flatten()
        .flat_map(|(level, index)| parts(level, index, new))
        .collect()
}

/// The root that `path` leads to from `entry` at `index` of a tree of `size` (RFC 9162 §2.1.3.2).
pub fn root_from_inclusion(
    entry: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
) -> Result<Digest, VerifyError> {
    if index >= size {
        return Err(VerifyError::Index { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut root = leaf_hash(entry);
    for sibling in path {
        if last == 0 {
            return Err(VerifyError::PathLength);
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            // A last node without a right sibling moves up unchanged.
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(VerifyError::PathLength);
    }
    Ok(root)
}

/// Checks that `path` leads from `entry` to `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    entry: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    root: &Digest,
) -> Result<(), VerifyError> {
    if root_from_inclusion(entry, index, size, path)? == *root {
        Ok(())
    } else {
        Err(VerifyError::Root)
    }
}

/// Checks that the tree `(old_size, old_root)` is the beginning of `(new_size, new_root)`
/// (RFC 9162 §2.1.4.2).
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), VerifyError> {
    if old_size > new_size {
        return Err(VerifyError::Shrunk {
            old: old_size,
            new: new_size,
        });
    }
    if old_size == 0 || old_size == new_size {
        let same = if old_size == new_size {
            old_root == new_root
        } else {
            *old_root == empty_root()
        };
        return match (proof.is_empty(), same) {
            (false, _) => Err(VerifyError::PathLength),
            (true, false) => Err(VerifyError::Root),
            (true, true) => Ok(()),
        };
    }
    // The old tree is one perfect subtree: its root is known and the proof leaves it out.
    let known = old_size.is_power_of_two().then_some(old_root);
    let mut proof = known.into_iter().chain(proof);
    let start = proof.next().ok_or(VerifyError::PathLength)?;

    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old, mut new) = (*start, *start);
    for sibling in proof {
        if last == 0 {
            return Err(VerifyError::PathLength);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(VerifyError::PathLength);
    }
    if old == *old_root && new == *new_root {
        Ok(())
    } else {
        Err(VerifyError::Root)
    }
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    #[error("entry {index} is not in a tree of {size}; ask at a size above the index")]
    Index { index: u64, size: u64 },
    #[error("a tree of {old} is not the beginning of one of {new}; give the smaller size first")]
    Sizes { old: u64, new: u64 },
    #[error("a node of the tree could not be read: {0}")]
    Node(E),
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("entry {index} is not in a tree of {size}; do not accept the proof")]
    Index { index: u64, size: u64 },
    #[error("the tree shrank from {old} to {new}; keep both tree heads, they convict the log")]
    Shrunk { old: u64, new: u64 },
    #[error("the proof has the wrong number of hashes for these sizes; do not accept it")]
    PathLength,
    #[error("the proof leads to another root; do not accept it")]
    Root,
}

/// The siblings met on the way from the subtree `(level, index)` up to the root, lowest first.
pub(super) fn siblings(level: u8, index: u64, size: u64) -> impl Iterator<Item = (u8, u64)> {
    let last_leaf = size - 1;
    (level..64)
        .zip(iter::successors(Some(index), |index| Some(index >> 1)))
        .take_while(move |(level, _)| last_leaf >> level > 0)
        .map(|(level, index)| (level, index ^ 1))
        .filter(move |(level, sibling)| *sibling <= last_leaf >> level)
}

/// The subtrees of a consistency proof, in its order.
fn consistency_subtrees(old: u64, new: u64) -> impl Iterator<Item = (u8, u64)> {
    let grows = 0 < old && old < new;
    grows
        .then(|| {
            // The largest perfect subtree that ends where the old tree ends.
            let level = old.trailing_zeros();
            let index = (old - 1) >> level;
            let level = u8::try_from(level).expect("a level is below 64");
            let start = (!old.is_power_of_two()).then_some((level, index));
            start.into_iter().chain(siblings(level, index, new))
        })
        .into_iter()
        .flatten()
}

/// The nodes a subtree is folded from, rightmost first: itself, if it is complete at `size`.
fn parts(level: u8, index: u64, size: u64) -> impl Iterator<Item = (u8, u64)> {
    let complete = index < size >> level;
    let (own, edge) = if complete { (1, 0) } else { (0, level) };
    let smaller = (0..edge)
        .filter(move |lower| (size >> lower) & 1 == 1)
        .map(move |lower| (lower, (size >> lower) - 1));
    iter::repeat_n((level, index), own).chain(smaller)
}

fn subtree<N: Nodes>(nodes: &N, level: u8, index: u64, size: u64) -> Result<Digest, N::Error> {
    let mut parts = parts(level, index, size);
    let (level, index) = parts
        .next()
        .expect("a subtree of the tree holds an entry at least");
    let mut hash = nodes.node(level, index)?;
    for (level, index) in parts {
        hash = node_hash(&nodes.node(level, index)?, &hash);
    }
    Ok(hash)
}
