//! Links between the documents, and from them to the code, that still point at something.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Parser, Tag};

use super::Finding;
use super::modules::join;

/// `names` are all committed files, from the root of the repository.
pub fn check(path: &str, text: &str, names: &BTreeSet<String>) -> Vec<Finding> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (event, place) in Parser::new(text).into_offset_iter() {
        let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event else {
            continue;
        };
        if leads_outside(&dest_url) {
            continue;
        }
        let file = dest_url.split(['#', '?']).next().unwrap_or_default();
        let target = match file {
            "" => path.to_owned(),
            file if file.starts_with('/') => join("", file),
            file => join(folder, file),
        };
        if !exists(&target, names) {
            findings.push(Finding {
                path: path.to_owned(),
                line: text[..place.start].matches('\n').count() + 1,
                what: format!("a link to `{dest_url}`, which is not there"),
                instead: "name a committed file, from the folder of this one",
            });
        }
    }
    findings
}

/// An address with a scheme, such as `https:` or `mailto:`.
fn leads_outside(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| !scheme.contains(['/', '#', '.']))
}

/// A file, or a folder that holds one.
fn exists(target: &str, names: &BTreeSet<String>) -> bool {
    let folder = format!("{target}/");
    target.is_empty()
        || names.contains(target)
        || names
            .range(folder.clone()..)
            .next()
            .is_some_and(|name| name.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, String)> {
        let names = [
            "README.md",
            "docs/ARCHITECTURE.md",
            "docs/api/errors.md",
            "proto/a.proto",
        ];
        let names = names.map(str::to_owned).into();
        let findings = check("docs/ARCHITECTURE.md", text, &names);
        findings
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect()
    }

    #[test]
    fn links_that_point_at_something_are_left_alone() {
        for link in [
            "api/errors.md#codes",
            "../README.md",
            "/proto/a.proto",
            "api",
            "api/",
            "..",
            "#here",
            "https://example.org/x.md",
            "mailto:someone@example.org",
        ] {
            assert_eq!(found(&format!("See [this]({link}).")), [], "{link}");
        }
        assert_eq!(
            found("`[not](a-link.md)`\n\n```\n[nor](this.md)\n```\n"),
            []
        );
    }

    #[test]
    fn links_that_point_nowhere_are_found_at_their_line() {
        for link in [
            "gone.md",
            "../docs/gone.md#x",
            "/gone",
            "../../outside.md",
            "API/errors.md",
        ] {
            let expected = format!("a link to `{link}`, which is not there");
            assert_eq!(
                found(&format!("# Title\n\nSee [this]({link}).")),
                [(3, expected)]
            );
        }
        let picture = (1, "a link to `p.svg`, which is not there".to_owned());
        assert_eq!(found("![picture](p.svg)"), [picture]);
        let reference = (1, "a link to `gone.md`, which is not there".to_owned());
        assert_eq!(found("[this][r]\n\n[r]: gone.md"), [reference]);
    }
}
