//! Certificate revocation lists (RFC 5280 section 5): what must hold before they are relied on.
//!
//! webpki checks a list's signature and expiry only when a certificate of its issuer arrives. Here
//! a wrong file is found when it is put in place, not when the first client is turned away.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{TlsError, moment};

/// One list and what is needed to judge it.
#[derive(Debug)]
pub(super) struct Crl {
    pub(super) path: PathBuf,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
    pub(super) der: CertificateRevocationListDer<'static>,
    /// The issuer's distinguished name, DER.
    issuer: Vec<u8>,
}

impl Crl {
    /// The lists in a file's bytes, PEM (any number) or DER (one). `None` if there is none or one
    /// cannot be read: an empty set would switch revocation checking off without a word.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Option<Vec<Self>> {
        let ders = if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            CertificateRevocationListDer::pem_slice_iter(bytes)
                .collect::<Result<Vec<_>, _>>()
                .ok()?
        } else {
            vec![CertificateRevocationListDer::from(bytes.to_vec())]
        };
        let crls: Option<Vec<_>> = ders.iter().map(|der| Self::parse(path, der)).collect();
        crls.filter(|crls| !crls.is_empty())
    }

    fn parse(path: &Path, der: &CertificateRevocationListDer<'static>) -> Option<Self> {
        let (rest, crl) = CertificateRevocationList::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        Some(Self {
            path: path.to_owned(),
            this_update: moment(crl.last_update()),
            next_update: moment(crl.next_update()?),
            issuer: crl.issuer().as_raw().to_vec(),
            der: der.clone(),
        })
    }

    fn is_signed_by(&self, root: &X509Certificate<'_>) -> bool {
        CertificateRevocationList::from_der(&self.der)
            .is_ok_and(|(_, crl)| crl.verify_signature(root.public_key()).is_ok())
    }
}

/// Refuses lists that would turn every client away or let a revoked one back in: a list not signed
/// by the root it names, a root without a list, a list older than the one `before`.
pub(super) fn check(
    crls: &[Crl],
    roots: &[CertificateDer<'_>],
    before: &[Crl],
) -> Result<(), TlsError> {
    // Roots that do not parse are refused when they enter the root store.
    let roots: Vec<_> = roots
        .iter()
        .filter_map(|root| Some(X509Certificate::from_der(root).ok()?.1))
        .collect();
    for crl in crls {
        let mut issuers = roots
            .iter()
            .filter(|root| root.subject().as_raw() == crl.issuer)
            .peekable();
        // An intermediate's list is checked against the certificate its clients present.
        if issuers.peek().is_some() && !issuers.any(|root| crl.is_signed_by(root)) {
            return Err(TlsError::CrlNotSigned {
                path: crl.path.clone(),
            });
        }
    }
    for root in &roots {
        if newest(crls, root.subject().as_raw()).is_none() {
            return Err(TlsError::RootWithoutCrl {
                subject: root.subject().to_string(),
            });
        }
    }
    for old in before {
        let older = |new: &&Crl| new.this_update < old.this_update;
        if let Some(new) = newest(crls, &old.issuer).filter(older) {
            return Err(TlsError::CrlOlder {
                path: new.path.clone(),
            });
        }
    }
    Ok(())
}

fn newest<'a>(crls: &'a [Crl], issuer: &[u8]) -> Option<&'a Crl> {
    crls.iter()
        .filter(|crl| crl.issuer == issuer)
        .max_by_key(|crl| crl.this_update)
}
