//! The sandbox's clock, and the door by which it is moved on: a Unix socket in the data folder
//! that only the folder's owner can reach. No other gateway opens one.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

use super::folder::{Folder, write};
use crate::clock::Clock;

const SOCKET: &str = "control.sock";
/// Seconds by which the clock is ahead of the system's, so that a restart does not set it back.
const AHEAD: &str = "clock-ahead-seconds";

/// The clock as it was left.
pub fn clock(folder: &Folder) -> anyhow::Result<Clock> {
    let clock = Clock::settable();
    let ahead = ahead(folder)?;
    if ahead.is_positive() {
        clock.advance(ahead)?;
    }
    Ok(clock)
}

/// An open door; [`close`](Self::close) takes it away.
pub struct Control {
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    pub fn close(self) {
        self.task.abort();
        // What is left behind is found to be dead, and replaced, at the next start.
        let _ = fs::remove_file(self.socket);
    }
}

/// Opens the door.
pub fn listen(folder: &Folder, clock: Clock) -> anyhow::Result<Control> {
    let socket = folder.path(SOCKET);
    folder.remove(SOCKET)?;
    let listener = UnixListener::bind(&socket)
        .with_context(|| format!("cannot listen on {}", socket.display()))?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
    let folder = folder.clone();
    let task = tokio::spawn(async move {
        loop {
            // One after the other: two at once could lose one's span in the file.
            if let Ok((stream, _)) = listener.accept().await
                && let Err(error) = answer(stream, &folder, &clock).await
            {
                tracing::warn!(%error, "a control call broke off");
            }
        }
    });
    Ok(Control { socket, task })
}

/// Moves the clock of the sandbox that runs on this folder; the moment it is then.
pub async fn advance(data: &Path, by: SignedDuration) -> anyhow::Result<Timestamp> {
    let stream = UnixStream::connect(data.join(SOCKET))
        .await
        .with_context(|| {
            format!(
                "no sandbox runs on {}; start one with `evidence-gateway sandbox --data`",
                data.display()
            )
        })?;
    let mut stream = BufReader::new(stream);
    stream
        .write_all(format!("{}\n", by.as_secs()).as_bytes())
        .await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let line = line.trim_end();
    line.parse().map_err(|_| anyhow::anyhow!("{line}"))
}

/// Two gateways on one folder would not know of one another's clock.
pub async fn refuse_if_running(data: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        UnixStream::connect(data.join(SOCKET)).await.is_err(),
        "a sandbox runs on {} already; stop it first, or name another folder with --data",
        data.display()
    );
    Ok(())
}

/// Takes a number of seconds, answers with the moment it is then or with what is wrong.
async fn answer(stream: UnixStream, folder: &Folder, clock: &Clock) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let answer = match line.trim_end().parse().map(SignedDuration::from_secs) {
        Ok(by) => {
            move_on(folder, clock, by).map_or_else(|error| error.to_string(), |now| now.to_string())
        }
        Err(_) => "give a number of seconds".to_owned(),
    };
    stream.write_all(format!("{answer}\n").as_bytes()).await?;
    Ok(())
}

fn move_on(folder: &Folder, clock: &Clock, by: SignedDuration) -> anyhow::Result<Timestamp> {
    let before = ahead(folder)?;
    let now = clock.advance(by)?;
    let ahead = before
        .checked_add(by)
        .context("that is beyond the last moment the calendar knows")?;
    write(&folder.path(AHEAD), ahead.as_secs().to_string().as_bytes())?;
    Ok(now)
}

fn ahead(folder: &Folder) -> anyhow::Result<SignedDuration> {
    let path = folder.path(AHEAD);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(SignedDuration::ZERO);
        }
        read => read.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let seconds = text
        .trim()
        .parse()
        .with_context(|| format!("{} holds no number", path.display()))?;
    Ok(SignedDuration::from_secs(seconds))
}
