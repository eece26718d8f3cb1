//! The door with tonic behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tonic::service::InterceptorLayer;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use super::world::{PATIENCE, World};
use crate::config::Limits;
use crate::tls::{PeerCertificate, Tls, incoming, server_builder};

/// A health service that serves only those whose certificate the extensions carry and `tls`
/// still accepts, as the gateway's access layer does.
async fn serve(tls: Tls, limits: &Limits) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = incoming(listener, tls.clone(), limits);
    let (_, health) = tonic_health::server::health_reporter();
    let guard = move |request: Request<()>| match request.extensions().get::<PeerCertificate>() {
        Some(peer) if !tls.is_revoked(peer) => Ok(request),
        _ => Err(Status::unauthenticated("no certificate")),
    };
    let server = server_builder(limits)
        .layer(InterceptorLayer::new(guard))
        .add_service(health);
    let (stop, stopped) = oneshot::channel();
    let done = tokio::spawn(server.serve_with_incoming_shutdown(connections, async {
        let _ = stopped.await;
    }));
    Served {
        address,
        dials: Arc::default(),
        stop,
        done,
    }
}

struct Served {
    address: SocketAddr,
    /// How many connections its clients have made.
    dials: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Served {
    fn health(&self, client: rustls::ClientConfig) -> HealthClient<Channel> {
        let address = self.address;
        let connector = TlsConnector::from(Arc::new(client));
        let dials = Arc::clone(&self.dials);
        let dial = service_fn(move |_| {
            dials.fetch_add(1, Ordering::SeqCst);
            let connector = connector.clone();
            async move {
                let socket = TcpStream::connect(address).await?;
                let name = ServerName::try_from("gateway.test").unwrap();
                let stream = connector.connect(name, socket).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_static("http://gateway.test");
        HealthClient::new(endpoint.connect_with_connector_lazy(dial))
    }
}

fn whole_server() -> HealthCheckRequest {
    HealthCheckRequest {
        service: String::new(),
    }
}

#[tokio::test]
async fn calls_carry_the_peer_and_a_revoked_one_loses_its_stream() {
    let world = World::new();
    let tls = world.load().unwrap();
    let served = serve(tls.clone(), &Limits::default()).await;
    let mut health = served.health(world.client(Some(&world.ca.client(7))));
    health.check(whole_server()).await.expect("served");
    let mut stream = health.watch(whole_server()).await.unwrap().into_inner();
    stream.message().await.unwrap().expect("the first status");

    world.write(
        "clients.crl",
        world.ca.crl(&[7], ((2026, 6, 2), (2026, 7, 2))),
    );
    tls.reload().unwrap();
    timeout(PATIENCE, stream.message())
        .await
        .expect("the stream outlived its certificate")
        .expect_err("cut");
    health.check(whole_server()).await.expect_err("refused");
}

#[tokio::test]
async fn an_old_connection_is_asked_to_finish() {
    let world = World::new();
    let limits = Limits {
        connection_age_seconds: 1,
        connection_grace_seconds: 600,
        ..Limits::default()
    };
    let served = serve(world.load().unwrap(), &limits).await;
    let mut health = served.health(world.client(Some(&world.ca.client(2))));
    let until_it_dials_again = async {
        while served.dials.load(Ordering::SeqCst) < 2 {
            health
                .check(whole_server())
                .await
                .expect("served throughout");
        }
    };
    timeout(PATIENCE, until_it_dials_again)
        .await
        .expect("never asked to finish");
}

#[tokio::test]
async fn a_connection_that_does_not_finish_is_cut_after_its_grace() {
    let world = World::new();
    let limits = Limits {
        connection_age_seconds: 1,
        connection_grace_seconds: 1,
        ..Limits::default()
    };
    let served = serve(world.load().unwrap(), &limits).await;
    let mut health = served.health(world.client(Some(&world.ca.client(2))));
    let start = Instant::now();
    let mut stream = health.watch(whole_server()).await.unwrap().into_inner();
    stream.message().await.unwrap().expect("the first status");
    timeout(PATIENCE, stream.message())
        .await
        .expect("the stream outlived its connection's age and grace")
        .expect_err("cut");
    let lived = start.elapsed();
    assert!(lived >= Duration::from_secs(2), "cut early: {lived:?}");
}

#[tokio::test]
async fn shutting_down_lets_go_of_the_port_and_finishes() {
    let world = World::new();
    let served = serve(world.load().unwrap(), &Limits::default()).await;
    let mut health = served.health(world.client(Some(&world.ca.client(2))));
    health.check(whole_server()).await.expect("served");
    served.stop.send(()).unwrap();
    let done = timeout(PATIENCE, served.done).await;
    done.expect("still serving").unwrap().unwrap();
    TcpListener::bind(served.address)
        .await
        .expect("the port is free");
}
