//! No dead files: every Rust file is a target of cargo or is declared by one that is reached.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::tokens::{Token, reads, test_items};

/// The files that the targets' module declarations lead to.
pub struct Reach {
    all: BTreeSet<String>,
    /// Without those behind `#[cfg(test)]`.
    shipped: BTreeSet<String>,
}

impl Reach {
    /// `roots` are the targets' first files; `files` are all Rust files by path.
    pub fn new(roots: &[String], files: &BTreeMap<&str, Vec<Token>>) -> Self {
        let reach = |with_tests: bool| {
            let mut reached = BTreeSet::new();
            let mut waiting = roots.to_vec();
            while let Some(path) = waiting.pop() {
                if let Some(tokens) = files.get(path.as_str())
                    && reached.insert(path.clone())
                {
                    let declared = declarations(&path, roots.contains(&path), tokens);
                    let seen = declared
                        .into_iter()
                        .filter(|seen| with_tests || !seen.in_test);
                    waiting.extend(seen.flat_map(|seen| seen.paths));
                }
            }
            reached
        };
        Self {
            all: reach(true),
            shipped: reach(false),
        }
    }

    /// Whether the whole file is test code, by how it is reached or by its folder: the `tests`
    /// member, a crate's `tests` or `benches`.
    pub fn is_test(&self, path: &str) -> bool {
        let (folders, _) = path.rsplit_once('/').unwrap_or_default();
        let mut folders = folders.split('/');
        folders.any(|folder| folder == "tests" || folder == "benches")
            || (self.all.contains(path) && !self.shipped.contains(path))
    }

    /// A finding if nothing leads to the file.
    pub fn check(&self, path: &str) -> Option<Finding> {
        (!self.all.contains(path)).then(|| Finding {
            path: path.to_owned(),
            line: 1,
            what: "no `mod` declaration reaches this file".to_owned(),
            instead: "declare it in its parent, or delete it",
        })
    }
}

/// A `mod name;` or an `include!("…")`.
struct Declaration {
    /// Where the file may be.
    paths: Vec<String>,
    in_test: bool,
}

fn declarations(path: &str, is_root: bool, tokens: &[Token]) -> Vec<Declaration> {
    let tests = test_items(tokens);
    let (folder, name) = path.rsplit_once('/').unwrap_or_default();
    let stem = name.trim_end_matches(".rs");
    let own = if is_root || stem == "mod" {
        folder.to_owned()
    } else {
        join(folder, stem)
    };
    let mut found = Vec::new();
    // The inline modules around the current token, each with the place of its closing brace.
    let mut inside: Vec<(&str, usize)> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        inside.retain(|(_, close)| at < *close);
        let mut paths = Vec::new();
        if let ("mod", Some(name), Some(after)) =
            (token.text.as_str(), tokens.get(at + 1), tokens.get(at + 2))
        {
            let around = inside
                .iter()
                .fold(own.clone(), |around, (name, _)| join(&around, name));
            match (after.text.as_str(), after.partner) {
                ("{", Some(close)) => inside.push((&name.text, close)),
                (";", _) => match path_attribute(tokens, at) {
                    Some(file) if inside.is_empty() => paths.push(join(folder, file)),
                    Some(file) => paths.push(join(&around, file)),
                    None => {
                        paths.push(format!("{around}/{}.rs", name.text));
                        paths.push(format!("{around}/{}/mod.rs", name.text));
                    }
                },
                _ => {}
            }
        }
        if reads(tokens, at, &["include", "!", "("])
            && let Some(file) = tokens.get(at + 3)
        {
            paths.push(join(folder, file.text.trim_matches('"')));
        }
        if !paths.is_empty() {
            let in_test = tests.iter().any(|item| item.contains(&at));
            found.push(Declaration { paths, in_test });
        }
    }
    found
}

/// The file that `#[path = "…"]` names for the `mod` at `at`.
fn path_attribute(tokens: &[Token], at: usize) -> Option<&str> {
    let mut end = at;
    // Back over the visibility, to the attributes.
    while end > 0 && ["pub", ")"].contains(&tokens[end - 1].text.as_str()) {
        end = tokens[end - 1].partner.unwrap_or(end - 1);
    }
    while end > 1 && tokens[end - 1].text == "]" {
        let open = tokens[end - 1].partner?;
        if reads(tokens, open + 1, &["path", "="]) {
            return Some(tokens[open + 3].text.trim_matches('"'));
        }
        end = open.checked_sub(1)?;
    }
    None
}

/// `file` as seen from `folder`.
pub fn join(folder: &str, file: &str) -> String {
    let mut parts: Vec<_> = folder
        .split('/')
        .filter(|part| *part != "." && !part.is_empty())
        .collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::tokens::read;
    use super::*;

    fn reach(files: &[(&str, &str)]) -> Reach {
        let roots = ["a/src/lib.rs".to_owned(), "a/tests/suite.rs".to_owned()];
        let files = files
            .iter()
            .map(|(path, text)| (*path, read(text).unwrap()))
            .collect();
        Reach::new(&roots, &files)
    }

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let reach = reach(files);
        let dead = files.iter().filter_map(|(path, _)| reach.check(path));
        dead.map(|finding| finding.path).collect()
    }

    #[test]
    fn an_undeclared_file_is_dead_and_so_is_what_it_declares() {
        let files = [
            ("a/src/lib.rs", "pub mod used;\n// mod left;"),
            ("a/src/used.rs", "pub(crate) mod inner;"),
            ("a/src/used/inner.rs", ""),
            ("a/src/left.rs", "mod child;"),
            ("a/src/left/child.rs", ""),
        ];
        assert_eq!(dead(&files), ["a/src/left.rs", "a/src/left/child.rs"]);
    }

    #[test]
    fn every_way_to_declare_a_file_counts() {
        let files = [
            (
                "a/src/lib.rs",
                "mod old; mod inline { mod deep; } include!(\"table.rs\");",
            ),
            (
                "a/src/old/mod.rs",
                "mod sibling;\n#[cfg(unix)]\n#[path = \"../else.rs\"]\npub mod e;",
            ),
            ("a/src/old/sibling.rs", ""),
            ("a/src/else.rs", ""),
            ("a/src/inline/deep.rs", ""),
            ("a/src/table.rs", ""),
            ("a/tests/suite.rs", "mod harness;"),
            ("a/tests/harness.rs", ""),
        ];
        assert_eq!(dead(&files), Vec::<String>::new());
    }

    #[test]
    fn an_inline_module_ends_at_its_brace() {
        let files = [
            ("a/src/lib.rs", "mod inline { fn a() {} } mod after;"),
            ("a/src/after.rs", ""),
            ("a/src/inline/after.rs", ""),
        ];
        assert_eq!(dead(&files), ["a/src/inline/after.rs"]);
    }

    #[test]
    fn a_file_is_test_code_if_only_tests_lead_to_it() {
        let reach = reach(&[
            (
                "a/src/lib.rs",
                "mod both; mod shipped; #[cfg(test)] mod keys;",
            ),
            (
                "a/src/shipped.rs",
                "#[cfg(test)] mod tests { use x; } #[cfg(test)] mod more;",
            ),
            (
                "a/src/shipped/more.rs",
                "#[path = \"../both.rs\"] mod both;",
            ),
            ("a/src/both.rs", ""),
            ("a/src/keys.rs", "mod inner;"),
            ("a/src/keys/inner.rs", ""),
        ]);
        for test in [
            "a/src/keys.rs",
            "a/src/keys/inner.rs",
            "a/src/shipped/more.rs",
        ] {
            assert!(reach.is_test(test), "{test}");
        }
        for shipped in ["a/src/lib.rs", "a/src/shipped.rs", "a/src/both.rs"] {
            assert!(!reach.is_test(shipped), "{shipped}");
        }
        assert!(reach.is_test("tests/src/lib.rs") && reach.is_test("a/benches/b.rs"));
    }
}
