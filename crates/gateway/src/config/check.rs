//! The checks that TOML's types cannot make. All problems are found in one go, so that an operator
//! corrects a file once.

use std::collections::HashSet;

use super::{
    Config, DatabaseConfig, DocumentsConfig, HARD_MAX_DOCUMENT_BYTES, INLINE_BYTES, KeysConfig,
    Limits, Problem, TelemetryConfig, TlsConfig,
};

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut found = tls(&config.tls);
    found.extend(limits(&config.limits));
    found.extend(stores(&config.database, &config.documents));
    found.extend(keys(&config.keys));
    found.extend(origin(&config.log.origin));
    found.extend(telemetry(&config.telemetry));
    found
}

impl Problem {
    pub(super) fn new(
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

fn tls(tls: &TlsConfig) -> Vec<Problem> {
    let mut found = Vec::new();
    if tls.client_roots.is_empty() {
        found.push(Problem::new(
            "tls.client_roots",
            "is empty",
            "name the files of the authorities that issue organisations' certificates",
        ));
    }
    if tls.crls.is_empty() {
        found.push(Problem::new(
            "tls.crls",
            "is empty",
            "name a revocation list for every client root; without one a revoked certificate \
             could not be told from a good one",
        ));
    }
    found.extend(range("tls.reload_seconds", tls.reload_seconds, 1, 86_400));
    found
}

fn limits(limits: &Limits) -> Vec<Problem> {
    let all = times(limits).into_iter().chain(sizes(limits));
    let ranged = |(key, value, least, most)| range(format!("limits.{key}"), value, least, most);
    all.filter_map(ranged).collect()
}

/// A limit's key, its value, and the least and most it may be.
type Limit = (&'static str, u64, u64, u64);

fn times(l: &Limits) -> [Limit; 7] {
    let (hour, day) = (3_600, 86_400);
    let handshake = l.handshake_timeout_seconds;
    let keepalive = l.keepalive_timeout_seconds;
    [
        ("handshake_timeout_seconds", handshake, 1, 60),
        ("keepalive_seconds", l.keepalive_seconds, 5, 2 * hour),
        ("keepalive_timeout_seconds", keepalive, 1, 300),
        ("connection_age_seconds", l.connection_age_seconds, 10, day),
        (
            "connection_grace_seconds",
            l.connection_grace_seconds,
            1,
            day,
        ),
        (
            "request_timeout_seconds",
            l.request_timeout_seconds,
            1,
            hour,
        ),
        ("stream_idle_seconds", l.stream_idle_seconds, 1, hour),
    ]
}

fn sizes(l: &Limits) -> [Limit; 10] {
    let (kib, mib) = (1024, 1024 * 1024);
    let connections = l.max_connections as u64;
    let handshakes = l.max_handshakes as u64;
    let streams = l.max_streams_per_connection.into();
    let requests = l.max_requests_per_connection as u64;
    let resets = l.max_reset_streams as u64;
    let (headers, frame) = (l.max_header_bytes.into(), l.max_frame_bytes.into());
    let stream_window = l.stream_window_bytes.into();
    let connection_window = l.connection_window_bytes.into();
    let (document, largest) = (l.max_document_bytes, HARD_MAX_DOCUMENT_BYTES);
    [
        ("max_connections", connections, 1, 1_000_000),
        ("max_handshakes", handshakes, 1, 100_000),
        ("max_streams_per_connection", streams, 1, 10_000),
        ("max_requests_per_connection", requests, 1, 10_000),
        ("max_reset_streams", resets, 1, 1_000),
        ("max_header_bytes", headers, 4 * kib, 256 * kib),
        // RFC 9113 section 6.5.2 sets both ends.
        ("max_frame_bytes", frame, 16 * kib, 16 * mib - 1),
        ("stream_window_bytes", stream_window, 64 * kib, 64 * mib),
        (
            "connection_window_bytes",
            connection_window,
            stream_window,
            256 * mib,
        ),
        ("max_document_bytes", document, INLINE_BYTES, largest),
    ]
}

fn stores(database: &DatabaseConfig, documents: &DocumentsConfig) -> Vec<Problem> {
    let mut found = Vec::new();
    if let DatabaseConfig::Postgres {
        max_connections, ..
    } = database
    {
        let max = u64::from(*max_connections);
        found.extend(range("database.max_connections", max, 2, 1_000));
    }
    if let DocumentsConfig::S3 {
        bucket,
        region,
        endpoint,
        allow_http,
        ..
    } = documents
    {
        for (key, value) in [("bucket", bucket), ("region", region)] {
            if value.trim().is_empty() {
                found.push(Problem::new(
                    format!("documents.{key}"),
                    "is empty",
                    "name it as your object store does",
                ));
            }
        }
        found.extend(
            endpoint
                .as_deref()
                .and_then(|url| endpoint_problem(url, *allow_http)),
        );
    }
    found
}

fn endpoint_problem(url: &str, allow_http: bool) -> Option<Problem> {
    let remedy = match scheme(url).as_deref() {
        Some("https") => return None,
        Some("http") if allow_http => return None,
        Some("http") => "use https, or set allow_http = true if the network is private",
        _ => "give a URL such as https://objects.example.org",
    };
    Some(Problem::new(
        "documents.endpoint",
        "cannot be used as it is",
        remedy,
    ))
}

fn keys(keys: &KeysConfig) -> Option<Problem> {
    let all = [
        &keys.key_encryption_key,
        &keys.statement_key,
        &keys.receipt_key,
        &keys.checkpoint_key,
    ];
    let distinct: HashSet<_> = all.iter().collect();
    (distinct.len() < all.len()).then(|| {
        Problem::new(
            "keys",
            "names one file for two keys",
            "make a separate key for each use, so that one can be replaced without the others",
        )
    })
}

/// C2SP signed-note: a key name is not empty and has no space and no plus sign.
fn origin(origin: &str) -> Option<Problem> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    (origin.is_empty() || origin.contains(bad) || origin.contains("://")).then(|| {
        Problem::new(
            "log.origin",
            "is not a log name",
            "use your domain and a path without a scheme, such as evidence.example.org/log",
        )
    })
}

fn telemetry(telemetry: &TelemetryConfig) -> Vec<Problem> {
    let mut found = Vec::new();
    let endpoint = telemetry.otlp_endpoint.as_deref();
    if endpoint.is_some_and(|url| scheme(url).as_deref() != Some("http")) {
        found.push(Problem::new(
            "telemetry.otlp_endpoint",
            "is not a plain http URL",
            "run a collector beside the gateway (http://127.0.0.1:4317) and let it send on over TLS",
        ));
    }
    if telemetry.service_name.trim().is_empty() {
        found.push(Problem::new(
            "telemetry.service_name",
            "is empty",
            "leave the key out for evidence-gateway",
        ));
    }
    found
}

/// The scheme of a URL that has one and a host.
fn scheme(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().filter(|host| !host.is_empty())?;
    uri.scheme_str().map(str::to_owned)
}

fn range(key: impl Into<String>, value: u64, least: u64, most: u64) -> Option<Problem> {
    (!(least..=most).contains(&value)).then(|| {
        Problem::new(
            key,
            format!("is {value}"),
            format!("set it between {least} and {most}"),
        )
    })
}
