//! Following what concerns the organisation: the gateway's events in the log's order, from where
//! the last run stopped, through broken connections.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use evidence_wire::v1::{WatchEvent, WatchRequest};
use serde::{Deserialize, Serialize};
use tonic::{Request, Status};

use crate::{CliError, Gateway, client::Backoff, error::Failure, files, show};

/// Where events go and where the place in the log is kept.
pub enum Place {
    /// A JSON-lines file that is its own memory: its last whole line holds the place. An event is
    /// in it exactly once, whatever breaks.
    Output(File),
    /// A file with the place alone, written after each event has been given out: after a crash
    /// between the two, that one event is given out again.
    State(PathBuf),
    /// Nowhere: starts where it is told to.
    Unkept,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    resume_token: String,
}

impl Place {
    /// Opens a JSON-lines file and finds where it stopped. A half-written last line is cut off.
    pub fn output(path: &Path) -> Result<(Self, String), CliError> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(CliError::io(path))?;
        let (mut whole, mut token) = (0, String::new());
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .map_err(CliError::io(path))?
            > 0
        {
            if line.last() == Some(&b'\n') {
                let json: serde_json::Value = serde_json::from_slice(&line).map_err(|error| {
                    CliError::file(
                        path,
                        format!("is no file of events: {error}. Name another."),
                    )
                })?;
                json["resume_token"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut token);
                whole += line.len() as u64;
            } else if line.first() != Some(&b'{') {
                return Err(CliError::file(path, "is no file of events. Name another."));
            }
            line.clear();
        }
        file.set_len(whole)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(CliError::io(path))?;
        Ok((Self::Output(file), token))
    }

    /// Finds where the last run stopped.
    pub fn state(path: &Path) -> Result<(Self, String), CliError> {
        let token = match files::read_if_there(path)? {
            None => String::new(),
            Some(bytes) => {
                let state: State = serde_json::from_slice(&bytes).map_err(|error| {
                    CliError::file(
                        path,
                        format!("cannot be read: {error}. Delete it to start over."),
                    )
                })?;
                state.resume_token
            }
        };
        Ok((Self::State(path.to_owned()), token))
    }

    /// Gives out one event; when this returns, the event and its place are kept.
    pub fn give(
        &mut self,
        event: &WatchEvent,
        print: impl FnOnce(&WatchEvent) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        match self {
            Self::Output(file) => {
                let line = format!("{}\n", show::to_json(event));
                file.write_all(line.as_bytes())
                    .and_then(|()| file.sync_data())
                    .map_err(CliError::io("the output file"))?;
                print(event)
            }
            Self::State(path) => {
                print(event)?;
                files::write_json(
                    path,
                    &State {
                        resume_token: event.resume_token.clone(),
                    },
                )
            }
            Self::Unkept => print(event),
        }
    }
}

/// When to stop by oneself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Until {
    /// After so many events.
    pub events: Option<u64>,
    /// When nothing has come for so long.
    pub idle: Option<Duration>,
}

/// Follows events from `token` on and hands each to `give`. Ends only as `until` says, or with an
/// error: connections that break are made again for as long as it takes, once there has been one.
pub async fn watch(
    gateway: &Gateway,
    mut token: String,
    until: Until,
    mut give: impl FnMut(&WatchEvent) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut backoff = gateway.backoff();
    let mut given = 0;
    loop {
        let failure = match one_stream(
            gateway,
            &mut token,
            until,
            &mut given,
            &mut backoff,
            &mut give,
        )
        .await
        {
            Ok(()) => return Ok(()),
            Err(Ended::Error(error)) => return Err(error),
            Err(Ended::Call(failure)) => failure,
        };
        let wait = if failure.may_be_tried_again() {
            backoff.next_wait()
        } else {
            None
        };
        match wait {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(failure.into_error(false)),
        }
    }
}

enum Ended {
    Call(Failure),
    Error(CliError),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Call(Failure::of(&status))
    }
}

async fn one_stream(
    gateway: &Gateway,
    token: &mut String,
    until: Until,
    given: &mut u64,
    backoff: &mut Backoff,
    give: &mut impl FnMut(&WatchEvent) -> Result<(), CliError>,
) -> Result<(), Ended> {
    let request = Request::new(WatchRequest {
        resume_token: token.clone(),
    });
    let mut events = gateway.requests().watch(request).await?.into_inner();
    *backoff = gateway.endless_backoff();
    while until.events.is_none_or(|most| *given < most) {
        let next = match until.idle {
            None => events.message().await?,
            Some(idle) => match tokio::time::timeout(idle, events.message()).await {
                Ok(next) => next?,
                Err(_) => return Ok(()),
            },
        };
        let Some(event) = next else {
            return Err(Ended::Call(Failure::Broken(
                "the gateway ended the stream".to_owned(),
            )));
        };
        give(&event).map_err(Ended::Error)?;
        token.clone_from(&event.resume_token);
        *given += 1;
        *backoff = gateway.endless_backoff();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> WatchEvent {
        WatchEvent {
            resume_token: number.to_string(),
            event: "request-opened".into(),
            ..WatchEvent::default()
        }
    }

    #[test]
    fn the_output_file_remembers_where_it_stopped_even_within_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (mut place, token) = Place::output(&path).unwrap();
        assert_eq!(token, "");
        for number in [4, 9] {
            place.give(&event(number), |_| Ok(())).unwrap();
        }
        drop(place);
        let whole = std::fs::read_to_string(&path).unwrap();
        // A crash while the next event was written.
        std::fs::write(&path, format!("{whole}{{\"resume_token\":\"1")).unwrap();
        let (mut place, token) = Place::output(&path).unwrap();
        assert_eq!(token, "9");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        place.give(&event(12), |_| Ok(())).unwrap();
        assert_eq!(Place::output(&path).unwrap().1, "12");
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[test]
    fn another_file_is_not_taken_for_one_of_events() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter.txt");
        for text in ["Dear all,\nhello\n", "hello"] {
            std::fs::write(&path, text).unwrap();
            assert!(Place::output(&path).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn the_place_is_kept_only_after_the_event_was_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("place.json");
        let (mut place, token) = Place::state(&path).unwrap();
        assert_eq!(token, "");
        place.give(&event(5), |_| Ok(())).unwrap();
        let failed = place.give(&event(6), |_| {
            Err(CliError::CannotTell("the pipe broke".into()))
        });
        assert!(failed.is_err());
        assert_eq!(Place::state(&path).unwrap().1, "5");
    }
}
