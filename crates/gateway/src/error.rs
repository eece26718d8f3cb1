//! Errors as callers see them: a canonical code, a stable reason, what to do next.

use std::collections::HashMap;

use evidence_domain::{Refusal, refusal::Class};
use evidence_store::StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::journal::SubmitError;

/// The `domain` of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "evidence.v1";

/// A refusal as a status: code by class, `ErrorInfo` with the reason, `BadRequest` with the fields.
pub fn refused(refusal: &Refusal) -> Status {
    let code = match refusal.reason.class() {
        Class::InvalidArgument => Code::InvalidArgument,
        Class::NotFound => Code::NotFound,
        Class::AlreadyExists => Code::AlreadyExists,
        Class::PermissionDenied => Code::PermissionDenied,
        Class::FailedPrecondition => Code::FailedPrecondition,
    };
    let mut details = ErrorDetails::with_error_info(refusal.reason.code(), DOMAIN, HashMap::new());
    if !refusal.fields.is_empty() {
        let fields = refusal
            .fields
            .iter()
            .map(|v| FieldViolation::new(&v.field, &v.description));
        details.set_bad_request(fields.collect::<Vec<_>>());
    }
    Status::with_error_details(code, refusal.message(), details)
}

/// A store that did not answer. The reason goes to the operator's log; the caller learns only
/// whether to try again.
pub fn store(error: &StoreError) -> Status {
    if error.is_passing() {
        tracing::warn!(%error, "the store could not answer");
        unavailable()
    } else {
        tracing::error!(%error, "the store failed");
        internal()
    }
}

pub fn unavailable() -> Status {
    with(
        Code::Unavailable,
        "store_unavailable",
        "The gateway cannot reach its store. Nothing was changed; try again.",
    )
}

pub fn internal() -> Status {
    with(
        Code::Internal,
        "internal",
        "A fault in the gateway. Nothing was changed; tell the operator the time of the call.",
    )
}

/// The caller could not be told who they are.
pub fn unauthenticated(detail: &str) -> Status {
    with(Code::Unauthenticated, "certificate_not_accepted", detail)
}

/// A status with a reason of the transport's own.
pub fn with(code: Code, reason: &str, message: &str) -> Status {
    Status::with_error_details(
        code,
        message,
        ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new()),
    )
}

impl From<SubmitError> for Status {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refused(&refusal),
            SubmitError::Unavailable => unavailable(),
            SubmitError::Internal => internal(),
            SubmitError::UnknownOutcome => with(
                Code::Unknown,
                "unknown_outcome",
                "It is not known whether this was committed. Call again with the same request_id or statement: you get the one receipt.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evidence_domain::Reason;

    #[test]
    fn a_refusal_carries_reason_and_fields() {
        let status = refused(&Refusal::field("grant_id", "is required"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(
            details.error_info().map(|info| info.reason.as_str()),
            Some("invalid_field")
        );
        assert_eq!(
            details.bad_request().map(|bad| bad.field_violations.len()),
            Some(1)
        );
    }

    #[test]
    fn what_is_absent_says_no_more_than_that() {
        let status = refused(&Refusal::not_found());
        assert_eq!(status.code(), Code::NotFound);
        assert!(status.message().contains(Reason::NotFound.next()));
    }
}
