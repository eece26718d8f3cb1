//! What a bundle must satisfy before it is believed.

use std::collections::BTreeMap;

use evidence_domain::{Event, ids::ItemId};
use evidence_ledger::{ChainHead, Digest, Payload, PublicKey, Statement};
use evidence_wire::v1;

use crate::{
    CliError, Exit,
    proof::{Document, FORMAT, LogKeys, Proof, ReceiptFile},
    verify::{Report, Verdict, With, verify},
};

/// Checks that the manifest is exactly what the gateway stated and logged: nothing added, nothing
/// left out, on both chains.
pub fn check_manifest(manifest: &v1::Manifest, keys: &LogKeys) -> Result<(), CliError> {
    let bundle = manifest
        .bundle
        .as_ref()
        .ok_or_else(|| wrong("it has no bundle"))?;
    let (Event::BundlePulled(pulled), Event::BundleOfficial(official)) = (
        stated(manifest.receipt.as_ref(), keys)?,
        stated(manifest.official_receipt.as_ref(), keys)?,
    ) else {
        return Err(wrong(
            "its two receipts are not for a pull and its official part",
        ));
    };
    if [pulled.bundle.as_str(), official.bundle.as_str()] != [&bundle.bundle_id, &bundle.bundle_id]
        || [pulled.case.as_str(), official.case.as_str()] != [&bundle.case_id, &bundle.case_id]
        || pulled.purpose != bundle.purpose
    {
        return Err(wrong("its statements are about another bundle"));
    }
    let stated = pulled.items.len() + official.items.len();
    if pulled.items != entries(manifest, false)?
        || official.items != entries(manifest, true)?
        || stated != manifest.items.len()
    {
        return Err(wrong("its items are not those that the gateway stated"));
    }
    let chains = (
        chain(bundle.chain.as_ref()),
        chain(bundle.official_chain.as_ref()),
    );
    if chains != (Some(pulled.chain), Some(official.official_chain)) {
        return Err(wrong(
            "its chain heads are not those that the gateway stated",
        ));
    }
    Ok(())
}

fn wrong(problem: &str) -> CliError {
    CliError::Invalid(format!(
        "The bundle's manifest does not hold: {problem}. Do not rely on it; tell the operator."
    ))
}

/// The event that a receipt of the gateway's own statement proves.
fn stated(receipt: Option<&v1::Receipt>, keys: &LogKeys) -> Result<Event, CliError> {
    let receipt = receipt.ok_or_else(|| wrong("a receipt is missing"))?;
    let file = ReceiptFile::of(receipt)?;
    let report = verify(
        &file,
        &With {
            log_keys: Some(keys),
            ..With::default()
        },
    );
    let signed = |name| {
        report
            .checks
            .iter()
            .any(|check| check.name == name && check.verdict == Verdict::Valid)
    };
    if report.exit() != Exit::Done || !signed("signature") {
        return Err(wrong(report.to_text().trim_end()));
    }
    let statement =
        Statement::parse(&receipt.statement).map_err(|error| wrong(&error.to_string()))?;
    let payload =
        Payload::decode(statement.payload()).map_err(|error| wrong(&error.to_string()))?;
    Event::from_payload(&payload).map_err(|error| wrong(&error.to_string()))
}

fn entries(manifest: &v1::Manifest, withheld: bool) -> Result<BTreeMap<ItemId, Digest>, CliError> {
    let items = manifest
        .items
        .iter()
        .filter(|item| item.withheld == withheld);
    items
        .map(|item| {
            let id = item
                .item
                .as_ref()
                .and_then(|item| item.item_id.parse().ok());
            let entry = item
                .receipt
                .as_ref()
                .and_then(|receipt| Digest::try_from(&receipt.entry[..]).ok());
            id.zip(entry)
                .ok_or_else(|| wrong("an item has no id or no receipt"))
        })
        .collect()
}

pub fn chain(head: Option<&v1::ChainHead>) -> Option<ChainHead> {
    let head = head?;
    Some(ChainHead {
        count: head.count,
        head: Digest::try_from(&head.head[..]).ok()?,
    })
}

/// Checks one document of a bundle: the receipt file to keep beside it, and what was found.
pub fn check_item(
    item: &v1::ManifestItem,
    file: &str,
    document: (u64, Digest),
    log_keys: &LogKeys,
    organisation_keys: &[PublicKey],
) -> Result<(ReceiptFile, Report), CliError> {
    let (about, receipt) = item
        .item
        .as_ref()
        .zip(item.receipt.as_ref())
        .ok_or_else(|| wrong("an item has no receipt"))?;
    let digest = Digest::try_from(&about.digest[..]).map_err(|_| wrong("an item has no digest"))?;
    let receipt_file = ReceiptFile {
        format: FORMAT.to_owned(),
        item_id: Some(about.item_id.clone()),
        document: Some(Document {
            file: file.to_owned(),
            size: about.size,
            digest,
        }),
        aside: about.aside.clone(),
        receipt: Proof::of(receipt)?,
        relay_receipt: item.relay_receipt.as_ref().map(Proof::of).transpose()?,
    };
    let with = With {
        log_keys: Some(log_keys),
        organisation_keys,
        document: Some(document),
        checkpoint: None,
    };
    let report = verify(&receipt_file, &with);
    Ok((receipt_file, report))
}
