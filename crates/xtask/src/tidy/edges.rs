//! Who may depend on whom, and who may name the crates that guard something: the drawing in
//! `docs/ARCHITECTURE.md`, as a table.

use std::collections::BTreeMap;

use super::Finding;
use crate::cargo::{Metadata, Package};

/// Each crate with the crates of the workspace that it may depend on.
const EDGES: [(&str, &[&str]); 7] = [
    ("evidence-ledger", &[]),
    ("evidence-domain", &["evidence-ledger"]),
    ("evidence-wire", &["evidence-domain", "evidence-ledger"]),
    ("evidence-store", &["evidence-domain", "evidence-ledger"]),
    (
        "evidence-gateway",
        &[
            "evidence-wire",
            "evidence-store",
            "evidence-domain",
            "evidence-ledger",
        ],
    ),
    (
        "evidence-cli",
        &["evidence-wire", "evidence-domain", "evidence-ledger"],
    ),
    ("evidence-portal", &["evidence-wire", "evidence-domain"]),
];

/// Not shipped: these may depend on every crate of the workspace.
const TOOLING: [&str; 2] = ["evidence-tests", "xtask"];

/// A crate from outside with the only crates that may name it.
struct Guarded {
    name: &'static str,
    by: &'static [&'static str],
    /// Whether every crate's tests may name it.
    open_to_tests: bool,
    instead: &'static str,
}

impl Guarded {
    /// Whether `name` is the crate or one of its parts: `sqlx-core` is one of sqlx's.
    fn includes(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    }
}

const GUARDED: [Guarded; 3] = [
    Guarded {
        name: "sqlx",
        by: &["evidence-store"],
        open_to_tests: false,
        instead: "add a method to evidence-store, the only crate that speaks SQL",
    },
    Guarded {
        name: "object_store",
        by: &["evidence-store"],
        open_to_tests: false,
        instead: "add a method to evidence-store, the only crate that holds documents",
    },
    Guarded {
        name: "ring",
        by: &[
            "evidence-ledger",
            "evidence-store",
            "evidence-gateway",
            "evidence-cli",
            "evidence-tests",
        ],
        // As a random source.
        open_to_tests: true,
        instead: "take keys and the random source as arguments; ledger signs, store seals",
    },
];

/// `texts` are the files by path; a finding points at the dependency's line in its manifest.
pub fn check(metadata: &Metadata, texts: &BTreeMap<String, String>) -> Vec<Finding> {
    let members: Vec<_> = metadata.members().collect();
    let names: Vec<_> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in &members {
        let path = metadata.relative(&package.manifest_path);
        let text = texts.get(&path).map_or("", String::as_str);
        for (word, what, instead) in faults(package, &names) {
            let line = line_of(text, word);
            findings.push(Finding {
                path: path.clone(),
                line,
                what,
                instead,
            });
        }
    }
    findings.extend(second_tls_provider(metadata, texts));
    findings
}

/// Each fault with the word to look for in the manifest.
fn faults<'a>(package: &'a Package, members: &[&str]) -> Vec<(&'a str, String, &'static str)> {
    let name = package.name.as_str();
    let edges = EDGES
        .iter()
        .find(|(from, _)| *from == name)
        .map(|(_, to)| *to);
    let mut faults = Vec::new();
    if edges.is_none() && !TOOLING.contains(&name) {
        let what = format!("`{name}` is not in the drawing of the crates");
        let instead = "use an existing crate, or draw the new one in docs/ARCHITECTURE.md and in \
                       the table of xtask";
        faults.push((name, what, instead));
    }
    for dependency in &package.dependencies {
        let to = dependency.name.as_str();
        let tool_of_tests = dependency.is_for_tests() && TOOLING.contains(&to);
        let drawn = edges.is_none_or(|edges| edges.contains(&to)) || tool_of_tests;
        if members.contains(&to) && !drawn {
            let what = format!("`{name}` depends on `{to}`, which the drawing does not allow");
            let instead = "move the code to the side of the arrow that may see it";
            faults.push((to, what, instead));
        }
        for guarded in &GUARDED {
            let excused =
                guarded.by.contains(&name) || (guarded.open_to_tests && dependency.is_for_tests());
            if guarded.includes(to) && !excused {
                let what = format!("`{name}` names `{to}`, which is not for it");
                faults.push((to, what, guarded.instead));
            }
        }
    }
    faults
}

/// With two providers compiled in, rustls cannot choose one and panics.
fn second_tls_provider(metadata: &Metadata, texts: &BTreeMap<String, String>) -> Option<Finding> {
    let rustls = metadata
        .packages
        .iter()
        .filter(|package| package.name == "rustls");
    let ids: Vec<_> = rustls.map(|package| &package.id).collect();
    let nodes = &metadata.resolve.as_ref()?.nodes;
    let rustls = nodes.iter().find(|node| {
        ids.contains(&&node.id) && node.features.iter().any(|feature| feature == "ring")
    })?;
    Some(Finding {
        path: "Cargo.toml".to_owned(),
        line: line_of(texts.get("Cargo.toml").map_or("", String::as_str), "rustls"),
        what: format!("the feature `ring` of `{}` is on", rustls.id),
        instead: "find who asks with `cargo tree -e features -i rustls` and turn its default \
                  features off",
    })
}

/// The line of `text` that starts with the key `word` or names it in quotes; else the first.
fn line_of(text: &str, word: &str) -> usize {
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(word);
        rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.contains(&format!("\"{word}\""))
    };
    text.lines().position(names).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The findings for a workspace of these crates, each with its dependencies; `dev:` before one
    /// makes it one of the tests.
    fn found(crates: &[(&str, &[&str])], rustls_features: &[&str]) -> Vec<Finding> {
        let package = |(name, dependencies): &(&str, &[&str])| {
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|name| match name.strip_prefix("dev:") {
                    Some(name) => json!({ "name": name, "kind": "dev" }),
                    None => json!({ "name": name, "kind": null }),
                })
                .collect();
            json!({
                "id": name, "name": name, "targets": [], "dependencies": dependencies,
                "manifest_path": format!("/there/crates/{name}/Cargo.toml"),
            })
        };
        let members: Vec<_> = crates.iter().map(|(name, _)| name).collect();
        let mut packages: Vec<_> = crates.iter().map(package).collect();
        packages.push(package(&("rustls", &["ring"])));
        let metadata = serde_json::from_value(json!({
            "packages": packages, "workspace_members": members,
            "workspace_root": "/there", "target_directory": "/there/target",
            "resolve": { "nodes": [{ "id": "rustls", "features": rustls_features }] },
        }));
        let manifest = |(name, dependencies): &(&str, &[&str])| {
            let lines = dependencies.join(".workspace = true\n");
            (
                format!("crates/{name}/Cargo.toml"),
                format!("[dependencies]\n{lines}.workspace = true\n"),
            )
        };
        check(&metadata.unwrap(), &crates.iter().map(manifest).collect())
    }

    fn what(findings: &[Finding]) -> Vec<&str> {
        findings
            .iter()
            .map(|finding| finding.what.as_str())
            .collect()
    }

    #[test]
    fn the_drawing_itself_is_allowed() {
        let mut crates = EDGES.to_vec();
        crates.push((
            "evidence-tests",
            &["evidence-store", "evidence-gateway", "xtask", "ring"],
        ));
        crates.push(("xtask", &["serde"]));
        assert_eq!(found(&crates, &["aws_lc_rs"]), []);
    }

    #[test]
    fn every_other_edge_is_found_at_its_line() {
        let mut refused = 0;
        for (from, allowed) in EDGES {
            for (to, _) in EDGES
                .iter()
                .filter(|(to, _)| *to != from && !allowed.contains(to))
            {
                let findings = found(&[(from, &["serde", to]), (to, &[])], &[]);
                let expected =
                    format!("`{from}` depends on `{to}`, which the drawing does not allow");
                assert_eq!(what(&findings), [expected]);
                let place = (findings[0].path.as_str(), findings[0].line);
                assert_eq!(place, (format!("crates/{from}/Cargo.toml").as_str(), 3));
                refused += 1;
            }
        }
        assert_eq!(refused, 7 * 6 - 14);
    }

    #[test]
    fn nothing_shipped_depends_on_the_tooling() {
        let findings = found(&[("evidence-store", &["xtask"]), ("xtask", &[])], &[]);
        let expected = "`evidence-store` depends on `xtask`, which the drawing does not allow";
        assert_eq!(what(&findings), [expected]);
    }

    #[test]
    fn an_undrawn_crate_is_found() {
        let findings = found(&[("evidence-common", &[])], &[]);
        assert_eq!(
            what(&findings),
            ["`evidence-common` is not in the drawing of the crates"]
        );
    }

    #[test]
    fn guarded_crates_are_named_only_by_their_guardians() {
        for (name, to) in [
            ("evidence-gateway", "sqlx"),
            ("evidence-tests", "sqlx-core"),
            ("evidence-portal", "object_store"),
            ("evidence-domain", "ring"),
        ] {
            let expected = format!("`{name}` names `{to}`, which is not for it");
            assert_eq!(what(&found(&[(name, &[to])], &[])), [expected]);
        }
        let store = (
            "evidence-store",
            ["sqlx", "object_store", "ring", "ringbuffer"].as_slice(),
        );
        assert_eq!(found(&[store, ("evidence-wire", &["ringbuffer"])], &[]), []);
    }

    #[test]
    fn tests_may_have_a_random_source_and_a_server_but_no_sql() {
        let domain = ("evidence-domain", ["dev:ring"].as_slice());
        let store = ("evidence-store", ["dev:xtask"].as_slice());
        assert_eq!(found(&[domain, store, ("xtask", &[])], &[]), []);
        let findings = found(&[("evidence-gateway", &["dev:sqlx"])], &[]);
        let expected = "`evidence-gateway` names `sqlx`, which is not for it";
        assert_eq!(what(&findings), [expected]);
    }

    #[test]
    fn a_second_tls_provider_is_found() {
        let findings = found(&[], &["aws_lc_rs", "ring"]);
        assert_eq!(what(&findings), ["the feature `ring` of `rustls` is on"]);
    }
}
