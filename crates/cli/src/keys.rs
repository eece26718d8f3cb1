//! Keys as organisations keep them: private keys in PKCS#8, public keys in whatever form they have.

use std::path::Path;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use evidence_domain::Aside;
use evidence_ledger::{Alg, Digest, PublicKey, SecureRandom, SigningKey, sha256};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::{CliError, files};

const PRIVATE: &str = "PRIVATE KEY";

/// Reads a signing key: PKCS#8, PEM or DER; ES256 or EdDSA, whichever it is.
pub fn signing_key(path: &Path, rng: &dyn SecureRandom) -> Result<SigningKey, CliError> {
    let bytes = Zeroizing::new(files::read(path)?);
    let der = if bytes.starts_with(b"-----") {
        let pem = pem::parse(&*bytes).ok().filter(|pem| pem.tag() == PRIVATE);
        let pem = pem.ok_or_else(|| {
            CliError::file(
                path,
                "is no unencrypted PKCS#8 key in PEM. Convert it: openssl pkcs8 -topk8 -nocrypt",
            )
        })?;
        Zeroizing::new(pem.into_contents())
    } else {
        bytes
    };
    SigningKey::from_pkcs8(Alg::Es256, &der, rng)
        .or_else(|_| SigningKey::from_pkcs8(Alg::EdDsa, &der, rng))
        .map_err(|_| {
            CliError::file(path, "is no private key for ES256 (P-256) or EdDSA (Ed25519) in PKCS#8. Make one with `evidence keys new`.")
        })
}

/// Makes a signing key and writes it as PKCS#8 PEM, readable by its owner only.
pub fn new_signing_key(
    path: &Path,
    alg: Alg,
    rng: &dyn SecureRandom,
) -> Result<SigningKey, CliError> {
    let failed = |error: evidence_ledger::KeyError| CliError::file(path, error.to_string());
    let der = SigningKey::generate_pkcs8(alg, rng).map_err(failed)?;
    let key = SigningKey::from_pkcs8(alg, &der, rng).map_err(failed)?;
    let text = Zeroizing::new(pem::encode(&pem::Pem::new(PRIVATE, plain(&der))));
    files::write_new(path, text.as_bytes())?;
    Ok(key)
}

/// The start of an Ed25519 key in PKCS#8: with its public key at the end (RFC 5958), as it is made
/// here, and without (RFC 8410 section 7), as OpenSSL and much else reads it.
const ED25519_V2: &[u8] = &[
    0x30, 0x51, 0x02, 0x01, 0x01, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const ED25519_V1: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The key in the form that the most programs read.
fn plain(der: &[u8]) -> Vec<u8> {
    match der
        .strip_prefix(ED25519_V2)
        .and_then(|rest| rest.first_chunk::<32>())
    {
        Some(seed) => [ED25519_V1, seed].concat(),
        None => der.to_vec(),
    }
}

/// A public key from a file: COSE_Key (binary, hex or base64), SubjectPublicKeyInfo (PEM or DER),
/// or a private key in PKCS#8, of which the public half is taken.
pub fn public_key(path: &Path, rng: &dyn SecureRandom) -> Result<PublicKey, CliError> {
    let bytes = Zeroizing::new(files::read(path)?);
    if let Ok(key) = PublicKey::from_cose_key(&bytes).or_else(|_| PublicKey::from_spki_der(&bytes))
    {
        return Ok(key);
    }
    if let Some(key) = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| public_key_from_text(text.trim()))
    {
        return Ok(key);
    }
    signing_key(path, rng).map(|key| key.public().clone()).map_err(|_| {
        CliError::file(path, "holds no P-256 or Ed25519 key: give a COSE_Key (binary, hex or base64), or a PEM public key.")
    })
}

fn public_key_from_text(text: &str) -> Option<PublicKey> {
    if let Some(pem) = pem::parse(text)
        .ok()
        .filter(|pem| pem.tag() == "PUBLIC KEY")
    {
        return PublicKey::from_spki_der(pem.contents()).ok();
    }
    let bytes = HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .or_else(|_| BASE64.decode(text.as_bytes()))
        .ok()?;
    PublicKey::from_cose_key(&bytes).ok()
}

/// SHA-256 of a certificate's DER: how the directory knows it. The first certificate of a PEM file.
pub fn fingerprint(path: &Path) -> Result<Digest, CliError> {
    let bytes = files::read(path)?;
    let certificate = CertificateDer::from_pem_slice(&bytes)
        .map_err(|_| CliError::file(path, "holds no certificate in PEM."))?;
    Ok(sha256(&certificate))
}

/// A private key for TLS and the request for its certificate, both PEM.
pub struct CertificateRequest {
    pub key: Zeroizing<String>,
    pub request: String,
}

/// Makes a P-256 key and a certificate request that names the organisation.
pub fn certificate_request(
    organisation: &str,
    common_name: &str,
    dns: &[String],
) -> Result<CertificateRequest, CliError> {
    let failed = |error: rcgen::Error| {
        CliError::Usage(format!("The certificate request cannot be made: {error}."))
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, organisation);
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    for name in dns {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into().map_err(failed)?));
    }
    let request = params
        .serialize_request(&key)
        .and_then(|request| request.pem())
        .map_err(failed)?;
    Ok(CertificateRequest {
        key: Zeroizing::new(key.serialize_pem()),
        request,
    })
}

/// What may be shown of a key.
pub fn describe(key: &PublicKey) -> Aside {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    [
        ("alg", key.alg().to_string()),
        ("kid", hex(&key.kid())),
        ("cose_key", hex(&key.to_cose_key())),
        (
            "public_key_pem",
            pem::encode(&pem::Pem::new("PUBLIC KEY", key.to_spki_der())),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::rng;

    #[test]
    fn a_made_key_is_read_back_with_its_algorithm_found_out() {
        let folder = tempfile::tempdir().unwrap();
        for alg in [Alg::Es256, Alg::EdDsa] {
            let path = folder.path().join(format!("{alg}.pem"));
            let made = new_signing_key(&path, alg, &rng()).unwrap();
            let read = signing_key(&path, &rng()).unwrap();
            assert_eq!((read.alg(), read.public()), (alg, made.public()));
            let der = pem::parse(std::fs::read(&path).unwrap())
                .unwrap()
                .into_contents();
            assert_eq!(alg == Alg::EdDsa, der.starts_with(ED25519_V1));
            std::fs::write(folder.path().join("key.der"), der).unwrap();
            assert_eq!(
                signing_key(&folder.path().join("key.der"), &rng())
                    .unwrap()
                    .public(),
                made.public()
            );
            assert!(
                new_signing_key(&path, alg, &rng()).is_err(),
                "a key is never overwritten"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        new_signing_key(&path, Alg::Es256, &rng()).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o077,
            0
        );
    }

    #[test]
    fn a_public_key_is_read_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("private.pem");
        let key = new_signing_key(&private, Alg::Es256, &rng())
            .unwrap()
            .public()
            .clone();
        let shown = describe(&key);
        for (name, contents) in [
            ("cbor", key.to_cose_key()),
            ("hex", format!("{}\n", shown["cose_key"]).into_bytes()),
            ("base64", BASE64.encode(&key.to_cose_key()).into_bytes()),
            ("pem", shown["public_key_pem"].clone().into_bytes()),
            ("der", key.to_spki_der()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, contents).unwrap();
            assert_eq!(public_key(&path, &rng()).unwrap(), key, "{name}");
        }
        assert_eq!(public_key(&private, &rng()).unwrap(), key);
        std::fs::write(folder.path().join("other"), "no key").unwrap();
        assert!(public_key(&folder.path().join("other"), &rng()).is_err());
    }

    #[test]
    fn a_certificate_request_is_well_formed() {
        let made = certificate_request(
            "Sample Trust",
            "evidence client",
            &["trust.example".to_owned()],
        )
        .unwrap();
        assert_eq!(
            pem::parse(&made.request).unwrap().tag(),
            "CERTIFICATE REQUEST"
        );
        assert_eq!(pem::parse(&*made.key).unwrap().tag(), PRIVATE);
        assert!(certificate_request("O", "C", &["not a name".to_owned() + "\u{e9}"]).is_err());
    }
}
