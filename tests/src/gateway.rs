//! A real gateway: the program itself, configured as an operator would, on a port of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use evidence_gateway::{
    boot,
    clock::Clock,
    config::Config,
    serve::{self, Running},
};
use evidence_store::Store;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::oneshot,
    time::timeout,
};

use evidence_wire::v1;

use crate::{
    Org,
    ca::{Ca, Identity},
    client::Address,
    postgres, rng,
};

/// Names the folder with the built programs.
const PROGRAMS_VARIABLE: &str = "EVIDENCE_BIN_DIR";
/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which database a gateway keeps its state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// One gateway with its files. The process may end and start again; the files stay.
pub struct Gateway {
    pub ca: Ca,
    pub engine: Engine,
    pub address: Address,
    /// The operator's certificate, which `init` was told of.
    pub operator: Identity,
    logs: Logs,
    process: Option<Child>,
    folder: TempDir,
    /// Dropped with the gateway.
    database: Option<postgres::Database>,
}

type Logs = Arc<Mutex<Vec<String>>>;

impl Gateway {
    /// Runs `init` and `serve`.
    pub async fn start(engine: Engine) -> Result<Self> {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(tokio::task::spawn_blocking(postgres::database).await??),
        };
        let url = database.as_ref().map(postgres::Database::url);
        let mut gateway = Self::new(engine, url.as_deref(), "")?;
        gateway.database = database;
        gateway.init().await?;
        gateway.serve().await?;
        Ok(gateway)
    }

    /// Writes the files of a gateway that is not yet started. `url` names the PostgreSQL database;
    /// `extra` is put at the end of the configuration.
    pub fn new(engine: Engine, url: Option<&str>, extra: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ca = Ca::new()?;
        let server = ca.server()?;
        let operator = ca.client("operator")?;
        let write = |name: &str, text: &str| private(&folder.path().join(name), text);
        write("server.pem", &server.certificate_pem)?;
        write("server-key.pem", &server.key_pem)?;
        write("roots.pem", &ca.pem())?;
        write("revoked.crl", &ca.crl()?)?;
        write("operator.pem", &operator.certificate_pem)?;
        write("database.url", url.unwrap_or_default())?;
        write("gateway.toml", &configuration(folder.path(), engine, extra))?;
        let logs = Logs::default();
        let address = Address::default();
        Ok(Self {
            ca,
            engine,
            address,
            operator,
            logs,
            process: None,
            folder,
            database: None,
        })
    }

    /// The first start.
    pub async fn init(&self) -> Result<()> {
        let done = Command::new(program("evidence-gateway")?)
            .args([
                "init",
                "--operator-identifier",
                "company:00000001",
                "--operator-name",
                "Operator",
            ])
            .arg("--operator-certificate")
            .arg(self.path("operator.pem"))
            .arg("--config")
            .arg(self.path("gateway.toml"))
            .output()
            .await?;
        ensure!(
            done.status.success(),
            "init: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(())
    }

    /// Starts the process and waits until it listens.
    pub async fn serve(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the gateway runs already");
        let mut process = Command::new(program("evidence-gateway")?)
            .args(["serve", "--config"])
            .arg(self.path("gateway.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the gateway")?;
        let lines = process.stderr.take().context("its log is piped")?;
        let (listens, address) = oneshot::channel();
        tokio::spawn(follow(
            BufReader::new(lines),
            Arc::clone(&self.logs),
            listens,
        ));
        self.process = Some(process);
        match timeout(PATIENCE, address).await {
            Ok(Ok(address)) => {
                self.address.set(address);
                Ok(())
            }
            _ => bail!("the gateway did not start:\n{}", self.log_end()),
        }
    }

    /// Serves in this process instead, by another clock than the system's. For what takes months.
    pub async fn serve_at(&self, clock: Clock) -> Result<Running> {
        let store = self.store().await?;
        let config = Config::load(&self.path("gateway.toml"))?;
        let running = serve::start(&config, store, clock, Arc::new(rng())).await?;
        self.address.set(running.address);
        Ok(running)
    }

    /// Ends the process at once, as a crash would.
    pub async fn kill9(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.start_kill()?;
            timeout(PATIENCE, process.wait()).await??;
        }
        Ok(())
    }

    /// Asks the process to drain and waits until it has; whether it ended well.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        send(&process, Signal::TERM)?;
        let status = timeout(PATIENCE, process.wait())
            .await
            .context("the gateway did not stop")??;
        ensure!(
            status.success(),
            "the gateway ended with {status}:\n{}",
            self.log_end()
        );
        Ok(())
    }

    /// The process's number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// Sends SIGTERM without waiting.
    pub fn terminate(&self) -> Result<()> {
        send(
            self.process.as_ref().context("the gateway does not run")?,
            Signal::TERM,
        )
    }

    /// Sends SIGHUP: certificates and revocation lists are read again.
    pub fn reload(&self) -> Result<()> {
        send(
            self.process.as_ref().context("the gateway does not run")?,
            Signal::HUP,
        )
    }

    /// Whether it reads its store for this organisation within a while. One that has stopped, or
    /// is about to, does not.
    pub async fn answers(&mut self, org: &Org) -> bool {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..100 {
            if self
                .process
                .as_mut()
                .is_none_or(|process| !matches!(process.try_wait(), Ok(None)))
            {
                return false;
            }
            let asked = org
                .ledger()
                .get_checkpoint(v1::GetCheckpointRequest { size: 0 })
                .await;
            if asked.is_ok() {
                return true;
            }
            looks.tick().await;
        }
        false
    }

    /// Writes the revocation list as the authority has it now.
    pub fn write_crl(&self) -> Result<()> {
        private(&self.path("revoked.crl"), &self.ca.crl()?)
    }

    /// Opens the store directly, as `fsck` would. The process must have ended.
    pub async fn store(&self) -> Result<Store> {
        ensure!(self.process.is_none(), "the gateway still runs");
        let config = Config::load(&self.path("gateway.toml"))?;
        Ok(boot::open(&config, Arc::new(rng())).await?)
    }

    /// Where the gateway keeps documents.
    pub fn documents(&self) -> PathBuf {
        self.path("documents")
    }

    /// All that it logged.
    pub fn log(&self) -> String {
        self.logs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join("\n")
    }

    /// The last lines that it logged.
    pub fn log_end(&self) -> String {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs[logs.len().saturating_sub(30)..].join("\n")
    }

    /// One of its files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Where a program of the workspace is.
pub fn program(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os(PROGRAMS_VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        // The tests lie in `deps`, beside which the programs are.
        None => std::env::current_exe()?
            .parent()
            .and_then(Path::parent)
            .context("the tests lie in a target folder")?
            .to_owned(),
    };
    let program = folder.join(name);
    ensure!(
        program.is_file(),
        "build the programs first: cargo build --workspace --bins"
    );
    Ok(program)
}

/// Keeps what is logged; tells the address from the line that names it.
async fn follow(
    mut lines: BufReader<tokio::process::ChildStderr>,
    logs: Logs,
    listens: oneshot::Sender<std::net::SocketAddr>,
) {
    let mut listens = Some(listens);
    let mut line = String::new();
    while matches!(lines.read_line(&mut line).await, Ok(read) if read > 0) {
        if let Some(address) = address(&line)
            && let Some(listens) = listens.take()
        {
            let _ = listens.send(address);
        }
        logs.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.trim_end().to_owned());
        line.clear();
    }
}

fn address(line: &str) -> Option<std::net::SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    (fields.get("message")? == "serving").then(|| fields.get("address")?.as_str()?.parse().ok())?
}

fn send(process: &Child, signal: Signal) -> Result<()> {
    let id = process.id().context("the gateway has ended")?;
    let pid = i32::try_from(id)
        .ok()
        .and_then(Pid::from_raw)
        .context("a process number")?;
    Ok(kill_process(pid, signal)?)
}

/// Writes a file that its owner alone may read.
pub fn private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// Changes a configuration that no gateway has read yet.
pub fn edit(path: &Path, change: impl FnOnce(&mut toml::Table)) -> Result<()> {
    let mut config: toml::Table = std::fs::read_to_string(path)?.parse()?;
    change(&mut config);
    private(path, &toml::to_string(&config)?)
}

fn configuration(folder: &Path, engine: Engine, extra: &str) -> String {
    let at = folder.display();
    let database = match engine {
        Engine::Sqlite => format!("engine = \"sqlite\"\npath = \"{at}/evidence.sqlite\""),
        Engine::Postgres => {
            format!("engine = \"postgres\"\nurl_file = \"{at}/database.url\"\nmax_connections = 8")
        }
    };
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n\
         [tls]\ncertificate = \"{at}/server.pem\"\nkey = \"{at}/server-key.pem\"\n\
         client_roots = [\"{at}/roots.pem\"]\ncrls = [\"{at}/revoked.crl\"]\n\
         [database]\n{database}\n\
         [documents]\nkind = \"files\"\ndir = \"{at}/documents\"\n\
         [keys]\nkey_encryption_key = \"{at}/kek\"\nstatement_key = \"{at}/statement\"\n\
         receipt_key = \"{at}/receipt\"\ncheckpoint_key = \"{at}/checkpoint\"\n\
         [log]\norigin = \"evidence.example.org/test\"\n\
         [limits]\nstream_idle_seconds = 2\n\
         {extra}\n"
    )
}
