//! A throwaway PostgreSQL server, made by the machine's own `initdb` and gone when its owner is.
//!
//! The server keeps real durability (fsync, synchronous commit, full page writes), so that a test
//! which kills it learns something.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Names the server that the tests share: the URL of a superuser, with any database in it.
pub const SERVER_VARIABLE: &str = "EVIDENCE_TEST_PG";

const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_UNTIL_READY: u32 = 3_000;
const STARTS: u32 = 50;

/// Outlives its parent by a breath: reads until the pipe's other end is closed, which the kernel
/// does however the owner ends, then stops the server and removes its directory.
const WATCHDOG: &str = r#"
cat >/dev/null
"$1" stop -D "$2/data" -m immediate -s -w -t 20
rm -rf "$2"
"#;

/// One running server with its own directory, port and owner.
///
/// Dropping it, or ending its process in any way, stops the server and removes the directory.
#[derive(Debug)]
pub struct Cluster {
    account: Account,
    directory: PathBuf,
    port: u16,
    server: Child,
    watchdog: Child,
}

impl Cluster {
    /// Makes a new data directory and serves it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// PostgreSQL is not installed, or the server does not start; its log's end is in the message.
    pub fn start() -> Result<Self> {
        let account = Account::of_server()?;
        let made = output(
            account
                .command("mktemp")
                .args(["-d", "-t", "evidence-pg.XXXXXXXX"]),
        )?;
        let directory = PathBuf::from(String::from_utf8(made.stdout)?.trim());
        let watchdog = account
            .command("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .args([&tool("pg_ctl")?, &directory])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start the watchdog of the PostgreSQL server")?;
        // No sync here: it would only guard the still empty cluster against a loss of power.
        output(
            account
                .command(tool("initdb")?)
                .arg("-D")
                .arg(directory.join("data"))
                .args([
                    "--username=postgres",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                ]),
        )?;
        let (server, port) = serve_somewhere(&account, &directory)?;
        Ok(Self {
            account,
            directory,
            port,
            server,
            watchdog,
        })
    }

    /// A URL for the superuser and the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends every process of the server at once with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// The system refuses the signal.
    pub fn kill9(&mut self) -> Result<()> {
        if self.server.try_wait()?.is_some() {
            return Ok(());
        }
        let postmaster = Pid::from_child(&self.server);
        // Stopped first, so that it cannot start another backend between the list and the kill.
        kill_process(postmaster, Signal::STOP).context("stop the postmaster")?;
        let id = self.server.id();
        let backends = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        self.server.kill().context("kill the postmaster")?;
        self.server.wait()?;
        for backend in backends.unwrap_or_default().split_whitespace() {
            if let Some(backend) = backend.parse().ok().and_then(Pid::from_raw) {
                // One that is already gone is what we want.
                let _ = kill_process(backend, Signal::KILL);
            }
        }
        Ok(())
    }

    /// Starts the server again after [`Cluster::kill9`], on the same data and port; returns once
    /// it has recovered and takes connections. Kills it first if it still runs.
    ///
    /// # Errors
    /// The server does not start; its log's end is in the message.
    pub fn restart(&mut self) -> Result<()> {
        self.kill9()?;
        let mut last = anyhow!("no start was tried");
        for _ in 0..STARTS {
            match serve(&self.account, &self.directory, self.port) {
                Ok(server) => {
                    self.server = server;
                    return Ok(());
                }
                // The killed backends may hold the shared memory for a moment longer.
                Err(early) => last = early,
            }
            thread::sleep(LOOK_EVERY);
        }
        Err(last)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
        // Both do nothing when the watchdog has done its work.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A fresh, empty database of one test, dropped with it.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A URL for the superuser and this database.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server itself goes soon after: a database left in it harms nothing.
        let _ = psql(&self.server, &[&drop_statement(&self.name)]);
    }
}

/// Makes a fresh database on the server that [`SERVER_VARIABLE`] names, or, without one, on a
/// server of this process's own.
///
/// # Errors
/// No server can be started or reached.
pub fn database() -> Result<Database> {
    static OWN: OnceLock<std::result::Result<Cluster, String>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = if let Ok(url) = std::env::var(SERVER_VARIABLE) {
        url
    } else {
        let own = OWN.get_or_init(|| Cluster::start().map_err(|error| format!("{error:#}")));
        own.as_ref().map_err(|error| anyhow!("{error}"))?.url()
    };
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{count}", std::process::id());
    // A killed test with the same process number may have left one behind.
    psql(
        &server,
        &[
            &drop_statement(&name),
            &format!("CREATE DATABASE \"{name}\""),
        ],
    )?;
    Ok(Database { server, name })
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")
}

fn psql(url: &str, statements: &[&str]) -> Result<()> {
    let mut command = Command::new(tool("psql")?);
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        url,
    ]);
    for statement in statements {
        command.args(["--command", statement]);
    }
    // A database that is not there is no news.
    output(command.env("PGOPTIONS", "-c client_min_messages=warning")).map(drop)
}

fn with_database(server: &str, name: &str) -> String {
    let (address, rest) = server.rsplit_once('/').unwrap_or((server, ""));
    let options = rest.find('?').map_or("", |start| &rest[start..]);
    format!("{address}/{name}{options}")
}

/// Who runs the server: PostgreSQL refuses root, so root hands over to another account.
#[derive(Debug)]
enum Account {
    Own,
    Other { user: &'static str, group: String },
}

impl Account {
    fn of_server() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self::Own);
        }
        for user in ["postgres", "nobody"] {
            let id = Command::new("id")
                .args(["-g", user])
                .output()
                .context("run id")?;
            if id.status.success() {
                let group = String::from_utf8(id.stdout)?.trim().to_owned();
                return Ok(Self::Other { user, group });
            }
        }
        bail!("PostgreSQL refuses root and there is no account postgres or nobody: add one")
    }

    /// `program`, run by the server's account in a directory that any account may read.
    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match self {
            Self::Own => Command::new(program.as_ref()),
            Self::Other { user, group } => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={group}"));
                command.arg("--clear-groups").arg(program.as_ref());
                command
            }
        };
        command.current_dir("/");
        command
    }
}

/// A port that was free a moment ago may be taken by the time the server binds it: try another.
fn serve_somewhere(account: &Account, directory: &Path) -> Result<(Child, u16)> {
    let mut last = anyhow!("no start was tried");
    for _ in 0..5 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        match serve(account, directory, port) {
            Ok(server) => return Ok((server, port)),
            Err(taken) => last = taken,
        }
    }
    Err(last)
}

/// Starts the server and returns once it takes connections.
fn serve(account: &Account, directory: &Path, port: u16) -> Result<Child> {
    let (data, log) = (directory.join("data"), directory.join("log"));
    let sink = fs::File::create(&log).with_context(|| format!("write {}", log.display()))?;
    let mut server = account
        .command(tool("postgres")?)
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(directory)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-c", "max_connections=200", "-c", "fsync=on"])
        .args(["-c", "synchronous_commit=on", "-c", "full_page_writes=on"])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(sink.try_clone()?)
        .stderr(sink)
        .spawn()
        .context("start postgres")?;
    for _ in 0..LOOKS_UNTIL_READY {
        if let Some(status) = server.try_wait()? {
            let log = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(8)..].join("\n");
            bail!("PostgreSQL ended with {status} before it was ready:\n{end}");
        }
        let lock = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if is_ready(&lock, server.id()) {
            return Ok(server);
        }
        thread::sleep(LOOK_EVERY);
    }
    server.kill()?;
    server.wait()?;
    bail!("PostgreSQL was not ready within a minute: see whether the disk is full or very slow")
}

/// Reads the postmaster's lock file as `pg_ctl` does: its process on line 1, its state on line 8.
fn is_ready(lock: &str, process: u32) -> bool {
    let mut lines = lock.lines().map(str::trim);
    lines.next() == Some(process.to_string().as_str()) && lines.nth(6) == Some("ready")
}

/// Finds a PostgreSQL program on the path, else the newest of the distribution's versions.
fn tool(name: &str) -> Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<_> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort_by_key(|bin| std::cmp::Reverse(version(bin)));
    std::env::split_paths(&on_path)
        .chain(versions)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("{name} was not found: install PostgreSQL 15 or newer"))
}

fn version(bin: &Path) -> u32 {
    let name = bin
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

fn output(command: &mut Command) -> Result<Output> {
    let done = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{command:?} failed: {}", said.trim());
    Ok(done)
}

#[cfg(test)]
mod tests;
