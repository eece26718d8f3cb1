//! What is printed when the sandbox is ready: who is there, and commands to try.

use std::path::Path;

use evidence_domain::{Moment, time::days_after};

use super::{
    cast::{DWP, HOSPITAL, JOAN, MEMBERS, Member, PEOPLE, PORTAL, SAM},
    folder::Folder,
    settle::Facts,
};
use crate::clock::Clock;

/// Who is there and what to try, with the ids and paths of this sandbox.
pub fn text(folder: &Folder, facts: &Facts, files: Option<&Path>, clock: &Clock) -> String {
    let today = Moment::from(clock.now()).day();
    let mut text = String::from("Organisations, each with a configuration for the `evidence` command:\n");
    for member in MEMBERS {
        text.push_str(&format!("  {:<9} {}\n            {}\n", member.folder, member.name, facts.organisation(member)));
    }
    text.push_str("Claimants:\n");
    for person in PEOPLE {
        let id = claimant(facts, person.key);
        text.push_str(&format!("  {:<9} {}, NHS number {}\n            {id}\n", person.key, person.name, person.nhs_number));
    }
    let files = files.map_or_else(|| "letter.pdf".into(), |files| files.display().to_string());
    let (sam, grant) = (claimant(facts, SAM.key), &facts.grant);
    let written = days_after(today, -7);
    let steps = [
        (
            format!("{} has agreed already, so the hospital can send a letter before anyone asks.", SAM.name),
            evidence(
                folder,
                HOSPITAL,
                &format!("evidence submit {files} --grant {grant} --kind clinical-letter --written-on {written} --profession doctor"),
            ),
        ),
        (
            format!("The DWP opens a case for {}; the letter joins it.", SAM.name),
            evidence(
                folder,
                DWP,
                &format!("case open --claimant {sam} --grant {grant} --assessment-type wca --nation england-and-wales"),
            ),
        ),
        (
            format!("{} looks at what is held, and who has seen it.", SAM.name),
            evidence(folder, PORTAL, &format!("record show --claimant {sam}")),
        ),
        (
            format!("{} has allowed nothing yet: her record is empty.", JOAN.name),
            evidence(folder, PORTAL, &format!("record show --claimant {}", claimant(facts, JOAN.key))),
        ),
        (
            "Five days go by.".to_owned(),
            format!("evidence-gateway sandbox advance 5d --data {}", folder.root().display()),
        ),
    ];
    text.push_str("Try next:\n");
    for (why, command) in steps {
        text.push_str(&format!("  # {why}\n  {command}\n"));
    }
    text.push_str("Ctrl-C stops it; the same command starts it again where it was.\n");
    text
}

fn evidence(folder: &Folder, member: &Member, rest: &str) -> String {
    format!("evidence --config {} {rest}", folder.of(member, "evidence.toml").display())
}

fn claimant<'f>(facts: &'f Facts, key: &str) -> &'f str {
    facts.claimants.get(key).map_or("", String::as_str)
}
