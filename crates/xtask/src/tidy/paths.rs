//! No committed file names a place that exists only on the machine it was written on.

use super::Finding;

/// Folders, without the slashes around them: this file must not find itself.
const MACHINE_FOLDERS: [&str; 3] = ["work", "tmp", "root"];

pub fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let named = MACHINE_FOLDERS.map(|folder| format!("/{folder}/"));
        if let Some(folder) = named.iter().find(|folder| names(line, folder)) {
            findings.push(Finding {
                path: path.to_owned(),
                line: at + 1,
                what: format!("a path in `{folder}`"),
                instead: "name it from the repository's root, or take it as an argument",
            });
        }
    }
    findings
}

/// Whether an absolute path in `folder` is in `line`, not just a longer path or an address.
fn names(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"._-~/}*".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        check("README.md", &format!("first\n{}", line.replace('|', "/"))).len()
    }

    #[test]
    fn a_machine_path_is_found_at_its_line() {
        let findings = check("README.md", &"first\nsee |tmp|log".replace('|', "/"));
        assert_eq!((findings.len(), findings[0].line), (1, 2));
        for line in [
            "|work|main",
            "cd \"|root|.cargo\"",
            "(|tmp|a)",
            "file=|tmp|a",
        ] {
            assert_eq!(found(line), 1, "{line}");
        }
    }

    #[test]
    fn longer_paths_and_addresses_are_not_machine_paths() {
        for line in [
            "docs|work|a.md",
            "https:||example.org|root|ca",
            "..|tmp|a",
            "$|tmp",
            "{id}|work|",
        ] {
            assert_eq!(found(line), 0, "{line}");
        }
    }
}
