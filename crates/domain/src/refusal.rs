//! Why something was not done: a stable reason code, what it means, and what
//! to do next. The codes are part of the API (`docs/api/reasons.md`).

use std::fmt;

/// How a refusal is classed; the gateway maps it to a gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    FailedPrecondition,
}

macro_rules! reasons {
    ($($name:ident = $code:literal, $class:ident, $next:literal;)*) => {
        /// A stable reason code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($name,)* }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The code as it is sent, logged and counted.
            pub const fn code(self) -> &'static str {
                match self { $(Reason::$name => $code,)* }
            }

            pub const fn class(self) -> Class {
                match self { $(Reason::$name => Class::$class,)* }
            }

            /// What the reader should do next.
            pub const fn next(self) -> &'static str {
                match self { $(Reason::$name => $next,)* }
            }
        }
    };
}

reasons! {
    NotFound = "not_found", NotFound, "Check the id. What is not yours is answered the same way.";
    InvalidField = "invalid_field", InvalidArgument, "Correct the fields named and call again.";
    RoleNotAllowed = "role_not_allowed", PermissionDenied, "Ask the operator which role your organisation holds.";
    OrganisationUnknown = "organisation_unknown", PermissionDenied, "Ask the operator to register the organisation first.";
    OrganisationSuspended = "organisation_suspended", PermissionDenied, "Ask the operator why it is suspended.";
    IdempotencyKeyReused = "idempotency_key_reused", AlreadyExists, "Use a new request_id for a different call.";
    AlreadyExists = "already_exists", AlreadyExists, "Use what is there already.";
    NhsNumberInvalid = "nhs_number_invalid", InvalidArgument, "Check the NHS number: ten digits, the last a check digit.";
    NinoInvalid = "nino_invalid", InvalidArgument, "Check the National Insurance number: two letters, six digits, A to D.";
    IdentityConflict = "identity_conflict", FailedPrecondition, "The identifiers or date of birth do not belong together. Check them with the person; do not send evidence until they agree.";
    PurposeUnknown = "purpose_unknown", InvalidArgument, "Use a purpose of the current purposes policy.";
    PurposeForbidden = "purpose_forbidden", FailedPrecondition, "Evidence never serves sanctions or conditionality. Remove the purpose.";
    PurposeNeedsOwnGrant = "purpose_needs_own_grant", FailedPrecondition, "Take a grant for this purpose alone: agreeing to it is never part of agreeing to something else.";
    PurposeCapExceeded = "purpose_cap_exceeded", FailedPrecondition, "Stay within the kinds, time and recipients that the purpose allows.";
    GrantNotLive = "grant_not_live", FailedPrecondition, "Ask the claimant whether they want to give consent again.";
    GrantWithdrawn = "grant_withdrawn", FailedPrecondition, "The claimant has withdrawn consent. Stop; do not send again.";
    GrantExpired = "grant_expired", FailedPrecondition, "The consent has run out. Ask the claimant whether they want to renew it.";
    GrantDoesNotCoverOrganisation = "grant_does_not_cover_organisation", FailedPrecondition, "The claimant has not named this organisation. Ask them whether they want to.";
    GrantDoesNotCoverKind = "grant_does_not_cover_kind", FailedPrecondition, "The claimant has not agreed to this kind of evidence. Send only what they agreed to.";
    GrantDoesNotCoverPurpose = "grant_does_not_cover_purpose", FailedPrecondition, "The claimant has not agreed to this purpose.";
    GrantDoesNotCoverPeriod = "grant_does_not_cover_period", FailedPrecondition, "The evidence is about a time outside what the claimant agreed to.";
    GrantDoesNotCoverRecipient = "grant_does_not_cover_recipient", FailedPrecondition, "The claimant has not named this recipient.";
    OnlyNarrowing = "only_narrowing", FailedPrecondition, "This can only take away. Ask the claimant for a new grant to add.";
    NotYoursToChange = "not_yours_to_change", PermissionDenied, "Ask whoever took the consent or gave the delegation, or the claimant.";
    DelegationNotLive = "delegation_not_live", FailedPrecondition, "Ask whoever gave the delegation for a new one.";
    RepresentationOutOfScope = "representation_out_of_scope", PermissionDenied, "The claimant has not allowed this person to do that.";
    RequestNotOpen = "request_not_open", FailedPrecondition, "Look at the request's state; it is not open for this any more.";
    RequestDoesNotCoverKind = "request_does_not_cover_kind", FailedPrecondition, "The request did not ask for this kind. Send only what was asked for, or push it without naming the request.";
    DeclineReasonUnknown = "decline_reason_unknown", InvalidArgument, "Use one of the decline reasons in docs/api/reasons.md.";
    StatementMalformed = "statement_malformed", InvalidArgument, "Encode the statement as docs/api/signing.md says: deterministic CBOR, tag 18, nothing after it.";
    StatementHeaderUnknown = "statement_header_unknown", InvalidArgument, "Send only the protected headers that docs/api/signing.md lists.";
    StatementPayloadInvalid = "statement_payload_invalid", InvalidArgument, "Make the payload as proto/cddl says for this event.";
    StatementTimeInvalid = "statement_time_invalid", InvalidArgument, "Set iat to the time of signing; check the clock of the signing system.";
    StatementWrongIssuer = "statement_wrong_issuer", FailedPrecondition, "The statement must be issued by the organisation that sends it, or be relayed.";
    StatementWrongSubject = "statement_wrong_subject", FailedPrecondition, "The statement names another case, request or grant. Sign a new one for this.";
    AsideMismatch = "aside_mismatch", InvalidArgument, "The texts sent are not those the statement commits to. Send them unchanged.";
    AlgorithmNotAccepted = "algorithm_not_accepted", InvalidArgument, "Sign with ES256 or EdDSA, as the registered key says.";
    KeyUnknown = "key_unknown", FailedPrecondition, "Ask the operator to register the key, or sign with a registered one.";
    KeyNotYetValid = "key_not_yet_valid", FailedPrecondition, "Sign with a key that is valid now.";
    KeyExpired = "key_expired", FailedPrecondition, "Sign with a key that is valid now; register a new one if there is none.";
    SignatureInvalid = "signature_invalid", FailedPrecondition, "The signature does not fit these bytes and this key. Sign again.";
    DigestMismatch = "digest_mismatch", InvalidArgument, "The bytes received are not those signed for. Send the document again.";
    SizeMismatch = "size_mismatch", InvalidArgument, "More or fewer bytes came than were signed for. Send the document again.";
    DocumentTooLarge = "document_too_large", InvalidArgument, "The document is over the limit. Split it or ask the operator.";
    DocumentEmpty = "document_empty", InvalidArgument, "The document has no bytes. Send the document itself.";
    UploadIncomplete = "upload_incomplete", FailedPrecondition, "Query the upload's offset and send the rest.";
    UploadOffsetWrong = "upload_offset_wrong", FailedPrecondition, "Query the upload's offset and send from there.";
    UploadStalled = "upload_stalled", FailedPrecondition, "No bytes came for too long. Query the upload's offset and go on from there, or push again.";
    StreamProtocol = "stream_protocol", InvalidArgument, "Send begin, then chunks, then end, for each item in turn.";
    ItemNotAvailable = "item_not_available", FailedPrecondition, "The item is withdrawn, superseded, quarantined or erased.";
    DisclosureConflict = "disclosure_conflict", FailedPrecondition, "What the claimant can see stays visible, and what is withheld is replaced only by what is withheld too. Declare the withheld item open first.";
    ItemIdTaken = "item_id_taken", AlreadyExists, "Another statement has this item id. Make a new id and sign again.";
    BundleMismatch = "bundle_mismatch", FailedPrecondition, "Name the bundle, its items and chain heads exactly as the manifest gave them.";
    BundleTooLarge = "bundle_too_large", FailedPrecondition, "The case has more items than one bundle holds. Tell the operator; nothing is lost.";
    DecisionItemMissing = "decision_item_missing", FailedPrecondition, "Say for every item available how it was used. Pull the bundle again if items have come since.";
    DecisionItemUnknown = "decision_item_unknown", FailedPrecondition, "The record names an item that is not available for this case and purpose.";
    DecisionReasonMissing = "decision_reason_missing", FailedPrecondition, "Give a reason for every item discounted.";
    DecisionAdjustmentMissing = "decision_adjustment_missing", FailedPrecondition, "Acknowledge every adjustment the claimant has stated.";
    DecisionOverdueMissing = "decision_overdue_missing", FailedPrecondition, "Name every request that is overdue.";
    DecisionWhileOverdue = "decision_while_overdue", FailedPrecondition, "Wait for the evidence, or name the senior person who overrides and why. Nobody is refused for evidence that others were late with.";
    DecisionPanelMissing = "decision_panel_missing", FailedPrecondition, "An adverse outcome for lack of evidence needs a panel referral; for a mental health case the panel names a mental-health clinician.";
    DecisionChainStale = "decision_chain_stale", FailedPrecondition, "Name the newest bundle and its chain heads; pull again if there is a newer one.";
    PolicyInvalid = "policy_invalid", InvalidArgument, "Correct the policy document as the message says.";
    PolicyMissing = "policy_missing", FailedPrecondition, "Ask the operator to set the policy.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A field that does not hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    pub field: String,
    pub description: String,
}

/// A command refused: nothing was changed. The texts name ids, fields and
/// codes, never what a person wrote or who they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail} {}", .reason.next())]
pub struct Refusal {
    pub reason: Reason,
    pub detail: String,
    pub fields: Vec<FieldViolation>,
}

impl Refusal {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            fields: Vec::new(),
        }
    }

    /// The one answer for what is absent and for what is not the caller's.
    pub fn not_found() -> Self {
        Self::new(Reason::NotFound, "There is nothing here under this id.")
    }

    pub fn field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let field = field.into();
        let description = description.into();
        Self {
            reason: Reason::InvalidField,
            detail: format!("`{field}`: {description}"),
            fields: vec![FieldViolation { field, description }],
        }
    }

    /// The sentence for a person: what happened and what to do next.
    pub fn message(&self) -> String {
        format!("{} {}", self.detail, self.reason.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_distinct_snake_case_and_says_what_to_do() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(
                reason
                    .code()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_'),
                "{reason}"
            );
            assert!(reason.next().ends_with('.'), "{reason}");
        }
    }
}
