//! The rules: pure functions of the loaded facts, a command and the time.
//! A command is decided whole or refused whole.

use crate::{
    caller::Caller,
    command::Command,
    event::{Aside, Event},
    refusal::Refusal,
    signed::Verified,
    time::Moment,
    world::World,
};

pub mod bundle;
pub mod consent;
pub mod decision;
pub mod directory;
pub mod evidence;
pub mod grants;
pub mod record;
pub mod request;

/// One statement to log.
#[derive(Debug, Clone)]
pub struct Emitted {
    pub event: Event,
    pub aside: Aside,
    /// Signed at source; otherwise the gateway states it with its own key.
    pub signed: Option<Verified>,
}

impl Emitted {
    /// Stated by the gateway.
    pub fn stated(event: impl Into<Event>) -> Self {
        Self {
            event: event.into(),
            aside: Aside::new(),
            signed: None,
        }
    }

    /// Adds a sealed text; an empty one is left out.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        if !text.is_empty() {
            self.aside.insert(name.to_owned(), text.to_owned());
        }
        self
    }

    /// As its organisation signed it.
    pub fn signed(statement: &Verified) -> Self {
        Self {
            event: statement.event().clone(),
            aside: statement.aside().clone(),
            signed: Some(statement.clone()),
        }
    }
}

/// What a command leads to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The id of what was made or changed.
    pub resource: String,
    /// In the order in which they are logged; the first is what the command is
    /// about. Empty when what was asked for is so already.
    pub emitted: Vec<Emitted>,
}

impl Outcome {
    pub fn of(resource: &(impl ToString + ?Sized), first: Emitted) -> Self {
        Self {
            resource: resource.to_string(),
            emitted: vec![first],
        }
    }

    /// Nothing to do: it is so already.
    pub fn already(resource: &(impl ToString + ?Sized)) -> Self {
        Self {
            resource: resource.to_string(),
            emitted: Vec::new(),
        }
    }

    #[must_use]
    pub fn and(mut self, next: Emitted) -> Self {
        self.emitted.push(next);
        self
    }
}

/// Decides a command. The caller's role for the RPC was checked by the access
/// layer; whose object it is, is checked here.
pub fn decide(
    world: &World,
    caller: &Caller,
    command: &Command,
    now: Moment,
) -> Result<Outcome, Refusal> {
    match command {
        Command::StartLog(c) => directory::start_log(c),
        Command::RegisterOrganisation(c) => directory::register_organisation(world, c),
        Command::UpdateOrganisation(c) => directory::update_organisation(world, caller, c),
        Command::AddCertificate(c) => directory::add_certificate(world, c),
        Command::RemoveCertificate(c) => directory::remove_certificate(world, caller, c),
        Command::RegisterKey(c) => directory::register_key(world, c),
        Command::RetireKey(c) => directory::retire_key(world, c),
        Command::SetPolicy(c) => directory::set_policy(world, c),
        Command::RegisterClaimant(c) => consent::register_claimant(world, caller, c, now),
        Command::CreateGrant(c) => consent::create_grant(world, caller, c, now),
        Command::NarrowGrant(c) => consent::narrow_grant(world, caller, c, now),
        Command::WithdrawGrant(c) => consent::withdraw_grant(world, caller, c, now),
        Command::CreateDelegation(c) => consent::create_delegation(world, caller, c, now),
        Command::EndDelegation(c) => consent::end_delegation(world, caller, c, now),
        Command::NameRepresentative(c) => consent::name_representative(world, caller, c, now),
        Command::EndRepresentation(c) => consent::end_representation(world, caller, c, now),
        Command::OpenCase(c) => request::open_case(world, caller, c, now),
        Command::OpenRequest(c) => request::open_request(world, caller, c, now),
        Command::AcknowledgeRequest(c) => request::acknowledge(world, caller, c, now),
        Command::AskClarification(c) => request::ask_clarification(world, caller, c, now),
        Command::AnswerClarification(c) => request::answer_clarification(world, caller, c, now),
        Command::DeclineRequest(c) => request::decline(world, caller, c, now),
        Command::CancelRequest(c) => request::cancel(world, caller, c, now),
        Command::Push(c) => evidence::push(world, caller, c, now),
        Command::WithdrawItem(c) => evidence::withdraw_item(world, caller, c),
        Command::DeclareDisclosure(c) => evidence::declare_disclosure(world, caller, c, now),
        Command::Refuse(c) => Ok(evidence::refuse(caller, c)),
        Command::JoinItems(c) => bundle::join(world, caller, c, now),
        Command::PullBundle(c) => bundle::pull(world, caller, c, now),
        Command::AcknowledgeBundle(c) => bundle::acknowledge(world, caller, c, now),
        Command::RecordDecision(c) => decision::record(world, caller, c, now),
        Command::ViewItem(c) => record::view_item(world, caller, c, now),
        Command::AddStatement(c) => record::add_statement(world, caller, c, now),
        Command::AddNote(c) => record::add_note(world, caller, c, now),
        Command::StateAdjustment(c) => record::state_adjustment(world, caller, c, now),
    }
}
