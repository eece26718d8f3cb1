use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_is_documented() {
    fn walk(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(
            command.get_about().is_some() || path.ends_with("help"),
            "{path} says nothing of itself"
        );
        command.get_subcommands().for_each(|sub| walk(sub, &path));
    }
    walk(&Cli::command(), "");
}

#[test]
fn journeys_parse() {
    for line in [
        "evidence keys new --alg EdDSA --output k.pem",
        "evidence keys csr --organisation Trust --dns trust.example",
        "evidence claimant register --from -",
        "evidence claimant register --name A --date-of-birth 1980-01-01 --nhs-number 9990000018",
        "evidence grant create --claimant c --discloser d --discloser e --kind * --recipient r --purpose wca --expires-on 2027-01-01 --capture in-person --witness W --lawful-basis art-6-1-e",
        "evidence grant withdraw g --capture by-phone",
        "evidence delegation create --grant g --intermediary i --kind care-plan",
        "evidence representative name --claimant c --kind appointee --name N --scope see-progress --expires-on 2027-01-01 --capture in-writing",
        "evidence case open --claimant c --grant g --assessment-type wca --nation scotland --mental-health",
        "evidence request open --case c --grant g --discloser d --kind * --question Q --assurance A",
        "evidence request decline r --reason no_record_held",
        "evidence watch --output events.jsonl --idle 5 --json",
        "evidence evidence submit folder other.pdf --kind care-plan --written-on 2026-01-01 --profession nurse --completes",
        "evidence evidence submit --manifest m.toml",
        "evidence evidence relay a.evidence --received-on 2026-01-01",
        "evidence bundle pull --case c --purpose wca --into d --actor me",
        "evidence bundle acknowledge d",
        "evidence decision template --bundle d",
        "evidence decision record --file decision.toml",
        "evidence record statement --claimant c --grant g --title T --text words.txt",
        "evidence ledger consistency 4 --to-size 9",
        "evidence directory register --identifier ods:RXX --name N --role discloser",
        "evidence directory add-certificate o --certificate c.pem",
        "evidence directory register-key o --key k --not-after 2027-01-01T00:00:00Z",
        "evidence directory policy clocks --set clocks.toml",
        "evidence verify letter.receipt.json --document letter.pdf --key k --log-keys l --checkpoint c",
        "evidence completions zsh",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}\n{error}");
        }
    }
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    for line in [
        "evidence",
        "evidence grant create --claimant c",
        "evidence grant withdraw g --capture by-pigeon",
        "evidence request decline r --reason too_busy",
        "evidence evidence submit",
        "evidence evidence submit a.pdf --grant case_1",
        "evidence evidence submit a.pdf --written-on yesterday",
        "evidence directory add-certificate o",
        "evidence directory add-certificate o --certificate c.pem --fingerprint 00",
        "evidence claimant register --from f --name A",
        "evidence watch --output a --state b",
    ] {
        let error = parse(line)
            .err()
            .unwrap_or_else(|| panic!("{line} was taken"));
        assert_eq!(
            error.exit_code(),
            i32::from(crate::Exit::Usage as u8),
            "{line}"
        );
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in [
        Shell::Bash,
        Shell::Zsh,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Elvish,
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "evidence", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["acknowledge", "lawful-basis", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
