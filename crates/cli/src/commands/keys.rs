//! `evidence keys`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use evidence_ledger::Alg;

use super::Context;
use crate::{CliError, files, keys};

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key that signs statements. Prints the public key for the operator to register.
    New {
        /// Where to write the private key (PKCS#8, PEM).
        #[arg(long, value_name = "FILE", default_value = "signing-key.pem")]
        output: PathBuf,
        #[arg(long, value_enum, default_value_t = Algorithm::Es256)]
        alg: Algorithm,
    },
    /// Make a TLS key and a certificate request for it.
    Csr {
        /// The organisation's name.
        #[arg(long)]
        organisation: String,
        /// The system's name.
        #[arg(long, default_value = "evidence client")]
        common_name: String,
        /// A DNS name of the system; may be given again.
        #[arg(long)]
        dns: Vec<String>,
        /// Where to write the private key (PEM).
        #[arg(long, value_name = "FILE", default_value = "key.pem")]
        key: PathBuf,
        /// Where to write the request (PEM).
        #[arg(long, value_name = "FILE", default_value = "request.pem")]
        output: PathBuf,
    },
    /// Show a key's public part, or a certificate's fingerprint.
    Show { file: PathBuf },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Algorithm {
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
}

impl Keys {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::New { output, alg } => {
                let alg = match alg {
                    Algorithm::Es256 => Alg::Es256,
                    Algorithm::EdDsa => Alg::EdDsa,
                };
                let key = keys::new_signing_key(&output, alg, &**context.rng())?;
                context.remark(&format!(
                    "The private key is in {}. Give the operator the `cose_key` below.",
                    output.display()
                ))?;
                show(context, &keys::describe(key.public()))
            }
            Self::Csr {
                organisation,
                common_name,
                dns,
                key,
                output,
            } => {
                let made = keys::certificate_request(&organisation, &common_name, &dns)?;
                files::write_new(&key, made.key.as_bytes())?;
                files::write_new(&output, made.request.as_bytes())?;
                context.line(
                    || serde_json::json!({ "key": key, "request": output }),
                    || format!("The private key is in {}, the request in {}: send the request to your certificate authority.", key.display(), output.display()),
                )
            }
            Self::Show { file } => {
                if let Ok(fingerprint) = keys::fingerprint(&file) {
                    return show(
                        context,
                        &[("fingerprint".to_owned(), fingerprint.to_string())].into(),
                    );
                }
                show(
                    context,
                    &keys::describe(&keys::public_key(&file, &**context.rng())?),
                )
            }
        }
    }
}

fn show(context: &Context, facts: &evidence_domain::Aside) -> Result<(), CliError> {
    context.line(
        || serde_json::json!(facts),
        || {
            facts
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.trim_end()))
                .collect::<Vec<_>>()
                .join("\n")
        },
    )
}
