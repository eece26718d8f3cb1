//! Who takes part in the sandbox. Nobody here exists: the codes are of no real scheme's shape, and
//! the NHS numbers are from the range kept for tests.

use evidence_ledger::Alg;
use evidence_wire::v1::Role;

/// An organisation of the sandbox.
#[derive(Debug)]
pub struct Member {
    /// Its folder, and what it is called in `ready.json`.
    pub folder: &'static str,
    pub identifier: &'static str,
    pub name: &'static str,
    pub roles: &'static [Role],
    /// Of the key it signs statements with, if it signs any.
    pub signs: Option<Alg>,
}

/// A claimant of the sandbox.
#[derive(Debug)]
pub struct Person {
    /// What they are called in `ready.json`.
    pub key: &'static str,
    pub name: &'static str,
    /// YYYY-MM-DD
    pub date_of_birth: &'static str,
    pub nhs_number: &'static str,
}

pub const OPERATOR: &Member = &Member {
    folder: "operator",
    identifier: "company:sandbox-operator",
    name: "Westmere Evidence Exchange (sandbox)",
    roles: &[Role::Operator],
    signs: None,
};

pub const HOSPITAL: &Member = &Member {
    folder: "hospital",
    identifier: "ods:sandbox-trust",
    name: "Westmere Hospitals NHS Foundation Trust (sandbox)",
    roles: &[Role::Discloser],
    signs: Some(Alg::Es256),
};

pub const GP: &Member = &Member {
    folder: "gp",
    identifier: "ods:sandbox-practice",
    name: "Alder Lane Surgery (sandbox)",
    roles: &[Role::Discloser],
    signs: Some(Alg::Es256),
};

pub const COUNCIL: &Member = &Member {
    folder: "council",
    identifier: "local-authority:sandbox-housing",
    name: "Westmere Council housing team (sandbox)",
    roles: &[Role::Discloser],
    signs: Some(Alg::EdDsa),
};

pub const VCSE: &Member = &Member {
    folder: "vcse",
    identifier: "charity:sandbox-neighbours",
    name: "Westmere Carers and Neighbours (sandbox)",
    roles: &[Role::Discloser, Role::Intermediary],
    signs: Some(Alg::Es256),
};

pub const DWP: &Member = &Member {
    folder: "dwp",
    identifier: "dwp:sandbox-health-assessments",
    name: "Department for Work and Pensions (sandbox)",
    roles: &[Role::Recipient],
    signs: Some(Alg::Es256),
};

pub const PORTAL: &Member = &Member {
    folder: "portal",
    identifier: "company:sandbox-portal",
    name: "Claimants' pages (sandbox)",
    roles: &[Role::Portal],
    signs: None,
};

/// The operator first: it registers the others.
pub const MEMBERS: [&Member; 7] = [OPERATOR, HOSPITAL, GP, COUNCIL, VCSE, DWP, PORTAL];

/// Has allowed nothing yet.
pub const JOAN: &Person = &Person {
    key: "joan",
    name: "Joan Testcase",
    date_of_birth: "1979-03-14",
    nhs_number: "999 004 2179",
};

/// Has a grant from the start.
pub const SAM: &Person = &Person {
    key: "sam",
    name: "Sam Placeholder",
    date_of_birth: "1991-08-02",
    nhs_number: "999 300 5185",
};

pub const PEOPLE: [&Person; 2] = [JOAN, SAM];
