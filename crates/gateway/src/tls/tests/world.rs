//! Authorities, certificates and lists made on the spot, a door that is really listening, and
//! clients that really connect. All of it lives in June 2026 by a clock that stands still.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock::Clock;
use crate::config::{Limits, TlsConfig};
use crate::tls::material::Time;
use crate::tls::{Connection, Tls, TlsError, incoming};

pub(super) type Date = (i32, u8, u8);
pub(super) const THIS_MONTH: (Date, Date) = ((2026, 6, 1), (2026, 7, 1));
const GOOD_UNTIL: Date = (2027, 1, 1);

/// Long enough for a busy machine, short enough that a test which hangs says so.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What a certificate of its has to bring along, leaf left out.
    chain: Vec<CertificateDer<'static>>,
}

pub(super) struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    pub fn root(name: &str) -> Self {
        let issuer =
            CertifiedIssuer::self_signed(authority(name, 1), KeyPair::generate().unwrap()).unwrap();
        Self {
            issuer,
            chain: Vec::new(),
        }
    }

    /// An authority whose own certificate this one issued, with `serial`.
    pub fn intermediate(&self, name: &str, serial: u64) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer =
            CertifiedIssuer::signed_by(authority(name, serial), key, &self.issuer).unwrap();
        let chain = vec![issuer.der().clone()];
        Self { issuer, chain }
    }

    pub fn client(&self, serial: u64) -> Identity {
        self.client_until(serial, GOOD_UNTIL)
    }

    pub fn client_until(&self, serial: u64, until: Date) -> Identity {
        self.issue(serial, ExtendedKeyUsagePurpose::ClientAuth, until)
    }

    pub fn server(&self, serial: u64) -> Identity {
        self.server_until(serial, GOOD_UNTIL)
    }

    pub fn server_until(&self, serial: u64, until: Date) -> Identity {
        self.issue(serial, ExtendedKeyUsagePurpose::ServerAuth, until)
    }

    /// A list of the serial numbers revoked, for the span of dates given. PEM.
    pub fn crl(&self, revoked: &[u64], (from, until): (Date, Date)) -> String {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(from.0, from.1, from.2),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(from.0, from.1, from.2),
            next_update: date_time_ymd(until.0, until.1, until.2),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn issue(&self, serial: u64, usage: ExtendedKeyUsagePurpose, until: Date) -> Identity {
        let mut params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![leaf.der().clone()];
        chain.extend(self.chain.iter().cloned());
        Identity {
            chain,
            pem: leaf.pem(),
            key,
        }
    }
}

impl Identity {
    pub fn pem(&self) -> String {
        self.pem.clone()
    }

    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

/// Files for one gateway and the authority behind both sides.
pub(super) struct World {
    pub ca: Authority,
    pub clock: Clock,
    pub config: TlsConfig,
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        let ca = Authority::root("Test authority");
        let dir = tempfile::tempdir().unwrap();
        let path = |name| dir.path().join(name);
        let config = TlsConfig {
            certificate: path("certificate.pem"),
            key: path("key.pem"),
            client_roots: vec![path("roots.pem")],
            crls: vec![path("clients.crl")],
            reload_seconds: 1,
        };
        let world = Self {
            ca,
            clock: Clock::stopped_at("2026-06-15T12:00:00Z".parse::<Timestamp>().unwrap()),
            config,
            dir,
        };
        world.install(&world.ca.server(100));
        world.write("roots.pem", world.ca.pem());
        world.write("clients.crl", world.ca.crl(&[], THIS_MONTH));
        world
    }

    pub fn install(&self, server: &Identity) {
        self.write("certificate.pem", server.pem());
        self.write("key.pem", server.key_pem());
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        write(&self.dir.path().join(name), contents.as_ref());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn load(&self) -> Result<Tls, TlsError> {
        Tls::load(&self.config, self.clock.clone())
    }

    /// A client that trusts the authority and shows `identity`, if any.
    pub fn client(&self, identity: Option<&Identity>) -> ClientConfig {
        self.client_speaking(identity, &[&rustls::version::TLS13])
    }

    pub fn client_speaking(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        self.client_with(identity, aws_lc_rs::default_provider(), versions)
    }

    pub fn client_with(
        &self,
        identity: Option<&Identity>,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.issuer.der().clone()).unwrap();
        let time = Arc::new(Time(self.clock.clone()));
        let builder = ClientConfig::builder_with_details(Arc::new(provider), time)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut client = match identity {
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = Resumption::in_memory_sessions(8);
        client
    }
}

/// A door with its accept loop running. Each accepted connection is greeted with one byte, so
/// that a client knows it was let in, and then waits in `accepted`.
pub(super) struct Door {
    pub tls: Tls,
    pub address: SocketAddr,
    pub accepted: mpsc::UnboundedReceiver<Connection>,
}

impl Door {
    pub async fn open(tls: Tls, limits: &Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, accepted) = mpsc::unbounded_channel();
        let mut connections = Box::pin(incoming(listener, tls.clone(), limits));
        tokio::spawn(async move {
            while let Some(Ok(mut connection)) = connections.next().await {
                connection.write_all(b"!").await.unwrap();
                connection.flush().await.unwrap();
                if send.send(connection).is_err() {
                    return;
                }
            }
        });
        Self {
            tls,
            address,
            accepted,
        }
    }

    /// Connects and waits for the greeting. `Err` says how the gateway refused.
    pub async fn knock(&self, client: &ClientConfig) -> Result<TlsStream<TcpStream>, String> {
        let attempt = async {
            let socket = TcpStream::connect(self.address).await?;
            let name = ServerName::try_from("gateway.test").unwrap();
            let connector = TlsConnector::from(Arc::new(client.clone()));
            let mut stream = connector.connect(name, socket).await?;
            // In TLS 1.3 the client is done before the gateway has looked at its certificate.
            stream.read_u8().await?;
            Ok::<_, std::io::Error>(stream)
        };
        tokio::time::timeout(PATIENCE, attempt)
            .await
            .expect("the gateway neither let a client in nor refused it")
            .map_err(|error| error.to_string())
    }

    /// The next connection the gateway accepted.
    pub async fn next(&mut self) -> Connection {
        tokio::time::timeout(PATIENCE, self.accepted.recv())
            .await
            .expect("no connection came")
            .unwrap()
    }
}

fn authority(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Never readable by all users, as a private key must not be.
fn write(path: &Path, contents: &[u8]) {
    std::fs::write(path, contents).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
