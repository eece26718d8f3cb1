//! How much of anything one caller, and all callers together, may take.

use std::time::Duration;

use serde::Deserialize;

/// Every bound on the door. Each has a default that suits two cores and 4 GiB.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections open at once; one more is closed straight away.
    pub max_connections: usize,
    /// Handshakes under way at once; one more is closed straight away.
    pub max_handshakes: usize,
    /// How long a client may take to prove who it is.
    pub handshake_timeout_seconds: u64,
    /// HTTP/2 streams open at once on one connection.
    pub max_streams_per_connection: u32,
    /// Requests of one connection being worked on at once; more wait their turn.
    pub max_requests_per_connection: usize,
    /// Streams a client may open and reset before it is sent away (CVE-2023-44487).
    pub max_reset_streams: usize,
    pub max_header_bytes: u32,
    pub max_frame_bytes: u32,
    /// Bytes in flight towards the gateway on one stream, and on one connection. Fixed rather
    /// than adaptive, so that memory has a known ceiling.
    pub stream_window_bytes: u32,
    pub connection_window_bytes: u32,
    /// How often a silent connection is asked whether it is alive, and how long it may take to say.
    pub keepalive_seconds: u64,
    pub keepalive_timeout_seconds: u64,
    /// A connection is asked to finish at this age and cut this much later.
    pub connection_age_seconds: u64,
    pub connection_grace_seconds: u64,
    /// How long a call may take until it starts to answer, whatever deadline its caller set.
    pub request_timeout_seconds: u64,
    /// How long a call may wait for the next message of an upload.
    pub stream_idle_seconds: u64,
    /// The largest document accepted.
    pub max_document_bytes: u64,
}

impl Limits {
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }

    pub fn keepalive(&self) -> Duration {
        Duration::from_secs(self.keepalive_seconds)
    }

    pub fn keepalive_timeout(&self) -> Duration {
        Duration::from_secs(self.keepalive_timeout_seconds)
    }

    pub fn connection_age(&self) -> Duration {
        Duration::from_secs(self.connection_age_seconds)
    }

    /// The age at which a connection is cut, finished or not.
    pub fn connection_longest(&self) -> Duration {
        Duration::from_secs(
            self.connection_age_seconds
                .saturating_add(self.connection_grace_seconds),
        )
    }

    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    pub fn stream_idle(&self) -> Duration {
        Duration::from_secs(self.stream_idle_seconds)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4_096,
            max_handshakes: 256,
            handshake_timeout_seconds: 10,
            max_streams_per_connection: 128,
            max_requests_per_connection: 64,
            max_reset_streams: 20,
            max_header_bytes: 16 * 1024,
            max_frame_bytes: 64 * 1024,
            stream_window_bytes: 1024 * 1024,
            connection_window_bytes: 4 * 1024 * 1024,
            keepalive_seconds: 60,
            keepalive_timeout_seconds: 20,
            connection_age_seconds: 3_600,
            connection_grace_seconds: 600,
            request_timeout_seconds: 120,
            stream_idle_seconds: 60,
            max_document_bytes: 100 * 1024 * 1024,
        }
    }
}
