//! The key-encryption key's file.
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{KEY_LEN, KeyEncryptionKey, Rng};

#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot use the key file {}: {cause}; check its path and owner", path.display())]
    Io { path: PathBuf, cause: io::Error },
    #[error(
        "the key file {} may be read by others (mode {mode:03o}); run: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "the key file {} is not 32 bytes long; restore the right one, or for a new service make one: \
        (umask 077; head -c 32 /dev/urandom > {})",
        path.display(), path.display()
    )]
    Size { path: PathBuf },
    #[error("the random source failed; no key was made")]
    Random,
}

impl KeyEncryptionKey {
    /// Reads a key file: 32 raw bytes that others may not touch and the group at most
    /// read: that is how systemd and Kubernetes show a secret to a service.
    pub fn from_file(path: &Path) -> Result<Self, KeyFileError> {
        let io = |cause| KeyFileError::Io {
            path: path.to_owned(),
            cause,
        };
        let file = File::open(path).map_err(io)?;
        // Asked of the open file, so that it cannot be another one by the time it is read.
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o037 != 0 {
            return Err(KeyFileError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        // One byte more than a key, to notice a longer file; room for it from the start, so that
        // no outgrown buffer with key bytes in it is given back.
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_LEN + 1));
        file.take(KEY_LEN as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let key = bytes
            .as_slice()
            .try_into()
            .map_err(|_| KeyFileError::Size {
                path: path.to_owned(),
            })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Makes a key and its file, durably; never replaces one that is there.
    pub fn generate_file(path: &Path, rng: &Rng) -> Result<Self, KeyFileError> {
        let io = |cause| KeyFileError::Io {
            path: path.to_owned(),
            cause,
        };
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rng.fill(key.as_mut_slice())
            .map_err(|_| KeyFileError::Random)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        file.write_all(key.as_slice())
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .map_err(io)?;
        Ok(Self(key))
    }
}
