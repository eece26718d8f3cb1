//! Tiles (C2SP tlog-tiles): the tree's nodes in files 256 hashes wide, and the entries beside them.
//!
//! The tile `(level, index)` holds the hashes of the nodes at tree level `8 * level`, from
//! `256 * index` on. A full tile never changes. A partial one is named with its width.

use std::fmt;
use std::str::FromStr;

use crate::hash::{self, Digest, node_hash};
use crate::tree::MAX_SIZE;

/// Hashes in a full tile.
pub const FULL_WIDTH: u16 = 256;
/// Tree levels a tile spans.
const HEIGHT: u8 = 8;
/// The highest tile level of a tree of [`MAX_SIZE`].
const MAX_LEVEL: u8 = 7;

/// A tile's place and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    level: u8,
    index: u64,
    width: u16,
}

impl Tile {
    /// A tile a tree can have: level 0 to 7, 1 to 256 hashes wide.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, TileError> {
        let fits =
            level <= MAX_LEVEL && (1..=FULL_WIDTH).contains(&width) && index <= MAX_SIZE >> HEIGHT;
        fits.then_some(Self {
            level,
            index,
            width,
        })
        .ok_or(TileError::NoSuchTile)
    }

    pub fn level(&self) -> u8 {
        self.level
    }

    pub fn index(&self) -> u64 {
        self.index
    }

    /// 1 to 256 hashes; below 256 the tile is partial.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// The tiles to write when a tree grows from `old` to `new` entries, lowest level first.
    pub fn grown(old: u64, new: u64) -> Vec<Self> {
        let mut tiles = Vec::new();
        for level in 0..=MAX_LEVEL {
            let (had, has) = (old >> (level * HEIGHT), new >> (level * HEIGHT));
            if had >= has {
                break;
            }
            let width = u64::from(FULL_WIDTH);
            tiles.extend(
                (had / width..has.div_ceil(width)).map(|index| Self {
                    level,
                    index,
                    width: u16::try_from((has - index * width).min(width))
                        .expect("a width is at most 256"),
                }),
            );
        }
        tiles
    }

    /// The tile that a node `(level, index)` is read from in a tree of `size` entries, at its full
    /// width there. None if the tree has no such node.
    pub fn holding(level: u8, index: u64, size: u64) -> Option<Self> {
        let tile_level = level / HEIGHT;
        let complete = size.checked_shr(u32::from(level))?;
        if index >= complete {
            return None;
        }
        let tile_index = index >> (HEIGHT - level % HEIGHT);
        let there = (size >> (tile_level * HEIGHT)) - tile_index * u64::from(FULL_WIDTH);
        let width = u16::try_from(there).unwrap_or(FULL_WIDTH).min(FULL_WIDTH);
        Self::new(tile_level, tile_index, width).ok()
    }

    /// The nodes whose hashes the tile holds, in order, as `(level, index)` of the tree.
    pub fn nodes(&self) -> impl Iterator<Item = (u8, u64)> + use<> {
        let (level, first) = (self.level * HEIGHT, self.first());
        (first..first + u64::from(self.width)).map(move |index| (level, index))
    }

    /// Whether a tree of `size` entries has all of this tile's hashes.
    pub fn exists_at(&self, size: u64) -> bool {
        self.first() + u64::from(self.width) <= size >> (self.level * HEIGHT)
    }

    /// The hash of a node `(level, index)` of the tree, out of the tile that is
    /// [`holding`](Self::holding) it: `contents` is the tile as served, 32 bytes a hash.
    pub fn node(&self, contents: &[u8], level: u8, index: u64) -> Result<Digest, TileError> {
        let (hashes, rest) = contents.as_chunks::<{ hash::LEN }>();
        if hashes.len() != usize::from(self.width) || !rest.is_empty() {
            return Err(TileError::Contents(contents.len()));
        }
        let height = level.checked_sub(self.level * HEIGHT);
        let height = height.filter(|height| *height < HEIGHT);
        let count = 1usize << height.ok_or(TileError::NotHeld)?;
        let start = index.checked_mul(count as u64);
        let start = start.and_then(|start| start.checked_sub(self.first()));
        let start = start.and_then(|start| usize::try_from(start).ok());
        let held = start.and_then(|start| hashes.get(start..)?.get(..count));
        let mut level: Vec<Digest> = held
            .ok_or(TileError::NotHeld)?
            .iter()
            .map(|hash| Digest::from(*hash))
            .collect();
        while level.len() > 1 {
            let pairs = level.chunks_exact(2);
            level = pairs.map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        Ok(level[0])
    }

    fn first(&self) -> u64 {
        self.index * u64::from(FULL_WIDTH)
    }
}

/// The contents of a tile: its hashes, one after another.
pub fn encode_hashes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(Digest::as_bytes).copied().collect()
}

/// The contents of an entry bundle: each entry after its length in two bytes, big-endian.
pub fn encode_entries(entries: &[Digest]) -> Vec<u8> {
    let prefixed = |entry: &Digest| [&[0, 32], &entry.as_bytes()[..]].concat();
    entries.iter().flat_map(prefixed).collect()
}

/// What is served under `tile/`: `tile/<level>/<index>[.p/<width>]` or
/// `tile/entries/<index>[.p/<width>]`, the index in groups of three digits, all but the last
/// with an `x` before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TilePath {
    /// A tile of hashes.
    Hashes(Tile),
    /// The bundle of entries under a tile of level 0.
    Entries(Tile),
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tile = match self {
            Self::Hashes(tile) => {
                write!(f, "tile/{}", tile.level)?;
                tile
            }
            Self::Entries(tile) => {
                f.write_str("tile/entries")?;
                tile
            }
        };
        let mut divisor = 1;
        while tile.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "/x{:03}", tile.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "/{:03}", tile.index % 1000)?;
        if tile.width < FULL_WIDTH {
            write!(f, ".p/{}", tile.width)?;
        }
        Ok(())
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    fn from_str(path: &str) -> Result<Self, TileError> {
        let rest = path.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (kind, rest) = rest.split_once('/').ok_or(TileError::Path)?;
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => (groups, number(width)?),
            None => (rest, FULL_WIDTH),
        };
        let mut index: u64 = 0;
        for group in groups.split('/') {
            let group: u64 = number(group.strip_prefix('x').unwrap_or(group))?;
            let shifted = index.checked_mul(1000);
            index = shifted
                .and_then(|index| index.checked_add(group))
                .ok_or(TileError::Path)?;
        }
        let tile = if kind == "entries" {
            Self::Entries(Tile::new(0, index, width)?)
        } else {
            Self::Hashes(Tile::new(number(kind)?, index, width)?)
        };
        // One tile has one path: writing it again finds every other spelling.
        if tile.to_string() == path {
            Ok(tile)
        } else {
            Err(TileError::Path)
        }
    }
}

/// Why a tile is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    #[error("not a tile's path; ask for tile/<level>/<index> as C2SP tlog-tiles writes it")]
    Path,
    #[error("no tree has such a tile; ask for level 0 to 7 and a width of 1 to 256")]
    NoSuchTile,
    #[error("{0} bytes do not fit the tile's width; fetch the tile again, whole")]
    Contents(usize),
    #[error("the tile does not hold that node; ask for the tile that does")]
    NotHeld,
}

fn number<T: FromStr>(digits: &str) -> Result<T, TileError> {
    digits.parse().map_err(|_| TileError::Path)
}

#[cfg(test)]
mod tests;
