//! From files to what rustls serves with: TLS 1.3, mutual, no resumption, revocation enforced.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::crl::{self, Crl};
use super::files::Files;
use super::{TlsError, moment};
use crate::clock::Clock;
use crate::config::TlsConfig;

/// The one protocol gRPC speaks (RFC 7301 protocol id).
pub(super) const ALPN_H2: &[u8] = b"h2";

/// One load's outcome: all that a handshake, and a later look at its certificate, need.
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) server: Arc<ServerConfig>,
    /// Counts loads; a connection's certificate remembers the one it was last verified in.
    pub(super) generation: u64,
    /// When the first revocation list runs out.
    pub(super) crls_until: Timestamp,
    verifier: Arc<dyn ClientCertVerifier>,
    lives: Vec<Life>,
    crls: Vec<Crl>,
}

/// Something that runs out soon, or has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expiring {
    path: PathBuf,
    until: Timestamp,
    over: bool,
}

impl InForce {
    pub(super) fn build(
        files: &Files<'_>,
        config: &TlsConfig,
        clock: &Clock,
        before: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let chain = files.chain()?;
        let certificate = Life::of_certificate(&chain, config)?;
        if certificate.until <= clock.now() {
            return Err(TlsError::CertificateExpired {
                path: certificate.path,
                at: certificate.until,
            });
        }
        let roots = files.roots()?;
        let mut crls = files.crls()?;
        crl::check(&crls, &roots, before.map_or(&[], |old| &old.crls))?;
        // webpki takes the first list that speaks for an issuer: let that be the newest.
        crls.sort_by_key(|crl| std::cmp::Reverse(crl.this_update));
        let verifier = verifier(roots, &crls)?;
        let lives: Vec<_> = std::iter::once(certificate)
            .chain(crls.iter().map(Life::of_crl))
            .collect();
        Ok(Self {
            server: server(files, chain, config, clock, &verifier)?,
            generation: before.map_or(1, |old| old.generation + 1),
            crls_until: crls
                .iter()
                .map(|crl| crl.next_update)
                .min()
                .unwrap_or(Timestamp::MIN),
            verifier,
            lives,
            crls,
        })
    }

    /// Whether `chain` (leaf first) is good at `now`: issued by a root, in date, not revoked.
    pub(super) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(), rustls::Error> {
        let (leaf, intermediates) = chain
            .split_first()
            .ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier
            .verify_client_cert(leaf, intermediates, unix_time(now))
            .map(drop)
    }

    /// What needs an operator's hand by `now`.
    pub(super) fn expiring(&self, now: Timestamp) -> Vec<Expiring> {
        let due = self.lives.iter().filter(|life| life.due() <= now);
        due.map(|life| Expiring {
            path: life.path.clone(),
            until: life.until,
            over: life.until <= now,
        })
        .collect()
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is an f64, and seconds since 1970 fit one exactly"
    )]
    pub(super) fn report(&self) {
        metrics::gauge!("evidence_tls_crl_next_update_timestamp_seconds")
            .set(self.crls_until.as_second() as f64);
        if let Some(certificate) = self.lives.first() {
            metrics::gauge!("evidence_tls_certificate_not_after_timestamp_seconds")
                .set(certificate.until.as_second() as f64);
        }
    }
}

impl Expiring {
    pub(super) fn log(&self) {
        let path = self.path.display();
        if self.over {
            tracing::error!(%path, until = %self.until, "this file has expired, and connections that depend on it are refused; put its successor in place");
        } else {
            tracing::warn!(%path, until = %self.until, "this file expires soon; put its successor in place");
        }
    }
}

/// How long a file is good for.
#[derive(Debug)]
struct Life {
    path: PathBuf,
    from: Timestamp,
    until: Timestamp,
}

impl Life {
    fn of_certificate(chain: &[CertificateDer<'_>], config: &TlsConfig) -> Result<Self, TlsError> {
        let path = config.certificate.clone();
        let leaf = chain.first().map(|leaf| X509Certificate::from_der(leaf));
        let Some(Ok((_, leaf))) = leaf else {
            return Err(TlsError::Malformed {
                path,
                what: "certificate",
            });
        };
        let from = moment(leaf.validity().not_before);
        let until = moment(leaf.validity().not_after);
        Ok(Self { path, from, until })
    }

    fn of_crl(crl: &Crl) -> Self {
        Self {
            path: crl.path.clone(),
            from: crl.this_update,
            until: crl.next_update,
        }
    }

    /// When to start saying so: in the last quarter of its life, but not a season ahead.
    fn due(&self) -> Timestamp {
        let month = SignedDuration::from_hours(30 * 24);
        let ahead = (self.until.duration_since(self.from) / 4).min(month);
        self.until.saturating_sub(ahead).unwrap_or(self.until)
    }
}

fn verifier(
    roots: Vec<CertificateDer<'static>>,
    crls: &[Crl],
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root).map_err(TlsError::Root)?;
    }
    // The defaults that are relied on here: the whole chain is checked, and an unknown status is
    // refused. Enforcing expiry is not the default.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
        .with_crls(crls.iter().map(|crl| crl.der.clone()))
        .enforce_revocation_expiration()
        .build()?;
    Ok(verifier)
}

fn server(
    files: &Files<'_>,
    chain: Vec<CertificateDer<'static>>,
    config: &TlsConfig,
    clock: &Clock,
    verifier: &Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let time = Arc::new(Time(clock.clone()));
    let mut server = ServerConfig::builder_with_details(provider(), time)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Provider)?
        .with_client_cert_verifier(Arc::clone(verifier))
        .with_single_cert(chain, files.key()?)
        .map_err(|source| TlsError::Pair {
            path: config.certificate.clone(),
            source,
        })?;
    server.alpn_protocols = vec![ALPN_H2.to_vec()];
    // A resumed session would skip the revocation check.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

/// Named here rather than taken from the process, so that no other crate's choice of default can
/// change it. Post-quantum hybrids first (draft-ietf-tls-ecdhe-mlkem).
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519, X25519MLKEM768};
    Arc::new(CryptoProvider {
        kx_groups: vec![
            X25519MLKEM768,
            SECP256R1MLKEM768,
            X25519,
            SECP256R1,
            SECP384R1,
        ],
        ..aws_lc_rs::default_provider()
    })
}

/// rustls asks the gateway's clock what time it is.
#[derive(Debug)]
pub(super) struct Time(pub(super) Clock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0.now()))
    }
}

/// Moments before 1970 become 1970, at which nothing is valid yet.
fn unix_time(now: Timestamp) -> UnixTime {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
