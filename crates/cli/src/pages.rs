//! The pages in `docs/api` say what the code does.

use std::collections::BTreeSet;

use clap::CommandFactory as _;
use evidence_domain::{
    Reason,
    refusal::Class,
    rules::{
        decision::{OVERRIDE_BY, OVERRIDE_REASON, PANEL_CLINICIAN, PANEL_REFERENCE},
        evidence::WITHDRAWAL_REASONS,
        request::DECLINE_REASONS,
    },
};
use evidence_wire::access::METHODS;

use crate::{Config, Exit, commands::Cli, metadata};

const REASONS: &str = include_str!("../../../docs/api/reasons.md");
const GRPC: &str = include_str!("../../../docs/api/grpc.md");
const COMMANDS: &str = include_str!("../../../docs/api/cli.md");
const SIGNING: &str = include_str!("../../../docs/api/signing.md");

#[test]
fn every_reason_is_listed_with_its_code_and_what_to_do() {
    for reason in Reason::ALL {
        let code = match reason.class() {
            Class::InvalidArgument => "INVALID_ARGUMENT",
            Class::NotFound => "NOT_FOUND",
            Class::AlreadyExists => "ALREADY_EXISTS",
            Class::PermissionDenied => "PERMISSION_DENIED",
            Class::FailedPrecondition => "FAILED_PRECONDITION",
        };
        let row = format!("| `{reason}` | {code} | {} |", reason.next());
        assert!(
            REASONS.lines().any(|line| line == row),
            "docs/api/reasons.md lacks the row\n{row}"
        );
    }
    let rows = REASONS
        .split("## The gateway's own answers")
        .next()
        .unwrap_or_default();
    let listed = rows.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(
        listed,
        Reason::ALL.len(),
        "docs/api/reasons.md lists a reason that is none"
    );
    for reason in DECLINE_REASONS.iter().chain(&WITHDRAWAL_REASONS) {
        assert!(REASONS.contains(&format!("`{reason}`")), "{reason}");
    }
}

#[test]
fn every_call_is_listed() {
    for method in METHODS {
        let name = method.path.rsplit('/').next().unwrap_or_default();
        assert!(
            GRPC.contains(&format!("`{name}`")),
            "docs/api/grpc.md does not name {}",
            method.path
        );
    }
}

#[test]
fn every_command_and_exit_code_is_listed() {
    fn leaves(command: &clap::Command, path: &str, found: &mut BTreeSet<String>) {
        let mut subcommands = command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
            .peekable();
        if subcommands.peek().is_none() {
            found.insert(path.trim().to_owned());
        }
        for sub in subcommands {
            leaves(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }
    let mut found = BTreeSet::new();
    leaves(&Cli::command(), "", &mut found);
    assert!(found.len() > 50);
    for command in found {
        assert!(
            COMMANDS.contains(&format!("`{command}`")),
            "docs/api/cli.md does not name `{command}`"
        );
    }
    for exit in 0..=Exit::UnknownOutcome as u8 {
        assert!(
            COMMANDS.contains(&format!("\n| {exit} | ")),
            "docs/api/cli.md does not list {exit}"
        );
    }
}

/// The TOML blocks of a page.
fn blocks(page: &str) -> Vec<&str> {
    let after = page.split("```toml\n").skip(1);
    after
        .filter_map(|block| block.split("```").next())
        .collect()
}

#[test]
fn the_samples_are_read_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let [config, sidecar, manifest] = blocks(COMMANDS)[..] else {
        panic!("three samples")
    };
    for (name, text) in [
        ("evidence.toml", config),
        ("letter.pdf.toml", sidecar),
        ("letters.toml", manifest),
        ("letter.pdf", "x"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    Config::load(&folder.path().join("evidence.toml")).unwrap();
    let options = metadata::Details::default();
    let described = metadata::describe(&[folder.path().join("letter.pdf")], &options).unwrap();
    assert_eq!(described[0].details.completes, Some(true));
    assert_eq!(
        metadata::manifest(&folder.path().join("letters.toml"), &options)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn signing_names_every_event_that_organisations_sign_and_its_texts() {
    for event in [
        "evidence",
        "evidence-relayed",
        "disclosure-declared",
        "bundle-acknowledged",
        "decision",
    ] {
        assert!(SIGNING.contains(&format!("| `{event}` | ")), "{event}");
    }
    for text in [
        OVERRIDE_BY,
        OVERRIDE_REASON,
        PANEL_CLINICIAN,
        PANEL_REFERENCE,
    ] {
        assert!(SIGNING.contains(&format!("`{text}`")), "{text}");
    }
}
