//! The bytes of the files that [`TlsConfig`] names, and the certificates in them.

use std::path::{Path, PathBuf};

use ring::digest;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::TlsError;
use super::crl::Crl;
use crate::config::{TlsConfig, open_to_all};

/// All files at one moment.
pub(super) struct Files<'a> {
    certificate: File<'a>,
    key: File<'a>,
    roots: Vec<File<'a>>,
    crls: Vec<File<'a>>,
}

impl<'a> Files<'a> {
    pub(super) fn read(config: &'a TlsConfig) -> Result<Self, TlsError> {
        let unreadable = |source| TlsError::Unreadable {
            path: config.key.clone(),
            source,
        };
        if open_to_all(&config.key).map_err(unreadable)? {
            return Err(TlsError::KeyOpenToAll {
                path: config.key.clone(),
            });
        }
        Ok(Self {
            certificate: File::read(&config.certificate)?,
            key: File::read(&config.key)?,
            roots: File::read_all(&config.client_roots)?,
            crls: File::read_all(&config.crls)?,
        })
    }

    /// SHA-256 over everything, to tell whether anything changed. Contents rather than times: a
    /// file restored with its old time has changed too.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let pair = [&self.certificate, &self.key];
        for file in pair.into_iter().chain(&self.roots).chain(&self.crls) {
            context.update(&(file.bytes.len() as u64).to_be_bytes());
            context.update(&file.bytes);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }

    /// The gateway's own chain, leaf first.
    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        self.certificate.certificates()
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.key.bytes)
            .map_err(|_| self.key.malformed("private key"))
    }

    pub(super) fn roots(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let each = self.roots.iter().map(File::certificates);
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Every revocation list in every file; at least one for each file.
    pub(super) fn crls(&self) -> Result<Vec<Crl>, TlsError> {
        let each = self.crls.iter().map(|file| {
            Crl::read(file.path, &file.bytes).ok_or_else(|| file.malformed("revocation list"))
        });
        Ok(each
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }
}

/// Zeroized because one of them is the private key.
struct File<'a> {
    path: &'a Path,
    bytes: Zeroizing<Vec<u8>>,
}

impl<'a> File<'a> {
    fn read(path: &'a Path) -> Result<Self, TlsError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self {
                path,
                bytes: Zeroizing::new(bytes),
            }),
            Err(source) => Err(TlsError::Unreadable {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn read_all(paths: &'a [PathBuf]) -> Result<Vec<Self>, TlsError> {
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|certificates| !certificates.is_empty())
            .ok_or_else(|| self.malformed("certificate"))
    }

    fn malformed(&self, what: &'static str) -> TlsError {
        TlsError::Malformed {
            path: self.path.to_owned(),
            what,
        }
    }
}
