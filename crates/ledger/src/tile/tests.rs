use proptest::prelude::*;
use tlog_tiles::Tile as Other;

use super::*;
use crate::hash::{leaf_hash, sha256};
use crate::tree::Frontier;

fn tile(level: u8, index: u64, width: u16) -> Tile {
    Tile::new(level, index, width).unwrap()
}

#[test]
fn paths_as_c2sp_writes_them() {
    for (path, expected) in [
        ("tile/0/000", TilePath::Hashes(tile(0, 0, 256))),
        ("tile/0/000.p/1", TilePath::Hashes(tile(0, 0, 1))),
        ("tile/1/999.p/255", TilePath::Hashes(tile(1, 999, 255))),
        ("tile/2/x001/000", TilePath::Hashes(tile(2, 1000, 256))),
        (
            "tile/0/x001/x234/067",
            TilePath::Hashes(tile(0, 1_234_067, 256)),
        ),
        (
            "tile/entries/x001/x234/067.p/8",
            TilePath::Entries(tile(0, 1_234_067, 8)),
        ),
    ] {
        assert_eq!(path.parse(), Ok(expected));
        assert_eq!(expected.to_string(), path);
    }
}

#[test]
fn every_other_path_is_refused() {
    for path in [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/x001",
        "tile/0/x001",
        "tile/0/001/001",
        "tile/00/000",
        "tile/-1/000",
        "tile/+0/000",
        "tile/8/000",
        "tile/256/000",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/../000",
        "tile/data/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<TilePath>().is_err(), "{path}");
    }
}

#[test]
fn the_example_of_the_standard() {
    // C2SP tlog-tiles: a tree of 70,000 entries.
    let tiles = Tile::grown(0, 70_000);
    let count = |level, full| {
        let of_level = tiles.iter().filter(|tile| tile.level() == level);
        of_level
            .filter(|tile| (tile.width() == 256) == full)
            .count()
    };
    assert_eq!((count(0, true), count(0, false)), (273, 1));
    assert!(tiles.contains(&tile(0, 273, 112)));
    assert_eq!((count(1, true), count(1, false)), (1, 1));
    assert!(tiles.contains(&tile(1, 1, 17)));
    assert!(tiles.contains(&tile(2, 0, 1)));
    assert_eq!(tiles.len(), 273 + 1 + 2 + 1);
    assert_eq!(Tile::grown(0, 256), [tile(0, 0, 256), tile(1, 0, 1)]);
    assert_eq!(Tile::grown(0, 0), []);
    assert_eq!(Tile::grown(9, 9), []);
}

fn of_height_8(tile: &Tile) -> Other {
    let width = u32::from(tile.width());
    Other::new(8, tile.level(), tile.index(), width, false)
}

proptest! {
    #[test]
    fn growth_and_paths_agree_with_another_implementation(
        old in 0u64..200_000,
        more in 0u64..200_000,
    ) {
        let tiles = Tile::grown(old, old + more);
        let others: Vec<Other> = tiles.iter().map(of_height_8).collect();
        prop_assert_eq!(&others, &Other::new_tiles(8, old, old + more));
        for (tile, other) in tiles.iter().zip(&others) {
            prop_assert!(tile.exists_at(old + more));
            let path = TilePath::Hashes(*tile).to_string();
            let other = other.path().replacen("tile/8/", "tile/", 1);
            prop_assert_eq!(&path, &other);
            prop_assert_eq!(path.parse(), Ok(TilePath::Hashes(*tile)));
        }
    }

    #[test]
    fn a_path_reads_back(level in 0u8..8, index in 0..=MAX_SIZE >> 8, width in 1u16..=256) {
        let tile = tile(level, index, width);
        for path in [TilePath::Hashes(tile), TilePath::Entries(Tile { level: 0, ..tile })] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
        prop_assert_eq!(tile.nodes().count(), usize::from(width));
    }
}

/// Every node of a tree of 70,000 entries can be read out of its tile.
#[test]
fn nodes_come_out_of_tiles() {
    let entries: Vec<Digest> = (0u32..70_000).map(|n| sha256(&n.to_be_bytes())).collect();
    let appended = Frontier::new().append(&entries);
    let nodes: std::collections::HashMap<_, _> = appended
        .completed_nodes()
        .map(|(level, index, hash)| ((level, index), hash))
        .collect();
    let mut contents = std::collections::HashMap::new();
    for ((level, index), hash) in &nodes {
        let holding = Tile::holding(*level, *index, 70_000).unwrap();
        let contents = contents.entry(holding).or_insert_with(|| {
            let hashes: Vec<Digest> = holding.nodes().map(|node| nodes[&node]).collect();
            encode_hashes(&hashes)
        });
        if *level > 0 || index % 97 == 0 {
            assert_eq!(holding.node(contents, *level, *index), Ok(*hash));
        }
    }
    let mut held: Vec<Tile> = contents.into_keys().collect();
    held.sort_unstable();
    assert_eq!(held, Tile::grown(0, 70_000));
}

#[test]
fn what_a_tile_does_not_hold_is_refused() {
    let hashes: Vec<Digest> = (0u8..5).map(|n| leaf_hash(&sha256(&[n]))).collect();
    let contents = encode_hashes(&hashes);
    let partial = tile(0, 1, 5);
    assert_eq!(partial.node(&contents, 0, 256), Ok(hashes[0]));
    for (level, index) in [
        (0, 255),
        (0, 261),
        (1, 130),
        (8, 1),
        (0, u64::MAX),
        (7, u64::MAX),
    ] {
        let refused = partial.node(&contents, level, index);
        assert_eq!(refused, Err(TileError::NotHeld), "{level} {index}");
    }
    let cut = partial.node(&contents[1..], 0, 256);
    assert_eq!(cut, Err(TileError::Contents(159)));
    assert!(tile(0, 1, 4).node(&contents, 0, 256).is_err());
    assert!(tile(1, 0, 5).node(&contents, 0, 0).is_err());

    assert_eq!(Tile::holding(0, 5, 5), None);
    assert_eq!(Tile::holding(64, 0, 5), None);
    assert_eq!(Tile::holding(1, 2, 5), None);
    assert!(!tile(0, 0, 6).exists_at(5));
    assert!(tile(0, 0, 5).exists_at(5));
    assert!(!tile(7, 0, 1).exists_at(5));
}

#[test]
fn a_bundle_prefixes_each_entry_with_its_length() {
    let (a, b) = (sha256(b"a"), sha256(b"b"));
    let bundle = encode_entries(&[a, b]);
    let expected = [&[0, 32], &a.as_bytes()[..], &[0, 32], &b.as_bytes()[..]].concat();
    assert_eq!(bundle, expected);
}
