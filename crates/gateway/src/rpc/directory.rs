//! Organisations, certificates, keys, policies.

use evidence_domain::{
    Command, Refusal,
    ids::OrgId,
    rows::{Organisation, Policy},
    world::policy_key,
};
use evidence_store::By;
use evidence_wire::{
    directory as wire,
    v1::{self, directory_service_server::DirectoryService},
};
use tonic::{Request, Response, Status};

use super::rows::{changed, page, parsed, receipt, row};
use crate::{
    access::Identity,
    app::{App, Call},
    error,
};

pub struct Directory {
    pub app: App,
    /// Forgets whom it knows when the directory changes.
    pub identity: Identity,
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn register_organisation(
        &self,
        request: Request<v1::RegisterOrganisationRequest>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let id = OrgId::from_random(self.app.random());
        self.change(call, wire::register_organisation(&body, id))
            .await
    }

    async fn update_organisation(
        &self,
        request: Request<v1::UpdateOrganisationRequest>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        self.change(call, wire::update_organisation(&body)).await
    }

    async fn add_certificate(
        &self,
        request: Request<v1::AddCertificateRequest>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        self.change(call, wire::add_certificate(&body)).await
    }

    async fn remove_certificate(
        &self,
        request: Request<v1::RemoveCertificateRequest>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        self.change(call, wire::remove_certificate(&body)).await
    }

    async fn register_key(
        &self,
        request: Request<v1::RegisterKeyRequest>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        self.change(call, wire::register_key(&body)).await
    }

    async fn retire_key(
        &self,
        request: Request<v1::RetireKeyRequest>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        self.change(call, wire::retire_key(&body)).await
    }

    async fn set_policy(
        &self,
        request: Request<v1::SetPolicyRequest>,
    ) -> Result<Response<v1::PolicyResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let caller = call.caller.clone();
        let command = wire::set_policy(&body).map_err(|e| error::refused(&e))?;
        let done = self.app.run(call, command).await?;
        let row = row::<Policy>(&self.app, &caller, &policy_key(&done.resource)).await?;
        Ok(Response::new(v1::PolicyResponse {
            policy: Some(wire::policy(&row)),
            receipt: receipt(&done),
        }))
    }

    async fn get_policy(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::Policy>, Status> {
        let caller = self.app.caller(&request)?;
        let key = policy_key(&request.get_ref().name);
        let row = row::<Policy>(&self.app, &caller, &key).await?;
        Ok(Response::new(wire::policy(&row)))
    }

    async fn get_organisation(
        &self,
        request: Request<v1::GetOrganisationRequest>,
    ) -> Result<Response<v1::Organisation>, Status> {
        let caller = self.app.caller(&request)?;
        let id: OrgId = parsed("organisation_id", &request.get_ref().organisation_id)?;
        let row = row::<Organisation>(&self.app, &caller, id.as_str()).await?;
        Ok(Response::new(wire::organisation(&row)))
    }

    async fn list_organisations(
        &self,
        request: Request<v1::ListOrganisationsRequest>,
    ) -> Result<Response<v1::ListOrganisationsResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let page = page(body.page_size, body.page_token)?;
        let listed = self.app.store.list::<Organisation>(By::All, page).await;
        let listed = listed.map_err(|e| error::store(&e))?;
        let rows = listed
            .rows
            .into_iter()
            .filter_map(|row| row.open(&caller).ok());
        Ok(Response::new(v1::ListOrganisationsResponse {
            organisations: rows.map(|row| wire::organisation(&row)).collect(),
            next_page_token: listed.next.unwrap_or_default(),
        }))
    }
}

impl Directory {
    /// Runs a change of one organisation and shows it as it is then.
    async fn change(
        &self,
        call: Call,
        command: Result<impl Into<Command>, Refusal>,
    ) -> Result<Response<v1::OrganisationResponse>, Status> {
        let command = command.map_err(|e| error::refused(&e))?;
        let (row, receipt) = changed::<Organisation>(&self.app, call, command).await?;
        self.identity.forget();
        Ok(Response::new(v1::OrganisationResponse {
            organisation: Some(wire::organisation(&row)),
            receipt,
        }))
    }
}

#[cfg(test)]
mod tests;
