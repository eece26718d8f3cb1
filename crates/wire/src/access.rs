//! Who may call what, as the protos declare it.

use std::collections::BTreeSet;

use evidence_domain::Role;

use crate::v1;

/// One RPC and its declared callers.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    /// `/evidence.v1.Service/Name`
    pub path: &'static str,
    callers: &'static [i32],
    ownership: i32,
    pub client_streaming: bool,
    pub server_streaming: bool,
}

include!(concat!(env!("OUT_DIR"), "/access.rs"));

impl Method {
    /// The RPC with this path.
    pub fn at(path: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.path == path)
    }

    pub fn callers(&self) -> BTreeSet<Role> {
        self.callers
            .iter()
            .filter_map(|number| role(*number))
            .collect()
    }

    pub fn ownership(&self) -> v1::Ownership {
        v1::Ownership::try_from(self.ownership).unwrap_or_default()
    }
}

/// A role of the API in the domain's words.
pub fn role(number: i32) -> Option<Role> {
    match v1::Role::try_from(number).ok()? {
        v1::Role::Unspecified => None,
        v1::Role::Operator => Some(Role::Operator),
        v1::Role::Discloser => Some(Role::Discloser),
        v1::Role::Intermediary => Some(Role::Intermediary),
        v1::Role::Recipient => Some(Role::Recipient),
        v1::Role::Portal => Some(Role::Portal),
    }
}

pub fn role_number(role: Role) -> i32 {
    let role = match role {
        Role::Operator => v1::Role::Operator,
        Role::Discloser => v1::Role::Discloser,
        Role::Intermediary => v1::Role::Intermediary,
        Role::Recipient => v1::Role::Recipient,
        Role::Portal => v1::Role::Portal,
    };
    role.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_has_callers_and_ownership() {
        assert!(METHODS.len() > 40);
        for method in METHODS {
            assert!(!method.callers().is_empty(), "{}", method.path);
            assert_ne!(
                method.ownership(),
                v1::Ownership::Unspecified,
                "{}",
                method.path
            );
        }
    }

    #[test]
    fn roles_translate_both_ways() {
        for each in Role::ALL {
            assert_eq!(role(role_number(each)), Some(each));
        }
    }
}
