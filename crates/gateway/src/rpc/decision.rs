//! `DecisionService`: how evidence was used.

use std::collections::BTreeMap;

use evidence_domain::{
    Aside, Caller,
    command::RecordDecision,
    ids::{DecisionId, ItemId},
    rows::{Bundle, Decision, Item},
};
use evidence_wire::{
    common::use_number,
    decision as wire,
    record::Names,
    v1::{self, decision_service_server::DecisionService},
};
use tonic::{Request, Response, Status};

use super::rows;
use crate::{
    app::{App, Call},
    error,
};

pub struct Decisions {
    pub app: App,
}

#[tonic::async_trait]
impl DecisionService for Decisions {
    async fn record(
        &self,
        request: Request<v1::RecordDecisionRequest>,
    ) -> Result<Response<v1::DecisionResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let record = wire::record(request.get_ref()).map_err(|e| error::refused(&e))?;
        let command = RecordDecision {
            decision: rows::verified(&self.app, &caller, record.decision).await?,
            official: record.official,
            official_salt: record.official_salt,
        };
        let call = Call {
            caller: caller.clone(),
            idempotency: None,
        };
        let (row, receipt) = rows::changed::<Decision>(&self.app, call, command).await?;
        Ok(Response::new(v1::DecisionResponse {
            decision: Some(self.show(&caller, &row).await?),
            receipt,
        }))
    }

    async fn get_decision(
        &self,
        request: Request<v1::GetDecisionRequest>,
    ) -> Result<Response<v1::Decision>, Status> {
        let caller = self.app.caller(&request)?;
        let row = self
            .decision(&caller, &request.get_ref().decision_id)
            .await?;
        Ok(Response::new(self.show(&caller, &row).await?))
    }

    /// For a letter to the claimant: what is withheld from them is not in it.
    async fn get_uses(
        &self,
        request: Request<v1::GetUsesRequest>,
    ) -> Result<Response<v1::GetUsesResponse>, Status> {
        let caller = self.app.caller(&request)?;
        let row = self
            .decision(&caller, &request.get_ref().decision_id)
            .await?;
        let items = rows::rows::<Item>(&self.app, &caller, row.uses.keys()).await?;
        let entries = items.iter().map(|item| item.entry).chain([row.entry]);
        let texts = rows::texts(&self.app, entries).await?;
        let names =
            rows::names(&self.app, &caller, items.iter().map(|item| &item.discloser)).await?;
        Ok(Response::new(v1::GetUsesResponse {
            uses: quotable(&row, &items, &texts, &names),
        }))
    }
}

impl Decisions {
    async fn decision(&self, caller: &Caller, id: &str) -> Result<Decision, Status> {
        let id: DecisionId = rows::parsed("decision_id", id)?;
        rows::row(&self.app, caller, id.as_str()).await
    }

    async fn show(&self, caller: &Caller, row: &Decision) -> Result<v1::Decision, Status> {
        let entries = [Some(row.entry), row.official_entry].into_iter().flatten();
        let texts = rows::texts(&self.app, entries).await?;
        let bundle = rows::row::<Bundle>(&self.app, caller, row.bundle.as_str()).await?;
        let none = Aside::new();
        let record = texts.get(&row.entry).unwrap_or(&none);
        let official = row.official_entry.and_then(|entry| texts.get(&entry));
        Ok(wire::decision(
            row,
            Some(&bundle),
            record,
            official.unwrap_or(&none),
        ))
    }
}

fn quotable(
    row: &Decision,
    items: &[Item],
    texts: &BTreeMap<u64, Aside>,
    names: &Names,
) -> Vec<v1::QuotableUse> {
    let none = Aside::new();
    let of = |entry: u64| texts.get(&entry).unwrap_or(&none);
    let sentence = |item: &Item, how| {
        let reason = wire::reason(of(row.entry), &item.id);
        wire::sentence(
            how,
            item,
            of(item.entry),
            &names.of(&item.discloser),
            &reason,
        )
    };
    let found = |id: &ItemId| items.iter().find(|item| item.id == *id);
    row.uses
        .iter()
        .filter_map(|(id, how)| Some((found(id)?, *how)))
        .map(|(item, how)| v1::QuotableUse {
            item_id: item.id.to_string(),
            r#use: use_number(how),
            sentence: sentence(item, how),
        })
        .collect()
}

#[cfg(test)]
mod tests;
