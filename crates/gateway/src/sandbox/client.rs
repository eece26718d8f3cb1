//! A connection to the sandbox's own gateway as one of its organisations, certificates and all.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::{
    cast::Member,
    folder::{Folder, reachable},
};

/// Connects to the gateway at `address` with the certificate of `member`.
pub async fn connect(
    folder: &Folder,
    member: &Member,
    address: SocketAddr,
) -> anyhow::Result<Channel> {
    let address = reachable(address);
    let connector = TlsConnector::from(Arc::new(tls(folder, member)?));
    let dial = service_fn(move |_| {
        let connector = connector.clone();
        async move {
            let socket = TcpStream::connect(address).await?;
            connector
                .connect(ServerName::from(address.ip()), socket)
                .await
                .map(TokioIo::new)
        }
    });
    Endpoint::from_shared(format!("http://{address}"))?
        .connect_with_connector(dial)
        .await
        .with_context(|| format!("{} cannot reach the gateway", member.name))
}

fn tls(folder: &Folder, member: &Member) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&folder.path("authority/root.pem"))?)?;
    let key = PrivateKeyDer::from_pem_file(folder.of(member, "key.pem"))?;
    let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![certificate(&folder.of(member, "certificate.pem"))?],
            key,
        )?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn certificate(path: &Path) -> anyhow::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_file(path)
        .with_context(|| format!("{} holds no certificate", path.display()))
}
