use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tracing::Level;

use super::*;

const CHECK: &str = "grpc.health.v1.Health/Check";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// One test, because telemetry starts once in a process: a real collector receives what a real
/// server's calls left behind, and a real scrape shows the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_one_span_and_one_measurement_at_the_collector_and_in_the_scrape() {
    let collector = Collector::default();
    let endpoint = collector.clone().listen().await;
    let prometheus = free_address().await;
    let config = TelemetryConfig {
        logs: LogFormat::Off,
        otlp_endpoint: Some(format!("http://{endpoint}")),
        prometheus: Some(prometheus),
        service_name: "gateway-under-test".into(),
        ..TelemetryConfig::default()
    };
    let telemetry = Telemetry::start(&config).unwrap();
    assert!(matches!(
        Telemetry::start(&TelemetryConfig {
            prometheus: None,
            ..config
        }),
        Err(TelemetryError::AlreadyStarted)
    ));

    call_as_a_traced_client().await;
    record_one_of_each();

    let page = scrape(prometheus).await;
    let line = format!("evidence_rpc_seconds_count{{rpc=\"{CHECK}\",code=\"OK\"}} 1");
    assert!(page.contains(&line), "{page}");
    assert!(page.contains("evidence_test_total{kind=\"a\"} 5"), "{page}");
    assert!(page.contains("evidence_test_waiting 3"), "{page}");
    assert!(
        page.contains("rpc=\"unknown\",code=\"UNIMPLEMENTED\""),
        "{page}"
    );

    telemetry.shutdown().await;
    let span = collector.span(&format!("rpc {CHECK}"));
    assert_eq!(data_encoding::HEXLOWER.encode(&span.trace_id), TRACE);
    assert_eq!(data_encoding::HEXLOWER.encode(&span.parent_span_id), CALLER);
    assert_eq!(span.trace_state, "");
    collector.span("rpc unknown");
    let received = format!("{:?}", collector.spans());
    assert!(!received.contains("9434765919"), "{received}");

    assert_eq!(collector.number("evidence_test_total"), Value::AsInt(5));
    assert_eq!(
        collector.number("evidence_test_waiting"),
        Value::AsDouble(3.0)
    );
    let Some(Data::Histogram(seconds)) = collector.metric("evidence_rpc_seconds").data else {
        panic!("durations are a histogram");
    };
    let bounds = &seconds.data_points[0].explicit_bounds;
    assert_eq!(bounds, buckets::of("evidence_rpc_seconds"));
}

#[test]
fn libraries_stay_at_warnings_whatever_the_level() {
    let filter = only(LevelFilter::DEBUG);
    assert!(filter.would_enable("evidence_store", &Level::DEBUG));
    assert!(!filter.would_enable("evidence_store", &Level::TRACE));
    for library in ["h2", "hyper", "sqlx::query", "tonic", "rustls"] {
        assert!(filter.would_enable(library, &Level::WARN));
        assert!(!filter.would_enable(library, &Level::INFO), "{library}");
    }
    let quiet = only(LevelFilter::ERROR);
    assert!(!quiet.would_enable("h2", &Level::WARN));
    assert!(!quiet.would_enable("evidence_gateway", &Level::WARN));
}

#[test]
fn bounds_follow_the_unit_in_the_name() {
    assert_eq!(buckets::of("evidence_rpc_seconds").last(), Some(&120.0));
    assert_eq!(buckets::of("evidence_upload_bytes").first(), Some(&1024.0));
    assert_eq!(buckets::of("evidence_batch_commands").first(), Some(&1.0));
}

/// One known call within the caller's trace, one to a path that could hold anything.
async fn call_as_a_traced_client() {
    let (_, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(RpcLayer::new([CHECK.to_owned()]))
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();

    let mut request = Request::new(HealthCheckRequest {
        service: String::new(),
    });
    let metadata = request.metadata_mut();
    let parent = format!("00-{TRACE}-{CALLER}-01");
    metadata.insert("traceparent", parent.parse().unwrap());
    metadata.insert("tracestate", "note=9434765919".parse().unwrap());
    HealthClient::new(channel.clone())
        .check(request)
        .await
        .unwrap();

    let mut anything = tonic::client::Grpc::new(channel);
    anything.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/patients/9434765919");
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
    let message = HealthCheckRequest {
        service: String::new(),
    };
    let refused = anything.unary(Request::new(message), path, codec).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unimplemented);
}

fn record_one_of_each() {
    let total = metrics::counter!("evidence_test_total", "kind" => "a");
    total.increment(2);
    total.absolute(5);
    total.absolute(4);
    let waiting = metrics::gauge!("evidence_test_waiting");
    waiting.set(4.0);
    waiting.increment(1.0);
    waiting.decrement(2.0);
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

async fn scrape(address: SocketAddr) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    let read = socket.read_to_string(&mut page);
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("no answer to the scrape")
        .unwrap();
    page
}

/// An OTLP collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
}

impl Collector {
    async fn listen(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }

    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap();
        let resources = traces.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The only span of that name.
    fn span(&self, name: &str) -> Span {
        let mut named = self.spans().into_iter().filter(|span| span.name == name);
        let span = named.next().expect(name);
        assert_eq!(named.next(), None, "one call, one span");
        span
    }

    /// The latest state of the metric of that name.
    fn metric(&self, name: &str) -> Metric {
        let requests = self.metrics.lock().unwrap();
        let resources = requests
            .iter()
            .flat_map(|request| &request.resource_metrics);
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        let mut metrics = scopes.flat_map(|scope| scope.metrics.clone());
        metrics
            .by_ref()
            .filter(|metric| metric.name == name)
            .last()
            .expect(name)
    }

    fn number(&self, name: &str) -> Value {
        let points: Vec<NumberDataPoint> = match self.metric(name).data {
            Some(Data::Sum(sum)) => sum.data_points,
            Some(Data::Gauge(gauge)) => gauge.data_points,
            other => panic!("{name} is not a number: {other:?}"),
        };
        points[0].value.unwrap()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
