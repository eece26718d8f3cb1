//! Finding what nobody may own.
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::{DocumentError, Documents};
use crate::seal::{Rng, SealError};

impl Documents {
    /// The ids of documents that have a part as old as `age` or older, by the document store's own
    /// clock. An id may come more than once.
    pub async fn untouched_for(
        &self,
        age: Duration,
        rng: &Rng,
    ) -> Result<impl Stream<Item = Result<String, DocumentError>> + Send + use<>, DocumentError>
    {
        let now = self.store_time(rng).await?;
        let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let objects = self
            .store
            .list(Some(&Path::from("document")))
            .map_err(DocumentError::from);
        let old = objects.try_filter_map(move |object| {
            let old = now.saturating_sub(object.last_modified.timestamp()) >= age;
            let id = object
                .location
                .parts()
                .nth(1)
                .map(|id| id.as_ref().to_owned());
            std::future::ready(Ok(id.filter(|_| old)))
        });
        let mut previous = String::new();
        Ok(old.filter(move |id| {
            let again = id.as_ref().is_ok_and(|id| *id == previous);
            if let Ok(id) = id {
                previous.clone_from(id);
            }
            std::future::ready(!again)
        }))
    }

    /// What time the store thinks it is, in seconds since 1970: two clocks would not agree on ages.
    async fn store_time(&self, rng: &Rng) -> Result<i64, DocumentError> {
        let mut name = [0; 16];
        rng.fill(&mut name).map_err(|_| SealError::Random)?;
        let path = Path::from_iter(["probe", &HEXLOWER.encode(&name)]);
        self.store.put(&path, name.to_vec().into()).await?;
        let written = self.store.head(&path).await?.last_modified.timestamp();
        self.store.delete(&path).await?;
        Ok(written)
    }
}
