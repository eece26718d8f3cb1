//! `Submit`: many items on one stream. Items are read in turn; small ones are
//! verified, sealed and committed beside one another while the next are read,
//! and their receipts come back as batches commit.

use std::sync::Arc;

use bytes::Bytes;
use evidence_domain::{Caller, Reason, Refusal, command::Received, ids::DocumentId};
use evidence_ledger::sha256;
use evidence_store::{
    Attachments, NewDocument, StoreError,
    documents::{INLINE_MAX, PartWriter, Written, seal_inline},
};
use evidence_wire::{
    evidence as wire,
    v1::{self, submit_request::Part},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use tracing::Instrument as _;

use super::intake::{Fault, Intake, Parsed, Proven, accepted};
use crate::error;

/// Items of one stream that may wait for their receipts; then no more are read.
const IN_FLIGHT: u32 = 256;

pub(super) type Answers = ReceiverStream<Result<v1::SubmitResponse, Status>>;

/// Serves one stream. It ends with its last item; when the gateway drains, or the client goes
/// away, with the item under way.
pub(super) fn serve(
    intake: Intake,
    caller: Caller,
    inbound: Streaming<v1::SubmitRequest>,
) -> Answers {
    let (answers, stream) = mpsc::channel(IN_FLIGHT as usize);
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT as usize));
    let session = Session {
        intake,
        caller,
        answers,
        in_flight,
    };
    tokio::spawn(session.run(inbound).in_current_span());
    ReceiverStream::new(stream)
}

#[derive(Clone)]
struct Session {
    intake: Intake,
    caller: Caller,
    answers: mpsc::Sender<Result<v1::SubmitResponse, Status>>,
    in_flight: Arc<Semaphore>,
}

/// Why an item was not taken, before its end was read.
enum Stop {
    /// The rest of the item is passed over; the next may follow.
    Skip(Fault),
    Broken(Broken),
}

/// Why nothing can follow on a stream.
enum Broken {
    /// The client sends what makes no sense, or nothing.
    Off(Refusal),
    /// The connection is gone.
    Gone(Status),
}

enum Piece {
    Bytes(Bytes),
    End,
}

impl Session {
    async fn run(self, mut inbound: Streaming<v1::SubmitRequest>) {
        if let Err(status) = self.items(&mut inbound).await {
            // Who still waits for a receipt gets it before the stream ends.
            let _all = self.in_flight.acquire_many(IN_FLIGHT).await;
            let _ = self.answers.send(Err(status)).await;
        }
    }

    async fn items(&self, inbound: &mut Streaming<v1::SubmitRequest>) -> Result<(), Status> {
        loop {
            let message = tokio::select! {
                () = self.intake.app.draining.cancelled() => return Ok(()),
                () = self.answers.closed() => return Ok(()),
                message = inbound.message() => message?,
            };
            match message.map(|message| message.part) {
                None => return Ok(()),
                Some(Some(Part::Begin(push))) => self.item(&push, inbound).await?,
                Some(_) => return Err(error::refused(&protocol("An item starts with `begin`."))),
            }
        }
    }

    async fn item(
        &self,
        push: &v1::Push,
        inbound: &mut Streaming<v1::SubmitRequest>,
    ) -> Result<(), Status> {
        let (item, digest, taken) = match self.intake.parse(push) {
            Err(refusal) => (
                String::new(),
                wire::push_digest(push),
                Err(Stop::Skip(refusal.into())),
            ),
            Ok(parsed) => {
                let (item, digest) = (parsed.body.item.to_string(), parsed.digest);
                let small = parsed.body.size <= INLINE_MAX as u64;
                let taken = if small {
                    self.small(parsed, inbound).await
                } else {
                    Box::pin(self.large(parsed, inbound)).await
                };
                (item, digest, taken)
            }
        };
        let (fault, end) = match taken {
            Ok(()) => return Ok(()),
            Err(Stop::Skip(fault)) => (fault, None),
            Err(Stop::Broken(Broken::Off(refusal))) => {
                let status = error::refused(&refusal);
                (refusal.into(), Some(status))
            }
            Err(Stop::Broken(Broken::Gone(status))) => return Err(status),
        };
        let answer = self
            .intake
            .answer_fault(&self.caller, item, digest, fault)
            .await?;
        self.answer(Ok(answer)).await;
        match end {
            Some(status) => Err(status),
            None => self.skip(inbound).await,
        }
    }

    /// Reads a document that is kept in the database, and leaves the rest to a task of its own: the
    /// journal decides, once.
    async fn small(
        &self,
        parsed: Parsed,
        inbound: &mut Streaming<v1::SubmitRequest>,
    ) -> Result<(), Stop> {
        let size = usize::try_from(parsed.body.size).expect("a small document's size");
        let mut document = Vec::with_capacity(size);
        while let Piece::Bytes(bytes) = self.piece(inbound).await? {
            if document.len() + bytes.len() > size {
                return Err(Stop::Skip(too_long(parsed.body.size).into()));
            }
            document.extend_from_slice(&bytes);
        }
        let session = self.clone();
        self.settle(Box::pin(async move {
            let (item, digest) = (parsed.body.item.to_string(), parsed.digest);
            match session.commit_small(parsed, &document).await {
                Ok(answer) => Ok(answer),
                Err(fault) => {
                    session
                        .intake
                        .answer_fault(&session.caller, item, digest, fault)
                        .await
                }
            }
        }))
        .await;
        Ok(())
    }

    async fn commit_small(
        &self,
        parsed: Parsed,
        document: &[u8],
    ) -> Result<v1::SubmitResponse, Fault> {
        let push = self.intake.verify(&self.caller, parsed).await?;
        let app = &self.intake.app;
        let id = DocumentId::from_random(app.random());
        let (key, wrapped_key) = app
            .store
            .new_document_key(&push.claimant, &push.body.item)
            .await?;
        let sealed =
            seal_inline(id.as_str(), &key, document, app.rng()).map_err(StoreError::from)?;
        let received = Received {
            size: document.len() as u64,
            digest: sha256(document),
        };
        let document = NewDocument {
            item: push.body.item.clone(),
            document: id,
            wrapped_key,
            size: received.size,
            inline: Some(sealed),
        };
        let attachments = Attachments {
            document: Some(document),
            ..Attachments::default()
        };
        Ok(accepted(
            &self
                .intake
                .submit(&self.caller, &push, received, attachments)
                .await?,
        ))
    }

    /// Writes a document to the document store as it comes. All that can be checked is checked
    /// before the first byte is taken.
    async fn large(
        &self,
        parsed: Parsed,
        inbound: &mut Streaming<v1::SubmitRequest>,
    ) -> Result<(), Stop> {
        let push = self.intake.verify(&self.caller, parsed).await?;
        if let Some(done) = self.intake.replay(&push).await? {
            self.answer(Ok(accepted(&done))).await;
            let skipped = self.skip(inbound).await;
            return skipped.map_err(|status| Broken::Gone(status).into());
        }
        self.intake.foresee(&self.caller, &push).await?;
        let store = &self.intake.app.store;
        let document = DocumentId::from_random(self.intake.app.random());
        let (key, wrapped_key) = store
            .new_document_key(&push.claimant, &push.body.item)
            .await
            .map_err(Fault::from)?;
        let writer = PartWriter::start(store.documents().clone(), document.as_str(), key);
        let written = match self.write(writer, push.body.size, inbound).await {
            Ok(written) => written,
            Err(stop) => {
                self.discard(&document).await;
                return Err(stop);
            }
        };
        let session = self.clone();
        self.settle(Box::pin(async move {
            session
                .commit_large(push, document, wrapped_key, written)
                .await
        }))
        .await;
        Ok(())
    }

    async fn write(
        &self,
        mut writer: PartWriter,
        size: u64,
        inbound: &mut Streaming<v1::SubmitRequest>,
    ) -> Result<Written, Stop> {
        let rng = self.intake.app.rng();
        while let Piece::Bytes(bytes) = self.piece(inbound).await? {
            if writer.offset() + bytes.len() as u64 > size {
                return Err(Stop::Skip(too_long(size).into()));
            }
            writer
                .push(&bytes, rng)
                .await
                .map_err(StoreError::from)
                .map_err(Fault::from)?;
        }
        Ok(writer
            .finish(rng)
            .await
            .map_err(StoreError::from)
            .map_err(Fault::from)?)
    }

    async fn commit_large(
        &self,
        push: Proven,
        document: DocumentId,
        wrapped_key: Vec<u8>,
        written: Written,
    ) -> Result<v1::SubmitResponse, Status> {
        let received = Received {
            size: written.size,
            digest: written.sha256.into(),
        };
        let new = NewDocument {
            item: push.body.item.clone(),
            document: document.clone(),
            wrapped_key,
            size: written.size,
            inline: None,
        };
        let attachments = Attachments {
            document: Some(new),
            ..Attachments::default()
        };
        let outcome = self
            .intake
            .submit(&self.caller, &push, received, attachments)
            .await;
        let kept = match &outcome {
            // The earlier push brought its own copy.
            Ok(done) => !done.replay,
            Err(Fault::Unknown(_)) => true,
            Err(Fault::Refused(_) | Fault::Failed(_)) => false,
        };
        if !kept {
            self.discard(&document).await;
        }
        match outcome {
            Ok(done) => Ok(accepted(&done)),
            Err(fault) => {
                self.intake
                    .answer_fault(&self.caller, push.body.item.to_string(), push.digest, fault)
                    .await
            }
        }
    }

    /// Deletes what was written for nothing. What cannot be deleted now is swept later.
    async fn discard(&self, document: &DocumentId) {
        if let Err(error) = self
            .intake
            .app
            .store
            .documents()
            .delete_all(document.as_str())
            .await
        {
            tracing::warn!(%error, "parts of a refused document are left to the sweep");
        }
    }

    /// Passes over the rest of an item.
    async fn skip(&self, inbound: &mut Streaming<v1::SubmitRequest>) -> Result<(), Status> {
        loop {
            match self.piece(inbound).await {
                Ok(Piece::Bytes(_)) => {}
                Ok(Piece::End) => return Ok(()),
                Err(Broken::Off(refusal)) => return Err(error::refused(&refusal)),
                Err(Broken::Gone(status)) => return Err(status),
            }
        }
    }

    /// The next piece of the item under way.
    async fn piece(&self, inbound: &mut Streaming<v1::SubmitRequest>) -> Result<Piece, Broken> {
        let Ok(message) = timeout(self.intake.app.limits.stream_idle(), inbound.message()).await
        else {
            return Err(Broken::Off(Refusal::new(
                Reason::UploadStalled,
                "The item stopped coming.",
            )));
        };
        match message.map_err(Broken::Gone)?.map(|message| message.part) {
            Some(Some(Part::Chunk(bytes))) => Ok(Piece::Bytes(bytes)),
            Some(Some(Part::End(_))) => Ok(Piece::End),
            Some(Some(Part::Begin(_)) | None) => {
                Err(Broken::Off(protocol("An item ends with `end`.")))
            }
            None => Err(Broken::Off(protocol("The stream ended within an item."))),
        }
    }

    /// Waits for a place, then lets `outcome` come about while the stream is read on.
    async fn settle(
        &self,
        outcome: impl Future<Output = Result<v1::SubmitResponse, Status>> + Send + 'static,
    ) {
        let place: Result<OwnedSemaphorePermit, _> =
            Arc::clone(&self.in_flight).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        let session = self.clone();
        let settled = async move {
            session.answer(outcome.await).await;
            drop(place);
        };
        tokio::spawn(settled.in_current_span());
    }

    /// Whoever does not read their answers does not get them; the statement's digest finds them.
    async fn answer(&self, answer: Result<v1::SubmitResponse, Status>) {
        let _ = self.answers.send(answer).await;
    }
}

fn protocol(detail: &str) -> Refusal {
    Refusal::new(Reason::StreamProtocol, detail)
}

fn too_long(size: u64) -> Refusal {
    Refusal::new(
        Reason::SizeMismatch,
        format!("More came than the {size} bytes that were signed for."),
    )
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Skip(fault)
    }
}
