//! `RecordService`: the claimant's side, for the portal.

mod read;

use std::pin::{Pin, pin};

use async_stream::try_stream;
use evidence_domain::{
    Caller, Guarded, Needs, Permit, Refusal, Row,
    access::{ClaimantView, ForClaimant, claimant_view, document_for_claimant},
    command::{AddStatement, ViewItem},
    event::Scope,
    ids::{AccessId, AdjustmentId, DocumentId, ItemId, NoteId},
    rows::{Adjustment, Item, Note},
};
use evidence_store::{Attachments, NewDocument, Submission, documents::seal_inline};
use evidence_wire::{
    record::{self as wire, Viewer},
    v1::{self, record_service_server::RecordService},
};
use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::rows;
use crate::{
    app::{App, Call},
    error,
};

/// Why the claimant's own side reads an item, in the access log.
const OWN_RECORD: &str = "own-record";

pub struct Records {
    pub app: App,
}

type Bytes = Pin<Box<dyn Stream<Item = Result<v1::ReadItemResponse, Status>> + Send>>;

#[tonic::async_trait]
impl RecordService for Records {
    type ReadItemStream = Bytes;

    async fn get_record(
        &self,
        request: Request<v1::GetRecordRequest>,
    ) -> Result<Response<v1::Record>, Status> {
        let caller = self.app.caller(&request)?;
        let viewer = read_viewer(request.get_ref().viewer.as_ref())?;
        let view = self.view(&caller, &viewer, Scope::SeeProgress).await?;
        let record = read::record(&self.app, &caller, &view).await?;
        Ok(Response::new(record))
    }

    async fn list_accesses(
        &self,
        request: Request<v1::ListAccessesRequest>,
    ) -> Result<Response<v1::ListAccessesResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let page = rows::page(body.page_size, body.page_token)?;
        let viewer = read_viewer(body.viewer.as_ref())?;
        let view = self.view(&caller, &viewer, Scope::SeeProgress).await?;
        let accesses = read::accesses(&self.app, &caller, &view, page).await?;
        Ok(Response::new(accesses))
    }

    async fn list_decisions(
        &self,
        request: Request<v1::ListDecisionsRequest>,
    ) -> Result<Response<v1::ListDecisionsResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let viewer = read_viewer(request.get_ref().viewer.as_ref())?;
        let view = self.view(&caller, &viewer, Scope::SeeProgress).await?;
        let decisions = read::decisions(&self.app, &caller, &view).await?;
        Ok(Response::new(v1::ListDecisionsResponse { decisions }))
    }

    async fn read_item(
        &self,
        request: Request<v1::ReadItemRequest>,
    ) -> Result<Response<Self::ReadItemStream>, Status> {
        let caller = self.app.caller(&request)?;
        let asked = wire::read_item(request.get_ref()).map_err(|e| error::refused(&e))?;
        let (viewer, item, from) = asked;
        let view = self.view(&caller, &viewer, Scope::ReadEvidence).await?;
        let row = self.guarded::<Item>(item.as_str()).await?;
        let (row, permit) = document_for_claimant(&view, row).map_err(|e| error::refused(&e))?;
        if from > row.size {
            let beyond = Refusal::field("from_offset", "is beyond the item's end");
            return Err(error::refused(&beyond));
        }
        // Logged before any byte flows, again where the rest is read.
        let command = ViewItem {
            id: AccessId::from_random(self.app.random()),
            claimant: viewer.claimant,
            item,
            representation: viewer.representation,
            purpose: OWN_RECORD.to_owned(),
        };
        let call = Call {
            caller,
            idempotency: None,
        };
        self.app.run(call, command).await?;
        Ok(Response::new(Box::pin(bytes(
            self.app.clone(),
            permit,
            from,
        ))))
    }

    async fn add_statement(
        &self,
        request: Request<v1::AddStatementRequest>,
    ) -> Result<Response<v1::RecordItemResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let caller = call.caller.clone();
        let id = ItemId::from_random(self.app.random());
        let command = wire::add_statement(&body, id).map_err(|e| error::refused(&e))?;
        let viewer = Viewer {
            claimant: command.claimant.clone(),
            representation: command.representation.clone(),
        };
        let view = self.view(&caller, &viewer, Scope::AddStatements).await?;
        let document = self.sealed(&command, body.text.as_bytes()).await?;
        let submission = Submission {
            caller: call.caller,
            idempotency: call.idempotency,
            command: command.into(),
            attachments: Attachments {
                document: Some(document),
                ..Attachments::default()
            },
        };
        let done = self.app.submit(submission).await?;
        let row = self.own::<Item>(&view, &done.resource).await?;
        let item = read::added_item(&self.app, &caller, &row, rows::receipt(&done)).await?;
        Ok(Response::new(v1::RecordItemResponse { item: Some(item) }))
    }

    async fn add_note(
        &self,
        request: Request<v1::AddNoteRequest>,
    ) -> Result<Response<v1::NoteResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let caller = call.caller.clone();
        let id = NoteId::from_random(self.app.random());
        let command = wire::add_note(&body, id).map_err(|e| error::refused(&e))?;
        let done = self.app.run(call, command).await?;
        let viewer = read_viewer(body.viewer.as_ref())?;
        let view = self.view(&caller, &viewer, Scope::AddStatements).await?;
        let row = self.own::<Note>(&view, &done.resource).await?;
        let texts = rows::texts(&self.app, [row.entry]).await?;
        Ok(Response::new(v1::NoteResponse {
            note: texts.get(&row.entry).map(|text| wire::note(&row, text)),
            receipt: rows::receipt(&done),
        }))
    }

    async fn state_adjustment(
        &self,
        request: Request<v1::StateAdjustmentRequest>,
    ) -> Result<Response<v1::AdjustmentResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let caller = call.caller.clone();
        let id = AdjustmentId::from_random(self.app.random());
        let command = wire::state_adjustment(&body, id).map_err(|e| error::refused(&e))?;
        let done = self.app.run(call, command).await?;
        let viewer = read_viewer(body.viewer.as_ref())?;
        let view = self.view(&caller, &viewer, Scope::AddStatements).await?;
        let row = self.own::<Adjustment>(&view, &done.resource).await?;
        let texts = rows::texts(&self.app, [row.entry]).await?;
        Ok(Response::new(v1::AdjustmentResponse {
            adjustment: texts
                .get(&row.entry)
                .map(|text| wire::adjustment(&row, text)),
            receipt: rows::receipt(&done),
        }))
    }
}

impl Records {
    /// Proof that the portal may show or do this for the claimant.
    async fn view(
        &self,
        caller: &Caller,
        viewer: &Viewer,
        scope: Scope,
    ) -> Result<ClaimantView, Status> {
        let representation = viewer.representation.as_ref();
        let needs = Needs::default().key(&viewer.claimant).keys(representation);
        let world = self.app.store.world(needs).await;
        let world = world.map_err(|e| error::store(&e))?;
        let claimant = world.claimant(&viewer.claimant);
        let named = representation.and_then(|id| world.representation(id));
        claimant_view(
            caller,
            claimant,
            representation,
            named,
            scope,
            self.app.now(),
        )
        .map_err(|e| error::refused(&e))
    }

    async fn guarded<R: Row>(&self, key: &str) -> Result<Guarded<R>, Status> {
        let found = self.app.store.get::<R>(key).await;
        let found = found.map_err(|e| error::store(&e))?;
        found.ok_or_else(|| error::refused(&Refusal::not_found()))
    }

    /// A row of the claimant's.
    async fn own<R: Row + ForClaimant>(&self, view: &ClaimantView, key: &str) -> Result<R, Status> {
        let row = self.guarded::<R>(key).await?;
        row.open_for(view).map_err(|e| error::refused(&e))
    }

    /// The claimant's words, sealed under a key of their own.
    async fn sealed(&self, command: &AddStatement, words: &[u8]) -> Result<NewDocument, Status> {
        let store = &self.app.store;
        let key = store
            .new_document_key(&command.claimant, &command.item)
            .await;
        let (key, wrapped_key) = key.map_err(|e| error::store(&e))?;
        let document = DocumentId::from_random(self.app.random());
        let inline = seal_inline(document.as_str(), &key, words, self.app.rng());
        let inline = inline.map_err(|e| error::store(&e.into()))?;
        Ok(NewDocument {
            item: command.item.clone(),
            document,
            wrapped_key,
            size: command.size,
            inline: Some(inline),
        })
    }
}

fn read_viewer(viewer: Option<&v1::Viewer>) -> Result<Viewer, Status> {
    wire::viewer(viewer).map_err(|e| error::refused(&e))
}

/// The document's bytes from an offset on; the last message says so.
fn bytes(
    app: App,
    permit: Permit,
    from: u64,
) -> impl Stream<Item = Result<v1::ReadItemResponse, Status>> + Send {
    try_stream! {
        let mut offset = from;
        if offset == permit.size() {
            yield v1::ReadItemResponse { offset, last: true, ..v1::ReadItemResponse::default() };
            return;
        }
        let parts = app.store.open_document(&permit, offset).await;
        let parts = parts.map_err(|e| error::store(&e))?;
        let mut parts = pin!(parts);
        while let Some(data) = parts.next().await {
            let data = data.map_err(|e| error::store(&e))?;
            let end = offset + data.len() as u64;
            yield v1::ReadItemResponse { offset, data, last: end == permit.size() };
            offset = end;
        }
    }
}

#[cfg(test)]
mod tests;
