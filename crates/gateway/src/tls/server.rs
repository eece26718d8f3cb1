//! tonic's server with every bound set on purpose rather than by default.

use tonic::transport::Server;

use crate::config::Limits;

/// The largest message a service accepts; set it on each with `max_decoding_message_size`.
/// Documents travel in smaller pieces.
pub const MAX_DECODING_BYTES: usize = 4 * 1024 * 1024;

/// The largest message a service sends; set it on each with `max_encoding_message_size`.
pub const MAX_ENCODING_BYTES: usize = 4 * 1024 * 1024;

/// The largest message of a bundle: its manifest, with a receipt for every item.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024 * 1024;

/// A builder for [`incoming`](super::incoming)'s connections. HTTP/2 only.
///
/// `request_timeout_seconds` bounds the time until a call starts to answer, so a call that reads a
/// whole upload first must fit it; one that answers as it goes bounds its own waits with
/// `stream_idle_seconds`.
pub fn server_builder(limits: &Limits) -> Server {
    Server::builder()
        .accept_http1(false)
        .concurrency_limit_per_connection(limits.max_requests_per_connection)
        .load_shed(false)
        .timeout(limits.request_timeout())
        .max_concurrent_streams(limits.max_streams_per_connection)
        .http2_max_pending_accept_reset_streams(Some(limits.max_reset_streams))
        .http2_max_local_error_reset_streams(Some(limits.max_reset_streams))
        .http2_max_header_list_size(limits.max_header_bytes)
        .max_frame_size(limits.max_frame_bytes)
        .http2_adaptive_window(Some(false))
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .http2_keepalive_interval(Some(limits.keepalive()))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout()))
        // The client is asked to finish at this age; `Connection` cuts it after the grace.
        .max_connection_age(limits.connection_age())
}
