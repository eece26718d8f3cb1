//! `EvidenceService`: evidence comes in, is taken back, is listed. The two
//! ways in are in `submit.rs` and `upload.rs`; what they share in `intake.rs`.

use evidence_domain::{
    Caller,
    command::DeclareDisclosure,
    ids::{CaseId, RequestId},
    rows::{Case, Item, Request as RequestRow},
};
use evidence_store::{By, Done};
use evidence_wire::{
    evidence as wire,
    v1::{self, evidence_service_server::EvidenceService},
};
use tonic::{Request, Response, Status, Streaming};

use super::{
    intake::{Fault, Intake},
    rows::{page, parsed, receipt, row, texts, verified},
    submit, upload,
};
use crate::{
    app::{App, Call},
    error,
};

/// Serves the evidence service.
pub struct EvidenceRpc {
    intake: Intake,
}

impl EvidenceRpc {
    pub fn new(app: App) -> Self {
        Self {
            intake: Intake::new(app),
        }
    }
}

#[tonic::async_trait]
impl EvidenceService for EvidenceRpc {
    type SubmitStream = submit::Answers;

    async fn validate(
        &self,
        request: Request<v1::ValidateRequest>,
    ) -> Result<Response<v1::ValidateResponse>, Status> {
        let caller = self.intake.app.caller(&request)?;
        let push = request.into_inner().push.unwrap_or_default();
        match self.check(&caller, &push).await {
            Ok(()) => Ok(Response::new(v1::ValidateResponse {
                acceptable: true,
                ..v1::ValidateResponse::default()
            })),
            Err(Fault::Refused(refusal)) => Ok(Response::new(v1::ValidateResponse {
                acceptable: false,
                reason: refusal.reason.code().to_owned(),
                message: refusal.message(),
            })),
            Err(Fault::Failed(status) | Fault::Unknown(status)) => Err(status),
        }
    }

    async fn submit(
        &self,
        request: Request<Streaming<v1::SubmitRequest>>,
    ) -> Result<Response<submit::Answers>, Status> {
        let caller = self.intake.app.caller(&request)?;
        Ok(Response::new(submit::serve(
            self.intake.clone(),
            caller,
            request.into_inner(),
        )))
    }

    async fn start_upload(
        &self,
        request: Request<v1::StartUploadRequest>,
    ) -> Result<Response<v1::Upload>, Status> {
        let caller = self.intake.app.caller(&request)?;
        let push = request.into_inner().push.unwrap_or_default();
        Ok(Response::new(
            upload::start(&self.intake, &caller, &push).await?,
        ))
    }

    async fn send_upload(
        &self,
        request: Request<Streaming<v1::SendUploadRequest>>,
    ) -> Result<Response<v1::Upload>, Status> {
        let caller = self.intake.app.caller(&request)?;
        Ok(Response::new(
            upload::send(&self.intake, &caller, request.into_inner()).await?,
        ))
    }

    async fn query_upload(
        &self,
        request: Request<v1::QueryUploadRequest>,
    ) -> Result<Response<v1::Upload>, Status> {
        let caller = self.intake.app.caller(&request)?;
        Ok(Response::new(
            upload::query(&self.intake, &caller, &request.into_inner().upload_id).await?,
        ))
    }

    async fn complete_upload(
        &self,
        request: Request<v1::CompleteUploadRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let caller = self.intake.app.caller(&request)?;
        Ok(Response::new(
            upload::complete(&self.intake, &caller, &request.into_inner().upload_id).await?,
        ))
    }

    async fn withdraw_item(
        &self,
        request: Request<v1::WithdrawItemRequest>,
    ) -> Result<Response<v1::ItemResponse>, Status> {
        let (call, body) = self.intake.app.enter(request, |body| &body.request_id)?;
        let caller = call.caller.clone();
        let command = wire::withdraw_item(&body).map_err(|e| error::refused(&e))?;
        let done = self.intake.app.run(call, command).await?;
        self.changed(&caller, &done).await
    }

    async fn declare_disclosure(
        &self,
        request: Request<v1::DeclareDisclosureRequest>,
    ) -> Result<Response<v1::ItemResponse>, Status> {
        let caller = self.intake.app.caller(&request)?;
        let signed = wire::declaration(&request.into_inner()).map_err(|e| error::refused(&e))?;
        let declaration = verified(&self.intake.app, &caller, signed).await?;
        // The statement's own digest is the key under which a second call finds the first.
        let call = Call {
            caller: caller.clone(),
            idempotency: None,
        };
        let done = self
            .intake
            .app
            .run(call, DeclareDisclosure { declaration })
            .await?;
        self.changed(&caller, &done).await
    }

    async fn get_item(
        &self,
        request: Request<v1::GetItemRequest>,
    ) -> Result<Response<v1::Item>, Status> {
        let caller = self.intake.app.caller(&request)?;
        Ok(Response::new(
            self.item(&caller, &request.into_inner().item_id).await?,
        ))
    }

    async fn list_items(
        &self,
        request: Request<v1::ListItemsRequest>,
    ) -> Result<Response<v1::ListItemsResponse>, Status> {
        let caller = self.intake.app.caller(&request)?;
        let body = request.into_inner();
        let app = &self.intake.app;
        let by = self.owner(&caller, &body).await?;
        let listed = app
            .store
            .list::<Item>(by, page(body.page_size, body.page_token)?)
            .await;
        let listed = listed.map_err(|e| error::store(&e))?;
        let in_case = |item: &Item| {
            body.case_id.is_empty() || item.cases.iter().any(|case| case.as_str() == body.case_id)
        };
        let rows = listed
            .rows
            .into_iter()
            .filter_map(|row| row.open(&caller).ok())
            .filter(in_case);
        let rows: Vec<Item> = rows.collect();
        let mut asides = texts(app, rows.iter().map(|row| row.entry)).await?;
        let items = rows
            .iter()
            .map(|row| wire::item(row, asides.remove(&row.entry).unwrap_or_default()));
        let next_page_token = listed.next.unwrap_or_default();
        Ok(Response::new(v1::ListItemsResponse {
            items: items.collect(),
            next_page_token,
        }))
    }
}

impl EvidenceRpc {
    /// Every check that a push must pass, as far as that takes no bytes. Nothing is kept.
    async fn check(&self, caller: &Caller, push: &v1::Push) -> Result<(), Fault> {
        let proven = self.intake.verify(caller, self.intake.parse(push)?).await?;
        self.intake.foresee(caller, &proven).await
    }

    /// The item that a command changed, with the receipt.
    async fn changed(
        &self,
        caller: &Caller,
        done: &Done,
    ) -> Result<Response<v1::ItemResponse>, Status> {
        let item = Some(self.item(caller, &done.resource).await?);
        Ok(Response::new(v1::ItemResponse {
            item,
            receipt: receipt(done),
        }))
    }

    async fn item(&self, caller: &Caller, id: &str) -> Result<v1::Item, Status> {
        let row: Item = row(&self.intake.app, caller, id).await?;
        let mut asides = texts(&self.intake.app, [row.entry]).await?;
        Ok(wire::item(
            &row,
            asides.remove(&row.entry).unwrap_or_default(),
        ))
    }

    /// Whose rows to list. A filter names what the caller may know of.
    async fn owner(&self, caller: &Caller, body: &v1::ListItemsRequest) -> Result<By, Status> {
        let app = &self.intake.app;
        Ok(if !body.evidence_request_id.is_empty() {
            let id: RequestId = parsed("evidence_request_id", &body.evidence_request_id)?;
            let request: RequestRow = row(app, caller, id.as_str()).await?;
            By::Link(request.id.to_string())
        } else if !body.case_id.is_empty() {
            let id: CaseId = parsed("case_id", &body.case_id)?;
            let case: Case = row(app, caller, id.as_str()).await?;
            By::Claimant(case.claimant)
        } else {
            By::Party(caller.org.clone())
        })
    }
}

#[cfg(test)]
mod tests;
