//! A Rust file as a flat list of tokens: comments and strings cannot be mistaken for code, and,
//! unlike in a syntax tree, the insides of macro calls are code too.

use std::ops::RangeInclusive;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One token. A bracket knows its partner's place in the list.
#[derive(Debug)]
pub struct Token {
    pub text: String,
    /// Counted from 1.
    pub line: usize,
    pub partner: Option<usize>,
}

/// # Errors
/// The text is not made of Rust's tokens.
pub fn read(text: &str) -> Result<Vec<Token>> {
    let stream: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    Ok(tokens)
}

/// Whether the tokens from `start` on read as `pattern`, one text per token.
pub fn reads(tokens: &[Token], start: usize, pattern: &[&str]) -> bool {
    let run = tokens.get(start..start + pattern.len());
    run.is_some_and(|run| {
        run.iter()
            .zip(pattern)
            .all(|(token, text)| token.text == *text)
    })
}

/// The places of items that exist only in tests: `#[cfg(test)]`, `#[test]`, `#[tokio::test]`, ….
pub fn test_items(tokens: &[Token]) -> Vec<RangeInclusive<usize>> {
    let mut ranges = Vec::new();
    for at in 0..tokens.len() {
        if reads(tokens, at, &["#", "!", "["]) && is_test_attribute(tokens, at + 2) {
            return vec![0..=tokens.len()];
        }
        if reads(tokens, at, &["#", "["]) && is_test_attribute(tokens, at + 1) {
            ranges.push(at..=item_end(tokens, at));
        }
    }
    ranges
}

/// The place where the item that starts at `start`, with its attributes, ends.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match (token.text.as_str(), token.partner) {
            ("{", Some(close)) => return close,
            (";" | "}", _) => return at,
            (_, Some(close)) => at = close + 1,
            _ => at += 1,
        }
    }
    at
}

fn is_test_attribute(tokens: &[Token], bracket: usize) -> bool {
    if reads(tokens, bracket + 1, &["cfg", "(", "test"])
        || reads(tokens, bracket + 1, &["cfg", "(", "all", "(", "test"])
    {
        return true;
    }
    let end = tokens[bracket].partner.unwrap_or(bracket);
    let path = tokens[bracket + 1..end]
        .iter()
        .take_while(|token| token.text != "(");
    path.last().is_some_and(|last| last.text == "test")
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                let start = tokens.len();
                tokens.push(Token {
                    text: open.to_owned(),
                    line,
                    partner: None,
                });
                flatten(group.stream(), tokens);
                let end = tokens.len();
                tokens[start].partner = Some(end);
                let line = group.span_close().end().line;
                tokens.push(Token {
                    text: close.to_owned(),
                    line,
                    partner: Some(start),
                });
            }
            other => tokens.push(Token {
                text: other.to_string(),
                line,
                partner: None,
            }),
        }
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        // Only macros make these; a file has none.
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of test items.
    fn lines(text: &str) -> Vec<RangeInclusive<usize>> {
        let tokens = read(text).unwrap();
        let line = |at: usize| tokens.get(at).map_or(usize::MAX, |token| token.line);
        let items = test_items(&tokens).into_iter();
        items
            .map(|item| line(*item.start())..=line(*item.end()))
            .collect()
    }

    #[test]
    fn brackets_know_their_partners() {
        let tokens = read("a(b[c])\n;").unwrap();
        let texts: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, ["a", "(", "b", "[", "c", "]", ")", ";"]);
        assert_eq!(
            (tokens[1].partner, tokens[6].partner, tokens[7].line),
            (Some(6), Some(1), 2)
        );
    }

    #[test]
    fn test_items_are_found_whole() {
        assert_eq!(
            lines("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\n"),
            [2..=5]
        );
        assert_eq!(lines("#[cfg(test)]\nmod tests;\nfn a() {}"), [1..=2]);
        assert_eq!(
            lines("#[tokio::test(start_paused = true)]\nasync fn a() {\n}"),
            [1..=3]
        );
        assert_eq!(
            lines("#[test]\n#[should_panic]\nfn a(b: [u8; 2]) {\n}\nfn c() {}"),
            [1..=4]
        );
        assert_eq!(lines("#[cfg(all(test, unix))]\nfn a() {\n}"), [1..=3]);
        assert_eq!(lines("#![cfg(test)]\nfn a() {}"), [1..=usize::MAX]);
    }

    #[test]
    fn other_items_are_not_tests() {
        assert_eq!(lines("#[cfg(not(test))]\nfn a() {}"), []);
        assert_eq!(lines("#[cfg(feature = \"test\")]\nfn a() {}"), []);
        assert_eq!(lines("#[derive(Debug)]\nstruct A;"), []);
    }
}
