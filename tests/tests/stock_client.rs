//! A client made of stock tools alone, which knows no more than the protos and the documents for
//! integrators say, does the whole journey.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use evidence_ledger::{Alg, SigningKey};
use evidence_tests::{Org, World, ca::Identity, now, ok, on_both, python, rng};
use evidence_wire::{common::timestamp, v1};
use serde_json::{Value, json};
use tokio::process::Command;

on_both! {
    /// grpcio, cbor2 and cryptography send and check everything; `scitt-cose` agrees with them.
    async fn a_python_client_does_the_whole_journey(world: &mut World) -> Result<()> {
        let folder = tempfile::tempdir()?;
        lay_out(world, folder.path()).await?;
        let run = Command::new(python::interpreter()?)
            .arg(python::repository("tests/python/client.py"))
            .arg(folder.path())
            .kill_on_drop(true)
            .output()
            .await?;
        let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        ensure!(run.status.success(), "the client ended with {}:\n{said}{complained}", run.status);
        let summary: Value = serde_json::from_str(said.lines().last().context("it prints a summary")?)?;
        let expected = json!({
            "receipts_verified": 21,
            "documents_identical": 2,
            "scitt_cose": "accepts",
            "flipped_entry": "refused",
            "outcome": "favourable",
        });
        ensure!(summary == expected, "{summary}");
        Ok(())
    }
}

/// A folder as the sandbox makes it, with what the client needs of it.
async fn lay_out(world: &World, folder: &Path) -> Result<()> {
    fs::create_dir(folder.join("authority"))?;
    fs::write(folder.join("authority/root.pem"), world.gateway.ca.pem())?;
    let cast = [
        ("hospital", &world.trust),
        ("vcse", &world.vcse),
        ("dwp", &world.dwp),
        ("portal", &world.portal),
    ];
    let mut organisations = serde_json::Map::new();
    for (name, org) in cast {
        let own = folder.join(name);
        fs::create_dir(&own)?;
        write_identity(&own, &org.identity)?;
        if name != "portal" {
            fs::write(own.join("signing-key.der"), another_key(world, org).await?)?;
        }
        organisations.insert(name.to_owned(), json!(org.id.to_string()));
    }
    let endpoint = format!("https://{}", world.gateway.address.get());
    let ready = json!({ "endpoint": endpoint, "organisations": organisations });
    fs::write(folder.join("ready.json"), ready.to_string())?;
    Ok(())
}

fn write_identity(own: &Path, identity: &Identity) -> Result<()> {
    fs::write(own.join("certificate.pem"), &identity.certificate_pem)?;
    fs::write(own.join("key.pem"), &identity.key_pem)?;
    Ok(())
}

/// A key of the client's own, registered beside the one that the organisation has.
async fn another_key(world: &World, org: &Org) -> Result<Vec<u8>> {
    let pkcs8 = SigningKey::generate_pkcs8(Alg::Es256, &rng())?;
    let key = SigningKey::from_pkcs8(Alg::Es256, &pkcs8, &rng())?;
    ok!(world
        .operator
        .directory()
        .register_key(v1::RegisterKeyRequest {
            request_id: world.key(),
            organisation_id: org.id.to_string(),
            cose_key: key.public().to_cose_key(),
            not_before: Some(timestamp(now().plus_seconds(-86_400))),
            not_after: Some(timestamp(now().plus_seconds(86_400))),
        }));
    Ok(pkcs8.to_vec())
}
