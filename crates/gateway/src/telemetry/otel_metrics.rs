//! Carries what the `metrics` facade records to OpenTelemetry instruments.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use metrics_util::registry::{Registry, Storage};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{self as otel, Meter};

use super::buckets;

/// A `metrics` recorder that keeps one OpenTelemetry instrument for each name and set of labels.
pub(super) struct OtelRecorder(Registry<Key, Instruments>);

impl OtelRecorder {
    pub(super) fn new(meter: Meter) -> Self {
        Self(Registry::new(Instruments(meter)))
    }
}

impl Recorder for OtelRecorder {
    // Names carry their unit and docs/decisions/telemetry.md their meaning.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0
            .get_or_create_counter(key, |counter| Counter::from_arc(Arc::clone(counter)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0
            .get_or_create_gauge(key, |gauge| Gauge::from_arc(Arc::clone(gauge)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0
            .get_or_create_histogram(key, |histogram| Histogram::from_arc(Arc::clone(histogram)))
    }
}

struct Instruments(Meter);

impl Storage<Key> for Instruments {
    type Counter = Arc<OtelCounter>;
    type Gauge = Arc<OtelGauge>;
    type Histogram = Arc<OtelHistogram>;

    fn counter(&self, key: &Key) -> Self::Counter {
        Arc::new(OtelCounter {
            to: self.0.u64_counter(key.name().to_owned()).build(),
            labels: labels(key),
            total: AtomicU64::new(0),
        })
    }

    fn gauge(&self, key: &Key) -> Self::Gauge {
        Arc::new(OtelGauge {
            to: self.0.f64_gauge(key.name().to_owned()).build(),
            labels: labels(key),
            now: Mutex::new(0.0),
        })
    }

    fn histogram(&self, key: &Key) -> Self::Histogram {
        let histogram = self.0.f64_histogram(key.name().to_owned());
        Arc::new(OtelHistogram {
            to: histogram
                .with_boundaries(buckets::of(key.name()).to_vec())
                .build(),
            labels: labels(key),
        })
    }
}

fn labels(key: &Key) -> Vec<KeyValue> {
    key.labels()
        .map(|label| KeyValue::new(label.key().to_owned(), label.value().to_owned()))
        .collect()
}

struct OtelCounter {
    to: otel::Counter<u64>,
    labels: Vec<KeyValue>,
    /// What has been added so far; OpenTelemetry's counter cannot be asked.
    total: AtomicU64,
}

impl CounterFn for OtelCounter {
    fn increment(&self, value: u64) {
        self.total.fetch_add(value, Ordering::Relaxed);
        self.to.add(value, &self.labels);
    }

    fn absolute(&self, value: u64) {
        let before = self.total.fetch_max(value, Ordering::Relaxed);
        self.to.add(value.saturating_sub(before), &self.labels);
    }
}

struct OtelGauge {
    to: otel::Gauge<f64>,
    labels: Vec<KeyValue>,
    /// Held while recording, so that the last value recorded is the latest.
    now: Mutex<f64>,
}

impl OtelGauge {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = change(*now);
        self.to.record(*now, &self.labels);
    }
}

impl GaugeFn for OtelGauge {
    fn increment(&self, value: f64) {
        self.change(|now| now + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|now| now - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

struct OtelHistogram {
    to: otel::Histogram<f64>,
    labels: Vec<KeyValue>,
}

impl HistogramFn for OtelHistogram {
    fn record(&self, value: f64) {
        self.to.record(value, &self.labels);
    }
}
