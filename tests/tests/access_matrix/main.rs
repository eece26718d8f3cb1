//! Defends who may call what: role × RPC × ownership, read off the protos and run whole. A method
//! without a case fails the test, and so does a cell that was not run.
//!
//! The matrix is written to `access-matrix.md` in the target folder.

mod cases;

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, bail, ensure};
use cases::{Ids, call};
use evidence_domain::Role;
use evidence_tests::{
    Org, World, on_both,
    world::{describe, reason},
};
use evidence_wire::{
    access::{METHODS, Method},
    v1::Ownership,
};
use tonic::{Code, Status};

on_both! {
    /// Every cell, on a gateway that holds one of everything.
    async fn every_cell(world: &mut World) -> Result<()> {
        let things = cases::things(world).await?;
        let mut cells: BTreeMap<(&str, Role), String> = BTreeMap::new();
        // Those that end something come last: the others need it.
        let (mut first, last): (Vec<_>, Vec<_>) = METHODS.iter().partition(|method| !cases::ends_something(method.path));
        first.extend(last);
        for method in first {
            for role in Role::ALL {
                let ids = things.of(role);
                let outcome = cell(world, &ids, &ids.absent(), method, role).await;
                let outcome = outcome.with_context(|| format!("{} as {role:?}", method.path))?;
                cells.insert((method.path, role), outcome);
            }
        }
        ensure!(cells.len() == METHODS.len() * Role::ALL.len() && cells.values().all(|cell| !cell.is_empty()));
        write(&cells)
    }
}

/// What one role gets from one method, with what is its own and what is not.
async fn cell(
    world: &World,
    ids: &Ids,
    absent: &Ids,
    method: &Method,
    role: Role,
) -> Result<String> {
    let (own, other) = parties(world, role);
    if !method.callers().contains(&role) {
        for ids in [ids, absent] {
            let status = call(world, own, ids, method.path)
                .await
                .err()
                .context("it was let in")?;
            ensure!(
                status.code() == Code::PermissionDenied && reason(&status) == "role_not_allowed",
                "{}",
                describe(&status)
            );
        }
        return Ok("no".to_owned());
    }
    match method.ownership() {
        Ownership::None => {
            let answer = call(world, own, ids, method.path).await;
            admitted(&answer)?;
            Ok("yes".to_owned())
        }
        Ownership::Filtered => {
            let key = ids
                .listed(method.path)
                .context("no id is known to be in the list")?;
            let answer = call(world, own, ids, method.path).await;
            admitted(&answer)?;
            ensure!(
                answer.is_ok_and(|text| text.contains(key)),
                "its own is not in the list"
            );
            let Some(other) = other else {
                return Ok("everybody's".to_owned());
            };
            let answer = call(world, other, ids, method.path).await;
            let shown = answer.map_err(|status| anyhow::anyhow!(describe(&status)))?;
            ensure!(!shown.contains(key), "another's is in the list");
            Ok("own only".to_owned())
        }
        Ownership::Party => party(world, ids, absent, method, (own, other)).await,
        Ownership::Unspecified => bail!("the method does not say whose its objects are"),
    }
}

/// A method about an object: its parties are served, strangers are told what is told of nothing.
async fn party(
    world: &World,
    ids: &Ids,
    absent: &Ids,
    method: &Method,
    (own, other): (&Org, Option<&Org>),
) -> Result<String> {
    // A stranger first: what it is refused must still be there.
    if let Some(other) = other
        && !cases::is_open_to_any(method.path)
    {
        same_as_absent(
            call(world, other, ids, method.path).await,
            call(world, other, absent, method.path).await,
        )?;
    }
    let nothing = call(world, own, absent, method.path)
        .await
        .err()
        .context("what is not there was there")?;
    ensure!(reason(&nothing) == "not_found", "{}", describe(&nothing));
    let answer = call(world, own, ids, method.path).await;
    admitted(&answer)?;
    Ok(match (other, cases::is_open_to_any(method.path)) {
        (Some(_), false) => "own only".to_owned(),
        (Some(_), true) => "who knows the id".to_owned(),
        (None, _) => "everybody's".to_owned(),
    })
}

/// Let in, and told of what it named; a rule may refuse it still.
fn admitted(answer: &Result<String, Status>) -> Result<()> {
    let Err(status) = answer else { return Ok(()) };
    let refused = ["role_not_allowed", "not_found", "certificate_not_accepted"]
        .contains(&reason(status).as_str());
    ensure!(
        !refused && status.code() != Code::Unimplemented && status.code() != Code::Internal,
        "{}",
        describe(status)
    );
    Ok(())
}

/// What is another's is answered, to the last bit, as what is not there.
fn same_as_absent(others: Result<String, Status>, absent: Result<String, Status>) -> Result<()> {
    let (Err(others), Err(absent)) = (others, absent) else {
        bail!("another's is served")
    };
    ensure!(reason(&others) == "not_found", "{}", describe(&others));
    let same = (others.code(), others.message(), others.details())
        == (absent.code(), absent.message(), absent.details());
    ensure!(
        same,
        "another's is answered otherwise than what is not there: {}",
        describe(&others)
    );
    Ok(())
}

/// Who plays a role as a party to everything, and who as a stranger to it. There is one portal,
/// which acts for every claimant, and one operator.
fn parties(world: &World, role: Role) -> (&Org, Option<&Org>) {
    match role {
        Role::Operator => (&world.operator, None),
        Role::Discloser => (&world.trust, Some(&world.other_trust)),
        Role::Intermediary => (&world.other_vcse, Some(&world.vcse)),
        Role::Recipient => (&world.dwp, Some(&world.other_dwp)),
        Role::Portal => (&world.portal, None),
    }
}

fn write(cells: &BTreeMap<(&str, Role), String>) -> Result<()> {
    let mut text = "| RPC |".to_owned();
    for role in Role::ALL {
        write!(text, " {role:?} |")?;
    }
    writeln!(text, "\n|---|{}", "---|".repeat(Role::ALL.len()))?;
    for method in METHODS {
        write!(
            text,
            "| `{}` |",
            method.path.trim_start_matches("/evidence.v1.")
        )?;
        for role in Role::ALL {
            write!(text, " {} |", cells[&(method.path, role)])?;
        }
        writeln!(text)?;
    }
    let folder = std::env::current_exe()?;
    let folder = folder
        .ancestors()
        .nth(3)
        .context("the tests lie in a target folder")?;
    Ok(std::fs::write(folder.join("access-matrix.md"), text)?)
}
