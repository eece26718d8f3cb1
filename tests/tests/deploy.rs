//! What `deploy/` ships works: every sample boots a gateway that answers, drains and ends well.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use evidence_tests::{
    ca::{Ca, Identity},
    client::{self, Address},
    gateway::{edit, private, program},
    postgres, python,
    s3::S3,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PATIENCE: Duration = Duration::from_mins(1);
const PILOT: &str = "deploy/pilot-sqlite.toml";
const PRODUCTION: &str = "deploy/production-postgres-s3.toml";
const UNIT: &str = "deploy/evidence-gateway.service";

/// Where the samples expect their files, and what stands for it here.
const PLACES: [(&str, &str); 3] = [
    ("/etc/evidence-gateway/", "etc"),
    ("/run/credentials/evidence-gateway.service/", "credentials"),
    ("/var/lib/evidence-gateway/", "state"),
];

#[tokio::test]
async fn the_pilot_boots_answers_and_drains() -> Result<()> {
    let site = Site::lay_out(PILOT)?;
    let ca = Ca::new()?;
    site.issue(&ca)?;
    site.put("etc/tls/client-roots.pem", &ca.pem())?;
    site.put("etc/tls/clients.crl", &ca.crl()?)?;
    site.boots_answers_and_drains(&ca).await
}

#[tokio::test]
async fn production_boots_answers_and_drains() -> Result<()> {
    let s3 = S3::start("evidence-documents").await?;
    let database = tokio::task::spawn_blocking(postgres::database).await??;
    let site = Site::lay_out(PRODUCTION)?;
    site.put("credentials/database-url", &database.url())?;
    site.put("credentials/s3-access-key-id", "test")?;
    site.put("credentials/s3-secret-access-key", "test")?;
    edit(&site.config, |config| {
        let documents = config
            .get_mut("documents")
            .and_then(toml::Value::as_table_mut)
            .expect("it has documents");
        documents.insert("endpoint".to_owned(), s3.endpoint.clone().into());
        documents.insert("allow_http".to_owned(), true.into());
    })?;
    // Two authorities; the first also issues through an intermediate, which has a list of its own.
    let (nhs, issuing, local) = (
        Ca::named("NHS")?,
        Ca::named("NHS issuing")?,
        Ca::named("Councils")?,
    );
    site.issue(&nhs)?;
    site.put("etc/tls/nhs-root.pem", &nhs.pem())?;
    site.put("etc/tls/nhs-root.crl", &nhs.crl()?)?;
    site.put("etc/tls/nhs-issuing.crl", &issuing.crl()?)?;
    site.put(
        "etc/tls/local-government-and-charities-root.pem",
        &local.pem(),
    )?;
    site.put("etc/tls/local-government-and-charities.crl", &local.crl()?)?;
    site.boots_answers_and_drains(&nhs).await
}

#[tokio::test]
async fn samples_pass_the_check_as_they_are() -> Result<()> {
    for sample in [PILOT, PRODUCTION] {
        let checked = gateway(&["check-config"], &python::repository(sample)).await?;
        ensure!(checked.status.success(), "{sample}: {}", said(&checked));
    }
    Ok(())
}

#[tokio::test]
async fn a_misspelt_key_is_named_with_its_line() -> Result<()> {
    let site = Site::lay_out(PILOT)?;
    let text = fs::read_to_string(&site.config)?.replace("client_roots", "client_rotos");
    let line = 1 + text
        .lines()
        .position(|line| line.starts_with("client_rotos"))
        .context("it names roots")?;
    fs::write(&site.config, text)?;
    let checked = gateway(&["check-config"], &site.config).await?;
    let complaint = said(&checked);
    ensure!(!checked.status.success(), "it was taken");
    ensure!(
        complaint.contains(&format!("line {line}: unknown field `client_rotos`")),
        "{complaint}"
    );
    Ok(())
}

/// Evidence about health is never used against people: such a purpose is refused before anything
/// is opened, by every command.
#[tokio::test]
async fn a_purpose_of_sanctions_is_refused_at_load() -> Result<()> {
    let site = Site::lay_out(PILOT)?;
    let purposes = "[[purposes]]\nid = \"uc-review\"\ntitle = \"Review\"\nkinds = [\"*\"]\nlongest_days = 30\n\
                    serves = [\"sanctions for missed appointments\"]\n";
    let path = site.put("etc/purposes.toml", purposes)?;
    edit(&site.config, |config| {
        let policies =
            toml::Table::from_iter([("purposes".to_owned(), path.display().to_string().into())]);
        config.insert("policies".to_owned(), policies.into());
    })?;
    for command in ["check-config", "serve"] {
        let refused = gateway(&[command], &site.config).await?;
        let complaint = said(&refused);
        ensure!(!refused.status.success(), "{command} took it");
        ensure!(
            complaint.contains("policies.purposes") && complaint.contains("sanction"),
            "{command}: {complaint}"
        );
    }
    ensure!(
        !site.folder.path().join("state/evidence.sqlite").exists(),
        "nothing was opened"
    );
    Ok(())
}

/// systemd's own check, where it is installed, with the program's path as it is here.
#[tokio::test]
async fn systemd_finds_nothing_wrong_with_the_unit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let unit = fs::read_to_string(python::repository(UNIT))?;
    let installed = "/usr/bin/evidence-gateway";
    ensure!(
        unit.contains(&format!("ExecStart={installed} serve --config")),
        "it starts the gateway"
    );
    ensure!(
        unit.contains("KillSignal=SIGTERM"),
        "it lets the gateway drain"
    );
    let here = folder.path().join("evidence-gateway.service");
    fs::write(
        &here,
        unit.replace(
            installed,
            &program("evidence-gateway")?.display().to_string(),
        ),
    )?;
    match Command::new("systemd-analyze")
        .arg("verify")
        .arg(&here)
        .output()
        .await
    {
        Ok(verified) => ensure!(
            verified.status.success() && verified.stderr.is_empty(),
            "{}",
            said(&verified)
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("systemd-analyze: {error}"),
    }
    Ok(())
}

/// A sample with its files, all in a folder of the test's.
struct Site {
    folder: TempDir,
    config: PathBuf,
}

impl Site {
    /// Copies the sample. What it says stays, but for where files are and which ports are free.
    fn lay_out(sample: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut text = fs::read_to_string(python::repository(sample))?;
        for (place, here) in PLACES {
            let here = folder.path().join(here);
            fs::create_dir_all(here.join("tls"))?;
            text = text.replace(place, &format!("{}/", here.display()));
        }
        let config = folder.path().join("gateway.toml");
        private(&config, &text)?;
        edit(&config, |config| {
            for (section, key) in [("listen", "address"), ("telemetry", "prometheus")] {
                let section = config
                    .get_mut(section)
                    .and_then(toml::Value::as_table_mut)
                    .expect("the sample has it");
                section.insert(key.to_owned(), "127.0.0.1:0".into());
            }
        })?;
        let left = fs::read_to_string(&config)?;
        ensure!(
            !left.contains("\"/etc/") && !left.contains("\"/run/") && !left.contains("\"/var/"),
            "{left}"
        );
        Ok(Self { folder, config })
    }

    /// Writes a file of the site's.
    fn put(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        private(&path, text)?;
        Ok(path)
    }

    fn issue(&self, ca: &Ca) -> Result<()> {
        let server = ca.server()?;
        self.put("etc/tls/certificate.pem", &server.certificate_pem)?;
        self.put("etc/tls/key.pem", &server.key_pem)?;
        Ok(())
    }

    async fn boots_answers_and_drains(&self, ca: &Ca) -> Result<()> {
        let checked = gateway(&["check-config"], &self.config).await?;
        ensure!(checked.status.success(), "{}", said(&checked));
        let early = gateway(&["serve"], &self.config).await?;
        ensure!(!early.status.success(), "it served before there was a log");

        let operator = ca.client("operator")?;
        let certificate = self
            .put("operator.pem", &operator.certificate_pem)?
            .display()
            .to_string();
        let identifier = [
            "--operator-identifier",
            "ods:X26",
            "--operator-name",
            "Your organisation",
        ];
        let init = [
            "init",
            identifier[0],
            identifier[1],
            identifier[2],
            identifier[3],
            "--operator-certificate",
            &certificate,
        ];
        let made = gateway(&init, &self.config).await?;
        ensure!(made.status.success(), "{}", said(&made));
        let again = gateway(&init, &self.config).await?;
        ensure!(!again.status.success(), "a log is started once");

        let mut serving = Serving::start(&self.config).await?;
        let stranger = Ca::new()?.client("stranger")?;
        let refused = answers(serving.address, ca, &stranger).await;
        ensure!(
            refused.is_err(),
            "a certificate of another authority was let in"
        );
        ensure!(
            answers(serving.address, ca, &operator).await? == ServingStatus::Serving,
            "it does not serve"
        );
        serving.drains(ca, &operator).await
    }
}

/// Asks for health over mutual TLS.
async fn answers(address: SocketAddr, ca: &Ca, identity: &Identity) -> Result<ServingStatus> {
    let mut health = HealthClient::new(client::channel(&at(address), ca, identity)?);
    let answer = health
        .check(HealthCheckRequest::default())
        .await?
        .into_inner();
    Ok(answer.status())
}

fn at(address: SocketAddr) -> Address {
    let shared = Address::default();
    shared.set(address);
    shared
}

/// A gateway that serves from a sample.
struct Serving {
    address: SocketAddr,
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Serving {
    async fn start(config: &Path) -> Result<Self> {
        let mut process = command(&["serve"], config)?
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(process.stderr.take().context("its log is piped")?).lines();
        let address = timeout(PATIENCE, async {
            let mut seen = String::new();
            while let Some(line) = log.next_line().await? {
                if let Some(address) = address(&line) {
                    return Ok(address);
                }
                seen.push_str(&line);
            }
            bail!("it ended: {seen}")
        });
        let address = address.await.context("it did not start in time")??;
        Ok(Self {
            address,
            process,
            log,
        })
    }

    /// SIGTERM: whoever watches its health is told, the process ends well, and no error is logged.
    async fn drains(&mut self, ca: &Ca, operator: &Identity) -> Result<()> {
        let mut health = HealthClient::new(client::channel(&at(self.address), ca, operator)?);
        let mut watched = health
            .watch(HealthCheckRequest::default())
            .await?
            .into_inner();
        let first = watched.message().await?.context("the watch ended")?;
        ensure!(first.status() == ServingStatus::Serving, "it serves");
        let pid = self
            .process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        kill_process(pid.context("it has ended")?, Signal::TERM)?;
        let next = timeout(PATIENCE, watched.message())
            .await
            .context("the watcher was not told")??;
        ensure!(
            next.is_some_and(|next| next.status() == ServingStatus::NotServing),
            "the watcher was told otherwise"
        );
        // A client that hangs on would be waited for.
        drop((watched, health));
        let mut log = Vec::new();
        let ended = timeout(PATIENCE, async {
            while let Some(line) = self.log.next_line().await? {
                log.push(line);
            }
            anyhow::Ok(self.process.wait().await?)
        });
        let status = ended.await.context("it did not end")??;
        ensure!(status.success(), "it ended with {status}: {log:?}");
        // Production's collector is not there, and says so under another target.
        let ours = |line: &&String| line.contains("\"target\":\"evidence");
        ensure!(
            !log.iter()
                .filter(ours)
                .any(|line| line.contains("\"level\":\"ERROR\"")),
            "{log:?}"
        );
        Ok(())
    }
}

fn address(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    (line.get("message")? == "serving").then(|| line.get("address")?.as_str()?.parse().ok())?
}

/// Runs the program to its end.
async fn gateway(arguments: &[&str], config: &Path) -> Result<Output> {
    let run = command(arguments, config)?.output();
    timeout(PATIENCE, run)
        .await
        .context("it did not end")?
        .context("it does not run")
}

fn command(arguments: &[&str], config: &Path) -> Result<Command> {
    let mut command = Command::new(program("evidence-gateway")?);
    command
        .args(arguments)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

fn said(run: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    )
}
