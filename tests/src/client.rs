//! Connections to a gateway that may be killed and come back at another address.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::aws_lc_rs, version::TLS13,
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::ca::{Ca, Identity};

/// Where the gateway listens now. Clones share it, so that clients follow a restart.
#[derive(Debug, Clone)]
pub struct Address(Arc<Mutex<SocketAddr>>);

impl Default for Address {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(SocketAddr::from(([127, 0, 0, 1], 0)))))
    }
}

impl Address {
    pub fn get(&self) -> SocketAddr {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

/// A channel that connects at its first call, and again when it was lost.
pub fn channel(address: &Address, ca: &Ca, identity: &Identity) -> Result<Channel> {
    let config = Arc::new(tls(ca, Some(identity), &[&TLS13])?);
    let address = address.clone();
    let dial = service_fn(move |_: Uri| {
        let (address, config) = (address.clone(), Arc::clone(&config));
        async move { connect(address.get(), config).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://127.0.0.1").connect_with_connector_lazy(dial))
}

/// One TLS connection.
pub async fn connect(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    TlsConnector::from(config)
        .connect(ServerName::from(address.ip()), socket)
        .await
}

/// What a client brings to the handshake.
pub fn tls(
    ca: &Ca,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate())?;
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_auth_cert(vec![identity.certificate.clone()], identity.key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
