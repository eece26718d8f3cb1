//! The sandbox's own certificate authority.

use std::{fs, net::IpAddr, path::Path};

use anyhow::Context as _;
use evidence_ledger::{Digest, sha256};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    cast::Member,
    folder::{Folder, write},
};

/// How long what the authority signs is good for.
const DAYS: i64 = 365;
const ROOT_DAYS: i64 = 3_650;

pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// The authority whose files are in the folder, or a new one.
    pub fn load_or_make(folder: &Folder, now: Timestamp) -> anyhow::Result<Self> {
        let (root, key) = (
            folder.path("authority/root.pem"),
            folder.path("authority/root-key.pem"),
        );
        if !root.exists() {
            let pair = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params
                .distinguished_name
                .push(DnType::CommonName, "Evidence sandbox authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            last(&mut params, now, ROOT_DAYS);
            write(&key, pair.serialize_pem().as_bytes())?;
            write(
                &root,
                CertifiedIssuer::self_signed(params, pair)?.pem().as_bytes(),
            )?;
        }
        let pair = KeyPair::from_pem(&read(&key)?)
            .with_context(|| format!("cannot use {}", key.display()))?;
        Ok(Self(Issuer::from_ca_cert_pem(&read(&root)?, pair)?))
    }

    /// A new certificate for the gateway, at each start: the address may be another.
    pub fn issue_server(
        &self,
        folder: &Folder,
        address: IpAddr,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        if !address.is_unspecified() && !address.is_loopback() {
            names.push(address.to_string());
        }
        let params = CertificateParams::new(names)?;
        self.issue(
            params,
            ExtendedKeyUsagePurpose::ServerAuth,
            &folder.path("gateway"),
            now,
        )
    }

    /// An organisation's certificate, once: the directory knows it by its digest.
    pub fn issue_client(
        &self,
        folder: &Folder,
        member: &Member,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        if folder.of(member, "certificate.pem").exists() {
            return Ok(());
        }
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationName, member.name);
        params
            .distinguished_name
            .push(DnType::CommonName, member.folder);
        self.issue(
            params,
            ExtendedKeyUsagePurpose::ClientAuth,
            &folder.path(member.folder),
            now,
        )
    }

    /// A revocation list that revokes nothing, good from today.
    pub fn issue_revocation_list(&self, folder: &Folder, now: Timestamp) -> anyhow::Result<()> {
        let (from, to) = validity(now, DAYS);
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(from.0, from.1, from.2),
            next_update: date_time_ymd(to.0, to.1, to.2),
            crl_number: SerialNumber::from(now.as_second().unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.0)?.pem()?;
        write(&folder.path("authority/revoked.crl"), list.as_bytes())
    }

    /// Writes `certificate.pem` and `key.pem`.
    fn issue(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        into: &Path,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        last(&mut params, now, DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        write(&into.join("key.pem"), key.serialize_pem().as_bytes())?;
        write(&into.join("certificate.pem"), certificate.pem().as_bytes())
    }
}

/// SHA-256 of a certificate's DER: how the directory knows it.
pub fn fingerprint(path: &Path) -> anyhow::Result<Digest> {
    let certificate = CertificateDer::from_pem_slice(read(path)?.as_bytes())
        .with_context(|| format!("{} holds no certificate", path.display()))?;
    Ok(sha256(&certificate))
}

fn last(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let (from, to) = validity(now, days);
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
}

/// From yesterday, for clocks that are a little behind.
fn validity(now: Timestamp, days: i64) -> ((i32, u8, u8), (i32, u8, u8)) {
    let today = now.to_zoned(TimeZone::UTC).date();
    (
        ymd(today.saturating_sub(1.day())),
        ymd(today.saturating_add(days.days())),
    )
}

/// Year, month and day as `date_time_ymd` takes them.
fn ymd(date: Date) -> (i32, u8, u8) {
    (
        date.year().into(),
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
    )
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
