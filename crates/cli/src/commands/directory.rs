//! `evidence directory`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use evidence_ledger::Digest;
use evidence_wire::v1;
use jiff::Timestamp;

use super::{Changing, Context, Page, choices};
use crate::{CliError, files, keys};

#[derive(Debug, Subcommand)]
pub enum Directory {
    /// List organisations.
    Organisations {
        #[command(flatten)]
        page: Page,
    },
    /// Show one organisation, its certificates and keys.
    Get { organisation: String },
    /// Register an organisation.
    Register(Register),
    /// Replace an organisation's name and roles; suspend or restore it.
    Update(Update),
    /// Let an organisation in with a client certificate.
    AddCertificate(AddCertificate),
    /// Let it in with that certificate no more.
    RemoveCertificate(RemoveCertificate),
    /// Register a key that signs statements.
    RegisterKey(RegisterKey),
    /// Let a key sign nothing more after a moment; what it signed before stands.
    RetireKey(RetireKey),
    /// Show a policy, or set it from a TOML file.
    Policy {
        #[arg(value_parser = ["purposes", "clocks"])]
        name: String,
        #[arg(long, value_name = "FILE")]
        set: Option<PathBuf>,
        #[command(flatten)]
        changing: Changing,
    },
}

/// A certificate, by file or by fingerprint.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Certificate {
    /// The certificate, PEM.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// SHA-256 of its DER, 64 hex digits.
    #[arg(long)]
    fingerprint: Option<Digest>,
}

impl Certificate {
    fn fingerprint(&self) -> Result<String, CliError> {
        match (&self.certificate, &self.fingerprint) {
            (Some(path), _) => keys::fingerprint(path).map(|fingerprint| fingerprint.to_string()),
            (None, fingerprint) => Ok(fingerprint
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default()),
        }
    }
}

impl Directory {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Organisations { page } => {
                let body = v1::ListOrganisationsRequest {
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context
                    .show(body, call!(directory.list_organisations))
                    .await
            }
            Self::Get { organisation } => {
                let body = v1::GetOrganisationRequest {
                    organisation_id: organisation,
                };
                context.show(body, call!(directory.get_organisation)).await
            }
            Self::Register(options) => options.run(context).await,
            Self::Update(options) => options.run(context).await,
            Self::AddCertificate(options) => options.run(context).await,
            Self::RemoveCertificate(options) => options.run(context).await,
            Self::RegisterKey(options) => options.run(context).await,
            Self::RetireKey(options) => options.run(context).await,
            Self::Policy {
                name, set: None, ..
            } => {
                let body = v1::GetPolicyRequest { name };
                context.show(body, call!(directory.get_policy)).await
            }
            Self::Policy {
                name,
                set: Some(path),
                changing,
            } => {
                let document = files::read_text(&path)?;
                let body = |request_id| v1::SetPolicyRequest {
                    request_id,
                    name,
                    document,
                };
                context
                    .change(
                        changing,
                        "The policy is in force.",
                        body,
                        call!(directory.set_policy),
                    )
                    .await
            }
        }
    }
}

/// `evidence directory retire-key`.
#[derive(Debug, Args)]
pub struct RetireKey {
    organisation: String,
    /// 64 hex digits.
    #[arg(long)]
    kid: Digest,
    /// Now when left out.
    #[arg(long, value_name = "RFC3339")]
    not_after: Option<Timestamp>,
    #[command(flatten)]
    changing: Changing,
}

impl RetireKey {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            organisation,
            kid,
            not_after,
            changing,
        } = self;
        let not_after = not_after.unwrap_or_else(|| context.moment());
        let body = |request_id| v1::RetireKeyRequest {
            request_id,
            organisation_id: organisation,
            kid: kid.as_bytes().to_vec(),
            not_after: Some(stamp(not_after)),
        };
        context
            .change(
                changing,
                "The key is retired.",
                body,
                call!(directory.retire_key),
            )
            .await
    }
}

/// `evidence directory register-key`.
#[derive(Debug, Args)]
pub struct RegisterKey {
    organisation: String,
    /// The public key: a COSE_Key (binary, hex or base64) or PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The first moment it may sign; now when left out.
    #[arg(long, value_name = "RFC3339")]
    not_before: Option<Timestamp>,
    /// The last moment.
    #[arg(long, value_name = "RFC3339")]
    not_after: Timestamp,
    #[command(flatten)]
    changing: Changing,
}

impl RegisterKey {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            organisation,
            key,
            not_before,
            not_after,
            changing,
        } = self;
        let key = keys::public_key(&key, &**context.rng())?;
        let not_before = not_before.unwrap_or_else(|| context.moment());
        let body = |request_id| v1::RegisterKeyRequest {
            request_id,
            organisation_id: organisation,
            cose_key: key.to_cose_key(),
            not_before: Some(stamp(not_before)),
            not_after: Some(stamp(not_after)),
        };
        context
            .change(
                changing,
                "The key is registered.",
                body,
                call!(directory.register_key),
            )
            .await
    }
}

/// `evidence directory remove-certificate`.
#[derive(Debug, Args)]
pub struct RemoveCertificate {
    organisation: String,
    #[command(flatten)]
    certificate: Certificate,
    #[command(flatten)]
    changing: Changing,
}

impl RemoveCertificate {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            organisation,
            certificate,
            changing,
        } = self;
        let fingerprint = certificate.fingerprint()?;
        let body = |request_id| v1::RemoveCertificateRequest {
            request_id,
            organisation_id: organisation,
            fingerprint,
        };
        context
            .change(
                changing,
                "The certificate is removed.",
                body,
                call!(directory.remove_certificate),
            )
            .await
    }
}

/// `evidence directory add-certificate`.
#[derive(Debug, Args)]
pub struct AddCertificate {
    organisation: String,
    #[command(flatten)]
    certificate: Certificate,
    #[command(flatten)]
    changing: Changing,
}

impl AddCertificate {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            organisation,
            certificate,
            changing,
        } = self;
        let fingerprint = certificate.fingerprint()?;
        let body = |request_id| v1::AddCertificateRequest {
            request_id,
            organisation_id: organisation,
            fingerprint,
        };
        context
            .change(
                changing,
                "The certificate is added.",
                body,
                call!(directory.add_certificate),
            )
            .await
    }
}

/// `evidence directory update`.
#[derive(Debug, Args)]
pub struct Update {
    organisation: String,
    #[arg(long)]
    name: String,
    #[arg(long, required = true, value_parser = choices::role())]
    role: Vec<v1::Role>,
    #[arg(long)]
    suspended: bool,
    #[command(flatten)]
    changing: Changing,
}

impl Update {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            organisation,
            name,
            role,
            suspended,
            changing,
        } = self;
        let body = |request_id| v1::UpdateOrganisationRequest {
            request_id,
            organisation_id: organisation,
            name,
            roles: numbers(&role),
            suspended,
        };
        context
            .change(
                changing,
                "The organisation is updated.",
                body,
                call!(directory.update_organisation),
            )
            .await
    }
}

/// `evidence directory register`.
#[derive(Debug, Args)]
pub struct Register {
    /// ods:…, charity:…, company:…, dwp:… or local-authority:…
    #[arg(long)]
    identifier: String,
    #[arg(long)]
    name: String,
    #[arg(long, required = true, value_parser = choices::role())]
    role: Vec<v1::Role>,
    #[command(flatten)]
    changing: Changing,
}

impl Register {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            identifier,
            name,
            role,
            changing,
        } = self;
        let body = |request_id| v1::RegisterOrganisationRequest {
            request_id,
            identifier,
            name,
            roles: numbers(&role),
        };
        context
            .change(
                changing,
                "The organisation is registered.",
                body,
                call!(directory.register_organisation),
            )
            .await
    }
}

fn numbers(roles: &[v1::Role]) -> Vec<i32> {
    roles.iter().map(|role| (*role).into()).collect()
}

fn stamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.as_second(),
        nanos: at.subsec_nanosecond(),
    }
}
