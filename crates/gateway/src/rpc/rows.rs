//! What several services do alike: read ids, open rows for whoever asks, verify
//! what is signed at source.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

use evidence_domain::{
    Aside, Caller, Command, Guarded, Refusal, Row,
    access::ForOrganisations,
    ids::OrgId,
    rows::Organisation,
    signed::{Signed, Verified},
};
use evidence_ledger::Digest;
use evidence_store::{By, Done, Page, StoreError};
use evidence_wire::{common, fields::Fields, record::Names, v1};
use tonic::Status;

use crate::{
    app::{App, Call},
    error,
};

/// Pages that one call reads of one kind of row, at most: a claimant with more
/// is a fault.
const PAGES: usize = 20;
/// Rows of a page when the call does not say.
const PAGE_ROWS: usize = 100;
/// Rows of a page at most: the largest of them still fit in one message.
const PAGE_ROWS_LIMIT: usize = 200;

/// An id in a field.
pub(super) fn parsed<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, Status> {
    let mut f = Fields::new();
    let value = f.parse(field, text);
    f.finish(value).map_err(|e| error::refused(&e))
}

/// The page a list call asks for: 100 rows unless it says otherwise.
pub(super) fn page(size: i32, token: String) -> Result<Page, Status> {
    let refusal = |_| error::refused(&Refusal::field("page_size", "must not be negative"));
    let size = usize::try_from(size).map_err(refusal)?;
    let size = if size == 0 {
        PAGE_ROWS
    } else {
        size.min(PAGE_ROWS_LIMIT)
    };
    Ok(Page { size, token })
}

/// The receipt of what a command is about; none where it was so already.
pub(super) fn receipt(done: &Done) -> Option<v1::Receipt> {
    done.receipt()
        .map(|issued| common::receipt(issued, done.replay))
}

/// Runs a command; the row it made or changed as it is then, and the receipt.
pub(super) async fn changed<R: Row + ForOrganisations>(
    app: &App,
    call: Call,
    command: impl Into<Command>,
) -> Result<(R, Option<v1::Receipt>), Status> {
    let caller = call.caller.clone();
    let done = app.run(call, command).await?;
    let row = row(app, &caller, &done.resource).await?;
    Ok((row, receipt(&done)))
}

/// The row, if it is there and the caller may see it.
pub(super) async fn row<R: Row + ForOrganisations>(
    app: &App,
    caller: &Caller,
    key: &str,
) -> Result<R, Status> {
    let found = app
        .store
        .get::<R>(key)
        .await
        .map_err(|e| error::store(&e))?;
    let found = found.ok_or_else(Refusal::not_found);
    found
        .and_then(|row| row.open(caller))
        .map_err(|e| error::refused(&e))
}

/// Those of the rows that are there and that the caller may see.
pub(super) async fn rows<R: Row + ForOrganisations>(
    app: &App,
    caller: &Caller,
    keys: impl IntoIterator<Item = impl ToString>,
) -> Result<Vec<R>, Status> {
    let keys: Vec<String> = keys.into_iter().map(|key| key.to_string()).collect();
    let found = app.store.get_many::<R>(&keys).await;
    let found = found.map_err(|e| error::store(&e))?;
    Ok(found
        .into_iter()
        .filter_map(|row| row.open(caller).ok())
        .collect())
}

/// Every row of a kind that is somebody's, in the order in which they were made.
pub(super) async fn every<R: Row>(app: &App, by: By) -> Result<Vec<Guarded<R>>, Status> {
    let mut every = Vec::new();
    let mut page = Page::default();
    for _ in 0..PAGES {
        let listed = app.store.list::<R>(by.clone(), page).await;
        let listed = listed.map_err(|e| error::store(&e))?;
        every.extend(listed.rows);
        let Some(token) = listed.next else {
            return Ok(every);
        };
        page = Page { size: 0, token };
    }
    Err(error::store(&StoreError::Corrupt(format!(
        "over {PAGES} pages of `{}` rows of one owner",
        R::KIND
    ))))
}

/// The texts sealed beside entries, by entry index.
pub(super) async fn texts(
    app: &App,
    entries: impl IntoIterator<Item = u64>,
) -> Result<BTreeMap<u64, Aside>, Status> {
    let entries: Vec<u64> = entries.into_iter().collect();
    app.store
        .asides(&entries)
        .await
        .map_err(|e| error::store(&e))
}

/// Receipts by entry, statements included.
pub(super) async fn receipts(
    app: &App,
    entries: &[Digest],
) -> Result<BTreeMap<Digest, v1::Receipt>, Status> {
    let issued = app.store.receipts(entries).await;
    let issued = issued.map_err(|e| error::store(&e))?;
    Ok(issued
        .iter()
        .map(|each| (each.entry, common::receipt(each, false)))
        .collect())
}

/// The organisations' names.
pub(super) async fn names(
    app: &App,
    caller: &Caller,
    ids: impl IntoIterator<Item = &OrgId>,
) -> Result<Names, Status> {
    let rows = rows::<Organisation>(app, caller, ids).await?;
    Ok(rows.into_iter().collect())
}

/// Verifies a statement with its issuer's registered key.
pub(super) async fn verified(
    app: &App,
    caller: &Caller,
    signed: Signed,
) -> Result<Verified, Status> {
    let issuer = rows::<Organisation>(app, caller, [signed.issuer()]).await?;
    signed
        .verify(issuer.first(), app.now())
        .map_err(|e| error::refused(&e))
}
