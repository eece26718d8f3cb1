//! `BundleService`: everything available for a case, with proofs, and the
//! recipient's word that it has it.

mod manifest;
mod stream;

use evidence_domain::{
    Guarded,
    command::{AcknowledgeBundle, JoinItems, PullBundle},
    ids::{BundleId, CaseId},
    rows::{Bundle, Case},
};
use evidence_store::By;
use evidence_wire::{
    bundle::{self as wire, Pull, Rest},
    v1::{self, bundle_service_server::BundleService},
};
use tonic::{Request, Response, Status};

use super::rows;
use crate::{
    app::{App, Call},
    error,
};

pub struct Bundles {
    pub app: App,
}

#[tonic::async_trait]
impl BundleService for Bundles {
    type PullStream = stream::Parts;

    async fn pull(
        &self,
        request: Request<v1::PullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let caller = call.caller.clone();
        let id = BundleId::from_random(self.app.random());
        let from = match wire::pull(&body, id).map_err(|e| error::refused(&e))? {
            Pull::New(join, pull) => self.make(call, join, pull).await?,
            Pull::Rest(rest) => rest,
        };
        let bundle = rows::row::<Bundle>(&self.app, &caller, from.bundle.as_str()).await?;
        let parts = stream::start(&self.app, caller, bundle, &from).await?;
        Ok(Response::new(parts))
    }

    async fn acknowledge(
        &self,
        request: Request<v1::AcknowledgeBundleRequest>,
    ) -> Result<Response<v1::BundleResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let signed = wire::acknowledgement(request.get_ref()).map_err(|e| error::refused(&e))?;
        let acknowledgement = rows::verified(&self.app, &caller, signed).await?;
        let call = Call {
            caller: caller.clone(),
            idempotency: None,
        };
        let command = AcknowledgeBundle { acknowledgement };
        let (bundle, receipt) = rows::changed::<Bundle>(&self.app, call, command).await?;
        Ok(Response::new(v1::BundleResponse {
            bundle: Some(wire::bundle(&bundle)),
            receipt,
        }))
    }

    async fn get_bundle(
        &self,
        request: Request<v1::GetBundleRequest>,
    ) -> Result<Response<v1::Bundle>, Status> {
        let caller = self.app.caller(&request)?;
        let id: BundleId = rows::parsed("bundle_id", &request.get_ref().bundle_id)?;
        let bundle = rows::row::<Bundle>(&self.app, &caller, id.as_str()).await?;
        Ok(Response::new(wire::bundle(&bundle)))
    }

    async fn list_bundles(
        &self,
        request: Request<v1::ListBundlesRequest>,
    ) -> Result<Response<v1::ListBundlesResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let page = rows::page(body.page_size, body.page_token)?;
        let id: CaseId = rows::parsed("case_id", &body.case_id)?;
        let case = rows::row::<Case>(&self.app, &caller, id.as_str()).await?;
        let listed = self.app.store.list::<Bundle>(By::Case(case.id), page).await;
        let listed = listed.map_err(|e| error::store(&e))?;
        let open = |row: Guarded<Bundle>| row.open(&caller).ok();
        let bundles = listed.rows.into_iter().filter_map(open);
        Ok(Response::new(v1::ListBundlesResponse {
            bundles: bundles.map(|row| wire::bundle(&row)).collect(),
            next_page_token: listed.next.unwrap_or_default(),
        }))
    }
}

impl Bundles {
    /// Makes a bundle in two commits: all that is available joins the case, so
    /// that the bundle's statement can name the chain with it; then the bundle.
    async fn make(&self, call: Call, join: JoinItems, pull: PullBundle) -> Result<Rest, Status> {
        // Without the caller's key: done again, there is nothing to do.
        let joining = Call {
            caller: call.caller.clone(),
            idempotency: None,
        };
        self.app.run(joining, join).await?;
        let done = self.app.run(call, pull).await?;
        Ok(Rest {
            bundle: rows::parsed("bundle_id", &done.resource)?,
            item: None,
            offset: 0,
        })
    }
}

#[cfg(test)]
mod tests;
