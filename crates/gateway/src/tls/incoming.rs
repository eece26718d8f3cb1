//! The accept loop: handshakes run side by side, bounded in number and time, and none of them
//! holds up the next connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use rustls::{CertificateError, Error as TlsFault};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::material::ALPN_H2;
use super::{Connection, PeerCertificate, Tls};
use crate::config::Limits;

/// How long to leave the listener alone when the system has no more sockets to give.
const BREATHER: Duration = Duration::from_millis(250);

/// Connections whose handshake is done, for tonic's `serve_with_incoming_shutdown`. Never ends and
/// never yields an error: one client's failure is nobody else's. Dropping it closes the listener
/// and abandons handshakes under way.
pub fn incoming(
    listener: TcpListener,
    tls: Tls,
    limits: &Limits,
) -> impl Stream<Item = io::Result<Connection>> + Send + use<> {
    let door = Door {
        listener,
        opens_at: None,
        handshakes: JoinSet::new(),
        connection_places: Arc::new(Semaphore::new(limits.max_connections)),
        handshake_places: Arc::new(Semaphore::new(limits.max_handshakes)),
        tls,
        handshake_timeout: limits.handshake_timeout(),
        longest: limits.connection_longest(),
    };
    unfold(door, |mut door| async {
        let connection = door.next().await;
        Some((Ok(connection), door))
    })
}

struct Door {
    listener: TcpListener,
    /// Set after an accept that failed for want of resources.
    opens_at: Option<Instant>,
    handshakes: JoinSet<Option<Connection>>,
    connection_places: Arc<Semaphore>,
    handshake_places: Arc<Semaphore>,
    tls: Tls,
    handshake_timeout: Duration,
    longest: Duration,
}

impl Door {
    async fn next(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(connection)) => return connection,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a handshake broke off; report it, this is a fault in the gateway"),
                },
                accepted = accept(&self.listener, self.opens_at) => {
                    self.opens_at = None;
                    match accepted {
                        Ok((socket, remote)) => self.admit(socket, remote),
                        Err(error) => self.opens_at = rest_after(&error),
                    }
                }
            }
        }
    }

    /// Starts a handshake, or closes the socket at once when there is no place for it: a client
    /// that is told no can try again, one left waiting cannot know.
    fn admit(&mut self, socket: TcpStream, remote: SocketAddr) {
        let connection = Arc::clone(&self.connection_places).try_acquire_owned();
        let handshake = Arc::clone(&self.handshake_places).try_acquire_owned();
        let (Ok(connection), Ok(handshake)) = (connection, handshake) else {
            count("no_place");
            tracing::warn!(
                "no place for another connection; raise limits.max_connections or limits.max_handshakes if this is ordinary load"
            );
            return;
        };
        let work = shake(self.tls.clone(), socket, remote, self.longest, connection);
        self.handshakes
            .spawn(bounded(work, self.handshake_timeout, remote, handshake));
    }
}

async fn accept(
    listener: &TcpListener,
    opens_at: Option<Instant>,
) -> io::Result<(TcpStream, SocketAddr)> {
    if let Some(opens_at) = opens_at {
        sleep_until(opens_at).await;
    }
    listener.accept().await
}

/// A client that gave up is its own affair; anything else (no file descriptors, no memory) would
/// fail again at once and spin.
pub(super) fn rest_after(error: &io::Error) -> Option<Instant> {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        return None;
    }
    count("accept_failed");
    tracing::error!(%error, "cannot accept connections; raise the open-files limit if it says too many open files");
    Some(Instant::now() + BREATHER)
}

/// Runs one handshake within its time; `_place` is given back when it is over.
async fn bounded(
    work: impl Future<Output = Result<Connection, Failure>>,
    limit: Duration,
    remote: SocketAddr,
    _place: OwnedSemaphorePermit,
) -> Option<Connection> {
    let result = timeout(limit, work).await.unwrap_or(Err(Failure::Slow));
    match result {
        Ok(connection) => {
            count("done");
            Some(connection)
        }
        Err(failure) => {
            let reason = failure.reason();
            count(reason);
            // The address of an organisation's system, never of a claimant: they come by the
            // portal.
            tracing::warn!(remote = %remote.ip(), reason, "a TLS handshake was refused");
            None
        }
    }
}

async fn shake(
    tls: Tls,
    socket: TcpStream,
    remote: SocketAddr,
    longest: Duration,
    place: OwnedSemaphorePermit,
) -> Result<Connection, Failure> {
    let _ = socket.set_nodelay(true);
    let (config, generation) = tls.server();
    let stream = TlsAcceptor::from(config)
        .accept(socket)
        .await
        .map_err(Failure::Tls)?;
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(ALPN_H2) {
        return Err(Failure::NotHttp2);
    }
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|cert| cert.clone().into_owned()).collect();
    let peer = PeerCertificate::new(chain, remote, generation).ok_or(Failure::NoPeer)?;
    Ok(Connection::new(stream, peer, tls, longest, place))
}

#[derive(Debug)]
enum Failure {
    Slow,
    Tls(io::Error),
    NotHttp2,
    NoPeer,
}

impl Failure {
    fn reason(&self) -> &'static str {
        match self {
            Self::Slow => "timeout",
            Self::NotHttp2 => "not_http2",
            Self::NoPeer => "certificate_unreadable",
            Self::Tls(error) => error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<TlsFault>())
                .map_or("connection_lost", reason),
        }
    }
}

/// A stable label for why TLS refused: names of conditions, nothing that a peer wrote.
pub(super) fn reason(error: &TlsFault) -> &'static str {
    use CertificateError as C;
    match error {
        TlsFault::NoCertificatesPresented => "no_certificate",
        TlsFault::InvalidCertificate(certificate) => match certificate {
            C::Revoked => "certificate_revoked",
            C::Expired | C::ExpiredContext { .. } => "certificate_expired",
            C::NotValidYet | C::NotValidYetContext { .. } => "certificate_not_yet_valid",
            C::UnknownIssuer => "unknown_authority",
            C::UnknownRevocationStatus => "revocation_unknown",
            C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => {
                "revocation_list_expired"
            }
            _ => "certificate_unusable",
        },
        TlsFault::InvalidCertRevocationList(_) => "revocation_list_unusable",
        TlsFault::PeerIncompatible(_) => "no_common_parameters",
        TlsFault::NoApplicationProtocol => "not_http2",
        TlsFault::AlertReceived(_) => "client_refused_us",
        _ => "protocol_error",
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("evidence_tls_handshakes_total", "outcome" => outcome).increment(1);
}
