//! Cases, requests, and the feed of what concerns a caller.

mod watch;

use evidence_domain::{
    Caller, Command, Refusal, Row,
    access::ForOrganisations,
    ids::{CaseId, ClaimantId, ItemId, RequestId},
    rows::{Case, Item, Request, RequestState},
};
use evidence_ledger::Digest;
use evidence_store::{By, Listed, Page};
use evidence_wire::{
    common,
    fields::Fields,
    request as wire,
    v1::{self, request_service_server::RequestService},
};
use tonic::{Response, Status};

use super::rows::{changed, every, page, parsed, row, texts};
use crate::{app::App, error};

pub struct Requests {
    pub app: App,
}

#[tonic::async_trait]
impl RequestService for Requests {
    type WatchStream = watch::Events;

    async fn open_case(
        &self,
        request: tonic::Request<v1::OpenCaseRequest>,
    ) -> Result<Response<v1::CaseResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let id = CaseId::from_random(self.app.random());
        let seed = || Digest::from(self.app.random::<32>());
        let command = wire::open_case(&body, id, seed(), seed()).map_err(|e| error::refused(&e))?;
        let (row, receipt) = changed::<Case>(&self.app, call, command).await?;
        let case = self.cases(&[row]).await?.pop();
        Ok(Response::new(v1::CaseResponse { case, receipt }))
    }

    async fn get_case(
        &self,
        request: tonic::Request<v1::GetCaseRequest>,
    ) -> Result<Response<v1::Case>, Status> {
        let caller = self.app.caller(&request)?;
        let id: CaseId = parsed("case_id", &request.get_ref().case_id)?;
        let row = row::<Case>(&self.app, &caller, id.as_str()).await?;
        let case = self.cases(&[row]).await?.pop();
        case.map(Response::new).ok_or_else(error::internal)
    }

    async fn list_cases(
        &self,
        request: tonic::Request<v1::ListCasesRequest>,
    ) -> Result<Response<v1::ListCasesResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let mut f = Fields::new();
        let page = page(body.page_size, body.page_token)?;
        let claimant = f.optional::<ClaimantId>("claimant_id", &body.claimant_id);
        f.done().map_err(|e| error::refused(&e))?;
        let by = claimant.map_or_else(|| By::Party(caller.org.clone()), By::Claimant);
        let (rows, next) = self.list::<Case>(&caller, by, page).await?;
        Ok(Response::new(v1::ListCasesResponse {
            cases: self.cases(&rows).await?,
            next_page_token: next,
        }))
    }

    async fn open_request(
        &self,
        request: tonic::Request<v1::OpenRequestRequest>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        let id = RequestId::from_random(self.app.random());
        self.turn(
            request,
            |body| &body.request_id,
            |body| wire::open_request(body, id),
        )
        .await
    }

    async fn acknowledge_request(
        &self,
        request: tonic::Request<v1::AcknowledgeRequestRequest>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        self.turn(request, |body| &body.request_id, wire::acknowledge_request)
            .await
    }

    async fn ask_clarification(
        &self,
        request: tonic::Request<v1::AskClarificationRequest>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        self.turn(request, |body| &body.request_id, wire::ask_clarification)
            .await
    }

    async fn answer_clarification(
        &self,
        request: tonic::Request<v1::AnswerClarificationRequest>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        self.turn(request, |body| &body.request_id, wire::answer_clarification)
            .await
    }

    async fn decline_request(
        &self,
        request: tonic::Request<v1::DeclineRequestRequest>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        self.turn(request, |body| &body.request_id, wire::decline_request)
            .await
    }

    async fn cancel_request(
        &self,
        request: tonic::Request<v1::CancelRequestRequest>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        self.turn(request, |body| &body.request_id, wire::cancel_request)
            .await
    }

    async fn get_request(
        &self,
        request: tonic::Request<v1::GetRequestRequest>,
    ) -> Result<Response<v1::EvidenceRequest>, Status> {
        let caller = self.app.caller(&request)?;
        let id: RequestId = parsed(
            "evidence_request_id",
            &request.get_ref().evidence_request_id,
        )?;
        let row = row::<Request>(&self.app, &caller, id.as_str()).await?;
        let shown = self.requests(&caller, &[row]).await?.pop();
        shown.map(Response::new).ok_or_else(error::internal)
    }

    async fn list_requests(
        &self,
        request: tonic::Request<v1::ListRequestsRequest>,
    ) -> Result<Response<v1::ListRequestsResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let mut f = Fields::new();
        let page = page(body.page_size, body.page_token)?;
        let case = f.optional::<CaseId>("case_id", &body.case_id);
        let state = wanted_state(&mut f, body.state);
        f.done().map_err(|e| error::refused(&e))?;
        let by = case.map_or_else(|| By::Party(caller.org.clone()), By::Case);
        let (mut rows, next) = self.list::<Request>(&caller, by, page).await?;
        rows.retain(|row| state.is_none_or(|state| row.state == state));
        Ok(Response::new(v1::ListRequestsResponse {
            requests: self.requests(&caller, &rows).await?,
            next_page_token: next,
        }))
    }

    async fn watch(
        &self,
        request: tonic::Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = self.app.caller(&request)?;
        let events = watch::start(&self.app, caller, &request.get_ref().resume_token).await?;
        Ok(Response::new(events))
    }
}

impl Requests {
    /// Runs a command about one request and shows the request as it is then.
    async fn turn<B: prost::Message, C: Into<Command>>(
        &self,
        request: tonic::Request<B>,
        key: impl Fn(&B) -> &str,
        parse: impl FnOnce(&B) -> Result<C, Refusal>,
    ) -> Result<Response<v1::RequestResponse>, Status> {
        let (call, body) = self.app.enter(request, key)?;
        let caller = call.caller.clone();
        let command = parse(&body).map_err(|e| error::refused(&e))?;
        let (row, receipt) = changed::<Request>(&self.app, call, command).await?;
        let request = self.requests(&caller, &[row]).await?.pop();
        Ok(Response::new(v1::RequestResponse { request, receipt }))
    }

    /// A page of the rows that the caller may see, and the token of the next.
    async fn list<R: Row + ForOrganisations>(
        &self,
        caller: &Caller,
        by: By,
        page: Page,
    ) -> Result<(Vec<R>, String), Status> {
        let found = self.app.store.list::<R>(by, page).await;
        let Listed { rows, next } = found.map_err(|e| error::store(&e))?;
        let seen = rows.into_iter().filter_map(|row| row.open(caller).ok());
        Ok((seen.collect(), next.unwrap_or_default()))
    }

    async fn cases(&self, rows: &[Case]) -> Result<Vec<v1::Case>, Status> {
        let mut asides = texts(&self.app, rows.iter().map(|row| row.entry)).await?;
        let mut opened = |entry| asides.remove(&entry).unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| wire::case(row, &opened(row.entry)))
            .collect())
    }

    async fn requests(
        &self,
        caller: &Caller,
        rows: &[Request],
    ) -> Result<Vec<v1::EvidenceRequest>, Status> {
        let asides = texts(&self.app, rows.iter().flat_map(wire::request_entries)).await?;
        let now = self.app.now();
        let mut shown = Vec::with_capacity(rows.len());
        for row in rows {
            let items = self.items(caller, row).await?;
            shown.push(wire::request(row, &asides, &items, now));
        }
        Ok(shown)
    }

    /// The items sent for the request that the caller may know of.
    async fn items(&self, caller: &Caller, row: &Request) -> Result<Vec<ItemId>, Status> {
        let items = every::<Item>(&self.app, By::Link(row.id.to_string())).await?;
        let seen = items.into_iter().filter_map(|item| item.open(caller).ok());
        Ok(seen.map(|item| item.id).collect())
    }
}

fn wanted_state(f: &mut Fields, number: i32) -> Option<RequestState> {
    match number {
        0 => None,
        number => f.choice("state", common::request_state(number)),
    }
}

#[cfg(test)]
mod tests;
