//! Who calls, and whether they may: the peer's certificate becomes a
//! [`Caller`], checked against the callers that the RPC's proto declares.
//! Fails closed: a path that declares nothing is served to nobody.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use evidence_domain::{
    Caller, Reason, Refusal,
    rows::{Certificate, Organisation},
    world::certificate_key,
};
use evidence_ledger::Digest;
use evidence_store::Store;
use evidence_wire::access::Method;
use http::{Request, Response};
use tokio::time::Instant;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    error,
    tls::{PeerCertificate, Tls},
};

/// How long a caller's row may be remembered. Writes check it again under the journal's lock.
const REMEMBERED: Duration = Duration::from_secs(2);
/// Callers remembered at once.
const CALLERS: usize = 4_096;
/// Services without an `access` option: health and reflection, open to every accepted certificate.
const OPEN: &[&str] = &[
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
];

/// Finds out who calls. Clones share it.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    store: Store,
    tls: Tls,
    known: Mutex<HashMap<String, (Instant, Caller)>>,
    forgotten: AtomicU64,
}

impl Identity {
    pub fn new(store: Store, tls: Tls) -> Self {
        Self(Arc::new(Inner {
            store,
            tls,
            known: Mutex::default(),
            forgotten: AtomicU64::new(0),
        }))
    }

    /// Forgets every caller, after a change to the directory.
    pub fn forget(&self) {
        self.0.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known().clear();
    }

    async fn caller(&self, peer: &PeerCertificate) -> Result<Caller, Status> {
        if self.0.tls.is_revoked(peer) {
            return Err(error::unauthenticated(
                "The certificate is revoked or has expired. Ask your authority for a new one.",
            ));
        }
        let now = Instant::now();
        if let Some((at, caller)) = self.known().get(peer.fingerprint())
            && now.duration_since(*at) < REMEMBERED
        {
            return Ok(caller.clone());
        }
        let epoch = self.0.forgotten.load(Ordering::SeqCst);
        let caller = self.find(peer).await?;
        let mut known = self.known();
        if epoch == self.0.forgotten.load(Ordering::SeqCst) {
            if known.len() >= CALLERS {
                known.clear();
            }
            known.insert(peer.fingerprint().to_owned(), (now, caller.clone()));
        }
        Ok(caller)
    }

    async fn find(&self, peer: &PeerCertificate) -> Result<Caller, Status> {
        let unknown = || {
            error::unauthenticated(
                "No organisation is registered with this certificate. Ask the operator to add it.",
            )
        };
        let fingerprint: Digest = peer.fingerprint().parse().map_err(|_| unknown())?;
        let needs = evidence_domain::Needs::default().key(&certificate_key(&fingerprint));
        let world = self
            .0
            .store
            .world(needs)
            .await
            .map_err(|e| error::store(&e))?;
        let certificate = world
            .get::<Certificate>(certificate_key(&fingerprint))
            .ok_or_else(unknown)?;
        let organisation: &Organisation = world
            .organisation(&certificate.organisation)
            .ok_or_else(unknown)?;
        if !organisation.certificates.contains(&fingerprint) {
            return Err(unknown());
        }
        if organisation.suspended {
            let refusal = Refusal::new(
                Reason::OrganisationSuspended,
                "Your organisation is suspended.",
            );
            return Err(error::refused(&refusal));
        }
        Ok(Caller {
            org: organisation.id.clone(),
            roles: organisation.roles.clone(),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Instant, Caller)>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the [`Caller`] into each request, or answers for the service.
#[derive(Clone)]
pub struct AccessLayer {
    identity: Identity,
}

impl AccessLayer {
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = Access<S>;

    fn layer(&self, inner: S) -> Access<S> {
        Access {
            inner,
            identity: self.identity.clone(),
        }
    }
}

/// What [`AccessLayer`] makes of a service.
#[derive(Clone)]
pub struct Access<S> {
    inner: S,
    identity: Identity,
}

impl<S, In> Service<Request<In>> for Access<S>
where
    S: Service<Request<In>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    In: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<In>) -> Self::Future {
        // The clone that is ready is the one to call.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let identity = self.identity.clone();
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let peer = request.extensions().get::<PeerCertificate>().cloned();
            match admit(&identity, &path, peer.as_ref()).await {
                Ok(caller) => {
                    if let Some(caller) = caller {
                        request.extensions_mut().insert(caller);
                    }
                    inner.call(request).await
                }
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

async fn admit(
    identity: &Identity,
    path: &str,
    peer: Option<&PeerCertificate>,
) -> Result<Option<Caller>, Status> {
    let peer =
        peer.ok_or_else(|| error::unauthenticated("The connection has no client certificate."))?;
    let Some(method) = Method::at(path) else {
        if OPEN.iter().any(|prefix| path.starts_with(prefix)) {
            return Ok(None);
        }
        return Err(error::with(
            tonic::Code::Unimplemented,
            "no_such_rpc",
            "There is no such RPC. See docs/api/grpc.md.",
        ));
    };
    let caller = identity.caller(peer).await?;
    if method.callers().is_disjoint(&caller.roles) {
        let refusal = Refusal::new(
            Reason::RoleNotAllowed,
            "Your organisation does not hold a role that may call this.",
        );
        return Err(error::refused(&refusal));
    }
    Ok(Some(caller))
}
