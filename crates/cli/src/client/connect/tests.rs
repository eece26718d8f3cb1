use std::{path::PathBuf, sync::Arc};

use evidence_wire::v1;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier, version::TLS13};
use rustls_pki_types::PrivateKeyDer;
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{Exit, Gateway, sign::tests::rng};

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// A listener that does the gateway's part of the handshake and then hangs up.
async fn door(server: &Authority, clients: &Authority) -> u16 {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let (certificate, key) = server.leaf("gateway.test");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let _ = stream.read_u8().await;
            }
        }
    });
    port
}

fn config(folder: &tempfile::TempDir, port: u16, ca: &Authority, client: &Authority) -> Config {
    let write = |name: &str, text: String| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = client.leaf("client.test");
    Config {
        endpoint: format!("https://127.0.0.1:{port}"),
        server_name: Some("gateway.test".to_owned()),
        ca: write("ca.pem", ca.certificate.pem()),
        certificate: write("certificate.pem", certificate.pem()),
        key: write("key.pem", key.serialize_pem()),
        organisation_id: None,
        signing_key: None,
        log_keys: None,
        timeout_seconds: 20,
        attempts: 1,
    }
}

async fn call(config: &Config) -> Exit {
    let gateway = Gateway::new(config, Arc::new(rng())).unwrap();
    let called = gateway
        .read(v1::ListLogKeysRequest {}, |gateway, request| async move {
            gateway.ledger().list_log_keys(request).await
        })
        .await;
    called.expect_err("nobody answers").exit()
}

#[tokio::test]
async fn a_certificate_that_either_side_does_not_accept_is_told_from_a_broken_line() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let port = door(&ours, &ours).await;
    assert_eq!(
        call(&config(&folder, port, &theirs, &ours)).await,
        Exit::NotAuthenticated,
        "theirs to us"
    );
    assert_eq!(
        call(&config(&folder, port, &ours, &theirs)).await,
        Exit::NotAuthenticated,
        "ours to them"
    );
    assert_eq!(
        call(&config(&folder, port, &ours, &ours)).await,
        Exit::Unreachable,
        "the line broke"
    );
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unreachable_even_for_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let gateway = Gateway::new(&config(&folder, port, &ours, &ours), Arc::new(rng())).unwrap();
    let body = v1::WithdrawGrantRequest::default();
    let called = gateway
        .change(body, |gateway, r| async move {
            gateway.consent().withdraw_grant(r).await
        })
        .await;
    assert_eq!(
        called.expect_err("nobody listens").exit(),
        Exit::Unreachable
    );
}

#[test]
fn an_endpoint_without_tls_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new();
    for endpoint in ["http://127.0.0.1:1", "gateway.example", "https://", ""] {
        let mut config = config(&folder, 1, &ours, &ours);
        config.endpoint = endpoint.to_owned();
        let refused = Gateway::new(&config, Arc::new(rng()))
            .map(drop)
            .unwrap_err();
        assert_eq!(refused.exit(), Exit::Usage, "{endpoint}");
    }
}
