//! What the gateway tells its operator: one push's whole trace, its numbers, and nothing about anyone.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use evidence_domain::Aside;
use evidence_tests::{Engine, Gateway, World, ok, postgres, world::evidence::parts};
use evidence_wire::v1;
use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    trace::v1::Span,
};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// Pushes, each in a trace of its own. Several, because a span that is lost now and then is lost.
const PUSHES: u8 = 16;
/// The client's span in each of them.
const CLIENT_SPAN: [u8; 8] = [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31];

/// A push's trace, as the client's system numbers it.
fn trace(push: u8) -> [u8; 16] {
    let mut trace = [
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0,
    ];
    trace[15] = push;
    trace
}

/// What people said or are called in this suite. None of it may reach an operator.
const NAME: &str = "Wilhelmina Quartermaine";
const TITLE: &str = "Vestibular assessment";
const AUTHOR: &str = "Dr Oluwaseun Featherstonehaugh";
const WORDS: &str = "Bannisters on both sides";
const ACTOR: &str = "decision maker 7";
const QUESTION: &str = "How does it affect daily living?";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_one_trace_and_nobody_is_named_on_sqlite() -> Result<()> {
    Box::pin(observed(Engine::Sqlite, None)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_one_trace_and_nobody_is_named_on_postgres() -> Result<()> {
    let database = tokio::task::spawn_blocking(postgres::database).await??;
    Box::pin(observed(Engine::Postgres, Some(&database.url()))).await
}

async fn observed(engine: Engine, url: Option<&str>) -> Result<()> {
    let collector = Collector::default();
    let endpoint = collector.clone().listen().await?;
    let prometheus = free_address().await?;
    let mut gateway = Gateway::new(engine, url, &configured(endpoint, prometheus))?;
    gateway.init().await?;
    gateway.serve().await?;
    let mut world = World::with(gateway).await?;

    let nhs_number = journey(&world).await?;
    let page = reqwest::get(format!("http://{prometheus}/metrics"))
        .await?
        .error_for_status()?
        .text()
        .await?;
    // Stopping sends what is still held back.
    world.gateway.stop().await?;

    let spans = collector.spans();
    for push in 0..PUSHES {
        whole_trace(&spans, trace(push))?;
    }
    numbers(&page, &collector)?;
    let log = world.gateway.log();
    for text in [
        NAME,
        TITLE,
        AUTHOR,
        WORDS,
        ACTOR,
        QUESTION,
        &nhs_number,
        "Quartermaine",
        "quartermaine",
    ] {
        ensure!(!collector.holds(text), "`{text}` was sent to the collector");
        ensure!(!log.contains(text), "`{text}` was logged");
        ensure!(!page.contains(text), "`{text}` is in the metrics");
    }
    ensure!(
        !log.contains("\"ERROR\""),
        "the gateway logged errors:\n{log}"
    );

    world.gateway.serve().await?;
    world.finish().await
}

/// `debug`, the most that can be asked for: what that does not print, nothing prints.
fn configured(collector: SocketAddr, prometheus: SocketAddr) -> String {
    format!(
        "[telemetry]\nlogs = \"json\"\nlevel = \"debug\"\nservice_name = \"gateway-under-test\"\n\
         otlp_endpoint = \"http://{collector}\"\nprometheus = \"{prometheus}\"\n"
    )
}

/// A push within the client's trace, and every other place where people's words are sent, also in
/// calls that are refused. The claimant's NHS number.
async fn journey(world: &World) -> Result<String> {
    let nhs_number = world.nhs_number();
    let person = v1::RegisterClaimantRequest {
        request_id: world.key(),
        name: NAME.to_owned(),
        date_of_birth: "1979-03-14".to_owned(),
        nhs_number: nhs_number.clone(),
        national_insurance_number: String::new(),
    };
    let registered = ok!(world.portal.consent().register_claimant(person.clone()));
    world.keep(registered.receipt)?;
    let someone_else = v1::RegisterClaimantRequest {
        request_id: world.key(),
        date_of_birth: "1980-01-01".to_owned(),
        ..person
    };
    ensure!(
        world
            .portal
            .consent()
            .register_claimant(someone_else)
            .await
            .is_err(),
        "another date of birth"
    );
    let grant = world
        .grant_with(world.grant_request(&registered.claimant_id))
        .await?;
    let case = world.case(&grant, "wca").await?;
    let request = world.request(&case, &grant, &world.trust).await?;
    for push in 0..PUSHES {
        traced_push(world, &grant, &request, push).await?;
    }
    world.own_statement(&grant, WORDS).await?;
    let pulled = world.pull(&case).await?;
    world.acknowledge(&case, &pulled).await?;
    world.record(&world.decide(&case, &pulled)?).await?;
    Ok(nhs_number)
}

async fn traced_push(
    world: &World,
    grant: &v1::Grant,
    request: &v1::EvidenceRequest,
    push: u8,
) -> Result<()> {
    let traceparent = format!(
        "00-{:032x}-{:016x}-01",
        u128::from_be_bytes(trace(push)),
        u64::from_be_bytes(CLIENT_SPAN)
    );
    let document = format!("{NAME}: {WORDS} {push}");
    let evidence = world.evidence(grant, Some(request), document.as_bytes());
    let texts: Aside = [
        ("title".to_owned(), TITLE.to_owned()),
        ("author".to_owned(), AUTHOR.to_owned()),
    ]
    .into();
    let signed = world.sign(&world.trust, &request.subject, evidence, texts)?;
    let push = v1::Push {
        evidence: Some(signed),
        ..v1::Push::default()
    };
    let mut call = Request::new(tokio_stream::iter(parts(&push, document.as_bytes())));
    call.metadata_mut()
        .insert("traceparent", traceparent.parse()?);
    // Free text from outside: it must go no further.
    call.metadata_mut()
        .insert("tracestate", "person=quartermaine".parse()?);
    let mut answers = ok!(world.trust.evidence().submit(call));
    let answer = answers.message().await?.context("no answer")?;
    ensure!(answers.message().await?.is_none(), "one push, one answer");
    world.accepted(answer, document.as_bytes())?;
    Ok(())
}

/// The client's trace holds the call, the wait in the journal and the commit, each below the last.
fn whole_trace(spans: &[Span], trace: [u8; 16]) -> Result<()> {
    let ours: Vec<&Span> = spans.iter().filter(|span| span.trace_id == trace).collect();
    let seen: Vec<&str> = ours.iter().map(|span| span.name.as_str()).collect();
    let only = |name: &str| {
        let mut named = ours.iter().filter(|span| span.name == name);
        let found = named
            .next()
            .with_context(|| format!("no span `{name}` among {seen:?}"))?;
        ensure!(named.next().is_none(), "more than one span `{name}`");
        Ok(*found)
    };
    let call = only("rpc evidence.v1.EvidenceService/Submit")?;
    let journal = only("journal.submit")?;
    let commit = only("store.commit")?;
    ensure!(
        call.parent_span_id == CLIENT_SPAN,
        "the call is not the client's"
    );
    ensure!(
        journal.parent_span_id == call.span_id,
        "the journal's wait is not the call's"
    );
    ensure!(
        commit.parent_span_id == journal.span_id,
        "the commit is not the journal's"
    );
    ensure!(
        call.trace_state.is_empty(),
        "the client's free text was taken over"
    );
    ensure!(
        commit.end_time_unix_nano > commit.start_time_unix_nano,
        "the commit took time"
    );
    ensure!(
        journal.end_time_unix_nano >= commit.end_time_unix_nano,
        "answered before the commit"
    );
    Ok(())
}

/// Scrape and collector both know of the entries and of the call.
fn numbers(page: &str, collector: &Collector) -> Result<()> {
    let entries = page
        .lines()
        .find_map(|line| line.strip_prefix("evidence_entries_total "));
    let entries: f64 = entries
        .context("no evidence_entries_total in the scrape")?
        .parse()?;
    ensure!(entries >= 10.0, "{entries} entries");
    let call = "evidence_rpc_seconds_count{rpc=\"evidence.v1.EvidenceService/Submit\",code=\"OK\"}";
    ensure!(page.contains(&format!("{call} {PUSHES}\n")), "{page}");
    for metric in [
        "evidence_entries_total",
        "evidence_rpc_seconds",
        "gateway-under-test",
    ] {
        ensure!(
            collector.holds(metric),
            "`{metric}` did not come to the collector"
        );
    }
    Ok(())
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// An OTLP collector that keeps all it gets.
#[derive(Clone, Default)]
struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    /// Everything, as it came over the wire.
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn listen(self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Ok(address)
    }

    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = traces.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn holds(&self, text: &str) -> bool {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }

    fn keep(&self, bytes: &[u8]) {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        self.keep(&request.encode_to_vec());
        self.traces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.keep(&request.into_inner().encode_to_vec());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
