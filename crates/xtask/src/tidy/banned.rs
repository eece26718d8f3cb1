//! Words that do not belong in finished code, each with its replacement.

use super::Finding;
use super::tokens::{Token, reads, test_items};

/// What a file says, where that is banned, and what to do instead.
struct Ban {
    pattern: &'static [&'static str],
    shown: &'static str,
    place: Place,
    instead: &'static str,
}

#[derive(PartialEq, Eq)]
enum Place {
    Everywhere,
    Tests,
    OutsideTests,
}

const BANS: [Ban; 6] = [
    Ban {
        pattern: &["todo", "!"],
        shown: "`todo!`",
        place: Place::Everywhere,
        instead: "write it, or leave it out",
    },
    Ban {
        pattern: &["unimplemented", "!"],
        shown: "`unimplemented!`",
        place: Place::Everywhere,
        instead: "write it, or leave it out",
    },
    Ban {
        pattern: &["dbg", "!"],
        shown: "`dbg!`",
        place: Place::Everywhere,
        instead: "remove it, or record a tracing event without personal data",
    },
    Ban {
        pattern: &[".", "unwrap", "(", ")"],
        shown: "`.unwrap()` outside tests",
        place: Place::OutsideTests,
        instead: "return a typed error, or state the invariant with `expect`",
    },
    Ban {
        pattern: &["#", "[", "ignore"],
        shown: "an ignored test",
        place: Place::Everywhere,
        instead: "mend the test or delete it",
    },
    Ban {
        pattern: &["sleep", "("],
        shown: "a sleep in a test",
        place: Place::Tests,
        instead: "wait for the event itself; look for a state with `tokio::time::interval`, under \
                  a `tokio::time::timeout`",
    },
];

/// `is_test`: whether the whole file is test code.
pub fn check(path: &str, tokens: &[Token], is_test: bool) -> Vec<Finding> {
    let tests = test_items(tokens);
    let mut findings = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let tested = is_test || tests.iter().any(|item| item.contains(&at));
        for ban in &BANS {
            let applies = match ban.place {
                Place::Everywhere => true,
                Place::Tests => tested,
                Place::OutsideTests => !tested,
            };
            // A function or a macro of that name may be declared: only its use is banned.
            let declared = at > 0 && ["fn", "."].contains(&tokens[at - 1].text.as_str());
            if applies && !declared && reads(tokens, at, ban.pattern) {
                findings.push(Finding {
                    path: path.to_owned(),
                    line: token.line,
                    what: ban.shown.to_owned(),
                    instead: ban.instead,
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tokens::read;
    use super::*;

    /// Lines and words found in a file that is shipped.
    fn found(text: &str) -> Vec<(usize, String)> {
        found_in(text, false)
    }

    fn found_in(text: &str, is_test: bool) -> Vec<(usize, String)> {
        let findings = check("a.rs", &read(text).unwrap(), is_test).into_iter();
        findings
            .map(|finding| (finding.line, finding.what))
            .collect()
    }

    #[test]
    fn unfinished_code_is_found_everywhere() {
        for (code, shown) in [
            ("todo!()", "`todo!`"),
            ("unimplemented!(\"later\")", "`unimplemented!`"),
            ("tokio::select! { _ = a => { dbg!(b) } }", "`dbg!`"),
        ] {
            let text = format!("fn a() {{\n    {code}\n}}");
            for is_test in [false, true] {
                assert_eq!(found_in(&text, is_test), [(2, shown.to_owned())]);
            }
        }
    }

    #[test]
    fn words_in_comments_and_strings_are_only_words() {
        assert_eq!(
            found("/// Never `todo!()`, nor `.unwrap()`.\nfn a() -> &str { \"dbg!(x)\" }"),
            []
        );
    }

    #[test]
    fn unwrap_is_for_tests_only() {
        let text =
            "fn a() {\n b().unwrap()\n}\n#[cfg(test)]\nmod tests {\n fn c() { b().unwrap() }\n}";
        assert_eq!(found(text), [(2, "`.unwrap()` outside tests".to_owned())]);
        assert_eq!(found_in(text, true), []);
        assert_eq!(found("fn a() { b().unwrap_or(0) }"), []);
    }

    #[test]
    fn tests_neither_sleep_nor_are_ignored() {
        for call in [
            "std::thread::sleep(d);",
            "tokio::time::sleep(d).await;",
            "sleep(d);",
        ] {
            let text = format!("#[tokio::test]\nasync fn a() {{\n    {call}\n}}");
            assert_eq!(found(&text), [(3, "a sleep in a test".to_owned())]);
        }
        assert_eq!(found("async fn a() { tokio::time::sleep(d).await }"), []);
        let ignored = found("#[test]\n#[ignore = \"slow\"]\nfn a() {}");
        assert_eq!(ignored, [(2, "an ignored test".to_owned())]);
    }
}
