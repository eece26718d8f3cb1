//! What the gateway says about itself: logs, traces and metrics. `docs/LOGGING.md` lists what none
//! of them may ever hold; `docs/decisions/telemetry.md` says why it is built this way.

mod buckets;
mod otel_metrics;
mod rpc;
#[cfg(test)]
mod tests;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use metrics_util::layers::FanoutBuilder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::task::JoinHandle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogFormat, LogLevel, TelemetryConfig};
use otel_metrics::OtelRecorder;

pub use rpc::{Rpc, RpcBody, RpcLayer};

/// Running telemetry. Keep it until the end and then [`shutdown`](Self::shutdown), or the last
/// spans and metrics are lost.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    scrape: Option<JoinHandle<()>>,
}

/// Why telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("telemetry is already running in this process; start it once, in main")]
    AlreadyStarted,
    #[error("cannot send to telemetry.otlp_endpoint: {0}; correct it, or leave it out")]
    Otlp(#[from] ExporterBuildError),
    #[error(
        "cannot serve metrics at telemetry.prometheus: {0}; choose a free address, or leave it out"
    )]
    Prometheus(#[from] BuildError),
}

impl Telemetry {
    /// Starts what `config` asks for, for the whole process. Call it once, inside a tokio runtime.
    ///
    /// # Errors
    /// [`TelemetryError`]. An unreachable collector is not one: the exporters keep trying, and
    /// nothing else waits for them.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let providers = config
            .otlp_endpoint
            .as_deref()
            .map(|endpoint| providers(endpoint, &config.service_name))
            .transpose()?;
        let (traces, meters) = providers.unzip();
        let scrape = start_metrics(config, meters.as_ref())?;
        let subscriber = tracing_subscriber::registry()
            .with(log_layer(config))
            .with(traces.as_ref().map(trace_layer));
        // Not `try_init`, which takes in the `log` crate as well: sqlx asks that after each query
        // whether it is on, and the asking makes per-layer filters drop the thread's next span or
        // event (tokio-rs/tracing#2519).
        tracing::subscriber::set_global_default(subscriber)
            .map_err(|_| TelemetryError::AlreadyStarted)?;
        Ok(Self {
            traces,
            meters,
            scrape,
        })
    }

    /// Sends what is still held and stops. Waits at most as long as the exporters' own timeouts.
    pub async fn shutdown(self) {
        // Both calls block until their threads are done, and those threads need this runtime.
        let done = tokio::task::spawn_blocking(move || {
            let traces = self.traces.map_or(Ok(()), |traces| traces.shutdown());
            let meters = self.meters.map_or(Ok(()), |meters| meters.shutdown());
            traces.and(meters)
        });
        match done.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the last traces or metrics were not delivered; look at the collector");
            }
            Err(error) => tracing::error!(%error, "telemetry did not stop cleanly"),
        }
        if let Some(scrape) = self.scrape {
            scrape.abort();
        }
    }
}

const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

fn providers(
    endpoint: &str,
    service: &str,
) -> Result<(SdkTracerProvider, SdkMeterProvider), ExporterBuildError> {
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    let spans = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let metrics = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let traces = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        .with_resource(resource.clone())
        .build();
    let meters = SdkMeterProvider::builder()
        .with_periodic_exporter(metrics)
        .with_resource(resource)
        .build();
    Ok((traces, meters))
}

/// One facade, the `metrics` crate; what is recorded there goes to whichever readers are on.
fn start_metrics(
    config: &TelemetryConfig,
    meters: Option<&SdkMeterProvider>,
) -> Result<Option<JoinHandle<()>>, TelemetryError> {
    let mut readers = FanoutBuilder::default();
    if let Some(meters) = meters {
        readers = readers.add_recorder(OtelRecorder::new(meters.meter(SCOPE)));
    }
    let mut scrape = None;
    if let Some(address) = config.prometheus {
        let (recorder, listener) =
            buckets::set(PrometheusBuilder::new().with_http_listener(address))?.build()?;
        readers = readers.add_recorder(recorder);
        scrape = Some(tokio::spawn(async move {
            if let Err(error) = listener.await {
                tracing::error!(
                    ?error,
                    "metrics are no longer served to Prometheus; restart the gateway when convenient"
                );
            }
        }));
    }
    if meters.is_some() || scrape.is_some() {
        metrics::set_global_recorder(readers.build())
            .map_err(|_| TelemetryError::AlreadyStarted)?;
    }
    Ok(scrape)
}

/// Prefix of our crates' names; everything else is a library.
const OURS: &str = "evidence";
const SCOPE: &str = "evidence-gateway";

fn log_layer(config: &TelemetryConfig) -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match config.logs {
        LogFormat::Json => Some(
            format
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .with_filter(only(level))
                .boxed(),
        ),
        LogFormat::Text => Some(format.with_filter(only(level)).boxed()),
        LogFormat::Off => None,
    }
}

fn trace_layer<S>(traces: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // Spans are ours alone and keep their level whatever the logs are set to, or lowering the log
    // level would cut traces in two. Events stay in the logs.
    tracing_opentelemetry::layer()
        .with_tracer(traces.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(OURS, LevelFilter::INFO))
}

/// Ours at `level`; libraries at warnings and worse, because their finer levels print headers and
/// SQL with its values.
fn only(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OURS, level)
}
