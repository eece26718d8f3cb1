//! A certificate authority of one test's own.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use evidence_ledger::{Digest, sha256};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// Issues certificates and says which of them it has taken back.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    serial: AtomicU64,
    revoked: Mutex<Vec<u64>>,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    pub certificate_pem: String,
    pub key_pem: String,
    key: Vec<u8>,
    serial: u64,
}

impl Ca {
    pub fn new() -> Result<Self> {
        Self::named("Test authority")
    }

    /// One of several: a revocation list is known by its authority's name.
    pub fn named(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self {
            issuer,
            serial: AtomicU64::new(1),
            revoked: Mutex::default(),
        })
    }

    /// For a gateway on the loopback.
    pub fn server(&self) -> Result<Identity> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.issue(
            CertificateParams::new(names)?,
            ExtendedKeyUsagePurpose::ServerAuth,
        )
    }

    /// For an organisation.
    pub fn client(&self, name: &str) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Takes a certificate back; the next [`Ca::crl`] says so.
    pub fn revoke(&self, identity: &Identity) {
        self.revoked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(identity.serial);
    }

    /// The revocation list as it is now (PEM).
    pub fn crl(&self) -> Result<String> {
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1 + revoked.len() as u64),
            issuing_distribution_point: None,
            revoked_certs: entries.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            key: key.serialize_der(),
            serial,
        })
    }
}

impl Identity {
    /// SHA-256 of the certificate, by which the directory knows it.
    pub fn fingerprint(&self) -> Digest {
        sha256(&self.certificate)
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}
