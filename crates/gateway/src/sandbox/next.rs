//! What is printed when the sandbox is ready: who is there, and commands to try.

use std::{
    io::{self, Write},
    path::Path,
};

use evidence_domain::{Moment, time::days_after};

use super::{
    cast::{DWP, HOSPITAL, JOAN, MEMBERS, Member, PEOPLE, PORTAL, Person, SAM},
    folder::Folder,
    settle::Facts,
};
use crate::clock::Clock;

/// Writes who is there and what to try, with the ids and paths of this sandbox.
pub fn write(
    out: &mut impl Write,
    folder: &Folder,
    facts: &Facts,
    files: Option<&Path>,
    clock: &Clock,
) -> io::Result<()> {
    who(out, facts)?;
    let tool = |member: &Member| {
        let config = folder.of(member, "evidence.toml");
        format!("evidence --config {}", word(&config))
    };
    let (hospital, dwp, portal) = (tool(HOSPITAL), tool(DWP), tool(PORTAL));
    let (joan, sam) = (id(facts, JOAN), id(facts, SAM));
    let grant = &facts.grant;
    let files = word(files.unwrap_or(Path::new("letter.pdf")));
    let written_on = days_after(Moment::from(clock.now()).day(), -7);
    let data = word(folder.root());
    let programs = std::env::current_exe()?;
    let programs = word(programs.parent().unwrap_or(Path::new(".")));
    let (joan_name, sam_name) = (JOAN.name, SAM.name);
    writeln!(
        out,
        "\
Try next:
  export PATH={programs}:$PATH
  # {sam_name} has agreed already, so the hospital can send a letter before anyone asks.
  {hospital} evidence submit {files} --grant {grant} --kind clinical-letter --profession doctor --written-on {written_on}
  # The DWP opens a case for {sam_name}; the letter joins it.
  {dwp} case open --claimant {sam} --grant {grant} --assessment-type wca --nation england-and-wales
  # {sam_name} looks at what is held, and who has seen it.
  {portal} record show --claimant {sam}
  {portal} record accesses --claimant {sam}
  # What is held for {joan_name}?
  {portal} record show --claimant {joan}
  # Five days go by.
  evidence-gateway sandbox advance 5d --data {data}
Ctrl-C stops it; `evidence-gateway sandbox --data {data}` starts it again where it was."
    )
}

fn who(out: &mut impl Write, facts: &Facts) -> io::Result<()> {
    writeln!(
        out,
        "Organisations, each with a folder and a configuration for the `evidence` command:"
    )?;
    for member in MEMBERS {
        writeln!(out, "  {:<9} {}", member.folder, member.name)?;
        writeln!(out, "            {}", facts.organisation(member))?;
    }
    writeln!(out, "Claimants:")?;
    for person in PEOPLE {
        writeln!(
            out,
            "  {:<9} {}, NHS number {}",
            person.key, person.name, person.nhs_number
        )?;
        writeln!(out, "            {}", id(facts, person))?;
    }
    Ok(())
}

fn id<'f>(facts: &'f Facts, person: &Person) -> &'f str {
    facts.claimants.get(person.key).map_or("", String::as_str)
}

/// A path as a shell takes it for one word.
fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
