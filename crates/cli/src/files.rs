//! Reading and writing files so that a crash leaves the old one or the new one, never half of one.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::CliError;

/// Replaces `path` with `contents`, flushed to disk.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), CliError> {
    let parent = parent(path);
    // A temporary file is its owner's alone, which suits whatever is written here.
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(CliError::io(path))?;
    file.write_all(contents)
        .and_then(|()| file.as_file().sync_all())
        .map_err(CliError::io(path))?;
    file.persist(path)
        .map_err(|error| CliError::io(path)(error.error))?;
    sync_folder(parent)
}

/// As [`write`], but never over a file that is there.
pub fn write_new(path: &Path, contents: &[u8]) -> Result<(), CliError> {
    let parent = parent(path);
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(CliError::io(path))?;
    file.write_all(contents)
        .and_then(|()| file.as_file().sync_all())
        .map_err(CliError::io(path))?;
    file.persist_noclobber(path)
        .map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => CliError::file(
                path,
                "is there already. Choose another name; nothing is overwritten.",
            ),
            _ => CliError::io(path)(error.error),
        })?;
    sync_folder(parent)
}

/// Options that make a file its owner's alone, where the system knows such a thing.
pub fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create(true);
    options
}

pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), CliError> {
    let mut json = serde_json::to_vec_pretty(value)
        .map_err(|error| CliError::file(path, error.to_string()))?;
    json.push(b'\n');
    write(path, &json)
}

pub fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(CliError::io(path))
}

pub fn read_text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(CliError::io(path))
}

/// `None` when there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::io(path)(error)),
    }
}

/// Reads JSON when the name ends in `.json`, TOML otherwise.
pub fn read_structured<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    parse_structured(path, &read_text(path)?)
}

/// As [`read_structured`], of text read already.
pub fn parse_structured<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, CliError> {
    let json = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let read = if json {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        toml::from_str(text).map_err(|error| error.to_string())
    };
    read.map_err(|problem| CliError::file(path, format!("cannot be read: {problem}")))
}

/// `path` with `suffix` after its whole name: `letter.pdf` becomes `letter.pdf.toml`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder a file lies in.
pub fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Makes a rename last: the folder is a file of its own.
fn sync_folder(folder: &Path) -> Result<(), CliError> {
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(CliError::io(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_a_new_one_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &[1, 2]).unwrap();
        write_json(&path, &[3]).unwrap();
        assert_eq!(read_structured::<Vec<u8>>(&path).unwrap(), [3]);
        assert!(write_new(&path, b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(read_if_there(&folder.path().join("b")).unwrap(), None);
    }

    #[test]
    fn suffixes_go_after_the_whole_name() {
        assert_eq!(
            beside(Path::new("d/letter.pdf"), ".toml"),
            Path::new("d/letter.pdf.toml")
        );
        assert_eq!(parent(Path::new("letter.pdf")), Path::new("."));
    }
}
