//! A pull's bytes: the manifest, then the documents in the order in which they
//! came to the gateway.

use std::pin::{Pin, pin};

use async_stream::try_stream;
use bytes::Bytes;
use evidence_domain::{
    Caller, Needs, Permit, Refusal,
    access::document_in_bundle,
    ids::BundleId,
    rows::{Bundle, Item},
};
use evidence_wire::{bundle::Rest, v1};
use futures::{Stream, StreamExt as _};
use tonic::Status;

use super::manifest;
use crate::{app::App, error, rpc::rows};

pub type Parts = Pin<Box<dyn Stream<Item = Result<v1::PullResponse, Status>> + Send>>;

/// The stream of a bundle that is made, and so logged, from a place in it on.
pub(super) async fn start(
    app: &App,
    caller: Caller,
    bundle: Bundle,
    from: &Rest,
) -> Result<Parts, Status> {
    let mut items = rows::rows::<Item>(app, &caller, bundle.items.keys()).await?;
    items.sort_by_key(|item| item.entry);
    let manifest = manifest::of(app, &caller, &bundle, &items).await?;
    let first = match &from.item {
        None => 0,
        Some(id) => {
            let found = items.iter().position(|item| item.id == *id);
            found.ok_or_else(|| error::refused(&Refusal::not_found()))?
        }
    };
    if items.get(first).is_some_and(|item| from.offset > item.size) {
        let beyond = Refusal::field("from_offset", "is beyond the item's end");
        return Err(error::refused(&beyond));
    }
    let rest = items.split_off(first);
    let reader = Reader {
        app: app.clone(),
        caller,
        bundle: bundle.id,
    };
    Ok(Box::pin(parts(reader, manifest, rest, from.offset)))
}

fn parts(
    reader: Reader,
    manifest: v1::Manifest,
    items: Vec<Item>,
    first_offset: u64,
) -> impl Stream<Item = Result<v1::PullResponse, Status>> + Send {
    use v1::pull_response::Part;
    let part = |part| v1::PullResponse { part: Some(part) };
    try_stream! {
        yield part(Part::Manifest(manifest));
        let mut from = first_offset;
        for item in items {
            let mut chunks = pin!(document(&reader, &item, from));
            while let Some(chunk) = chunks.next().await {
                yield part(Part::Chunk(chunk?));
            }
            from = 0;
        }
    }
}

/// One document's chunks. Each leaves only after the consent was found to live
/// still: a withdrawal stops a pull under way.
fn document<'r>(
    reader: &'r Reader,
    item: &'r Item,
    from: u64,
) -> impl Stream<Item = Result<v1::DocumentChunk, Status>> + Send + 'r {
    let chunk = |offset, data: Bytes| v1::DocumentChunk {
        item_id: item.id.to_string(),
        offset,
        last: offset + data.len() as u64 == item.size,
        data,
    };
    try_stream! {
        let permit = reader.permit(item).await?;
        if from == item.size {
            yield chunk(from, Bytes::new());
            return;
        }
        let bytes = reader.app.store.open_document(&permit, from).await;
        let bytes = bytes.map_err(|e| error::store(&e))?;
        let mut bytes = pin!(bytes);
        let mut at = from;
        while let Some(data) = bytes.next().await {
            let data = data.map_err(|e| error::store(&e))?;
            if at > from {
                reader.permit(item).await?;
            }
            let length = data.len() as u64;
            yield chunk(at, data);
            at += length;
        }
    }
}

/// Who reads which bundle.
struct Reader {
    app: App,
    caller: Caller,
    bundle: BundleId,
}

impl Reader {
    /// The leave to read an item, as of now.
    async fn permit(&self, item: &Item) -> Result<Permit, Status> {
        let copy = item.certified_copy.as_ref();
        let needs = Needs::default()
            .key(&self.bundle)
            .key(&item.id)
            .keys(copy.and_then(|copy| copy.delegation.as_ref()));
        let world = self.app.store.world(needs).await;
        let world = world.map_err(|e| error::store(&e))?;
        document_in_bundle(&world, &self.caller, &self.bundle, &item.id, self.app.now())
            .map_err(|e| error::refused(&e))
    }
}
