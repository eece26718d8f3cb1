//! What every command has at hand: configuration, gateway, keys, and the way to say things.

use std::{
    future::Future,
    io::{ErrorKind, IsTerminal as _, Write as _},
    path::Path,
};

use evidence_domain::Moment;
use evidence_wire::v1;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{Timestamp, civil::Date};
use prost::{Message, Name};
use tonic::{Request, Response, Status};

use super::{Changing, Global};
use crate::{
    CliError, Config, Gateway, Signer,
    client::{Rng, new_request_id},
    keys,
    proof::{LogKeys, ReceiptFile},
    show,
};

pub struct Context {
    global: Global,
    rng: Rng,
    now: Timestamp,
}

impl Context {
    pub fn new(global: Global, rng: Rng, now: Timestamp) -> Self {
        let now = global.now.unwrap_or(now);
        Self { global, rng, now }
    }

    pub fn is_json(&self) -> bool {
        self.global.json
    }

    pub fn rng(&self) -> &Rng {
        &self.rng
    }

    pub fn moment(&self) -> Timestamp {
        self.now
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now.as_second()
    }

    /// Today in Europe/London.
    pub fn today(&self) -> Date {
        Moment::from(self.now).day()
    }

    pub fn config(&self) -> Result<Config, CliError> {
        Config::find(self.global.config.as_deref())
    }

    pub fn gateway(&self) -> Result<Gateway, CliError> {
        Gateway::new(&self.config()?, self.rng.clone())
    }

    pub fn signer(&self) -> Result<Signer, CliError> {
        let config = self.config()?;
        let key = keys::signing_key(config.signing_key()?, &*self.rng)?;
        Ok(Signer::new(config.organisation()?.clone(), key))
    }

    /// The log's keys: the configured ones, or else those the gateway itself tells, which is said.
    pub async fn log_keys(&self, gateway: &Gateway) -> Result<LogKeys, CliError> {
        if let Some(path) = &self.config()?.log_keys {
            return LogKeys::load(path);
        }
        self.remark("The log's keys come from the gateway itself: set `log_keys` to check against keys you have kept.")?;
        let answer = gateway
            .read(v1::ListLogKeysRequest {}, call!(ledger.list_log_keys))
            .await?;
        LogKeys::of(&answer)
    }

    /// Makes a call that only reads and shows the answer.
    pub async fn show<B, R, F>(
        &self,
        body: B,
        send: impl Fn(Gateway, Request<B>) -> F,
    ) -> Result<(), CliError>
    where
        B: Clone,
        R: Message + Name,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let answer = self.gateway()?.read(body, send).await?;
        self.answer("", &answer)
    }

    /// Makes a call that changes something, with the key given or a new one, and shows the answer
    /// under `headline`.
    pub async fn change<B, R, F>(
        &self,
        changing: Changing,
        headline: &str,
        body: impl FnOnce(String) -> B,
        send: impl Fn(Gateway, Request<B>) -> F,
    ) -> Result<(), CliError>
    where
        B: Clone,
        R: Message + Name + HasReceipt,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let request_id = match changing.request_id {
            Some(id) => id,
            None => new_request_id(&*self.rng)?,
        };
        let answer = self.gateway()?.change(body(request_id.clone()), send).await;
        let answer = answer.map_err(|error| match error {
            CliError::UnknownOutcome { detail, .. } => CliError::UnknownOutcome {
                detail,
                again: format!(" with --request-id {request_id}"),
            },
            error => error,
        })?;
        self.changed(changing.receipt.as_deref(), headline, &answer)
    }

    /// Keeps the receipt, if that was asked for, and shows the answer.
    pub fn changed<R>(
        &self,
        receipt_file: Option<&Path>,
        headline: &str,
        answer: &R,
    ) -> Result<(), CliError>
    where
        R: Message + Name + HasReceipt,
    {
        if let (Some(path), Some(receipt)) = (receipt_file, answer.receipt()) {
            ReceiptFile::of(receipt)?.save(path)?;
        }
        self.answer(headline, answer)
    }

    /// Shows an answer: JSON, or a headline and what it says in words.
    pub fn answer<M: Message + Name>(&self, headline: &str, answer: &M) -> Result<(), CliError> {
        if self.global.json {
            return self.json(&show::to_json(answer));
        }
        let text = show::to_text(answer);
        let headline = if headline.is_empty() {
            String::new()
        } else {
            format!("{headline}\n")
        };
        self.print(if text.is_empty() && headline.is_empty() {
            "There is nothing.\n"
        } else {
            &headline
        })?;
        self.print(&text)
    }

    /// Prints a JSON document.
    pub fn json(&self, json: &serde_json::Value) -> Result<(), CliError> {
        self.print(&format!("{json:#}\n"))
    }

    /// Prints one line of JSON, or its words.
    pub fn line(
        &self,
        json: impl FnOnce() -> serde_json::Value,
        words: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        let line = if self.global.json {
            json().to_string()
        } else {
            words()
        };
        self.print(&format!("{line}\n"))
    }

    /// Writes to standard output at once.
    pub fn print(&self, text: &str) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => CliError::Closed,
            _ => CliError::io("standard output")(error),
        })
    }

    /// Says something beside the result, to people only.
    pub fn remark(&self, text: &str) -> Result<(), CliError> {
        if self.global.json || self.global.quiet {
            return Ok(());
        }
        writeln!(std::io::stderr(), "{text}").map_err(CliError::io("standard error"))
    }

    /// A bar of bytes on standard error, where a person watches.
    pub fn progress(&self, bytes: u64) -> ProgressBar {
        if self.global.quiet || self.global.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style =
            ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} to go")
                .expect("the template names what there is");
        ProgressBar::new(bytes).with_style(style)
    }
}

/// An answer that carries the receipt of what was changed.
pub trait HasReceipt {
    fn receipt(&self) -> Option<&v1::Receipt>;
}

macro_rules! with_receipt {
    ($($answer:ident),* $(,)?) => {$(
        impl HasReceipt for v1::$answer {
            fn receipt(&self) -> Option<&v1::Receipt> {
                self.receipt.as_ref()
            }
        }
    )*};
}

with_receipt!(
    RegisterClaimantResponse,
    GrantResponse,
    DelegationResponse,
    RepresentationResponse,
    CaseResponse,
    RequestResponse,
    ItemResponse,
    BundleResponse,
    DecisionResponse,
    NoteResponse,
    AdjustmentResponse,
    OrganisationResponse,
    PolicyResponse,
);

impl HasReceipt for v1::RecordItemResponse {
    fn receipt(&self) -> Option<&v1::Receipt> {
        self.item.as_ref()?.receipt.as_ref()
    }
}
