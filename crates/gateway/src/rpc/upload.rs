//! Resumable uploads, for documents that take longer than a connection may
//! last: start, send from an offset, query the offset, complete.

use bytes::Bytes;
use evidence_domain::{
    Caller, Event, Moment, Reason, Refusal,
    command::Received,
    ids::{DocumentId, ItemId, UploadId},
};
use evidence_store::{
    Attachments, Done, NewDocument, StoreError, Upload, UploadWriter, documents::DocumentError,
};
use evidence_wire::{evidence as wire, v1};
use prost::Message as _;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::{
    intake::{Fault, Intake, Parsed, Proven, accepted},
    rows::parsed,
};
use crate::error;

/// How long an upload waits to be gone on with: over a weekend.
const LIFE_SECONDS: i64 = 3 * 24 * 60 * 60;

/// All the checks that need no bytes. The same statement again finds the upload there is.
pub(super) async fn start(
    intake: &Intake,
    caller: &Caller,
    push: &v1::Push,
) -> Result<v1::Upload, Status> {
    let parsed = match intake.parse(push) {
        Ok(parsed) => parsed,
        Err(refusal) => {
            return Err(intake
                .status(caller, wire::push_digest(push), refusal.into())
                .await);
        }
    };
    let digest = parsed.digest;
    match try_start(intake, caller, push, parsed).await {
        Ok(upload) => held(intake, &upload).await,
        Err(fault) => Err(intake.status(caller, digest, fault).await),
    }
}

async fn try_start(
    intake: &Intake,
    caller: &Caller,
    push: &v1::Push,
    parsed: Parsed,
) -> Result<Upload, Fault> {
    let proven = intake.verify(caller, parsed).await?;
    // Whose receipts are there already needs only complete it.
    let completed = intake.replay(&proven).await?.is_some();
    if !completed {
        intake.foresee(caller, &proven).await?;
        if proven.body.size == 0 {
            return Err(Refusal::new(
                Reason::DocumentEmpty,
                "The statement is about a document of no bytes.",
            )
            .into());
        }
    }
    let app = &intake.app;
    let (_, wrapped_key) = app
        .store
        .new_document_key(&proven.claimant, &proven.body.item)
        .await?;
    let upload = Upload {
        id: UploadId::from_random(app.random()),
        org: caller.org.clone(),
        entry: proven.digest,
        document: DocumentId::from_random(app.random()),
        claimant: proven.claimant,
        size: proven.body.size,
        push: push.encode_to_vec(),
        wrapped_key,
        expires_at: expiry(app.now()),
        completed,
    };
    Ok(app.store.start_upload(upload).await?)
}

/// Takes bytes from the offset held. Whole parts of 1 MiB, and the end, are durable as they come; what
/// is left of a part when the stream breaks is to be sent again.
pub(super) async fn send(
    intake: &Intake,
    caller: &Caller,
    mut inbound: Streaming<v1::SendUploadRequest>,
) -> Result<v1::Upload, Status> {
    let first = piece(intake, &mut inbound).await?;
    let first = first.ok_or_else(|| {
        refused(
            Reason::StreamProtocol,
            "The first message names the upload.",
        )
    })?;
    let upload = find(intake, caller, &first.upload_id).await?;
    let upload = extend(intake, upload).await?;
    let store = &intake.app.store;
    if upload.completed {
        return if first.offset == upload.size {
            held(intake, &upload).await
        } else {
            Err(elsewhere(upload.size))
        };
    }
    let item = item(&upload).map_err(|e| error::store(&e))?;
    let mut writer = store
        .upload_writer(&upload, &item)
        .await
        .map_err(|e| error::store(&e))?;
    if first.offset != writer.offset() {
        return Err(elsewhere(writer.offset()));
    }
    write(&mut writer, &first.chunk, upload.size).await?;
    while let Some(next) = piece(intake, &mut inbound).await? {
        write(&mut writer, &next.chunk, upload.size).await?;
    }
    held(intake, &upload).await
}

pub(super) async fn query(
    intake: &Intake,
    caller: &Caller,
    id: &str,
) -> Result<v1::Upload, Status> {
    let upload = find(intake, caller, id).await?;
    held(intake, &upload).await
}

/// Reads what came back, and takes the push through the journal. Again: the same receipt.
pub(super) async fn complete(
    intake: &Intake,
    caller: &Caller,
    id: &str,
) -> Result<v1::SubmitResponse, Status> {
    let upload = find(intake, caller, id).await?;
    // It must not be swept while its bytes are read.
    let upload = extend(intake, upload).await?;
    if !upload.completed {
        let offset = intake
            .app
            .store
            .upload_offset(&upload)
            .await
            .map_err(|e| error::store(&e))?;
        if offset < upload.size {
            let detail = format!("The gateway holds {offset} of {} bytes.", upload.size);
            return Err(refused(Reason::UploadIncomplete, &detail));
        }
    }
    match try_complete(intake, caller, &upload).await {
        Ok(done) => Ok(accepted(&done)),
        Err(fault) => {
            if matches!(fault, Fault::Refused(_)) {
                intake
                    .app
                    .store
                    .drop_upload(&upload)
                    .await
                    .map_err(|e| error::store(&e))?;
            }
            let item = item(&upload).map_err(|e| error::store(&e))?;
            intake
                .answer_fault(caller, item.to_string(), upload.entry, fault)
                .await
        }
    }
}

async fn try_complete(intake: &Intake, caller: &Caller, upload: &Upload) -> Result<Done, Fault> {
    let store = &intake.app.store;
    let parsed = intake.parse(&pushed(upload)?)?;
    if upload.completed
        && let Some(done) = store.replay(&parsed.content()).await?
    {
        return Ok(done);
    }
    let proven: Proven = intake.verify(caller, parsed).await?;
    let item = proven.body.item.clone();
    let received = Received {
        size: upload.size,
        digest: store.upload_digest(upload, &item).await?,
    };
    let document = NewDocument {
        item,
        document: upload.document.clone(),
        wrapped_key: upload.wrapped_key.clone(),
        size: upload.size,
        inline: None,
    };
    let attachments = Attachments {
        document: Some(document),
        finished_upload: Some(upload.id.clone()),
        ..Attachments::default()
    };
    let done = intake
        .submit(caller, &proven, received, attachments)
        .await?;
    if done.replay {
        store.close_upload(upload).await?;
    }
    Ok(done)
}

/// The upload, if it is the caller's and has not been swept.
async fn find(intake: &Intake, caller: &Caller, id: &str) -> Result<Upload, Status> {
    let id: UploadId = parsed("upload_id", id)?;
    let found = intake
        .app
        .store
        .upload(&id)
        .await
        .map_err(|e| error::store(&e))?;
    found
        .filter(|upload| upload.org == caller.org)
        .ok_or_else(absent)
}

async fn extend(intake: &Intake, upload: Upload) -> Result<Upload, Status> {
    let expires_at = expiry(intake.app.now());
    let there = intake
        .app
        .store
        .extend_upload(&upload.id, expires_at)
        .await
        .map_err(|e| error::store(&e))?;
    if there {
        Ok(Upload {
            expires_at,
            ..upload
        })
    } else {
        Err(absent())
    }
}

/// What is held, as the caller is told.
async fn held(intake: &Intake, upload: &Upload) -> Result<v1::Upload, Status> {
    let offset = intake
        .app
        .store
        .upload_offset(upload)
        .await
        .map_err(|e| error::store(&e))?;
    Ok(wire::upload(
        &upload.id,
        offset,
        upload.size,
        upload.expires_at,
    ))
}

/// The next message, unless it is too long in coming. What is held stays.
async fn piece(
    intake: &Intake,
    inbound: &mut Streaming<v1::SendUploadRequest>,
) -> Result<Option<v1::SendUploadRequest>, Status> {
    match timeout(intake.app.limits.stream_idle(), inbound.message()).await {
        Ok(message) => message,
        Err(_) => Err(refused(Reason::UploadStalled, "The upload stopped coming.")),
    }
}

async fn write(writer: &mut UploadWriter, chunk: &Bytes, size: u64) -> Result<(), Status> {
    writer.push(chunk).await.map_err(|error| match error {
        DocumentError::OutOfRange { .. } => refused(
            Reason::SizeMismatch,
            &format!("More came than the {size} bytes that were signed for."),
        ),
        DocumentError::AlreadyExists { .. } => refused(
            Reason::UploadOffsetWrong,
            "Another connection has sent these bytes.",
        ),
        error => error::store(&error.into()),
    })
}

/// The push as it was started.
fn pushed(upload: &Upload) -> Result<v1::Push, StoreError> {
    v1::Push::decode(upload.push.as_slice()).map_err(|error| corrupt(upload, &error))
}

fn item(upload: &Upload) -> Result<ItemId, StoreError> {
    let push = wire::push(&pushed(upload)?).map_err(|error| corrupt(upload, &error))?;
    match push.evidence.event() {
        Event::Evidence(body) => Ok(body.item.clone()),
        other => Err(corrupt(upload, &other.name())),
    }
}

fn corrupt(upload: &Upload, error: &impl ToString) -> StoreError {
    StoreError::Corrupt(format!(
        "`{}` cannot be read: {}",
        upload.id,
        error.to_string()
    ))
}

fn expiry(now: Moment) -> Moment {
    now.plus_seconds(LIFE_SECONDS)
}

fn elsewhere(offset: u64) -> Status {
    refused(
        Reason::UploadOffsetWrong,
        &format!("The gateway holds {offset} bytes."),
    )
}

fn refused(reason: Reason, detail: &str) -> Status {
    error::refused(&Refusal::new(reason, detail))
}

fn absent() -> Status {
    error::refused(&Refusal::not_found())
}
