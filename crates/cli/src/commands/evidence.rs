//! `evidence evidence`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use evidence_domain::{
    Aside,
    event::{Disclosure, DisclosureDeclared},
    ids::{DelegationId, ItemId},
};
use evidence_wire::v1;
use jiff::civil::Date;

use super::{Changing, Context, Page};
use crate::{
    CliError, Exit, files,
    metadata::{Described, Details, PACKAGE, describe, manifest},
    package,
    submit::{self, JOURNAL, Job, Journal, Moment, Planner, Sent},
};

#[derive(Debug, Subcommand)]
pub enum Evidence {
    /// Check whether documents would be accepted. Nothing is kept.
    Validate(Documents),
    /// Sign and send documents, and keep their receipts beside them. Run again after a broken
    /// connection: nothing is sent twice.
    Submit(Documents),
    /// Sign documents for an intermediary to relay: one package file each. Nothing is sent.
    Sign(Documents),
    /// Send on packages that another organisation signed.
    Relay(Relay),
    /// Take an item back.
    Withdraw {
        item: String,
        #[arg(long, value_parser = ["wrong_person", "sent_in_error", "consent_withdrawn", "inaccurate"])]
        reason: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// Sign a professional's view on whether the claimant may see an item.
    Declare(Declare),
    /// Show one item.
    Get { item: String },
    /// List items.
    List {
        #[arg(long, default_value = "")]
        request: String,
        #[arg(long, default_value = "")]
        case: String,
        #[command(flatten)]
        page: Page,
    },
}

/// Documents and what is said about them.
#[derive(Debug, Args)]
pub struct Documents {
    /// Files, or folders of which each file is one document. What is in `FILE.toml` beside a file
    /// comes before the options here.
    #[arg(required_unless_present = "manifest")]
    paths: Vec<PathBuf>,
    /// A TOML or JSON file that names the documents and says of each what the options say.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    details: Details,
}

#[derive(Debug, Args)]
pub struct Relay {
    /// Package files, as `evidence evidence sign` writes them.
    #[arg(required = true)]
    packages: Vec<PathBuf>,
    /// The delegation under which you relay.
    #[arg(long)]
    delegation: Option<DelegationId>,
    /// The day you received them, YYYY-MM-DD; today when left out.
    #[arg(long)]
    received_on: Option<Date>,
}

#[derive(Debug, Args)]
pub struct Declare {
    item: ItemId,
    #[arg(long, value_parser = crate::metadata::disclosure)]
    disclosure: Disclosure,
    /// The professional's name.
    #[arg(long)]
    professional: String,
    /// Such as general-practitioner.
    #[arg(long)]
    profession: String,
    #[arg(long, default_value = "")]
    registration: String,
    /// Why serious harm is likely; needed to withhold.
    #[arg(long, default_value = "")]
    reasons: String,
    /// The day it was declared, YYYY-MM-DD; today when left out.
    #[arg(long)]
    declared_on: Option<Date>,
    /// Keep the receipt in this file.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl Evidence {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Validate(documents) => documents.validate(context).await,
            Self::Submit(documents) => documents.submit(context).await,
            Self::Sign(documents) => documents.sign(context).await,
            Self::Relay(relay) => relay.run(context).await,
            Self::Declare(declare) => declare.run(context).await,
            Self::Withdraw {
                item,
                reason,
                changing,
            } => {
                let body = |request_id| v1::WithdrawItemRequest {
                    request_id,
                    item_id: item,
                    reason,
                };
                context
                    .change(
                        changing,
                        "The item is taken back.",
                        body,
                        call!(evidence.withdraw_item),
                    )
                    .await
            }
            Self::Get { item } => {
                let body = v1::GetItemRequest { item_id: item };
                context.show(body, call!(evidence.get_item)).await
            }
            Self::List {
                request,
                case,
                page,
            } => {
                let body = v1::ListItemsRequest {
                    evidence_request_id: request,
                    case_id: case,
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(evidence.list_items)).await
            }
        }
    }
}

impl Documents {
    fn described(&self) -> Result<Vec<Described>, CliError> {
        match &self.manifest {
            Some(path) => manifest(path, &self.details),
            None => describe(&self.paths, &self.details),
        }
    }

    async fn validate(self, context: &Context) -> Result<(), CliError> {
        let (gateway, signer) = (context.gateway()?, context.signer()?);
        let moment = Moment {
            now: context.now(),
            rng: &**context.rng(),
        };
        let mut planner = Planner::new(&signer, moment, Some(&gateway));
        let mut worst = Worst::default();
        for described in self.described()? {
            let evidence = planner.sign_only(&described).await?;
            let push = v1::Push {
                request_id: String::new(),
                evidence: Some(evidence),
                relay: None,
            };
            let body = v1::ValidateRequest { push: Some(push) };
            let answer = gateway.read(body, call!(evidence.validate)).await?;
            let file = described.path.display();
            context.line(
                || serde_json::json!({ "file": described.path, "acceptable": answer.acceptable, "reason": answer.reason, "message": answer.message }),
                || {
                    if answer.acceptable {
                        format!("{file}: would be accepted.")
                    } else {
                        format!("{file}: would be refused ({}): {}", answer.reason, answer.message)
                    }
                },
            )?;
            if !answer.acceptable {
                worst.is(Exit::Refused);
            }
        }
        worst.conclude()
    }

    async fn submit(self, context: &Context) -> Result<(), CliError> {
        let (gateway, signer) = (context.gateway()?, context.signer()?);
        let moment = Moment {
            now: context.now(),
            rng: &**context.rng(),
        };
        let mut planner = Planner::new(&signer, moment, Some(&gateway));
        let mut journal = Journal::open(&self.journal_path())?;
        let mut jobs = Vec::new();
        for described in self.described()? {
            jobs.push(planner.own(&mut journal, &described).await?);
        }
        send(context, &gateway, &mut journal, jobs).await
    }

    async fn sign(self, context: &Context) -> Result<(), CliError> {
        let (gateway, signer) = (context.gateway()?, context.signer()?);
        let moment = Moment {
            now: context.now(),
            rng: &**context.rng(),
        };
        let mut planner = Planner::new(&signer, moment, Some(&gateway));
        for described in self.described()? {
            let package = files::beside(&described.path, PACKAGE);
            if package.exists() {
                return Err(CliError::file(
                    package,
                    "is there already. Delete it to sign the document again.",
                ));
            }
            let evidence = planner.sign_only(&described).await?;
            package::write(
                &package,
                &evidence,
                &package::Source::of_file(&described.path)?,
            )?;
            context.line(
                || serde_json::json!({ "file": described.path, "package": package }),
                || {
                    format!(
                        "{}: signed. Give {} to the intermediary.",
                        described.path.display(),
                        package.display()
                    )
                },
            )?;
        }
        Ok(())
    }

    /// In the folder of what is sent.
    fn journal_path(&self) -> PathBuf {
        let first = self.manifest.as_ref().or(self.paths.first());
        journal_beside(first.map_or(Path::new("."), PathBuf::as_path))
    }
}

fn journal_beside(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(JOURNAL)
    } else {
        files::parent(path).join(JOURNAL)
    }
}

impl Relay {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let (gateway, signer) = (context.gateway()?, context.signer()?);
        let moment = Moment {
            now: context.now(),
            rng: &**context.rng(),
        };
        let planner = Planner::new(&signer, moment, Some(&gateway));
        let mut journal = Journal::open(&journal_beside(&self.packages[0]))?;
        let received_on = self.received_on.unwrap_or_else(|| context.today());
        let jobs: Result<Vec<Job>, CliError> = self
            .packages
            .iter()
            .map(|path| planner.relay(&mut journal, path, self.delegation.as_ref(), received_on))
            .collect();
        send(context, &gateway, &mut journal, jobs?).await
    }
}

/// Sends jobs and says of each how it ended, one line each as they end.
async fn send(
    context: &Context,
    gateway: &crate::Gateway,
    journal: &mut Journal,
    jobs: Vec<Job>,
) -> Result<(), CliError> {
    let (jobs, doubles) = submit::doubles(jobs);
    for (path, first) in doubles {
        context.line(
            || serde_json::json!({ "file": path, "outcome": "same_document", "as": first }),
            || {
                format!(
                    "{}: is the same document as {}, and goes once.",
                    path.display(),
                    first.display()
                )
            },
        )?;
    }
    let progress = context.progress(jobs.iter().map(Job::size).sum());
    let mut worst = Worst::default();
    submit::run(gateway, journal, jobs, &progress, |job, sent| {
        if let Sent::Failed(error) = &sent {
            worst.is(error.exit());
        } else if let Sent::Refused(_) = &sent {
            worst.is(Exit::Refused);
        }
        progress.suspend(|| context.line(|| outcome_json(job, &sent), || outcome_words(job, &sent)))
    })
    .await?;
    progress.finish_and_clear();
    worst.conclude()
}

fn outcome_json(job: &Job, sent: &Sent) -> serde_json::Value {
    let mut json = serde_json::json!({ "file": job.path, "item_id": job.item_id() });
    match sent {
        Sent::Received {
            receipt, before, ..
        } => {
            json["outcome"] = "received".into();
            json["receipt"] = receipt.display().to_string().into();
            json["before"] = (*before).into();
        }
        Sent::Refused(refusal) => {
            json["outcome"] = "refused".into();
            json["reason"] = refusal.reason.clone().into();
            json["message"] = refusal.message.clone().into();
        }
        Sent::Failed(error) => {
            json["outcome"] = "failed".into();
            json["cause"] = error.to_json();
        }
    }
    json
}

fn outcome_words(job: &Job, sent: &Sent) -> String {
    let file = job.path.display();
    match sent {
        Sent::Received {
            item_id,
            receipt,
            before: false,
        } => {
            format!(
                "{file}: received as {item_id}. Its receipt is in {}.",
                receipt.display()
            )
        }
        Sent::Received {
            item_id,
            receipt,
            before: true,
        } => {
            format!(
                "{file}: was received before, as {item_id}. Its receipt is in {}.",
                receipt.display()
            )
        }
        Sent::Refused(refusal) => {
            format!("{file}: REFUSED ({}): {}", refusal.reason, refusal.message)
        }
        Sent::Failed(error) => format!("{file}: NOT SENT: {error}"),
    }
}

/// The most serious of several outcomes: what must be looked into first.
#[derive(Default)]
struct Worst(Option<Exit>);

impl Worst {
    fn is(&mut self, exit: Exit) {
        let rank = |exit: Exit| match exit {
            Exit::UnknownOutcome => 7,
            Exit::Invalid => 6,
            Exit::NotAuthenticated => 5,
            Exit::Unreachable => 4,
            Exit::Refused => 3,
            Exit::File => 2,
            Exit::Usage | Exit::CannotTell => 1,
            Exit::Done => 0,
        };
        if self.0.is_none_or(|worst| rank(exit) > rank(worst)) {
            self.0 = Some(exit);
        }
    }

    fn conclude(self) -> Result<(), CliError> {
        match self.0 {
            None => Ok(()),
            Some(exit) => Err(CliError::Several(exit)),
        }
    }
}

impl Declare {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let (gateway, signer) = (context.gateway()?, context.signer()?);
        let body = v1::GetItemRequest {
            item_id: self.item.to_string(),
        };
        let item = gateway.read(body, call!(evidence.get_item)).await?;
        let declared = DisclosureDeclared {
            item: self.item,
            disclosure: self.disclosure,
            profession: self.profession,
            declared_on: self.declared_on.unwrap_or_else(|| context.today()),
        };
        let texts = [
            ("professional", self.professional),
            ("registration", self.registration),
            ("reasons", self.reasons),
        ];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let aside: Aside = texts.map(|(name, text)| (name.to_owned(), text)).collect();
        // The item's case, or its grant while it has none.
        let subject = format!(
            "urn:evidence:{}",
            item.cases.first().unwrap_or(&item.grant_id)
        );
        let declaration =
            signer.sign(&subject, declared, aside, context.now(), &**context.rng())?;
        let body = v1::DeclareDisclosureRequest {
            declaration: Some(declaration),
        };
        let answer = gateway
            .change(body, call!(evidence.declare_disclosure))
            .await?;
        context.changed(
            self.receipt.as_deref(),
            "The declaration is recorded.",
            &answer,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_serious_outcome_is_the_exit_code() {
        let worst = |exits: &[Exit]| {
            let mut worst = Worst::default();
            for exit in exits {
                worst.is(*exit);
            }
            worst
                .conclude()
                .map_or_else(|error| error.exit(), |()| Exit::Done)
        };
        assert_eq!(worst(&[]), Exit::Done);
        assert_eq!(worst(&[Exit::File, Exit::Refused]), Exit::Refused);
        assert_eq!(
            worst(&[Exit::Refused, Exit::UnknownOutcome, Exit::Unreachable]),
            Exit::UnknownOutcome
        );
    }

    #[test]
    fn the_journal_lies_with_the_documents() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(journal_beside(folder.path()), folder.path().join(JOURNAL));
        assert_eq!(
            journal_beside(&folder.path().join("letter.pdf")),
            folder.path().join(JOURNAL)
        );
    }
}
