//! Claimants, grants, delegations, representations.

use evidence_domain::{
    Caller, Refusal, Role, Row,
    access::ForOrganisations,
    ids::{ClaimantId, DelegationId, GrantId, RepresentationId},
    rows::{Delegation, Grant, Representation},
};
use evidence_store::{Attachments, By, Page, Submission};
use evidence_wire::{
    consent as wire,
    fields::Fields,
    v1::{self, consent_service_server::ConsentService},
};
use tonic::{Request, Response, Status};

use super::rows::{changed, every, page, parsed, receipt, row, texts};
use crate::{app::App, error};

pub struct Consent {
    pub app: App,
}

#[tonic::async_trait]
impl ConsentService for Consent {
    async fn register_claimant(
        &self,
        request: Request<v1::RegisterClaimantRequest>,
    ) -> Result<Response<v1::RegisterClaimantResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let store = &self.app.store;
        let id = ClaimantId::from_random(self.app.random());
        let index = |kind: &str, value: &str| store.blind_index(kind, value);
        let command = wire::register_claimant(&body, id.clone(), index).map_err(refused)?;
        let key = store.new_claimant_key(&id).map_err(|e| error::store(&e))?;
        // The key is kept only if the person turns out to be new.
        let attachments = Attachments {
            claimant_key: Some((id, key)),
            ..Attachments::default()
        };
        let submission = Submission {
            caller: call.caller,
            idempotency: call.idempotency,
            command: command.into(),
            attachments,
        };
        let done = self.app.submit(submission).await?;
        Ok(Response::new(v1::RegisterClaimantResponse {
            created: !done.receipts.is_empty(),
            receipt: receipt(&done),
            claimant_id: done.resource,
        }))
    }

    async fn create_grant(
        &self,
        request: Request<v1::CreateGrantRequest>,
    ) -> Result<Response<v1::GrantResponse>, Status> {
        let id = GrantId::from_random(self.app.random());
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::create_grant(&body, id).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        Ok(self.grant(&row, receipt))
    }

    async fn narrow_grant(
        &self,
        request: Request<v1::NarrowGrantRequest>,
    ) -> Result<Response<v1::GrantResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::narrow_grant(&body).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        Ok(self.grant(&row, receipt))
    }

    async fn withdraw_grant(
        &self,
        request: Request<v1::WithdrawGrantRequest>,
    ) -> Result<Response<v1::GrantResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::withdraw_grant(&body).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        Ok(self.grant(&row, receipt))
    }

    async fn get_grant(
        &self,
        request: Request<v1::GetGrantRequest>,
    ) -> Result<Response<v1::Grant>, Status> {
        let caller = self.app.caller(&request)?;
        let id: GrantId = parsed("grant_id", &request.get_ref().grant_id)?;
        let row = row::<Grant>(&self.app, &caller, id.as_str()).await?;
        Ok(Response::new(wire::grant(&row, self.app.now())))
    }

    async fn list_grants(
        &self,
        request: Request<v1::ListGrantsRequest>,
    ) -> Result<Response<v1::ListGrantsResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let claimant: Option<ClaimantId> = optional("claimant_id", &body.claimant_id)?;
        let page = page(body.page_size, body.page_token)?;
        let by = claimant.clone().map(By::Claimant);
        let (rows, next) = self.list::<Grant>(&caller, by, page).await?;
        let now = self.app.now();
        let asked = |row: &&Grant| claimant.as_ref().is_none_or(|id| row.claimant == *id);
        let grants = rows.iter().filter(asked);
        Ok(Response::new(v1::ListGrantsResponse {
            grants: grants.map(|row| wire::grant(row, now)).collect(),
            next_page_token: next,
        }))
    }

    async fn create_delegation(
        &self,
        request: Request<v1::CreateDelegationRequest>,
    ) -> Result<Response<v1::DelegationResponse>, Status> {
        let id = DelegationId::from_random(self.app.random());
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::create_delegation(&body, id).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        Ok(self.delegation(&row, receipt))
    }

    async fn end_delegation(
        &self,
        request: Request<v1::EndDelegationRequest>,
    ) -> Result<Response<v1::DelegationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::end_delegation(&body).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        Ok(self.delegation(&row, receipt))
    }

    async fn list_delegations(
        &self,
        request: Request<v1::ListDelegationsRequest>,
    ) -> Result<Response<v1::ListDelegationsResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let body = request.into_inner();
        let grant: Option<GrantId> = optional("grant_id", &body.grant_id)?;
        let page = page(body.page_size, body.page_token)?;
        let by = grant.as_ref().map(|id| By::Link(id.to_string()));
        let (rows, next) = self.list::<Delegation>(&caller, by, page).await?;
        let now = self.app.now();
        let asked = |row: &&Delegation| grant.as_ref().is_none_or(|id| row.grant == *id);
        let delegations = rows.iter().filter(asked);
        Ok(Response::new(v1::ListDelegationsResponse {
            delegations: delegations.map(|row| wire::delegation(row, now)).collect(),
            next_page_token: next,
        }))
    }

    async fn name_representative(
        &self,
        request: Request<v1::NameRepresentativeRequest>,
    ) -> Result<Response<v1::RepresentationResponse>, Status> {
        let id = RepresentationId::from_random(self.app.random());
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::name_representative(&body, id).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        self.representation(row, receipt).await
    }

    async fn end_representation(
        &self,
        request: Request<v1::EndRepresentationRequest>,
    ) -> Result<Response<v1::RepresentationResponse>, Status> {
        let (call, body) = self.app.enter(request, |body| &body.request_id)?;
        let command = wire::end_representation(&body).map_err(refused)?;
        let (row, receipt) = changed(&self.app, call, command).await?;
        self.representation(row, receipt).await
    }

    async fn list_representations(
        &self,
        request: Request<v1::ListRepresentationsRequest>,
    ) -> Result<Response<v1::ListRepresentationsResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let claimant: ClaimantId = parsed("claimant_id", &request.get_ref().claimant_id)?;
        let rows = every::<Representation>(&self.app, By::Claimant(claimant)).await?;
        let rows: Vec<_> = rows
            .into_iter()
            .filter_map(|row| row.open(&caller).ok())
            .collect();
        Ok(Response::new(v1::ListRepresentationsResponse {
            representations: self.representations(&rows).await?,
        }))
    }
}

impl Consent {
    /// A page of what the caller may see. The portal, which is party to no row,
    /// finds them by `whose`; everyone else only among their own, so that not
    /// even a page's token tells of others.
    async fn list<R: Row + ForOrganisations>(
        &self,
        caller: &Caller,
        whose: Option<By>,
        page: Page,
    ) -> Result<(Vec<R>, String), Status> {
        let own = || By::Party(caller.org.clone());
        let by = whose
            .filter(|_| caller.is(Role::Portal))
            .unwrap_or_else(own);
        let listed = self
            .app
            .store
            .list::<R>(by, page)
            .await
            .map_err(|e| error::store(&e))?;
        let rows = listed
            .rows
            .into_iter()
            .filter_map(|row| row.open(caller).ok());
        Ok((rows.collect(), listed.next.unwrap_or_default()))
    }

    fn grant(&self, row: &Grant, receipt: Option<v1::Receipt>) -> Response<v1::GrantResponse> {
        Response::new(v1::GrantResponse {
            grant: Some(wire::grant(row, self.app.now())),
            receipt,
        })
    }

    fn delegation(
        &self,
        row: &Delegation,
        receipt: Option<v1::Receipt>,
    ) -> Response<v1::DelegationResponse> {
        Response::new(v1::DelegationResponse {
            delegation: Some(wire::delegation(row, self.app.now())),
            receipt,
        })
    }

    async fn representation(
        &self,
        row: Representation,
        receipt: Option<v1::Receipt>,
    ) -> Result<Response<v1::RepresentationResponse>, Status> {
        Ok(Response::new(v1::RepresentationResponse {
            representation: self.representations(&[row]).await?.pop(),
            receipt,
        }))
    }

    /// With the names that are sealed beside their statements.
    async fn representations(
        &self,
        rows: &[Representation],
    ) -> Result<Vec<v1::Representation>, Status> {
        let mut texts = texts(&self.app, rows.iter().map(|row| row.entry)).await?;
        let now = self.app.now();
        let named = rows.iter().map(|row| {
            let name = texts
                .get_mut(&row.entry)
                .and_then(|aside| aside.remove("name"));
            wire::representation(row, name.unwrap_or_default(), now)
        });
        Ok(named.collect())
    }
}

/// An id that may be left out.
fn optional<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<Option<T>, Status> {
    let mut f = Fields::new();
    let id = f.optional(field, text);
    f.done().map_err(refused)?;
    Ok(id)
}

#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
fn refused(refusal: Refusal) -> Status {
    error::refused(&refusal)
}

#[cfg(test)]
mod tests;
