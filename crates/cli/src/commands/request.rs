//! `evidence case`, `request`, `watch`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use evidence_wire::v1;

use super::{Changing, Context, Page, choices, consent::Period};
use crate::{
    CliError, show,
    watch::{Place, Until, watch},
};

#[derive(Debug, Subcommand)]
pub enum Case {
    /// Open a case under a live grant to your organisation.
    Open {
        #[arg(long)]
        claimant: String,
        #[arg(long)]
        grant: String,
        /// wca, pip, …: also the purpose.
        #[arg(long)]
        assessment_type: String,
        #[arg(long, value_parser = ["england-and-wales", "scotland", "northern-ireland"])]
        nation: String,
        /// Your own reference.
        #[arg(long, default_value = "")]
        reference: String,
        /// The case is about mental health.
        #[arg(long)]
        mental_health: bool,
        #[command(flatten)]
        changing: Changing,
    },
    /// Show one case.
    Get { case: String },
    /// List cases.
    List {
        #[arg(long, default_value = "")]
        claimant: String,
        #[command(flatten)]
        page: Page,
    },
}

impl Case {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Open {
                claimant,
                grant,
                assessment_type,
                nation,
                reference,
                mental_health,
                changing,
            } => {
                let body = |request_id| v1::OpenCaseRequest {
                    request_id,
                    claimant_id: claimant,
                    grant_id: grant,
                    assessment_type,
                    nation,
                    reference,
                    mental_health,
                };
                context
                    .change(
                        changing,
                        "The case is open.",
                        body,
                        call!(requests.open_case),
                    )
                    .await
            }
            Self::Get { case } => {
                let body = v1::GetCaseRequest { case_id: case };
                context.show(body, call!(requests.get_case)).await
            }
            Self::List { claimant, page } => {
                let body = v1::ListCasesRequest {
                    claimant_id: claimant,
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(requests.list_cases)).await
            }
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Request {
    /// Ask a discloser for evidence.
    Open {
        #[arg(long)]
        case: String,
        #[arg(long)]
        grant: String,
        #[arg(long)]
        discloser: String,
        #[arg(long, required = true)]
        kind: Vec<String>,
        #[command(flatten)]
        period: Period,
        /// The question in words.
        #[arg(long)]
        question: String,
        /// The officer's assurance that the claimant consents.
        #[arg(long)]
        assurance: String,
        /// Who pays the discloser, if anyone; never the claimant.
        #[arg(long, default_value = "")]
        payer: String,
        #[command(flatten)]
        changing: Changing,
    },
    #[command(flatten)]
    Turn(Turn),
    /// Show one request.
    Get { request: String },
    /// List requests.
    List {
        #[arg(long, default_value = "")]
        case: String,
        #[arg(long, value_parser = choices::request_state())]
        state: Option<v1::RequestState>,
        #[command(flatten)]
        page: Page,
    },
}

impl Request {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Open {
                case,
                grant,
                discloser,
                kind,
                period,
                question,
                assurance,
                payer,
                changing,
            } => {
                let body = |request_id| v1::OpenRequestRequest {
                    request_id,
                    case_id: case,
                    grant_id: grant,
                    discloser,
                    kinds: kind,
                    period: period.message(),
                    question,
                    assurance,
                    payer,
                };
                context
                    .change(
                        changing,
                        "The request is open.",
                        body,
                        call!(requests.open_request),
                    )
                    .await
            }
            Self::Get { request } => {
                let body = v1::GetRequestRequest {
                    evidence_request_id: request,
                };
                context.show(body, call!(requests.get_request)).await
            }
            Self::List { case, state, page } => {
                let body = v1::ListRequestsRequest {
                    case_id: case,
                    state: state.unwrap_or_default().into(),
                    page_size: page.page_size,
                    page_token: page.page_token,
                };
                context.show(body, call!(requests.list_requests)).await
            }
            Self::Turn(turn) => turn.run(context).await,
        }
    }
}

/// What the parties do in turn.
#[derive(Debug, Subcommand)]
pub enum Turn {
    /// Say that you have it and are working on it.
    Acknowledge {
        request: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// Ask the recipient something; the clock stops until they answer.
    Clarify {
        request: String,
        #[arg(long)]
        question: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// Answer a discloser's question.
    Answer {
        request: String,
        #[arg(long)]
        answer: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// Say that you will not answer, and why (docs/api/reasons.md).
    Decline(Decline),
    /// Take a request back.
    Cancel(Cancel),
}

impl Turn {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Acknowledge { request, changing } => {
                let body = |request_id| v1::AcknowledgeRequestRequest {
                    request_id,
                    evidence_request_id: request,
                };
                context
                    .change(
                        changing,
                        "The request is acknowledged.",
                        body,
                        call!(requests.acknowledge_request),
                    )
                    .await
            }
            Self::Clarify {
                request,
                question,
                changing,
            } => {
                let body = |request_id| v1::AskClarificationRequest {
                    request_id,
                    evidence_request_id: request,
                    question,
                };
                context
                    .change(
                        changing,
                        "The question is asked.",
                        body,
                        call!(requests.ask_clarification),
                    )
                    .await
            }
            Self::Answer {
                request,
                answer,
                changing,
            } => {
                let body = |request_id| v1::AnswerClarificationRequest {
                    request_id,
                    evidence_request_id: request,
                    answer,
                };
                context
                    .change(
                        changing,
                        "The question is answered.",
                        body,
                        call!(requests.answer_clarification),
                    )
                    .await
            }
            Self::Decline(options) => options.run(context).await,
            Self::Cancel(options) => options.run(context).await,
        }
    }
}

/// `evidence request cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    request: String,
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    changing: Changing,
}

impl Cancel {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            request,
            note,
            changing,
        } = self;
        let body = |request_id| v1::CancelRequestRequest {
            request_id,
            evidence_request_id: request,
            note,
        };
        context
            .change(
                changing,
                "The request is cancelled.",
                body,
                call!(requests.cancel_request),
            )
            .await
    }
}

/// `evidence request decline`.
#[derive(Debug, Args)]
pub struct Decline {
    request: String,
    #[arg(long, value_parser = ["no_record_held", "not_our_patient", "consent_not_valid", "outside_period", "not_our_service", "duplicate_request"])]
    reason: String,
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    changing: Changing,
}

impl Decline {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self {
            request,
            reason,
            note,
            changing,
        } = self;
        let body = |request_id| v1::DeclineRequestRequest {
            request_id,
            evidence_request_id: request,
            reason,
            note,
        };
        context
            .change(
                changing,
                "The request is declined.",
                body,
                call!(requests.decline_request),
            )
            .await
    }
}

/// Prints each event as it comes, from where the last run stopped.
#[derive(Debug, Args)]
pub struct Watch {
    /// Append events to this JSON-lines file and go on from its end: each is in it exactly once.
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    output: Option<PathBuf>,
    /// Keep the place in this file; the last event may be printed twice after a crash.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Start after the event with this token, where no file says where.
    #[arg(long, default_value = "", conflicts_with_all = ["output", "state"])]
    resume_token: String,
    /// Stop after so many events.
    #[arg(long, value_name = "COUNT")]
    events: Option<u64>,
    /// Stop when nothing has come for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
}

impl Watch {
    pub async fn run(self, context: &Context) -> Result<(), CliError> {
        let (mut place, token) = match (&self.output, &self.state) {
            (Some(path), _) => Place::output(path)?,
            (None, Some(path)) => Place::state(path)?,
            (None, None) => (Place::Unkept, self.resume_token),
        };
        let until = Until {
            events: self.events,
            idle: self.idle.map(Duration::from_secs),
        };
        watch(&context.gateway()?, token, until, |event| {
            place.give(event, |event| {
                context.line(|| show::to_json(event), || in_words(event))
            })
        })
        .await
    }
}

fn in_words(event: &v1::WatchEvent) -> String {
    let at = event
        .at
        .as_ref()
        .and_then(crate::proof::moment)
        .map(|at| at.to_string())
        .unwrap_or_default();
    let about = [
        &event.case_id,
        &event.evidence_request_id,
        &event.item_id,
        &event.grant_id,
    ];
    let about: Vec<&str> = about
        .into_iter()
        .map(String::as_str)
        .filter(|id| !id.is_empty())
        .collect();
    format!("{at}  {:<24}  {}", event.event, about.join(" "))
}
