//! The TLS connection. tonic's own cannot pin the version, so the handshake is done here and tonic
//! is given the finished stream.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    net::TcpStream,
    time::{error::Elapsed, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::{CliError, Config, error::NotConnected, files};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes in flight towards us on one stream, and on the connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

pub fn channel(config: &Config) -> Result<Channel, CliError> {
    let wrong =
        |problem: &str| CliError::Usage(format!("`endpoint` {problem}; write https://host:port."));
    let uri: Uri = config
        .endpoint
        .parse()
        .map_err(|_| wrong("is no address"))?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong("does not start with https://"));
    }
    let authority = uri
        .authority()
        .ok_or_else(|| wrong("names no host"))?
        .clone();
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = config.server_name.clone().unwrap_or_else(|| host.clone());
    let name = ServerName::try_from(name)
        .map_err(|_| CliError::Usage("`server_name` is no host name or address; write the name in the gateway's certificate.".to_owned()))?;
    let target = Target {
        host,
        port: authority.port_u16().unwrap_or(443),
        name,
        connector: TlsConnector::from(Arc::new(tls(config)?)),
    };
    // tonic refuses `https` without its own TLS; `origin` puts the truth into the requests.
    let endpoint = Endpoint::from_shared(format!("http://{authority}"))
        .and_then(|endpoint| endpoint.user_agent(concat!("evidence/", env!("CARGO_PKG_VERSION"))))
        .map_err(|_| wrong("is no address"))?
        .origin(uri)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    Ok(
        endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
            let target = target.clone();
            async move { target.connect().await.map(TokioIo::new) }
        })),
    )
}

/// TLS 1.3 with our certificate; the provider named, since with two compiled in rustls would panic.
fn tls(config: &Config) -> Result<ClientConfig, CliError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&config.ca)? {
        roots
            .add(certificate)
            .map_err(|error| CliError::file(&config.ca, format!("holds no authority: {error}.")))?;
    }
    let key = PrivateKeyDer::from_pem_slice(&files::read(&config.key)?)
        .map_err(|_| CliError::file(&config.key, "holds no private key in PEM."))?;
    let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| {
            CliError::Unreachable(format!("this build cannot speak TLS 1.3: {error}"))
        })?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&config.certificate)?, key)
        .map_err(|error| {
            CliError::file(
                &config.certificate,
                format!("does not go with `key`: {error}."),
            )
        })?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn certificates(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, CliError> {
    let bytes = files::read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| CliError::file(path, "holds no certificate in PEM."))
}

#[derive(Clone)]
struct Target {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Target {
    async fn connect(self) -> io::Result<TlsStream<TcpStream>> {
        let slow = |_: Elapsed| not_connected("it did not answer in time");
        let socket = timeout(
            CONNECT_TIMEOUT,
            TcpStream::connect((self.host.as_str(), self.port)),
        )
        .await
        .map_err(slow)?
        .map_err(|error| not_connected(&error.to_string()))?;
        socket.set_nodelay(true)?;
        let handshake = self.connector.connect(self.name, socket);
        timeout(CONNECT_TIMEOUT, handshake)
            .await
            .map_err(slow)?
            .map_err(|error| {
                // A certificate that is not accepted stays what it is; a line that breaks does not.
                let is_tls = error
                    .get_ref()
                    .and_then(|inner| inner.downcast_ref::<rustls::Error>())
                    .is_some();
                if is_tls {
                    error
                } else {
                    not_connected(&error.to_string())
                }
            })
    }
}

fn not_connected(problem: &str) -> io::Error {
    io::Error::other(NotConnected(problem.to_owned()))
}

#[cfg(test)]
mod tests;
