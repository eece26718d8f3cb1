//! One span and one measurement for each RPC, from its first byte to its last.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tokio::time::Instant;
use tonic::Code;
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Wraps a server's services so that each call runs in a span named `rpc evidence.v1.X/Y`, joined
/// to the caller's W3C trace, and lands in the histogram `evidence_rpc_seconds` under its method
/// and canonical code. Put it outermost.
///
/// A handler that works on in a task of its own passes `Span::current()` along.
#[derive(Clone, Debug)]
pub struct RpcLayer {
    known: Arc<HashSet<String>>,
}

impl RpcLayer {
    /// `known` lists the methods served, as `evidence.v1.X/Y`. A path that is not among them is
    /// called `unknown`, so that nothing a caller writes becomes a span or a metric.
    pub fn new(known: impl IntoIterator<Item = String>) -> Self {
        Self {
            known: Arc::new(known.into_iter().collect()),
        }
    }

    fn method(&self, path: &str) -> String {
        let method = path.strip_prefix('/').unwrap_or(path);
        self.known.get(method).map_or("unknown", |m| m).to_owned()
    }
}

impl<S> Layer<S> for RpcLayer {
    type Service = Rpc<S>;

    fn layer(&self, inner: S) -> Rpc<S> {
        Rpc {
            inner,
            layer: self.clone(),
        }
    }
}

/// What [`RpcLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct Rpc<S> {
    inner: S,
    layer: RpcLayer,
}

impl<S, In, Out> Service<Request<In>> for Rpc<S>
where
    S: Service<Request<In>, Response = Response<Out>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    Out: 'static,
{
    type Response = Response<RpcBody<Out>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<In>) -> Self::Future {
        let method = self.layer.method(request.uri().path());
        let span = span(&method, request.headers());
        let mut measured = Measured {
            method,
            since: Instant::now(),
            code: None,
            span: span.clone(),
        };
        let response = span.in_scope(|| self.inner.call(request));
        let measure = async move {
            let response = response.await?;
            // Present here only when the answer is an error without a body.
            measured.see(response.headers());
            Ok(response.map(|body| RpcBody { body, measured }))
        };
        Box::pin(measure.instrument(span))
    }
}

/// A response body whose end is the call's end.
#[derive(Debug)]
pub struct RpcBody<B> {
    body: B,
    measured: Measured,
}

impl<B: Body + Unpin> Body for RpcBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        let span = this.measured.span.clone();
        let frame = span.in_scope(|| Pin::new(&mut this.body).poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(trailers) = frame.trailers_ref()
        {
            this.measured.see(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Recorded when dropped, so that a call its caller gave up on is counted too.
#[derive(Debug)]
struct Measured {
    method: String,
    since: Instant,
    code: Option<Code>,
    span: Span,
}

impl Measured {
    fn see(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let code = self.code.map_or("abandoned", label);
        self.span.record("rpc.code", code);
        if matches!(
            self.code,
            Some(Code::Internal | Code::Unknown | Code::DataLoss)
        ) {
            self.span.record("otel.status_code", "ERROR");
        }
        let method = std::mem::take(&mut self.method);
        metrics::histogram!("evidence_rpc_seconds", "rpc" => method, "code" => code)
            .record(self.since.elapsed());
    }
}

fn span(method: &str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        "rpc",
        otel.name = %format_args!("rpc {method}"),
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system = "grpc",
        rpc.method = method,
        rpc.code = Empty,
        trace_id = Empty,
    );
    if let Some(caller) = caller(headers) {
        // Fails only where traces are off, and then there is nothing to join.
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(caller));
    }
    // In the logs too, so that a line leads to its trace.
    let context = span.context();
    let trace = context.span().span_context().trace_id();
    if context.has_active_span() {
        span.record("trace_id", tracing::field::display(trace));
    }
    span
}

/// The caller's span (W3C trace context, level 1). Its `tracestate` is free text from outside and
/// is left behind.
fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let context = TraceContextPropagator::new()
        .extract_with_context(&opentelemetry::Context::new(), &Headers(headers));
    let caller = context.span().span_context().clone();
    caller.is_valid().then(|| {
        SpanContext::new(
            caller.trace_id(),
            caller.span_id(),
            caller.trace_flags(),
            true,
            TraceState::NONE,
        )
    })
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The canonical code's name as the gRPC specification writes it.
fn label(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
