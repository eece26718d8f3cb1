//! `evidence claimant`, `grant`, `delegation`, `representative`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use evidence_wire::v1;
use serde::Deserialize;

use super::{Changing, Context, Page, choices};
use crate::{CliError, files};

#[derive(Debug, Subcommand)]
pub enum Claimant {
    /// Find the claimant with these identifiers, or make their record.
    Register {
        /// A TOML or JSON file with name, date_of_birth, nhs_number, national_insurance_number; `-`
        /// reads TOML from standard input. Keeps them out of the shell's history.
        #[arg(long, value_name = "FILE", conflicts_with = "Person")]
        from: Option<PathBuf>,
        #[command(flatten)]
        person: Person,
        #[command(flatten)]
        changing: Changing,
    },
}

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[group(id = "Person", multiple = true)]
#[serde(deny_unknown_fields, default)]
pub struct Person {
    #[arg(long, default_value = "")]
    name: String,
    /// YYYY-MM-DD
    #[arg(long, default_value = "")]
    date_of_birth: String,
    #[arg(long, default_value = "")]
    nhs_number: String,
    #[arg(long, default_value = "")]
    national_insurance_number: String,
}

impl Claimant {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self::Register {
            from,
            person,
            changing,
        } = self;
        let person = match from {
            None => person,
            Some(path) if path == Path::new("-") => {
                let text = std::io::read_to_string(std::io::stdin())
                    .map_err(CliError::io("standard input"))?;
                files::parse_structured(&path, &text)?
            }
            Some(path) => files::read_structured(&path)?,
        };
        let body = |request_id| v1::RegisterClaimantRequest {
            request_id,
            name: person.name,
            date_of_birth: person.date_of_birth,
            nhs_number: person.nhs_number,
            national_insurance_number: person.national_insurance_number,
        };
        context
            .change(
                changing,
                "The claimant is registered.",
                body,
                call!(consent.register_claimant),
            )
            .await
    }
}

#[derive(Debug, Subcommand)]
pub enum Grant {
    /// Record a claimant's consent.
    Create(CreateGrant),
    /// Take organisations, kinds, purposes or time away from a grant.
    Narrow(NarrowGrant),
    /// End a grant: requests, pushes and pulls under it stop at once.
    Withdraw {
        grant: String,
        #[arg(long, value_parser = choices::capture())]
        capture: v1::Capture,
        /// In the person's own words, if they want to say.
        #[arg(long, default_value = "")]
        note: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// Show one grant.
    Get { grant: String },
    /// List grants.
    List {
        #[arg(long, default_value = "")]
        claimant: String,
        #[command(flatten)]
        page: Page,
    },
}

/// The time that evidence is about; open where left out.
#[derive(Debug, Clone, Args)]
pub struct Period {
    /// The first day the evidence may be about, YYYY-MM-DD.
    #[arg(long, default_value = "")]
    period_from: String,
    /// The last day.
    #[arg(long, default_value = "")]
    period_to: String,
}

impl Period {
    /// `None` when nothing was said.
    pub fn message(self) -> Option<v1::Period> {
        let said = !(self.period_from.is_empty() && self.period_to.is_empty());
        said.then_some(v1::Period {
            from: self.period_from,
            to: self.period_to,
        })
    }
}

impl Grant {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Create(options) => options.run(context).await,
            Self::Narrow(options) => options.run(context).await,
            Self::Withdraw {
                grant,
                capture,
                note,
                changing,
            } => {
                let body = |request_id| v1::WithdrawGrantRequest {
                    request_id,
                    grant_id: grant,
                    capture: capture.into(),
                    note,
                };
                context
                    .change(
                        changing,
                        "The grant is withdrawn.",
                        body,
                        call!(consent.withdraw_grant),
                    )
                    .await
            }
            Self::Get { grant } => {
                let body = v1::GetGrantRequest { grant_id: grant };
                context.show(body, call!(consent.get_grant)).await
            }
            Self::List { claimant, page } => {
                let body = v1::ListGrantsRequest {
                    claimant_id: claimant,
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(consent.list_grants)).await
            }
        }
    }
}

/// `evidence grant narrow`.
#[derive(Debug, Args)]
pub struct NarrowGrant {
    grant: String,
    #[arg(long)]
    remove_discloser: Vec<String>,
    #[arg(long)]
    remove_kind: Vec<String>,
    #[arg(long)]
    remove_purpose: Vec<String>,
    #[command(flatten)]
    period: Period,
    /// An earlier last day.
    #[arg(long, default_value = "")]
    expires_on: String,
    #[command(flatten)]
    changing: Changing,
}

impl NarrowGrant {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            grant,
            remove_discloser,
            remove_kind,
            remove_purpose,
            period,
            expires_on,
            changing,
        } = self;
        let body = |request_id| v1::NarrowGrantRequest {
            request_id,
            grant_id: grant,
            remove_disclosers: remove_discloser,
            remove_kinds: remove_kind,
            remove_purposes: remove_purpose,
            period: period.message(),
            expires_on,
        };
        context
            .change(
                changing,
                "The grant is narrowed.",
                body,
                call!(consent.narrow_grant),
            )
            .await
    }
}

/// `evidence grant create`.
#[derive(Debug, Args)]
pub struct CreateGrant {
    #[arg(long)]
    claimant: String,
    /// An organisation that may disclose; may be given again.
    #[arg(long, required = true)]
    discloser: Vec<String>,
    /// A kind of evidence, or *; may be given again.
    #[arg(long, required = true)]
    kind: Vec<String>,
    /// The organisation that receives it.
    #[arg(long)]
    recipient: String,
    /// What it may be used for; may be given again.
    #[arg(long, required = true)]
    purpose: Vec<String>,
    #[command(flatten)]
    period: Period,
    /// The last day, YYYY-MM-DD.
    #[arg(long)]
    expires_on: String,
    #[arg(long, value_parser = choices::capture())]
    capture: v1::Capture,
    /// Who witnessed it, in words.
    #[arg(long, default_value = "")]
    witness: String,
    /// The controller's lawful basis, recorded beside the consent.
    #[arg(long)]
    lawful_basis: String,
    /// Set when a representative or appointee grants.
    #[arg(long, default_value = "")]
    representation: String,
    #[command(flatten)]
    changing: Changing,
}

impl CreateGrant {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            claimant,
            discloser,
            kind,
            recipient,
            purpose,
            period,
            expires_on,
            capture,
            witness,
            lawful_basis,
            representation,
            changing,
        } = self;
        let body = |request_id| v1::CreateGrantRequest {
            request_id,
            claimant_id: claimant,
            disclosers: discloser,
            kinds: kind,
            recipient,
            purposes: purpose,
            period: period.message(),
            expires_on,
            capture: capture.into(),
            witness,
            lawful_basis,
            representation_id: representation,
        };
        context
            .change(
                changing,
                "The grant is made.",
                body,
                call!(consent.create_grant),
            )
            .await
    }
}

#[derive(Debug, Subcommand)]
pub enum Delegation {
    /// Let an intermediary act under a grant, within what you hold.
    Create {
        #[arg(long)]
        grant: String,
        #[arg(long)]
        intermediary: String,
        #[arg(long, required = true)]
        kind: Vec<String>,
        /// As long as the grant when left out.
        #[arg(long, default_value = "")]
        expires_on: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// End a delegation.
    End {
        delegation: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// List delegations.
    List {
        #[arg(long, default_value = "")]
        grant: String,
        #[command(flatten)]
        page: Page,
    },
}

impl Delegation {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Create {
                grant,
                intermediary,
                kind,
                expires_on,
                changing,
            } => {
                let body = |request_id| v1::CreateDelegationRequest {
                    request_id,
                    grant_id: grant,
                    intermediary,
                    kinds: kind,
                    expires_on,
                };
                context
                    .change(
                        changing,
                        "The delegation is made.",
                        body,
                        call!(consent.create_delegation),
                    )
                    .await
            }
            Self::End {
                delegation,
                changing,
            } => {
                let body = |request_id| v1::EndDelegationRequest {
                    request_id,
                    delegation_id: delegation,
                };
                context
                    .change(
                        changing,
                        "The delegation is ended.",
                        body,
                        call!(consent.end_delegation),
                    )
                    .await
            }
            Self::List { grant, page } => {
                let body = v1::ListDelegationsRequest {
                    grant_id: grant,
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(consent.list_delegations)).await
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Representative {
    /// Name someone who helps the claimant, or their appointee.
    Name {
        #[arg(long)]
        claimant: String,
        #[arg(long, value_parser = choices::representation_kind())]
        kind: v1::RepresentationKind,
        /// The person's name.
        #[arg(long)]
        name: String,
        /// What they may see and do; may be given again.
        #[arg(long, required = true, value_parser = choices::scope())]
        scope: Vec<v1::RepresentationScope>,
        #[arg(long)]
        expires_on: String,
        #[arg(long, value_parser = choices::capture())]
        capture: v1::Capture,
        #[arg(long, default_value = "")]
        witness: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// End it.
    End {
        representation: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// List who acts for a claimant.
    List { claimant: String },
}

impl Representative {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Name {
                claimant,
                kind,
                name,
                scope,
                expires_on,
                capture,
                witness,
                changing,
            } => {
                let body = |request_id| v1::NameRepresentativeRequest {
                    request_id,
                    claimant_id: claimant,
                    kind: kind.into(),
                    name,
                    scopes: scope.into_iter().map(Into::into).collect(),
                    expires_on,
                    capture: capture.into(),
                    witness,
                };
                context
                    .change(
                        changing,
                        "They are named.",
                        body,
                        call!(consent.name_representative),
                    )
                    .await
            }
            Self::End {
                representation,
                changing,
            } => {
                let body = |request_id| v1::EndRepresentationRequest {
                    request_id,
                    representation_id: representation,
                };
                context
                    .change(
                        changing,
                        "They act for the claimant no more.",
                        body,
                        call!(consent.end_representation),
                    )
                    .await
            }
            Self::List { claimant } => {
                let body = v1::ListRepresentationsRequest {
                    claimant_id: claimant,
                };
                context
                    .show(body, call!(consent.list_representations))
                    .await
            }
        }
    }
}
