//! One large document by upload session: started with its statement, sent from the offset that the
//! gateway holds, completed. Starting again with the same statement finds the same session, so
//! nothing needs remembering between runs but the statement.

use std::io::Read as _;

use bytes::Bytes;
use evidence_wire::v1;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::{CHUNK, Outcome, Parcel, Patience};
use crate::{CliError, Gateway, error::Failure};

const QUEUE: usize = 4;

pub async fn send(gateway: &Gateway, parcel: &Parcel, progress: &ProgressBar) -> Outcome {
    let mut patience = Patience::new(gateway);
    let before = progress.position();
    let mut furthest = 0;
    loop {
        let mut held = 0;
        let sent = Sent {
            progress: progress.clone(),
            before,
        };
        let attempt = one_attempt(gateway, parcel, &mut held, &sent).await;
        let failure = match attempt {
            Ok(response) => {
                progress.set_position(before + parcel.document.size);
                return Outcome::of(response);
            }
            Err(Stopped::File(error)) => return Outcome::Failed(error),
            Err(Stopped::Call(failure)) => failure,
        };
        if held > furthest {
            furthest = held;
            patience.progress();
        }
        match patience.wait_after(&failure) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Outcome::of_failure(failure),
        }
    }
}

/// How much of the document is on its way, on top of what was sent before it.
#[derive(Clone)]
struct Sent {
    progress: ProgressBar,
    before: u64,
}

impl Sent {
    fn so_far(&self, offset: u64) {
        self.progress.set_position(self.before + offset);
    }
}

enum Stopped {
    Call(Failure),
    File(CliError),
}

impl From<Status> for Stopped {
    fn from(status: Status) -> Self {
        let failure = Failure::of(&status);
        // Another sender got further, or this one's earlier stream did: ask for the offset again.
        let stale = matches!(&failure, Failure::Refused(refused)
            if ["upload_offset_wrong", "upload_stalled", "upload_incomplete"].contains(&refused.reason.as_str()));
        Self::Call(if stale {
            Failure::Broken(status.message().to_owned())
        } else {
            failure
        })
    }
}

/// `held`: the bytes the gateway said it holds, as far as was learnt.
async fn one_attempt(
    gateway: &Gateway,
    parcel: &Parcel,
    held: &mut u64,
    sent: &Sent,
) -> Result<v1::SubmitResponse, Stopped> {
    let start = v1::StartUploadRequest {
        push: Some(parcel.push.clone()),
    };
    let mut upload = gateway
        .evidence()
        .start_upload(timed(gateway, start))
        .await?
        .into_inner();
    *held = upload.offset;
    sent.so_far(upload.offset);
    if upload.offset < upload.size {
        upload = send_rest(gateway, parcel, &upload, sent).await?;
        *held = upload.offset;
    }
    let complete = v1::CompleteUploadRequest {
        upload_id: upload.upload_id,
    };
    Ok(gateway
        .evidence()
        .complete_upload(timed(gateway, complete))
        .await?
        .into_inner())
}

fn timed<T>(gateway: &Gateway, body: T) -> Request<T> {
    let mut request = Request::new(body);
    request.set_timeout(gateway.timeout());
    request
}

async fn send_rest(
    gateway: &Gateway,
    parcel: &Parcel,
    upload: &v1::Upload,
    sent: &Sent,
) -> Result<v1::Upload, Stopped> {
    let (pieces, outgoing) = mpsc::channel(QUEUE);
    let reading = tokio::task::spawn_blocking({
        let (document, upload, sent) = (parcel.document.clone(), upload.clone(), sent.clone());
        move || read(&document, &upload, &pieces, &sent)
    });
    let answer = gateway
        .evidence()
        .send_upload(Request::new(ReceiverStream::new(outgoing)))
        .await;
    // The reader ends when the stream does, for then nobody takes its pieces.
    match reading.await {
        Ok(Ok(())) => Ok(answer?.into_inner()),
        Ok(Err(error)) => Err(Stopped::File(error)),
        Err(error) => Err(Stopped::File(CliError::file(
            &parcel.document.path,
            format!("could not be read: {error}."),
        ))),
    }
}

fn read(
    document: &crate::package::Source,
    upload: &v1::Upload,
    pieces: &mpsc::Sender<v1::SendUploadRequest>,
    sent: &Sent,
) -> Result<(), CliError> {
    let mut rest = document.open(upload.offset)?;
    let mut offset = upload.offset;
    while offset < document.size {
        let mut piece = Vec::with_capacity(CHUNK);
        rest.by_ref()
            .take(CHUNK as u64)
            .read_to_end(&mut piece)
            .map_err(CliError::io(&document.path))?;
        if piece.is_empty() {
            return Err(CliError::file(
                &document.path,
                "became shorter while it was read. Send it again.",
            ));
        }
        let from = offset;
        offset += piece.len() as u64;
        let first = from == upload.offset;
        let message = v1::SendUploadRequest {
            upload_id: if first {
                upload.upload_id.clone()
            } else {
                String::new()
            },
            offset: if first { from } else { 0 },
            chunk: Bytes::from(piece),
        };
        if pieces.blocking_send(message).is_err() {
            return Ok(());
        }
        sent.so_far(offset);
    }
    Ok(())
}
