//! A connection whose peer is known, which ends itself when it should no longer be served.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{PeerCertificate, Tls};

/// How often an open connection's certificate is looked at between reloads, so that one that
/// expires is cut as well as one that is revoked.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// An accepted connection. Its requests carry [`PeerCertificate`] in their extensions.
///
/// Reads and writes fail, and tonic drops the connection with all its streams, once its
/// certificate is no longer accepted or it has outlived `connection_age_seconds` and
/// `connection_grace_seconds`. (tonic's own grace setting cuts without asking the client to finish
/// first, so it is left unset.)
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: PeerCertificate,
    end: Pin<Box<dyn Future<Output = Ending> + Send>>,
    ended: Option<Ending>,
    _open: Open,
}

impl Connection {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        peer: PeerCertificate,
        tls: Tls,
        longest: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let end = Box::pin(end(tls, peer.clone(), longest));
        Self {
            stream,
            peer,
            end,
            ended: None,
            _open: Open::new(place),
        }
    }

    pub fn peer(&self) -> &PeerCertificate {
        &self.peer
    }

    /// The finished handshake, for what a test or a log wants to know of it.
    pub fn handshake(&self) -> &rustls::ServerConnection {
        self.stream.get_ref().1
    }

    /// Called on every read and write: a peer that stops reading must not keep a connection open
    /// by blocking its writes.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.is_none()
            && let Poll::Ready(ending) = self.end.as_mut().poll(cx)
        {
            metrics::counter!("evidence_tls_connections_cut_total", "reason" => ending.reason())
                .increment(1);
            tracing::info!(
                certificate = self.peer.fingerprint(),
                reason = ending.reason(),
                "connection cut"
            );
            self.ended = Some(ending);
        }
        self.ended.map_or(Ok(()), |ending| {
            Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                ending.reason(),
            ))
        })
    }
}

impl Connected for Connection {
    type ConnectInfo = PeerCertificate;

    fn connect_info(&self) -> PeerCertificate {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    TooOld,
    NotAccepted,
}

impl Ending {
    fn reason(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::NotAccepted => "certificate_not_accepted",
        }
    }
}

async fn end(tls: Tls, peer: PeerCertificate, longest: Duration) -> Ending {
    let mut changed = tls.changed();
    let mut look = interval(LOOK_AGAIN);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut old = std::pin::pin!(sleep(longest));
    loop {
        // The first tick is at once: a reload may have come between handshake and subscription.
        tokio::select! {
            () = &mut old => return Ending::TooOld,
            _ = look.tick() => {}
            // `tls` holds the sender, so this cannot fail.
            _ = changed.changed() => {}
        }
        if tls.is_revoked(&peer) {
            return Ending::NotAccepted;
        }
    }
}

/// A place among `max_connections`, counted while it is taken.
struct Open(
    #[expect(dead_code, reason = "held, and given back when dropped")] OwnedSemaphorePermit,
);

impl Open {
    fn new(place: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("evidence_tls_connections_open").increment(1.0);
        Self(place)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("evidence_tls_connections_open").decrement(1.0);
    }
}
