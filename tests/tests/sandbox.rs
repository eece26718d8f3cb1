//! The sandbox as a person meets it: the walk that `make sandbox` makes, what it leaves behind,
//! and a clock that does not fall back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64;
use evidence_gateway::{boot, config::Config};
use evidence_ledger::Digest;
use evidence_tests::{
    gateway::program,
    invariants::check_store,
    python::repository,
    rng,
    world::{Kept, LogKeys},
};
use evidence_wire::{common::timestamp, v1};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

#[tokio::test]
async fn the_walk_goes_through_and_what_it_leaves_adds_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (documents, data) = (
        folder.path().join("documents"),
        folder.path().join("sandbox"),
    );
    let made = Command::new(repository("scripts/make-documents"))
        .arg(&documents)
        .output()
        .await?;
    ensure!(
        made.status.success(),
        "no documents could be made; install the tools with `scripts/setup-sandbox documents`:\n{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let walked = walk(&documents, &data).await?;
    ensure!(walked.status.success(), "{}", both(&walked));
    ensure!(
        both(&walked).contains("The whole journey went as it should."),
        "{}",
        both(&walked)
    );
    ensure!(
        !data.join("ready.json").exists(),
        "it still says that it is running"
    );

    let store = boot::open(&Config::load(&data.join("gateway.toml"))?, Arc::new(rng())).await?;
    let kept = kept(&data)?;
    ensure!(
        kept.len() == 2,
        "{} receipts lie in the senders' folders",
        kept.len()
    );
    let checked = check_store(&store, &log_keys(&data)?, &kept).await;
    store.close().await;
    checked.map(|_| ())
}

#[tokio::test]
async fn too_few_documents_are_named_as_what_stops_the_walk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("only.pdf"), "%PDF-1.7")?;
    let walked = walk(folder.path(), &folder.path().join("sandbox")).await?;
    ensure!(walked.status.code() == Some(1), "{}", both(&walked));
    ensure!(
        both(&walked).contains("the walk needs three or more"),
        "{}",
        both(&walked)
    );
    Ok(())
}

#[tokio::test]
async fn a_sandbox_starts_again_where_it_was() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("sandbox");
    let first = Sandbox::start(&data).await?;
    let advanced = Command::new(program("evidence-gateway")?)
        .args(["sandbox", "advance", "5d", "--data"])
        .arg(&data)
        .status()
        .await?;
    ensure!(advanced.success(), "the clock did not move");
    let second_at_once = Command::new(program("evidence-gateway")?)
        .args(["sandbox", "--data"])
        .arg(&data)
        .output();
    let second_at_once = second_at_once.await?;
    ensure!(
        both(&second_at_once).contains("runs on"),
        "{}",
        both(&second_at_once)
    );
    let before = first.stop().await?;
    let after = Sandbox::start(&data).await?.stop().await?;
    for name in ["organisations", "claimants", "grant"] {
        ensure!(before[name] == after[name], "{name} is another now");
    }
    let moment = |ready: &Value| -> Result<jiff::Timestamp> {
        Ok(ready["now"].as_str().context("now")?.parse()?)
    };
    let went_by = moment(&after)?.duration_since(moment(&before)?);
    ensure!(went_by.as_hours() >= 5 * 24, "{went_by} went by");
    Ok(())
}

/// `make sandbox` without the building, and not left running.
async fn walk(documents: &Path, data: &Path) -> Result<Output> {
    let programs = program("evidence")?
        .parent()
        .context("programs lie in a folder")?
        .to_owned();
    let walked = Command::new(repository("scripts/sandbox-walk"))
        .env("WALK_ONLY", "1")
        .arg("--programs")
        .arg(programs)
        .arg("--files")
        .arg(documents)
        .arg("--data")
        .arg(data)
        .args(["--address", "127.0.0.1:0"])
        .output()
        .await?;
    Ok(walked)
}

fn both(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A sandbox that is left running.
struct Sandbox {
    process: Child,
    ready: Value,
}

impl Sandbox {
    /// Starts it and waits for the line that says it is ready.
    async fn start(data: &Path) -> Result<Self> {
        let mut process = Command::new(program("evidence-gateway")?)
            .args(["sandbox", "--address", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines =
            BufReader::new(process.stdout.take().context("its output is ours")?).lines();
        while let Some(line) = lines.next_line().await? {
            if line.starts_with("ready ") {
                let ready = serde_json::from_slice(&fs::read(data.join("ready.json"))?)?;
                return Ok(Self { process, ready });
            }
        }
        anyhow::bail!("it ended with {}", process.wait().await?)
    }

    /// Stops it as Ctrl-C does; what it said of itself.
    async fn stop(mut self) -> Result<Value> {
        let id = self.process.id().context("it runs")?;
        let pid = Pid::from_raw(i32::try_from(id)?).context("a process has an id")?;
        kill_process(pid, Signal::INT)?;
        let status = self.process.wait().await?;
        ensure!(status.success(), "it ended with {status}");
        Ok(self.ready)
    }
}

/// The receipts that the senders of the walk hold, each with its document.
fn kept(data: &Path) -> Result<Vec<Kept>> {
    let mut found = Vec::new();
    for sender in ["hospital", "council"] {
        let folder = data.join("walk").join(sender);
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(".receipt.json") {
                found.push(receipt(&path).with_context(|| path.display().to_string())?);
            }
        }
    }
    Ok(found)
}

fn receipt(path: &PathBuf) -> Result<Kept> {
    let file: Value = serde_json::from_slice(&fs::read(path)?)?;
    let proof = &file["receipt"];
    let text = |value: &Value| {
        Ok::<_, anyhow::Error>(value.as_str().context("a text is missing")?.to_owned())
    };
    let number = |value: &Value| value.as_u64().context("a number is missing");
    let received_at: jiff::Timestamp = text(&proof["received_at"])?.parse()?;
    let document = path.with_file_name(text(&file["document"]["file"])?);
    Ok(Kept {
        receipt: v1::Receipt {
            entry: text(&proof["entry"])?
                .parse::<Digest>()?
                .as_bytes()
                .to_vec(),
            index: number(&proof["index"])?,
            tree_size: number(&proof["tree_size"])?,
            statement: BASE64.decode(text(&proof["statement"])?.as_bytes())?,
            receipt: BASE64.decode(text(&proof["receipt"])?.as_bytes())?,
            received_at: Some(timestamp(received_at.into())),
            replay: false,
        },
        document: Some((text(&file["item_id"])?.parse()?, fs::read(document)?)),
    })
}

/// The log's keys as the sandbox hands them out.
fn log_keys(data: &Path) -> Result<LogKeys> {
    let file: Value = serde_json::from_slice(&fs::read(data.join("log-keys.json"))?)?;
    let of = |usage: &str| {
        let mut keys = file["keys"].as_array().into_iter().flatten();
        keys.find(|key| key["use"] == usage)
            .with_context(|| format!("no {usage} key"))
    };
    let verifier = of("checkpoint")?["verifier_key"]
        .as_str()
        .context("no verifier key")?;
    Ok(LogKeys {
        receipt: serde_json::from_value(of("receipt")?["cose_key"].clone())?,
        statement: serde_json::from_value(of("statement")?["cose_key"].clone())?,
        checkpoint: verifier.parse()?,
    })
}
