//! A decision as a file: a template made from a bundle, filled in by a person, then signed.

use std::{collections::BTreeMap, fmt::Write as _};

use evidence_domain::{
    Aside,
    event::{DecisionOutcome, DecisionRecorded, Panel, Use},
    ids::{AdjustmentId, BundleId, CaseId, DecisionId, ItemId, RequestId},
    rules::decision::{
        OVERRIDE_BY, OVERRIDE_REASON, PANEL_CLINICIAN, PANEL_REFERENCE, REASON, USE, use_code,
    },
};
use evidence_ledger::{ChainHead, Digest, SecureRandom};
use evidence_wire::v1;
use jiff::civil::Date;
use serde::Deserialize;

use crate::{CliError, Signer, pull};

/// `decision.toml` (or JSON).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionFile {
    pub decision: DecisionId,
    pub case: CaseId,
    pub bundle: BundleId,
    pub purpose: String,
    pub outcome: DecisionOutcome,
    #[serde(default)]
    pub for_lack_of_evidence: bool,
    pub chain: ChainHead,
    pub official_head: Digest,
    #[serde(default)]
    pub adjustments: Vec<AdjustmentId>,
    #[serde(default)]
    pub overdue: Vec<RequestId>,
    #[serde(default)]
    pub uses: Vec<ItemUse>,
    #[serde(rename = "override")]
    pub senior_override: Option<Override>,
    pub panel: Option<PanelReferral>,
}

/// How one item was used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemUse {
    pub item: ItemId,
    #[serde(rename = "use")]
    pub how: Use,
    #[serde(default)]
    pub reason: String,
    /// Withheld from the claimant: goes into the official part only.
    #[serde(default)]
    pub withheld: bool,
}

/// The senior person who decides although evidence is overdue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    pub by: String,
    pub reason: String,
}

/// The referral that an adverse outcome for lack of evidence needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PanelReferral {
    pub referred_on: Date,
    #[serde(default)]
    pub mental_health_clinician: bool,
    pub reference: String,
    #[serde(default)]
    pub clinician: String,
}

impl DecisionFile {
    /// Signs the record; what it says of withheld items goes beside it, committed to and sealed.
    pub fn sign(
        &self,
        signer: &Signer,
        now: i64,
        rng: &dyn SecureRandom,
    ) -> Result<v1::RecordDecisionRequest, CliError> {
        let (open, withheld): (Vec<&ItemUse>, Vec<&ItemUse>) =
            self.uses.iter().partition(|each| !each.withheld);
        let body = DecisionRecorded {
            decision: self.decision.clone(),
            case: self.case.clone(),
            bundle: self.bundle.clone(),
            purpose: self.purpose.clone(),
            outcome: self.outcome,
            for_lack_of_evidence: self.for_lack_of_evidence,
            uses: uses(&open)?,
            adjustments: self.adjustments.iter().cloned().collect(),
            overdue: self.overdue.iter().cloned().collect(),
            senior_override: self.senior_override.is_some(),
            panel: self.panel.as_ref().map(|panel| Panel {
                referred_on: panel.referred_on,
                mental_health_clinician: panel.mental_health_clinician,
            }),
            chain: self.chain,
            official_head: self.official_head,
            // Signing commits to the official part and sets this.
            official_uses: Digest::from([0; 32]),
        };
        let codes = uses(&withheld)?
            .into_iter()
            .map(|(item, how)| (format!("{USE}{item}"), use_code(how).to_owned()));
        let official: Aside = codes.chain(reasons(&withheld)).collect();
        let aside = self.texts().chain(reasons(&open)).collect();
        Ok(signer.sign_decision(&self.case.urn(), body, aside, official, now, rng)?)
    }

    fn texts(&self) -> impl Iterator<Item = (String, String)> {
        let given = self
            .senior_override
            .iter()
            .flat_map(|by| [(OVERRIDE_BY, &by.by), (OVERRIDE_REASON, &by.reason)]);
        let panel = self.panel.iter().flat_map(|panel| {
            [
                (PANEL_REFERENCE, &panel.reference),
                (PANEL_CLINICIAN, &panel.clinician),
            ]
        });
        given
            .chain(panel)
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text.clone()))
    }
}

fn uses(each: &[&ItemUse]) -> Result<BTreeMap<ItemId, Use>, CliError> {
    let uses: BTreeMap<ItemId, Use> = each
        .iter()
        .map(|each| (each.item.clone(), each.how))
        .collect();
    if uses.len() == each.len() {
        Ok(uses)
    } else {
        Err(CliError::Usage(
            "The decision names an item twice. Say once how each was used.".to_owned(),
        ))
    }
}

fn reasons(each: &[&ItemUse]) -> impl Iterator<Item = (String, String)> {
    let given = each.iter().filter(|each| !each.reason.is_empty());
    given.map(|each| (format!("{REASON}{}", each.item), each.reason.clone()))
}

/// A file to fill in, from a bundle's manifest: every item must get a use, and nothing is preset.
/// `overdue` are the case's overdue requests.
pub fn template(
    manifest: &v1::Manifest,
    decision: &DecisionId,
    overdue: &[v1::EvidenceRequest],
) -> Result<String, CliError> {
    let incomplete = || {
        CliError::Invalid(
            "The bundle's manifest lacks its bundle or chain heads; pull it again.".to_owned(),
        )
    };
    let bundle = manifest.bundle.as_ref().ok_or_else(incomplete)?;
    let chain = pull::chain(bundle.chain.as_ref()).ok_or_else(incomplete)?;
    let official = pull::chain(bundle.official_chain.as_ref()).ok_or_else(incomplete)?;
    let mut text = format!(
        "# How the evidence was used. Fill in every empty value, then: evidence decision record --file FILE\n\
         decision = \"{decision}\"\n\
         case = {}\n\
         bundle = {}\n\
         purpose = {}\n\
         # favourable, partly-favourable or adverse\n\
         outcome = \"\"\n\
         # Whether an adverse outcome rests on there being too little evidence; then fill in [panel].\n\
         for_lack_of_evidence = false\n",
        quoted(&bundle.case_id),
        quoted(&bundle.bundle_id),
        quoted(&bundle.purpose),
    );
    text.push_str("# What the claimant needs done differently. Take the # off each that was taken account of.\n");
    let adjustments = manifest
        .adjustments
        .iter()
        .map(|each| (each.adjustment_id.as_str(), each.text.as_str()));
    list(&mut text, "adjustments", "# ", adjustments);
    text.push_str("# Requests that others are late with.\n");
    list(
        &mut text,
        "overdue",
        "",
        overdue
            .iter()
            .map(|each| (each.request_id.as_str(), each.discloser.as_str())),
    );
    let _ = writeln!(
        text,
        "chain = {{ count = {}, head = \"{}\" }}",
        chain.count, chain.head
    );
    let _ = writeln!(text, "official_head = \"{}\"", official.head);
    for item in &manifest.items {
        use_of(&mut text, item);
    }
    text.push_str(
        "\n# Only to decide against the claimant while evidence is overdue:\n\
         # [override]\n# by = \"\"\n# reason = \"\"\n\
         \n# Only for an adverse outcome for lack of evidence:\n\
         # [panel]\n# referred_on = \"YYYY-MM-DD\"\n# mental_health_clinician = false\n# reference = \"\"\n# clinician = \"\"\n",
    );
    Ok(text)
}

fn use_of(text: &mut String, item: &v1::ManifestItem) {
    let Some(about) = &item.item else { return };
    let title = about.aside.get("title").map_or("no title", String::as_str);
    let _ = writeln!(
        text,
        "\n# {}",
        comment(&format!(
            "{}, {}, written {}",
            title, about.kind, about.written_on
        ))
    );
    for note in &item.notes {
        let _ = writeln!(text, "# The claimant says: {}", comment(&note.text));
    }
    let _ = writeln!(text, "[[uses]]\nitem = {}", quoted(&about.item_id));
    text.push_str("# relied-on, considered, given-little-weight or discounted\nuse = \"\"\n");
    text.push_str("# Needed when discounted. The claimant reads it, unless the item is withheld from them.\nreason = \"\"\n");
    if item.withheld {
        text.push_str("# Withheld from the claimant: what is said here never reaches them.\nwithheld = true\n");
    }
}

/// `before` goes before each entry.
fn list<'a>(
    text: &mut String,
    name: &str,
    before: &str,
    entries: impl Iterator<Item = (&'a str, &'a str)>,
) {
    let _ = writeln!(text, "{name} = [");
    for (id, about) in entries {
        let _ = writeln!(text, "    {before}{}, # {}", quoted(id), comment(about));
    }
    text.push_str("]\n");
}

fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// Somebody's words on one line of comment.
fn comment(words: &str) -> String {
    words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Exit, files,
        sign::tests::{rng, signer},
    };
    use evidence_domain::{Event, rules::decision::official_uses_digest, signed::Signed};
    use evidence_ledger::{Alg, Salt};
    use std::path::Path;

    fn id<T>(make: impl Fn([u8; 16]) -> T, byte: u8) -> T {
        make([byte; 16])
    }

    fn manifest() -> v1::Manifest {
        let item = |byte, title: &str, withheld| v1::ManifestItem {
            item: Some(v1::Item {
                item_id: id(ItemId::from_random, byte).to_string(),
                aside: [("title".to_owned(), title.to_owned())].into(),
                ..v1::Item::default()
            }),
            withheld,
            ..v1::ManifestItem::default()
        };
        let head = |byte| {
            Some(v1::ChainHead {
                count: 4,
                head: vec![byte; 32],
            })
        };
        v1::Manifest {
            bundle: Some(v1::Bundle {
                bundle_id: id(BundleId::from_random, 1).to_string(),
                case_id: id(CaseId::from_random, 2).to_string(),
                purpose: "wca".into(),
                chain: head(7),
                official_chain: head(8),
                ..v1::Bundle::default()
            }),
            items: vec![
                item(3, "Letter\n[panel]\nreference = \"x\"", false),
                item(4, "Report", true),
            ],
            adjustments: vec![v1::Adjustment {
                adjustment_id: id(AdjustmentId::from_random, 5).to_string(),
                text: "By letter \"only\"".into(),
                at: None,
            }],
            ..v1::Manifest::default()
        }
    }

    fn filled() -> String {
        let overdue = v1::EvidenceRequest {
            request_id: id(RequestId::from_random, 6).to_string(),
            ..v1::EvidenceRequest::default()
        };
        let text = template(&manifest(), &id(DecisionId::from_random, 9), &[overdue]).unwrap();
        text.replace("    # \"adjustment_", "    \"adjustment_")
            .replace("outcome = \"\"", "outcome = \"adverse\"")
            .replacen("use = \"\"", "use = \"discounted\"", 1)
            .replacen("reason = \"\"", "reason = \"It is about another year.\"", 1)
            .replacen("use = \"\"", "use = \"relied-on\"", 1)
    }

    fn read(text: &str) -> Result<DecisionFile, CliError> {
        files::parse_structured(Path::new("decision.toml"), text)
    }

    #[test]
    fn a_template_must_be_filled_in() {
        let text = template(&manifest(), &id(DecisionId::from_random, 9), &[]).unwrap();
        assert_eq!(read(&text).unwrap_err().exit(), Exit::File);
        assert!(
            read(&text.replace("outcome = \"\"", "outcome = \"adverse\"")).is_err(),
            "a use is empty"
        );
        assert!(read(&filled().replace("relied-on", "ignored")).is_err());
        assert!(
            template(
                &v1::Manifest::default(),
                &id(DecisionId::from_random, 9),
                &[]
            )
            .is_err()
        );
    }

    #[test]
    fn a_filled_in_template_is_signed_with_withheld_items_apart() {
        let signer = signer(Alg::Es256);
        let made = read(&filled())
            .unwrap()
            .sign(&signer, 1_790_000_000, &rng())
            .unwrap();
        let decision = made.decision.unwrap();
        let read = Signed::open(&decision.statement, decision.aside.clone()).unwrap();
        let Event::DecisionRecorded(body) = read.event() else {
            panic!("a decision")
        };
        let (open, withheld) = (id(ItemId::from_random, 3), id(ItemId::from_random, 4));
        assert_eq!(body.uses, [(open.clone(), Use::Discounted)].into());
        assert_eq!(
            (
                body.adjustments.len(),
                body.overdue.len(),
                body.senior_override
            ),
            (1, 1, false)
        );
        assert_eq!(
            body.chain,
            ChainHead {
                count: 4,
                head: Digest::from([7; 32])
            }
        );
        assert_eq!(body.official_head, Digest::from([8; 32]));
        assert_eq!(
            made.official,
            [(format!("use/{withheld}"), "relied-on".to_owned())].into()
        );
        let salt = <[u8; 32]>::try_from(&made.official_salt[..]).unwrap();
        assert_eq!(
            body.official_uses,
            official_uses_digest(&Salt::from(salt), &made.official)
        );
        assert_eq!(
            decision.aside.into_keys().collect::<Vec<_>>(),
            [format!("reason/{open}")]
        );
        assert_eq!(
            read.statement().claims().sub,
            id(CaseId::from_random, 2).urn()
        );
    }

    #[test]
    fn override_and_panel_have_their_texts() {
        let text = filled()
            + "[override]\nby = \"S. Senior\"\nreason = \"Urgent.\"\n[panel]\nreferred_on = \"2026-01-02\"\n\
               mental_health_clinician = true\nreference = \"P1\"\nclinician = \"Dr C\"\n";
        let made = read(&text)
            .unwrap()
            .sign(&signer(Alg::EdDsa), 0, &rng())
            .unwrap()
            .decision
            .unwrap();
        for name in [
            "override_by",
            "override_reason",
            "panel_reference",
            "panel_clinician",
        ] {
            assert!(made.aside.contains_key(name), "{name}");
        }
    }

    #[test]
    fn an_item_twice_or_a_misspelt_field_is_refused() {
        let twice = format!(
            "{}\n[[uses]]\nitem = \"{}\"\nuse = \"considered\"\n",
            filled(),
            id(ItemId::from_random, 3)
        );
        assert_eq!(
            read(&twice)
                .unwrap()
                .sign(&signer(Alg::Es256), 0, &rng())
                .unwrap_err()
                .exit(),
            Exit::Usage
        );
        assert!(read(&format!("outcom = 1\n{}", filled())).is_err());
    }
}
