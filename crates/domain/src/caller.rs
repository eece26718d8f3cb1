//! Who calls.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::OrgId;

/// What an organisation may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Operator,
    Discloser,
    Intermediary,
    Recipient,
    Portal,
}

impl Role {
    pub const ALL: [Role; 5] = [
        Role::Operator,
        Role::Discloser,
        Role::Intermediary,
        Role::Recipient,
        Role::Portal,
    ];
}

/// The organisation behind an authenticated call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub org: OrgId,
    pub roles: BTreeSet<Role>,
}

impl Caller {
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
