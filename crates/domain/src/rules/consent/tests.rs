use jiff::civil::date;

use super::*;
use crate::{
    command::{SetPolicy, UpdateOrganisation},
    event::{Aside, Event, Kinds},
    ids::DelegationId,
    testkit::Kit,
    time::{Period, days_after},
};

mod delegations;
mod grants;
mod people;

/// A practice and a trust that disclose, a charity that relays, a department
/// that decides, the portal, somebody else, and a claimant.
struct Scene {
    kit: Kit,
    practice: Caller,
    trust: Caller,
    charity: Caller,
    department: Caller,
    portal: Caller,
    stranger: Caller,
    claimant: ClaimantId,
}

fn scene() -> Scene {
    let mut kit = Kit::new();
    let department = kit.org(&[Role::Recipient]);
    Scene {
        practice: kit.org(&[Role::Discloser]),
        trust: kit.org(&[Role::Discloser]),
        charity: kit.org(&[Role::Intermediary]),
        portal: kit.org(&[Role::Portal]),
        stranger: kit.org(&[Role::Discloser, Role::Intermediary, Role::Recipient]),
        claimant: kit.claimant(&department),
        department,
        kit,
    }
}

impl Scene {
    /// Consent for the practice and the trust, taken by the charity.
    fn command(&mut self) -> CreateGrant {
        let mut command = self.kit.grant_command(
            &self.claimant,
            &[&self.practice, &self.trust],
            &self.department,
        );
        command.kinds = kinds(&["clinical-letter", "care-plan"]);
        command.period = Period {
            from: Some(date(2025, 1, 1)),
            to: Some(date(2026, 12, 31)),
        };
        command
    }

    fn granted(&mut self) -> GrantId {
        let command = self.command();
        let id = command.id.clone();
        let charity = self.charity.clone();
        self.kit.done(&charity, command);
        id
    }

    fn withdraw(&mut self, grant: &GrantId) {
        let command = WithdrawGrant {
            grant: grant.clone(),
            capture: Capture::ByPhone,
            note: String::new(),
        };
        let department = self.department.clone();
        self.kit.done(&department, command);
    }

    fn suspend(&mut self, caller: &Caller) {
        let command = UpdateOrganisation {
            id: caller.org.clone(),
            name: "Suspended".to_owned(),
            roles: caller.roles.clone(),
            suspended: true,
        };
        let operator = self.kit.operator();
        self.kit.done(&operator, command);
    }
}

fn kinds(names: &[&str]) -> Kinds {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn only_aside(outcome: &Outcome) -> Aside {
    assert_eq!(outcome.emitted.len(), 1);
    outcome.emitted[0].aside.clone()
}

fn texts(pairs: &[(&str, &str)]) -> Aside {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}
