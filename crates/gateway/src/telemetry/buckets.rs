//! Histogram bounds by the unit at the end of a metric's name, the same for Prometheus and OTLP.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// From half a millisecond, about one fsync on good disks, to the longest request allowed by
/// default.
const SECONDS: [f64; 16] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    120.0,
];

/// From a small statement to the largest document.
const BYTES: [f64; 8] = [
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    1_048_576.0,
    10_485_760.0,
    104_857_600.0,
    1_073_741_824.0,
];

/// Numbers of things, such as commands in a batch.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The bounds for the histogram `name`.
pub(super) fn of(name: &str) -> &'static [f64] {
    if name.ends_with("_seconds") {
        &SECONDS
    } else if name.ends_with("_bytes") {
        &BYTES
    } else {
        &COUNTS
    }
}

pub(super) fn set(builder: PrometheusBuilder) -> Result<PrometheusBuilder, BuildError> {
    builder
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".into()), &BYTES)?
        .set_buckets(&COUNTS)
}
