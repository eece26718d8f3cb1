//! A signed package: one document with the evidence statement its origin signed, in one file, for
//! an intermediary to send on.
//!
//! The file is a CBOR sequence (RFC 8742) of two items: a map with format, statement and aside,
//! and a byte string with the document. The document comes last so that it can be streamed.

use std::{
    fs::File,
    io::{Read, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use ciborium::Value;
use evidence_domain::Aside;
use evidence_ledger::{from_canonical, to_canonical};
use evidence_wire::v1;
use serde::{Deserialize, Serialize};

use crate::{CliError, files};

pub const FORMAT: &str = "evidence-package-1";

/// The first item may be this long: a statement and its texts.
const LONGEST_HEADER: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    /// Bytes.
    statement: Value,
    aside: Aside,
}

/// Where a document's bytes are: a file, from an offset on, so many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    pub offset: u64,
    pub size: u64,
}

impl Source {
    /// A whole file.
    pub fn of_file(path: &Path) -> Result<Self, CliError> {
        let size = std::fs::metadata(path).map_err(CliError::io(path))?.len();
        Ok(Self {
            path: path.to_owned(),
            offset: 0,
            size,
        })
    }

    /// The bytes from `skip` on.
    pub fn open(&self, skip: u64) -> Result<impl Read + Send + 'static, CliError> {
        let mut file = File::open(&self.path).map_err(CliError::io(&self.path))?;
        file.seek(SeekFrom::Start(self.offset + skip))
            .map_err(CliError::io(&self.path))?;
        Ok(file.take(self.size.saturating_sub(skip)))
    }
}

/// A package, its document still on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    pub evidence: v1::SignedStatement,
    pub document: Source,
}

/// Writes a package. `document` is streamed from its source.
pub fn write(
    path: &Path,
    evidence: &v1::SignedStatement,
    document: &Source,
) -> Result<(), CliError> {
    let header = Header {
        format: FORMAT.to_owned(),
        statement: Value::Bytes(evidence.statement.clone()),
        aside: evidence.aside.clone(),
    };
    let header = to_canonical(&header).map_err(|error| CliError::file(path, error.to_string()))?;
    let mut file =
        tempfile::NamedTempFile::new_in(files::parent(path)).map_err(CliError::io(path))?;
    let mut copy = || {
        file.write_all(&header)?;
        file.write_all(&bytes_head(document.size))?;
        let copied = std::io::copy(
            &mut document.open(0).map_err(std::io::Error::other)?,
            &mut file,
        )?;
        if copied != document.size {
            return Err(std::io::Error::other(
                "the document changed while it was read",
            ));
        }
        file.as_file().sync_all()
    };
    copy().map_err(CliError::io(path))?;
    file.persist(path)
        .map_err(|error| CliError::io(path)(error.error))?;
    Ok(())
}

/// Reads a package's statement and finds its document.
pub fn open(path: &Path) -> Result<Package, CliError> {
    let not = |what: &str| {
        CliError::file(
            path,
            format!("is no signed package: {what}. Ask its origin for it again."),
        )
    };
    let file = File::open(path).map_err(CliError::io(path))?;
    let length = file.metadata().map_err(CliError::io(path))?.len();
    let mut start = Vec::new();
    file.take(LONGEST_HEADER as u64)
        .read_to_end(&mut start)
        .map_err(CliError::io(path))?;

    let mut rest = &start[..];
    let _: Value = ciborium::from_reader(&mut rest)
        .map_err(|_| not("it does not begin with its statement"))?;
    let header_len = start.len() - rest.len();
    let header: Header =
        from_canonical(&start[..header_len]).map_err(|error| not(&error.to_string()))?;
    let (Value::Bytes(statement), FORMAT) = (header.statement, header.format.as_str()) else {
        return Err(not("its format is unknown"));
    };
    let (head_len, size) = read_bytes_head(rest).ok_or_else(|| not("no document follows"))?;
    let offset = (header_len + head_len) as u64;
    if offset.checked_add(size) != Some(length) {
        return Err(not("it is cut short, or something follows the document"));
    }
    Ok(Package {
        evidence: v1::SignedStatement {
            statement,
            aside: header.aside,
        },
        document: Source {
            path: path.to_owned(),
            offset,
            size,
        },
    })
}

/// The head of a CBOR byte string (RFC 8949 section 3): major type 2 and its length, shortest form.
fn bytes_head(size: u64) -> Vec<u8> {
    const BYTES: u8 = 0x40;
    let size = size.to_be_bytes();
    match size {
        [0, 0, 0, 0, 0, 0, 0, small @ 0..=23] => vec![BYTES | small],
        [0, 0, 0, 0, 0, 0, 0, byte] => vec![BYTES | 0x18, byte],
        [0, 0, 0, 0, 0, 0, ..] => [&[BYTES | 0x19], &size[6..]].concat(),
        [0, 0, 0, 0, ..] => [&[BYTES | 0x1a], &size[4..]].concat(),
        _ => [&[BYTES | 0x1b], &size[..]].concat(),
    }
}

/// (length of the head, length of the string), if one in shortest form starts here.
fn read_bytes_head(bytes: &[u8]) -> Option<(usize, u64)> {
    let width = match bytes.first()? {
        0x40..=0x57 => 0,
        0x58 => 1,
        0x59 => 2,
        0x5a => 4,
        0x5b => 8,
        _ => return None,
    };
    let size = match width {
        0 => u64::from(bytes[0] & 0x1f),
        width => bytes
            .get(1..=width)?
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte)),
    };
    let head = bytes_head(size);
    bytes.starts_with(&head).then_some((head.len(), size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> v1::SignedStatement {
        let aside = [("title".to_owned(), "Letter".to_owned())].into();
        v1::SignedStatement {
            statement: vec![0xd2, 0x84, 1, 2, 3],
            aside,
        }
    }

    fn packed(folder: &Path, size: usize) -> PathBuf {
        let document = folder.join("document");
        std::fs::write(&document, vec![7; size]).unwrap();
        let path = folder.join("letter.evidence");
        write(&path, &statement(), &Source::of_file(&document).unwrap()).unwrap();
        path
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        for size in [0, 1, 23, 24, 255, 256, 65_535, 65_536, 400_000] {
            let package = open(&packed(folder.path(), size)).unwrap();
            assert_eq!(
                (package.evidence, package.document.size),
                (statement(), size as u64)
            );
            let mut read = Vec::new();
            package
                .document
                .open(size as u64 / 2)
                .unwrap()
                .read_to_end(&mut read)
                .unwrap();
            assert_eq!(read, vec![7; size - size / 2]);
        }
    }

    #[test]
    fn it_is_a_plain_cbor_sequence() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(packed(folder.path(), 300)).unwrap();
        let mut rest = &bytes[..];
        let header: Value = ciborium::from_reader(&mut rest).unwrap();
        assert_eq!(header.as_map().unwrap().len(), 3);
        let document: Value = ciborium::from_reader(&mut rest).unwrap();
        assert_eq!(document.into_bytes().unwrap(), vec![7; 300]);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_damaged_package_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = packed(folder.path(), 300);
        let whole = std::fs::read(&path).unwrap();
        let longer = [&whole[..], &[0]].concat();
        for damaged in [
            &whole[..whole.len() - 1],
            &longer,
            &whole[..20],
            &whole[1..],
            b"",
            b"%PDF-1.7",
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert!(open(&path).is_err(), "{} bytes", damaged.len());
        }
    }
}
