//! What can go wrong, and the exit code that tells a script of it.

use std::{io, path::PathBuf};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::sign::SignError;

/// The exit codes (docs/api/cli.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Refused = 1,
    Usage = 2,
    Unreachable = 3,
    NotAuthenticated = 4,
    Invalid = 5,
    CannotTell = 6,
    File = 7,
    UnknownOutcome = 8,
}

impl Exit {
    /// The code's name in JSON output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Usage => "usage",
            Self::Unreachable => "unreachable",
            Self::NotAuthenticated => "not_authenticated",
            Self::Invalid => "invalid",
            Self::CannotTell => "cannot_tell",
            Self::File => "file",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }
}

/// Why a command did not do what was asked. Each text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("{0}")]
    Refused(Refused),
    #[error("{0}")]
    Usage(String),
    #[error(
        "The gateway cannot be reached: {0}. Check `endpoint` and the network, then try again."
    )]
    Unreachable(String),
    #[error("The gateway failed: {0}")]
    Faulty(String),
    #[error(
        "The gateway and this organisation do not accept each other: {0}. Check `ca`, `certificate` and `key`, and that the operator has added the certificate."
    )]
    NotAuthenticated(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    CannotTell(String),
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    /// Whoever reads the output has seen enough.
    #[error("The output was closed.")]
    Closed,
    /// Of several things done, not all went well; each was told of as it ended.
    #[error("Not everything was done: see above.")]
    Several(Exit),
    #[error(
        "It is not known whether this was done: {detail}. Run the same command again{again}: it is done once."
    )]
    UnknownOutcome { detail: String, again: String },
}

impl From<SignError> for CliError {
    fn from(error: SignError) -> Self {
        Self::Usage(format!("This cannot be signed: {error}."))
    }
}

/// The gateway's refusal: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Refused ({reason}): {message}")]
pub struct Refused {
    /// Stable reason code (docs/api/reasons.md).
    pub reason: String,
    /// What happened and what to do next, in words.
    pub message: String,
    /// The fields that did not hold, each with why.
    pub fields: Vec<(String, String)>,
}

impl CliError {
    pub fn file(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self::File {
            path: path.into(),
            problem: problem.into(),
        }
    }

    /// For `map_err` on the file system's own errors.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::File {
            path,
            problem: format!("{error}. Check the path and your rights to it."),
        }
    }

    pub const fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Usage(_) => Exit::Usage,
            Self::Unreachable(_) | Self::Faulty(_) => Exit::Unreachable,
            Self::NotAuthenticated(_) => Exit::NotAuthenticated,
            Self::Invalid(_) => Exit::Invalid,
            Self::CannotTell(_) => Exit::CannotTell,
            Self::File { .. } => Exit::File,
            Self::Several(exit) => *exit,
            Self::Closed => Exit::Done,
            Self::UnknownOutcome { .. } => Exit::UnknownOutcome,
        }
    }

    /// The error as `--json` prints it on standard error.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "error": self.exit().name(),
            "exit_code": self.exit() as u8,
            "message": self.to_string(),
        });
        if let Self::Refused(refused) = self {
            json["message"] = refused.message.clone().into();
            json["reason"] = refused.reason.clone().into();
            json["fields"] = refused
                .fields
                .iter()
                .map(|(field, description)| serde_json::json!({ "field": field, "description": description }))
                .collect();
        }
        json
    }
}

/// What a call's failure means for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Decided: trying again changes nothing.
    Refused(Refused),
    NotAuthenticated(String),
    /// The gateway's own fault; nothing was changed.
    Faulty(String),
    /// Nothing was done; another attempt may succeed.
    Unreachable(String),
    /// The call broke off, or the gateway itself cannot tell: it may have been done.
    Broken(String),
}

impl Failure {
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        // The errors go on with sentences of their own.
        let message = status.message().to_owned();
        let cause = message.trim_end_matches('.').to_owned();
        if let Some(info) = details.error_info() {
            return match (info.reason.as_str(), status.code()) {
                ("unknown_outcome", _) => Self::Broken("the gateway could not tell".to_owned()),
                (_, Code::Unavailable) => Self::Unreachable(cause),
                (_, Code::Unauthenticated) => Self::NotAuthenticated(cause),
                (_, Code::Internal) => Self::Faulty(message),
                (reason, _) => Self::Refused(Refused {
                    reason: reason.to_owned(),
                    message,
                    fields: details.bad_request().map_or_else(Vec::new, |bad| {
                        let fields = bad.field_violations.iter();
                        fields
                            .map(|v| (v.field.clone(), v.description.clone()))
                            .collect()
                    }),
                }),
            };
        }
        Self::of_transport(status, message)
    }

    /// A failure below the gateway's own answers, or one of its door's.
    fn of_transport(status: &Status, message: String) -> Self {
        if let Some(fault) = tls_fault(status) {
            return Self::NotAuthenticated(fault);
        }
        let cause = innermost(status).unwrap_or(message);
        match status.code() {
            Code::Unauthenticated => Self::NotAuthenticated(cause),
            // The door's limits: turned away before anything was done.
            Code::ResourceExhausted => Self::Unreachable(cause),
            Code::Unavailable if never_connected(status) => Self::Unreachable(cause),
            Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted => Self::Broken(cause),
            code => Self::Refused(Refused {
                reason: format!("{code:?}").to_lowercase(),
                message: cause,
                fields: Vec::new(),
            }),
        }
    }

    pub const fn may_be_tried_again(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Broken(_))
    }

    /// The error to end with. `changes`: whether the call changes anything, so that breaking off
    /// leaves a doubt.
    pub fn into_error(self, changes: bool) -> CliError {
        match self {
            Self::Refused(refused) => CliError::Refused(refused),
            Self::NotAuthenticated(detail) => CliError::NotAuthenticated(detail),
            Self::Faulty(detail) => CliError::Faulty(detail),
            Self::Broken(detail) if changes => CliError::UnknownOutcome {
                detail,
                again: String::new(),
            },
            Self::Unreachable(detail) | Self::Broken(detail) => CliError::Unreachable(detail),
        }
    }
}

type Fault = dyn std::error::Error + 'static;

fn chain(status: &Status) -> impl Iterator<Item = &Fault> {
    let first = std::error::Error::source(status);
    std::iter::successors(first, |error| match error.downcast_ref::<io::Error>() {
        // An io::Error shows what it wraps only here.
        Some(error) => error.get_ref().map(|inner| inner as &Fault),
        None => error.source(),
    })
}

fn innermost(status: &Status) -> Option<String> {
    chain(status).last().map(ToString::to_string)
}

/// Set by the connector, so that "nothing was sent" can be told from "it broke off".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotConnected(pub String);

fn never_connected(status: &Status) -> bool {
    chain(status).any(<Fault>::is::<NotConnected>)
}

/// A handshake that failed because one side does not accept the other.
fn tls_fault(status: &Status) -> Option<String> {
    let fault = chain(status).find_map(|error| error.downcast_ref::<rustls::Error>());
    // HTTP/2 keeps only the text of an alert that comes after the client's part of the handshake.
    let told = || {
        chain(status)
            .map(ToString::to_string)
            .find(|text| text.contains("received fatal alert"))
    };
    fault.map(ToString::to_string).or_else(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    fn answered(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "evidence.v1", HashMap::new());
        Status::with_error_details(code, "What happened. What to do.", details)
    }

    #[test]
    fn every_answer_of_the_gateway_has_its_exit_code() {
        for (status, changes, exit) in [
            (
                answered(Code::FailedPrecondition, "grant_withdrawn"),
                true,
                Exit::Refused,
            ),
            (answered(Code::NotFound, "not_found"), false, Exit::Refused),
            (
                answered(Code::PermissionDenied, "role_not_allowed"),
                true,
                Exit::Refused,
            ),
            (
                answered(Code::Unauthenticated, "certificate_not_accepted"),
                true,
                Exit::NotAuthenticated,
            ),
            (
                answered(Code::Unavailable, "store_unavailable"),
                true,
                Exit::Unreachable,
            ),
            (
                answered(Code::Internal, "internal"),
                true,
                Exit::Unreachable,
            ),
            (
                answered(Code::Unknown, "unknown_outcome"),
                true,
                Exit::UnknownOutcome,
            ),
            (
                Status::deadline_exceeded("slow"),
                true,
                Exit::UnknownOutcome,
            ),
            (Status::deadline_exceeded("slow"), false, Exit::Unreachable),
            (Status::unavailable("broken"), true, Exit::UnknownOutcome),
            (Status::unimplemented("older"), true, Exit::Refused),
        ] {
            let error = Failure::of(&status).into_error(changes);
            assert_eq!(error.exit(), exit, "{status:?}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_is_tried_again() {
        assert!(Failure::of(&answered(Code::Unknown, "unknown_outcome")).may_be_tried_again());
        assert!(
            Failure::of(&answered(Code::Unavailable, "store_unavailable")).may_be_tried_again()
        );
        assert!(!Failure::of(&answered(Code::Internal, "internal")).may_be_tried_again());
        assert!(
            !Failure::of(&answered(Code::AlreadyExists, "already_exists")).may_be_tried_again()
        );
    }

    #[test]
    fn a_refusal_keeps_its_reason_and_fields() {
        let mut details =
            ErrorDetails::with_error_info("invalid_field", "evidence.v1", HashMap::new());
        details.add_bad_request_violation("grant_id", "is required");
        let status =
            Status::with_error_details(Code::InvalidArgument, "`grant_id`: is required.", details);
        let json = Failure::of(&status).into_error(true).to_json();
        assert_eq!(json["reason"], "invalid_field");
        assert_eq!(json["exit_code"], 1);
        assert_eq!(json["fields"][0]["field"], "grant_id");
    }

    #[test]
    fn a_call_that_never_left_is_unreachable_even_when_it_would_change_something() {
        let io = io::Error::other(NotConnected("connection refused".to_owned()));
        let status = Status::from_error(Box::new(io));
        let mut unavailable = Status::unavailable("tcp connect error");
        unavailable.set_source(std::sync::Arc::new(io::Error::other(NotConnected(
            "connection refused".to_owned(),
        ))));
        assert!(
            matches!(Failure::of(&unavailable), Failure::Unreachable(_)),
            "{status:?}"
        );
    }
}
