//! Nothing longer than a reader can hold: functions of at most 70 lines, files of at most 500.

use super::Finding;
use super::tokens::Token;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;

pub fn check(path: &str, text: &str, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        findings.push(Finding {
            path: path.to_owned(),
            line: FILE_LINES + 1,
            what: format!("{lines} lines in a file, over {FILE_LINES}"),
            instead: "move one subject, with its tests, to a file of its own",
        });
    }
    for function in functions(tokens) {
        let lines = function.last_line - function.line + 1;
        if lines > FUNCTION_LINES {
            findings.push(Finding {
                path: path.to_owned(),
                line: function.line,
                what: format!(
                    "`{}` has {lines} lines, over {FUNCTION_LINES}",
                    function.name
                ),
                instead: "name a part of it and move that to its own function",
            });
        }
    }
    findings
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    last_line: usize,
}

/// Every function with a body, from the line of its `fn` to that of its closing brace; those
/// inside other functions and inside macros too.
fn functions(tokens: &[Token]) -> Vec<Function<'_>> {
    let starts = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.text == "fn");
    let measured = |(at, token): (usize, &Token)| {
        let named = tokens.get(at + 1).filter(|next| next.text != "(")?;
        // A macro's `fn $name` is named by its second token.
        let name = if named.text == "$" {
            tokens.get(at + 2)?
        } else {
            named
        };
        let last_line = tokens[body(tokens, at)?].line;
        Some(Function {
            name: &name.text,
            line: token.line,
            last_line,
        })
    };
    starts.filter_map(measured).collect()
}

/// The place of the brace that closes the body; none for a function without one.
fn body(tokens: &[Token], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let token = tokens.get(at)?;
        match (token.text.as_str(), token.partner) {
            ("{", close) => return close,
            (";" | ")" | "}" | "]", _) => return None,
            (_, Some(close)) => at = close + 1,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::read;
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let findings = check("a.rs", text, &read(text).unwrap());
        findings
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect()
    }

    /// A function of exactly `lines` lines.
    fn function(head: &str, lines: usize) -> String {
        format!("{head} {{\n{}}}\n", "    work();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_may_have_70_lines_and_no_more() {
        assert_eq!(found(&function("fn a(b: [u8; 2])", 70)), []);
        let long = format!("/// Why.\n{}", function("fn a(b: [u8; 2])", 71));
        assert_eq!(found(&long), [(2, "`a` has 71 lines, over 70".to_owned())]);
    }

    #[test]
    fn functions_in_impls_and_macros_are_measured_too() {
        let method = format!("impl A {{\n{}}}", function("    pub async fn b(&self)", 71));
        assert_eq!(
            found(&method),
            [(2, "`b` has 71 lines, over 70".to_owned())]
        );
        let generated = format!(
            "macro_rules! m {{ () => {{\n{}}} }}",
            function("fn $name()", 71)
        );
        assert_eq!(
            found(&generated),
            [(2, "`name` has 71 lines, over 70".to_owned())]
        );
    }

    #[test]
    fn functions_without_a_body_end_at_their_semicolon() {
        let text = format!(
            "trait A {{ fn b(&self); }}\nstruct C(fn(u8) -> u8);\n{}",
            "\n".repeat(90)
        );
        assert_eq!(found(&text), []);
    }

    #[test]
    fn a_file_may_have_500_lines_and_no_more() {
        assert_eq!(found(&"// line\n".repeat(500)), []);
        let long = found(&"// line\n".repeat(501));
        assert_eq!(long, [(501, "501 lines in a file, over 500".to_owned())]);
    }
}
