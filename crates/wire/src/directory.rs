//! Conversions of the directory service.

use std::collections::BTreeSet;

use evidence_domain::{
    Refusal, Role,
    command::{
        AddCertificate, RegisterKey, RegisterOrganisation, RemoveCertificate, RetireKey, SetPolicy,
        UpdateOrganisation,
    },
    identifiers::OrganisationIdentifier,
    ids::OrgId,
    rows::{OrgKey, Organisation, Policy},
};
use evidence_ledger::{Digest, PublicKey};

use crate::{
    access::role,
    common::{roles as role_numbers, texts, timestamp},
    fields::Fields,
    v1,
};

/// Reads `RegisterOrganisation`.
pub fn register_organisation(
    body: &v1::RegisterOrganisationRequest,
    id: OrgId,
) -> Result<RegisterOrganisation, Refusal> {
    let mut f = Fields::new();
    let identifier = f.parse::<OrganisationIdentifier>("identifier", &body.identifier);
    let name = f.name("name", &body.name);
    let roles = roles(&mut f, &body.roles);
    let command = identifier.map(|identifier| RegisterOrganisation {
        id,
        identifier: identifier.as_str().to_owned(),
        name,
        roles,
    });
    f.finish(command)
}

/// Reads `UpdateOrganisation`.
pub fn update_organisation(
    body: &v1::UpdateOrganisationRequest,
) -> Result<UpdateOrganisation, Refusal> {
    let mut f = Fields::new();
    let id = f.parse("organisation_id", &body.organisation_id);
    let name = f.name("name", &body.name);
    let roles = roles(&mut f, &body.roles);
    let command = id.map(|id| UpdateOrganisation {
        id,
        name,
        roles,
        suspended: body.suspended,
    });
    f.finish(command)
}

/// Reads `AddCertificate`.
pub fn add_certificate(body: &v1::AddCertificateRequest) -> Result<AddCertificate, Refusal> {
    let (organisation, fingerprint) = certificate(&body.organisation_id, &body.fingerprint)?;
    Ok(AddCertificate {
        organisation,
        fingerprint,
    })
}

/// Reads `RemoveCertificate`.
pub fn remove_certificate(
    body: &v1::RemoveCertificateRequest,
) -> Result<RemoveCertificate, Refusal> {
    let (organisation, fingerprint) = certificate(&body.organisation_id, &body.fingerprint)?;
    Ok(RemoveCertificate {
        organisation,
        fingerprint,
    })
}

/// Reads `RegisterKey`: the key as a public COSE_Key (RFC 9052 section 7).
pub fn register_key(body: &v1::RegisterKeyRequest) -> Result<RegisterKey, Refusal> {
    let mut f = Fields::new();
    let organisation = f.parse("organisation_id", &body.organisation_id);
    let key = PublicKey::from_cose_key(&body.cose_key)
        .map_err(|error| f.violation("cose_key", error.to_string()))
        .ok();
    let not_before = f.moment("not_before", body.not_before.as_ref());
    let not_after = f.moment("not_after", body.not_after.as_ref());
    let command = || {
        Some(RegisterKey {
            organisation: organisation?,
            key: key?,
            not_before: not_before?,
            not_after: not_after?,
        })
    };
    f.finish(command())
}

/// Reads `RetireKey`.
pub fn retire_key(body: &v1::RetireKeyRequest) -> Result<RetireKey, Refusal> {
    let mut f = Fields::new();
    let organisation = f.parse("organisation_id", &body.organisation_id);
    let kid = f.digest("kid", &body.kid);
    let not_after = f.moment("not_after", body.not_after.as_ref());
    let command = || {
        Some(RetireKey {
            organisation: organisation?,
            kid: kid?,
            not_after: not_after?,
        })
    };
    f.finish(command())
}

/// Reads `SetPolicy`; the document itself is the domain's to read.
pub fn set_policy(body: &v1::SetPolicyRequest) -> Result<SetPolicy, Refusal> {
    let mut f = Fields::new();
    let command = SetPolicy {
        name: f.code("name", &body.name),
        document: f.text("document", &body.document),
    };
    f.done()?;
    Ok(command)
}

pub fn organisation(row: &Organisation) -> v1::Organisation {
    v1::Organisation {
        organisation_id: row.id.to_string(),
        identifier: row.identifier.clone(),
        name: row.name.clone(),
        roles: role_numbers(&row.roles),
        suspended: row.suspended,
        keys: row.keys.iter().map(signing_key).collect(),
        certificates: texts(&row.certificates),
        issuer: row.id.urn(),
    }
}

pub fn policy(row: &Policy) -> v1::Policy {
    v1::Policy {
        name: row.name.clone(),
        document: row.document.clone(),
        version: row.version,
    }
}

fn signing_key(key: &OrgKey) -> v1::SigningKey {
    v1::SigningKey {
        kid: key.kid.as_bytes().to_vec(),
        cose_key: key.key.to_cose_key(),
        not_before: Some(timestamp(key.not_before)),
        not_after: Some(timestamp(key.not_after)),
    }
}

/// An organisation and the SHA-256 of a certificate's DER, hex; capitals and
/// colons between the bytes, as tools print them, are accepted.
fn certificate(organisation: &str, fingerprint: &str) -> Result<(OrgId, Digest), Refusal> {
    let mut f = Fields::new();
    let organisation = f.parse("organisation_id", organisation);
    let hex = fingerprint.replace(':', "").to_ascii_lowercase();
    let fingerprint = f.parse("fingerprint", &hex);
    f.finish(organisation.zip(fingerprint))
}

fn roles(f: &mut Fields, numbers: &[i32]) -> BTreeSet<Role> {
    if numbers.is_empty() {
        f.violation("roles", "at least one is required");
    }
    numbers
        .iter()
        .filter_map(|number| f.choice("roles", role(*number)))
        .collect()
}

#[cfg(test)]
mod tests;
