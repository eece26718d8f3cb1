//! Known vectors, and random trees against two independent implementations.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use tlog_tiles::{Hash, HashReader, prove_record, prove_tree, stored_hashes, tree_hash};

use super::*;
use crate::hash::{sha256, sha256_parts};

/// The nodes a log stored, and which of them were asked for.
#[derive(Default)]
struct Stored {
    nodes: HashMap<(u8, u64), Digest>,
    asked: RefCell<HashSet<(u8, u64)>>,
}

impl Stored {
    fn add(&mut self, appended: &Appended) {
        for (level, index, hash) in appended.completed_nodes() {
            let before = self.nodes.insert((level, index), hash);
            assert_eq!(before, None, "a node is completed once");
        }
    }

    fn take_asked(&self) -> HashSet<(u8, u64)> {
        self.asked.take()
    }
}

#[derive(Debug, PartialEq)]
struct Missing(u8, u64);

impl Nodes for Stored {
    type Error = Missing;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Missing> {
        self.asked.borrow_mut().insert((level, index));
        let node = self.nodes.get(&(level, index));
        node.copied().ok_or(Missing(level, index))
    }
}

/// The stored hashes as the Go checksum database keeps them.
struct TlogStore(Vec<Hash>);

impl HashReader for TlogStore {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let at = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(at).collect())
    }
}

/// One tree, grown in batches, beside the two oracles.
struct Grown {
    stored: Stored,
    frontier: Frontier,
    entries: Vec<Digest>,
    roots: Vec<(u64, Digest)>,
    ct: MemoryBackedTree<sha2::Sha256, Digest>,
    tlog: TlogStore,
}

fn grow(batches: &[usize], seed: u64) -> Grown {
    let mut grown = Grown {
        stored: Stored::default(),
        frontier: Frontier::new(),
        entries: Vec::new(),
        roots: Vec::new(),
        ct: MemoryBackedTree::new(),
        tlog: TlogStore(Vec::new()),
    };
    for batch in batches {
        let first = grown.entries.len();
        for n in first..first + batch {
            let entry = sha256(&[seed.to_be_bytes(), (n as u64).to_be_bytes()].concat());
            grown.entries.push(entry);
            grown.ct.push(entry);
            let hashes = stored_hashes(n as u64, entry.as_bytes(), &grown.tlog).unwrap();
            grown.tlog.0.extend(hashes);
        }
        let appended = grown.frontier.append(&grown.entries[first..]);
        grown.stored.add(&appended);
        grown.check_batch(&appended);
        grown.roots.push((appended.size, appended.root));
    }
    grown
}

impl Grown {
    fn check_batch(&self, appended: &Appended) {
        let size = self.entries.len() as u64;
        assert_eq!(appended.size, size);
        assert_eq!(appended.root, self.frontier.root());
        assert_eq!(appended.root.as_bytes()[..], self.ct.root().as_bytes()[..]);
        let root = tree_hash(size, &self.tlog).unwrap();
        assert_eq!(appended.root.as_bytes(), &root.0);
        let again = Frontier::decode(&self.frontier.encode()).unwrap();
        assert_eq!(again, self.frontier);
        for index in appended.first..size {
            let path = appended.inclusion(index);
            let entry = &self.entries[usize::try_from(index).unwrap()];
            verify_inclusion(entry, index, size, &path, &appended.root).unwrap();
        }
    }

    fn check_inclusion(&self, index: u64) {
        let (size, root) = *self.roots.last().unwrap();
        let path = inclusion_proof(&self.stored, index, size).unwrap();
        let asked: HashSet<_> = inclusion_nodes(index, size).into_iter().collect();
        assert_eq!(self.stored.take_asked(), asked);

        let at = usize::try_from(index).unwrap();
        assert_eq!(join(&path), self.ct.prove_inclusion(at).as_bytes());
        let tlog = prove_record(size, index, &self.tlog).unwrap();
        assert_eq!(
            join(&path),
            tlog.iter().flat_map(|h| h.0).collect::<Vec<_>>()
        );

        let entry = &self.entries[at];
        verify_inclusion(entry, index, size, &path, &root).unwrap();
        self.refuse_altered_inclusion(index, &path);
    }

    fn refuse_altered_inclusion(&self, index: u64, path: &[Digest]) {
        let (size, root) = *self.roots.last().unwrap();
        let entry = &self.entries[usize::try_from(index).unwrap()];
        let other = sha256(b"another entry");
        let refused = |entry, index, size, path: &[Digest]| {
            assert!(verify_inclusion(entry, index, size, path, &root).is_err());
        };
        refused(&other, index, size, path);
        refused(entry, size, size, path);
        refused(entry, index ^ 1, size, path);
        refused(entry, index, size, &[path, &[other]].concat());
        if let Some((_, shorter)) = path.split_last() {
            refused(entry, index, size, shorter);
            let mut altered = path.to_vec();
            altered[0] = other;
            refused(entry, index, size, &altered);
        }
    }

    fn check_consistency(&self, old: u64, old_root: &Digest) {
        let (new, new_root) = *self.roots.last().unwrap();
        let proof = consistency_proof(&self.stored, old, new).unwrap();
        let asked: HashSet<_> = consistency_nodes(old, new).into_iter().collect();
        assert_eq!(self.stored.take_asked(), asked);
        verify_consistency(old, old_root, new, &new_root, &proof).unwrap();

        if old > 0 {
            let additions = usize::try_from(new - old).unwrap();
            let oracle = self.ct.prove_consistency(additions);
            assert_eq!(join(&proof), oracle.as_bytes());
            let tlog = prove_tree(new, old, &self.tlog).unwrap();
            assert_eq!(
                join(&proof),
                tlog.iter().flat_map(|h| h.0).collect::<Vec<_>>()
            );
        }
        let other = sha256(b"another root");
        let refused = |old, old_root, new, new_root, proof: &[Digest]| {
            assert!(verify_consistency(old, old_root, new, new_root, proof).is_err());
        };
        refused(old, &other, new, &new_root, &proof);
        if old > 0 {
            // Any tree begins with the empty one, so nothing can be said of the new root then.
            refused(old, old_root, new, &other, &proof);
        }
        refused(
            old,
            old_root,
            new,
            &new_root,
            &[&proof[..], &[other]].concat(),
        );
        refused(new + 1, old_root, new, &new_root, &proof);
        if let Some((_, shorter)) = proof.split_last() {
            refused(old, old_root, new, &new_root, shorter);
        }
    }
}

fn join(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(Digest::as_bytes).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn agrees_with_two_other_implementations(
        batches in prop::collection::vec(0usize..250, 1..9),
        seed: u64,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let grown = grow(&batches, seed);
        let total = grown.entries.len();
        if total > 0 {
            for pick in &picks {
                grown.check_inclusion(pick.index(total) as u64);
            }
            grown.check_inclusion(0);
            grown.check_inclusion(total as u64 - 1);
        }
        for (size, root) in &grown.roots {
            grown.check_consistency(*size, root);
        }
        grown.check_consistency(0, &empty_root());
    }
}

#[test]
fn every_size_index_and_pair_of_a_small_tree() {
    let mut roots = vec![(0, empty_root())];
    for size in 1..=66 {
        let grown = grow(&vec![1; size], 1);
        roots.push(*grown.roots.last().unwrap());
        (0..size as u64).for_each(|index| grown.check_inclusion(index));
        for (old, root) in &roots {
            grown.check_consistency(*old, root);
        }
    }
}

/// The leaves and roots of the certificate-transparency reference tests.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const FIRST_OF_EIGHT: [&str; 3] = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
];
const SIX_TO_EIGHT: [&str; 3] = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
];

fn digests<const N: usize>(hex: [&str; N]) -> Vec<Digest> {
    hex.iter().map(|hex| hex.parse().unwrap()).collect()
}

#[test]
fn certificate_transparency_vectors() {
    let leaf = |data: &str| sha256_parts(&[&[0], &HEXLOWER.decode(data.as_bytes()).unwrap()]);
    let leaves = LEAVES.map(leaf);
    let mut frontier = Frontier::new();
    let mut stored = Stored::default();
    let roots = digests(ROOTS);
    for (leaf, root) in leaves.iter().zip(&roots) {
        let appended = frontier.append_leaves([*leaf].into_iter());
        stored.add(&appended);
        assert_eq!(appended.root, *root);
    }
    let first = digests(FIRST_OF_EIGHT);
    assert_eq!(inclusion_proof(&stored, 0, 8), Ok(first.clone()));
    assert_eq!(consistency_proof(&stored, 1, 8), Ok(first.clone()));
    let whole = Frontier::new().append_leaves(leaves.into_iter());
    assert_eq!(whole.inclusion(0), first);

    let proof = digests(SIX_TO_EIGHT);
    assert_eq!(consistency_proof(&stored, 6, 8), Ok(proof.clone()));
    verify_consistency(6, &roots[5], 8, &roots[7], &proof).unwrap();
    assert_eq!(
        verify_consistency(7, &roots[6], 8, &roots[7], &proof),
        Err(VerifyError::PathLength)
    );
}

#[test]
fn asking_outside_the_tree_is_refused() {
    let grown = grow(&[5], 1);
    let stored = &grown.stored;
    let outside = ProofError::Index { index: 5, size: 5 };
    assert_eq!(inclusion_proof(stored, 5, 5), Err(outside));
    let shrunk = ProofError::Sizes { old: 5, new: 4 };
    assert_eq!(consistency_proof(stored, 5, 4), Err(shrunk));
    let missing = ProofError::Node(Missing(0, 6));
    assert_eq!(inclusion_proof(stored, 7, 9), Err(missing));
    assert_eq!(inclusion_nodes(5, 5), []);
    assert_eq!(inclusion_nodes(0, 0), []);
    assert_eq!(consistency_nodes(5, 4), []);
    assert!(verify_inclusion(&empty_root(), 0, 0, &[], &empty_root()).is_err());
}

#[test]
fn hostile_sizes_end_without_a_panic() {
    let path = vec![empty_root(); 70];
    for size in [1, 2, MAX_SIZE, u64::MAX] {
        for length in 0..=70 {
            let path = &path[..length];
            let entry = empty_root();
            let root = root_from_inclusion(&entry, size - 1, size, path);
            assert!(root.is_ok() || root == Err(VerifyError::PathLength));
            let old = size / 2 + 1;
            let grown = verify_consistency(old, &entry, size, &entry, path);
            assert!(grown.is_err() || old == size);
        }
    }
    assert_eq!(inclusion_nodes(u64::MAX - 1, u64::MAX).len(), 63);
}

#[test]
fn a_frontier_of_another_length_is_refused() {
    let mut frontier = Frontier::new();
    frontier.append(&[empty_root(); 7]);
    let bytes = frontier.encode();
    assert_eq!(bytes.len(), 8 + 3 * 32);
    for length in 0..bytes.len() {
        let cut = Frontier::decode(&bytes[..length]);
        assert_eq!(cut, Err(FrontierError::Length), "cut at {length}");
    }
    assert!(Frontier::decode(&[&bytes[..], &[0]].concat()).is_err());
    assert_eq!(
        Frontier::decode(&u64::MAX.to_be_bytes()),
        Err(FrontierError::Size(u64::MAX))
    );
}

#[test]
fn an_empty_batch_changes_nothing() {
    let mut frontier = Frontier::new();
    assert_eq!(frontier.append(&[]).root, empty_root());
    frontier.append(&[empty_root(); 6]);
    let before = frontier.clone();
    let appended = frontier.append(&[]);
    assert_eq!(frontier, before);
    assert_eq!((appended.first, appended.size), (6, 6));
    assert_eq!(appended.root, before.root());
    assert_eq!(appended.completed_nodes().count(), 0);
}

#[test]
#[should_panic(expected = "entry 3 is not in the batch 4..6")]
fn an_older_entry_needs_the_stored_nodes() {
    let mut frontier = Frontier::new();
    frontier.append(&[empty_root(); 4]);
    frontier.append(&[empty_root(); 2]).inclusion(3);
}
