//! The mutual-TLS door: TLS 1.3 only, client certificates checked against revocation lists,
//! everything re-read while it runs.
//!
//! tonic's own TLS loads no revocation lists and sets no handshake timeout, so the gateway accepts
//! connections itself ([`incoming`]) and hands tonic finished ones.

mod connection;
mod crl;
mod files;
mod incoming;
mod material;
mod peer;
mod server;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use x509_parser::time::ASN1Time;

use crate::clock::Clock;
use crate::config::TlsConfig;
use files::Files;
use material::{Expiring, InForce};

pub use connection::Connection;
pub use incoming::incoming;
pub use peer::PeerCertificate;
pub use server::{MAX_DECODING_BYTES, MAX_ENCODING_BYTES, MAX_MANIFEST_BYTES, server_builder};

/// The certificates, keys and revocation lists in force. Clones share them.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Shared>);

/// Why certificates, keys or revocation lists cannot be used. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}; check the path in [tls] and that the gateway's user may read it", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{} holds no {what} that can be read; replace it with one in PEM (a revocation list may also be DER)", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    #[error("{} is a private key that every user of this machine can reach; take that away (chmod o-rwx) and replace the key if others use the machine", path.display())]
    KeyOpenToAll { path: PathBuf },
    #[error("{} and its key do not serve: {source}; put the matching pair in place", path.display())]
    Pair {
        path: PathBuf,
        source: rustls::Error,
    },
    #[error("{} expired at {at}; put a renewed certificate in place", path.display())]
    CertificateExpired { path: PathBuf, at: Timestamp },
    #[error(
        "the client root \"{subject}\" has no revocation list in tls.crls, so every certificate of its would be refused; add its list, or remove the root"
    )]
    RootWithoutCrl { subject: String },
    #[error("{} is not signed by the authority it names; fetch the list again from its issuer", path.display())]
    CrlNotSigned { path: PathBuf },
    #[error("{} is older than the list in force and could bring a revoked certificate back; fetch the issuer's newest list", path.display())]
    CrlOlder { path: PathBuf },
    #[error(
        "a certificate in tls.client_roots cannot be an authority: {0}; replace it with the root itself"
    )]
    Root(rustls::Error),
    #[error(
        "the client roots and revocation lists do not serve: {0}; check the files in tls.client_roots and tls.crls"
    )]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error(
        "this build's cryptography cannot serve TLS 1.3: {0}; report it, this is a fault in the build"
    )]
    Provider(rustls::Error),
}

impl Tls {
    /// Reads everything [`TlsConfig`] names. `clock` decides what has expired; a sandbox with a
    /// settable clock passes [`Clock::system`], because its clients live in system time.
    ///
    /// # Errors
    /// [`TlsError`]. An expired revocation list is not one: its authority's clients are refused
    /// one by one, and those of other authorities still get in.
    pub fn load(config: &TlsConfig, clock: Clock) -> Result<Self, TlsError> {
        let files = Files::read(config)?;
        let in_force = InForce::build(&files, config, &clock, None)?;
        in_force.report();
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            clock,
            tried: Mutex::new(files.digest()),
            changed: watch::Sender::new(in_force.generation),
            in_force: ArcSwap::from_pointee(in_force),
        })))
    }

    /// Reads all files again and puts them in force for new connections and for [`is_revoked`].
    /// For SIGHUP. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// [`TlsError`], already logged and counted; what was in force stays in force.
    ///
    /// [`is_revoked`]: Tls::is_revoked
    pub fn reload(&self) -> Result<(), TlsError> {
        self.reread(true)
    }

    /// Looks at the files every `reload_seconds` and warns of what is about to expire. Runs until
    /// dropped.
    pub async fn watch(self) {
        let mut ticks = interval(Duration::from_secs(self.0.config.reload_seconds));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Vec::new();
        loop {
            ticks.tick().await;
            let this = self.clone();
            // Reading is a blocking call; a refusal is logged where it happens.
            let read = tokio::task::spawn_blocking(move || this.reread(false)).await;
            if let Err(error) = read {
                tracing::error!(%error, "looking at the TLS files failed; restart the gateway if this goes on");
            }
            let expiring = self.in_force().expiring(self.0.clock.now());
            if expiring != told {
                expiring.iter().for_each(Expiring::log);
                told = expiring;
            }
        }
    }

    /// Whether `peer` must no longer be served: revoked, expired, or its authority's revocation
    /// list no longer current. Cheap enough for every call: the chain is verified again only when
    /// the files have changed since it last was.
    pub fn is_revoked(&self, peer: &PeerCertificate) -> bool {
        let now = self.0.clock.now();
        let in_force = self.in_force();
        if now >= peer.not_after() {
            return true;
        }
        if peer.verified_in() == in_force.generation && now < in_force.crls_until {
            return false;
        }
        match in_force.verify(peer.chain(), now) {
            Ok(()) => {
                peer.set_verified_in(in_force.generation);
                false
            }
            Err(error) => {
                tracing::warn!(
                    certificate = peer.fingerprint(),
                    reason = incoming::reason(&error),
                    "a connected certificate is no longer accepted"
                );
                true
            }
        }
    }

    /// Fires on each reload, with its number. Connections of certificates that a reload revokes
    /// are cut without anybody listening here.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn server(&self) -> (Arc<ServerConfig>, u64) {
        let in_force = self.in_force();
        (Arc::clone(&in_force.server), in_force.generation)
    }

    fn in_force(&self) -> Arc<InForce> {
        self.0.in_force.load_full()
    }

    /// `always` puts even unchanged files in force; otherwise contents already tried are left
    /// alone, so that a bad file is reported once and not on every look.
    fn reread(&self, always: bool) -> Result<(), TlsError> {
        // Held throughout: two reloads at once could put the older files in force last.
        let mut tried = self.0.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let result = Files::read(&self.0.config).and_then(|files| {
            let digest = files.digest();
            if !always && *tried == digest {
                return Ok(false);
            }
            *tried = digest;
            let now_in_force = self.in_force();
            let next = InForce::build(
                &files,
                &self.0.config,
                &self.0.clock,
                Some(now_in_force.as_ref()),
            )?;
            next.report();
            let generation = next.generation;
            self.0.in_force.store(Arc::new(next));
            // After the store: whoever is woken must find the new files.
            self.0.changed.send_replace(generation);
            Ok(true)
        });
        match &result {
            Ok(false) => {}
            Ok(true) => {
                metrics::counter!("evidence_tls_reloads_total", "outcome" => "done").increment(1);
                metrics::gauge!("evidence_tls_reload_failed").set(0.0);
                tracing::info!("certificates and revocation lists read again");
            }
            Err(error) => {
                metrics::counter!("evidence_tls_reloads_total", "outcome" => "failed").increment(1);
                metrics::gauge!("evidence_tls_reload_failed").set(1.0);
                tracing::error!(%error, "the new TLS files are not in use; the old ones stay in force");
            }
        }
        result.map(drop)
    }
}

/// An X.509 time. One beyond our calendar, as in "has no well-defined expiry" (RFC 5280 section
/// 4.1.2.5), becomes the calendar's end.
fn moment(at: ASN1Time) -> Timestamp {
    let seconds = at.timestamp();
    let end = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(seconds).unwrap_or(end)
}

#[derive(Debug)]
struct Shared {
    config: TlsConfig,
    clock: Clock,
    in_force: ArcSwap<InForce>,
    /// Digest of the files last read, good or bad. Its lock is the reload's.
    tried: Mutex<[u8; 32]>,
    changed: watch::Sender<u64>,
}
