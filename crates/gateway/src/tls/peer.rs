//! Who is at the other end, as proved by the handshake.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use ring::digest;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::moment;

/// A client certificate that was good when its connection was made. tonic puts one into the
/// extensions of every request; ask [`Tls::is_revoked`](super::Tls::is_revoked) before relying
/// on it. Clones are cheap.
#[derive(Clone)]
pub struct PeerCertificate(Arc<Inner>);

impl PeerCertificate {
    /// `chain` is what the client sent, leaf first, and has been verified in `generation`.
    /// `None` if there is no leaf or it does not parse, which verification has ruled out.
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        remote: SocketAddr,
        generation: u64,
    ) -> Option<Self> {
        let leaf = chain.first()?;
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        Some(Self(Arc::new(Inner {
            fingerprint: HEXLOWER.encode(digest::digest(&digest::SHA256, leaf).as_ref()),
            serial: HEXLOWER.encode(parsed.raw_serial()),
            not_after: moment(parsed.validity().not_after),
            chain,
            remote,
            verified_in: AtomicU64::new(generation),
        })))
    }

    /// SHA-256 of the leaf's DER, 64 lower-case hexadecimal digits. How the registry finds the
    /// organisation.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// The leaf's serial number as encoded, lower-case hexadecimal.
    pub fn serial(&self) -> &str {
        &self.0.serial
    }

    /// The chain as presented, leaf first, DER. Never empty.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.chain
    }

    pub fn not_after(&self) -> Timestamp {
        self.0.not_after
    }

    pub fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    pub(super) fn verified_in(&self) -> u64 {
        self.0.verified_in.load(Ordering::Acquire)
    }

    pub(super) fn set_verified_in(&self, generation: u64) {
        self.0.verified_in.store(generation, Ordering::Release);
    }
}

impl fmt::Debug for PeerCertificate {
    /// Shows only the fingerprint: a certificate's subject may hold a person's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeerCertificate")
            .field(&self.fingerprint())
            .finish()
    }
}

struct Inner {
    fingerprint: String,
    serial: String,
    chain: Vec<CertificateDer<'static>>,
    not_after: Timestamp,
    remote: SocketAddr,
    /// The reload in which the chain was last verified.
    verified_in: AtomicU64,
}
