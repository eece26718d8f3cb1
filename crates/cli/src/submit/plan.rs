//! From documents to jobs: each statement made once and put into the journal.

use std::{collections::HashMap, path::Path};

use evidence_domain::{
    Aside, Event,
    event::{Evidence, EvidenceRelayed},
    ids::{DelegationId, GrantId, ItemId, RequestId},
};
use evidence_ledger::{Payload, Statement, key::random};
use jiff::civil::Date;

use super::{
    Job, Journal, Moment,
    journal::{self, Entry, State},
    send::Parcel,
};
use crate::{
    CliError, Gateway, Signer,
    metadata::{Described, Facts},
    package::{self, Package, Source},
    proof::{Base64, Document},
    show,
};

/// The grant a document goes under, and the URN its statement names as its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Under {
    pub grant: GrantId,
    pub subject: String,
}

/// Makes jobs for one organisation.
pub struct Planner<'a> {
    pub signer: &'a Signer,
    pub moment: Moment<'a>,
    /// To ask which grant and case a request is under.
    pub gateway: Option<&'a Gateway>,
    asked: HashMap<RequestId, Under>,
}

impl<'a> Planner<'a> {
    pub fn new(signer: &'a Signer, moment: Moment<'a>, gateway: Option<&'a Gateway>) -> Self {
        Self {
            signer,
            moment,
            gateway,
            asked: HashMap::new(),
        }
    }

    /// Where a document belongs: what it says itself, or what the gateway says of its request.
    pub async fn under(&mut self, described: &Described) -> Result<Under, CliError> {
        let details = &described.details;
        match (&details.request, &details.grant, &details.subject) {
            (_, Some(grant), Some(subject)) => Ok(Under {
                grant: grant.clone(),
                subject: subject.clone(),
            }),
            (None, Some(grant), None) => Ok(Under {
                grant: grant.clone(),
                subject: grant.urn(),
            }),
            (None, None, _) => Err(CliError::Usage(format!(
                "{}: nothing says which request or grant it is for. Give --request or --grant.",
                described.path.display()
            ))),
            (Some(request), grant, subject) => {
                let under = self.ask(request).await?;
                Ok(Under {
                    grant: grant.clone().unwrap_or(under.grant),
                    subject: subject.clone().unwrap_or(under.subject),
                })
            }
        }
    }

    async fn ask(&mut self, request: &RequestId) -> Result<Under, CliError> {
        if let Some(under) = self.asked.get(request) {
            return Ok(under.clone());
        }
        let gateway = self.gateway.ok_or_else(|| {
            CliError::Usage(
                "The gateway is not asked here: give --grant and --subject beside --request."
                    .to_owned(),
            )
        })?;
        let body = evidence_wire::v1::GetRequestRequest {
            evidence_request_id: request.to_string(),
        };
        let found = gateway
            .read(
                body,
                |g, r| async move { g.requests().get_request(r).await },
            )
            .await?;
        let grant = found.grant_id.parse().map_err(|_| {
            CliError::CannotTell(format!(
                "The gateway's answer about {request} is not understood: {}",
                show::to_json(&found)
            ))
        })?;
        let under = Under {
            grant,
            subject: found.subject,
        };
        self.asked.insert(request.clone(), under.clone());
        Ok(under)
    }

    /// The job for one document of our own: the statement in the journal, or a new one.
    pub async fn own(
        &mut self,
        journal: &mut Journal,
        described: &Described,
    ) -> Result<Job, CliError> {
        let under = self.under(described).await?;
        let source = super::document(&described.path)?;
        let facts = Facts::of(&source)?;
        let details = &described.details;
        let key = journal::key(
            &facts.digest,
            &under.grant,
            details.request.as_ref(),
            details.supersedes.as_ref(),
        );
        let (body, aside) = details.statement(&facts, &under.grant, self.new_item()?)?;
        let said = journal::said(&body, &aside)?;
        let entry = match journal.get(&key) {
            Some(entry)
                if entry.state == State::Received
                    || entry.said == said && entry.state == State::Signed =>
            {
                entry.clone()
            }
            Some(entry) if entry.state == State::Signed => {
                return Err(CliError::Usage(format!(
                    "{}: an earlier run sent this document with other details, and how that ended is not known. Run again with those details first.",
                    described.path.display()
                )));
            }
            _ => {
                let item_id = body.item.clone();
                let made = self.sign(&under.subject, body, aside)?;
                Entry {
                    file: facts.name.clone(),
                    item_id,
                    said,
                    state: State::Signed,
                    statement: Base64(made.statement),
                    aside: made.aside,
                    relay: None,
                }
            }
        };
        journal.put(key.clone(), entry.clone());
        Ok(job(&described.path, key, &entry, source, facts))
    }

    /// The job for a package that another organisation signed, with our relay statement.
    pub fn relay(
        &self,
        journal: &mut Journal,
        path: &Path,
        delegation: Option<&DelegationId>,
        received_on: Date,
    ) -> Result<Job, CliError> {
        let Packed {
            package,
            statement,
            body,
        } = Packed::open(path)?;
        let facts = Facts::of(&package.document)?;
        if (facts.size, facts.digest) != (body.size, body.digest) {
            return Err(not_as_signed(
                path,
                "the document is another than the statement's",
            ));
        }
        let key = journal::key(
            &facts.digest,
            &body.grant,
            body.request.as_ref(),
            body.supersedes.as_ref(),
        );
        let kept = journal
            .get(&key)
            .filter(|entry| entry.state != State::Refused && entry.item_id == body.item);
        let entry = if let Some(entry) = kept {
            entry.clone()
        } else {
            let relayed = EvidenceRelayed {
                item: body.item.clone(),
                evidence: statement.entry(),
                delegation: delegation.cloned(),
                received_on,
            };
            let relay = self.sign(&statement.claims().sub, relayed, Aside::new())?;
            Entry {
                file: facts.name.clone(),
                item_id: body.item.clone(),
                said: journal::said(&body, &package.evidence.aside)?,
                state: State::Signed,
                statement: Base64(package.evidence.statement),
                aside: package.evidence.aside,
                relay: Some(Base64(relay.statement)),
            }
        };
        journal.put(key.clone(), entry.clone());
        Ok(job(path, key, &entry, package.document, facts))
    }

    /// Signs evidence without keeping or sending it.
    pub async fn sign_only(
        &mut self,
        described: &Described,
    ) -> Result<evidence_wire::v1::SignedStatement, CliError> {
        let under = self.under(described).await?;
        let facts = Facts::of(&super::document(&described.path)?)?;
        let (body, aside) = described
            .details
            .statement(&facts, &under.grant, self.new_item()?)?;
        self.sign(&under.subject, body, aside)
    }

    fn new_item(&self) -> Result<ItemId, CliError> {
        random(self.moment.rng)
            .map(ItemId::from_random)
            .map_err(|error| CliError::CannotTell(error.to_string()))
    }

    fn sign(
        &self,
        subject: &str,
        event: impl Into<Event>,
        aside: Aside,
    ) -> Result<evidence_wire::v1::SignedStatement, CliError> {
        let (now, rng) = (self.moment.now, self.moment.rng);
        Ok(self.signer.sign(subject, event, aside, now, rng)?)
    }
}

fn job(path: &Path, key: String, entry: &Entry, document: Source, facts: Facts) -> Job {
    Job {
        path: path.to_owned(),
        key,
        state: entry.state,
        parcel: Parcel {
            item_id: entry.item_id.to_string(),
            push: entry.push(),
            document,
        },
        document: Document {
            file: facts.name,
            size: facts.size,
            digest: facts.digest,
        },
    }
}

/// A package and the evidence statement in it, read.
struct Packed {
    package: Package,
    statement: Statement,
    body: Evidence,
}

impl Packed {
    fn open(path: &Path) -> Result<Self, CliError> {
        let package = package::open(path)?;
        let statement = Statement::parse(&package.evidence.statement)
            .map_err(|error| not_as_signed(path, &error.to_string()))?;
        let event = Payload::decode(statement.payload())
            .map_err(|error| not_as_signed(path, &error.to_string()))
            .and_then(|payload| {
                Event::from_payload(&payload)
                    .map_err(|error| not_as_signed(path, &error.to_string()))
            })?;
        match event {
            Event::Evidence(body) => Ok(Self {
                package,
                statement,
                body,
            }),
            other => Err(not_as_signed(
                path,
                &format!("it is a `{}` statement", other.name()),
            )),
        }
    }
}

fn not_as_signed(path: &Path, problem: &str) -> CliError {
    CliError::file(
        path,
        format!("is not what its origin signed: {problem}. Ask them for it again."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Exit,
        metadata::Details,
        package::Source,
        sign::tests::{rng, signer},
        submit::doubles,
    };
    use evidence_ledger::Alg;
    use jiff::civil::date;

    fn described(folder: &Path, contents: &str) -> Described {
        let path = folder.join("letter.txt");
        std::fs::write(&path, contents).unwrap();
        let details = Details {
            grant: Some(GrantId::from_random([3; 16])),
            kind: Some("clinical-letter".into()),
            written_on: Some(date(2026, 1, 2)),
            profession: Some("nurse".into()),
            ..Details::default()
        };
        Described { path, details }
    }

    async fn plan(folder: &Path, described: &Described) -> Result<Job, CliError> {
        let (signer, rng) = (signer(Alg::Es256), rng());
        let mut planner = Planner::new(
            &signer,
            Moment {
                now: 1_790_000_000,
                rng: &rng,
            },
            None,
        );
        let mut journal = Journal::open(&folder.join(super::super::JOURNAL))?;
        let job = planner.own(&mut journal, described).await?;
        journal.save()?;
        Ok(job)
    }

    fn set(folder: &Path, job: &Job, state: State) {
        let mut journal = Journal::open(&folder.join(super::super::JOURNAL)).unwrap();
        journal.set_state(&job.key, state);
        journal.save().unwrap();
    }

    #[tokio::test]
    async fn a_second_run_sends_the_same_statement() {
        let folder = tempfile::tempdir().unwrap();
        let document = described(folder.path(), "letter");
        let first = plan(folder.path(), &document).await.unwrap();
        let second = plan(folder.path(), &document).await.unwrap();
        assert_eq!(first.push(), second.push());
        set(folder.path(), &first, State::Received);
        assert_eq!(
            plan(folder.path(), &document).await.unwrap().push(),
            first.push()
        );
    }

    #[tokio::test]
    async fn another_document_or_one_refused_is_signed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let first = plan(folder.path(), &described(folder.path(), "letter"))
            .await
            .unwrap();
        set(folder.path(), &first, State::Refused);
        let again = plan(folder.path(), &described(folder.path(), "letter"))
            .await
            .unwrap();
        assert_ne!(again.push(), first.push());
        let other = plan(folder.path(), &described(folder.path(), "another"))
            .await
            .unwrap();
        assert_ne!(other.item_id(), again.item_id());
    }

    #[tokio::test]
    async fn details_do_not_change_while_the_outcome_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let mut document = described(folder.path(), "letter");
        let first = plan(folder.path(), &document).await.unwrap();
        document.details.kind = Some("care-plan".into());
        assert_eq!(
            plan(folder.path(), &document).await.unwrap_err().exit(),
            Exit::Usage
        );
        // Once it is received, it is received as it was.
        set(folder.path(), &first, State::Received);
        assert_eq!(
            plan(folder.path(), &document).await.unwrap().push(),
            first.push()
        );
    }

    #[tokio::test]
    async fn what_it_is_for_must_be_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut document = described(folder.path(), "letter");
        document.details.request = Some(RequestId::from_random([6; 16]));
        let refused = plan(folder.path(), &document).await.unwrap_err();
        assert!(refused.to_string().contains("--subject"), "{refused}");
        document.details.subject = Some("urn:evidence:case_1".into());
        let job = plan(folder.path(), &document).await.unwrap();
        let statement = Statement::parse(&job.push().evidence.as_ref().unwrap().statement).unwrap();
        assert_eq!(statement.claims().sub, "urn:evidence:case_1");
        document.details = Details::default();
        assert_eq!(
            plan(folder.path(), &document).await.unwrap_err().exit(),
            Exit::Usage
        );
    }

    #[tokio::test]
    async fn a_package_is_relayed_with_one_statement_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let document = described(folder.path(), "letter");
        let (origin, ours, rng) = (signer(Alg::Es256), signer(Alg::EdDsa), rng());
        let moment = Moment {
            now: 1_790_000_000,
            rng: &rng,
        };
        let signed = Planner::new(&origin, moment, None)
            .sign_only(&document)
            .await
            .unwrap();
        let path = folder.path().join("letter.evidence");
        package::write(&path, &signed, &Source::of_file(&document.path).unwrap()).unwrap();

        let planner = Planner::new(&ours, moment, None);
        let mut journal = Journal::open(&folder.path().join(super::super::JOURNAL)).unwrap();
        let job = planner
            .relay(&mut journal, &path, None, date(2026, 1, 3))
            .unwrap();
        let push = job.push();
        assert_eq!(push.evidence.as_ref(), Some(&signed));
        let relay = Statement::parse(&push.relay.as_ref().unwrap().statement).unwrap();
        relay.verify(ours.key().public()).unwrap();
        assert_eq!(
            planner
                .relay(&mut journal, &path, None, date(2026, 1, 4))
                .unwrap()
                .push(),
            push
        );

        let whole = std::fs::read(&path).unwrap();
        let changed = [&whole[..whole.len() - 1], b"X"].concat();
        std::fs::write(&path, changed).unwrap();
        assert_eq!(
            planner
                .relay(&mut journal, &path, None, date(2026, 1, 3))
                .unwrap_err()
                .exit(),
            Exit::File
        );
    }

    #[tokio::test]
    async fn one_document_under_two_names_is_sent_once() {
        let folder = tempfile::tempdir().unwrap();
        let job = plan(folder.path(), &described(folder.path(), "letter"))
            .await
            .unwrap();
        let twin = Job {
            path: folder.path().join("copy.txt"),
            ..job.clone()
        };
        let (jobs, doubles) = doubles(vec![job.clone(), twin.clone()]);
        assert_eq!(jobs.len(), 1);
        assert_eq!(doubles, [(twin.path, job.path)]);
    }
}
