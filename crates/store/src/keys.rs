//! The keys that seal: one for each claimant, one for each item.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use evidence_domain::ids::{ClaimantId, ItemId};

use crate::{
    Store, StoreError,
    db::{ReadTx, Sql, Tx, Value, in_list},
    seal::{DataKey, KeyEncryptionKey},
};

/// Unwrapped keys kept in memory; beyond this the cache starts anew.
const CACHED_KEYS: usize = 20_000;

/// The key-encryption key and the unwrapped keys in use. Destroying a key must
/// [`KeyRing::forget`] it.
pub(crate) struct KeyRing {
    kek: KeyEncryptionKey,
    cache: Mutex<HashMap<String, Arc<DataKey>>>,
}

impl KeyRing {
    pub fn new(kek: KeyEncryptionKey) -> Self {
        Self {
            kek,
            cache: Mutex::new(HashMap::new()),
        }
    }

    pub fn cached(&self, id: &str) -> Option<Arc<DataKey>> {
        self.lock().get(id).cloned()
    }

    /// Unwraps a key: a claimant's with the key-encryption key, an item's with its claimant's,
    /// which must be in the ring.
    pub fn unwrap(
        &self,
        id: &str,
        parent: &str,
        wrapped: &[u8],
    ) -> Result<Arc<DataKey>, StoreError> {
        let context = context(id);
        let key = if parent.is_empty() {
            self.kek.unwrap(wrapped, &context)?
        } else {
            let parent = self
                .cached(parent)
                .ok_or_else(|| StoreError::NoKey(parent.to_owned()))?;
            parent.unwrap(wrapped, &context)?
        };
        let key = Arc::new(key);
        self.put(id, &key);
        Ok(key)
    }

    fn put(&self, id: &str, key: &Arc<DataKey>) {
        let mut cache = self.lock();
        if cache.len() >= CACHED_KEYS {
            cache.clear();
        }
        cache.insert(id.to_owned(), Arc::clone(key));
    }

    /// Forgets every key: after a batch that failed, a key that came with it is nobody's.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<DataKey>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a wrapped key is bound to.
fn context(id: &str) -> String {
    format!("sealing-key/{id}")
}

/// Where rows can be read.
pub(crate) enum Source<'a> {
    Pool(&'a Store),
    Read(&'a mut ReadTx),
    Write(&'a mut Tx),
}

impl Source<'_> {
    pub async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value],
    ) -> Result<Vec<crate::db::Row>, StoreError> {
        Ok(match self {
            Source::Pool(store) => store.db().fetch(sql, args).await?,
            Source::Read(tx) => tx.fetch(sql, args).await?,
            Source::Write(tx) => tx.fetch(sql, args).await?,
        })
    }
}

impl Store {
    /// A new key for a claimant, and its wrapped form to attach to their registration.
    pub fn new_claimant_key(&self, claimant: &ClaimantId) -> Result<Vec<u8>, StoreError> {
        let key = DataKey::generate(self.rng())?;
        Ok(self
            .0
            .keys
            .kek
            .wrap(&key, &context(claimant.as_str()), self.rng())?)
    }

    /// A new key for an item's document, and its wrapped form to attach to the push.
    pub async fn new_document_key(
        &self,
        claimant: &ClaimantId,
        item: &ItemId,
    ) -> Result<(Arc<DataKey>, Vec<u8>), StoreError> {
        let parent = self.claimant_key(claimant).await?;
        let key = DataKey::generate(self.rng())?;
        let wrapped = parent.wrap(&key, &context(item.as_str()), self.rng())?;
        Ok((Arc::new(key), wrapped))
    }

    /// Unwraps a document key that [`Store::new_document_key`] made.
    pub async fn document_key(
        &self,
        claimant: &ClaimantId,
        item: &ItemId,
        wrapped: &[u8],
    ) -> Result<Arc<DataKey>, StoreError> {
        let parent = self.claimant_key(claimant).await?;
        Ok(Arc::new(parent.unwrap(wrapped, &context(item.as_str()))?))
    }

    pub async fn claimant_key(&self, claimant: &ClaimantId) -> Result<Arc<DataKey>, StoreError> {
        self.sealing_key(&mut Source::Pool(self), claimant.as_str())
            .await
    }

    pub(crate) async fn sealing_key(
        &self,
        source: &mut Source<'_>,
        id: &str,
    ) -> Result<Arc<DataKey>, StoreError> {
        let keys = self.sealing_keys(source, &[id.to_owned()].into()).await?;
        keys.get(id)
            .cloned()
            .ok_or_else(|| StoreError::NoKey(id.to_owned()))
    }

    /// The keys of these ids, unwrapped; destroyed and unknown ones are left out.
    pub(crate) async fn sealing_keys(
        &self,
        source: &mut Source<'_>,
        ids: &BTreeSet<String>,
    ) -> Result<HashMap<String, Arc<DataKey>>, StoreError> {
        let ring = &self.0.keys;
        let mut found: HashMap<_, _> = ids
            .iter()
            .filter_map(|id| ring.cached(id).map(|key| (id.clone(), key)))
            .collect();
        let missing: Vec<&String> = ids.iter().filter(|id| !found.contains_key(*id)).collect();
        let mut rows = self.wrapped(source, &missing).await?;
        // An item's key is wrapped by its claimant's: those first.
        let parents: Vec<&String> = rows
            .iter()
            .map(|row| &row.1)
            .filter(|id| !id.is_empty() && ring.cached(id).is_none())
            .collect();
        let parents: BTreeSet<&String> = parents.into_iter().collect();
        for (id, parent, wrapped) in self
            .wrapped(source, &parents.into_iter().collect::<Vec<_>>())
            .await?
        {
            ring.unwrap(&id, &parent, &wrapped)?;
        }
        rows.sort_by_key(|row| !row.1.is_empty());
        for (id, parent, wrapped) in rows {
            found.insert(id.clone(), ring.unwrap(&id, &parent, &wrapped)?);
        }
        Ok(found)
    }

    /// Puts the keys that come with a batch into the ring, so that its statements can be sealed.
    pub(crate) fn admit_key(
        &self,
        id: &str,
        parent: &str,
        wrapped: &[u8],
    ) -> Result<Arc<DataKey>, StoreError> {
        self.0.keys.unwrap(id, parent, wrapped)
    }

    /// (id, parent, wrapped) of the keys that are there.
    async fn wrapped(
        &self,
        source: &mut Source<'_>,
        ids: &[&String],
    ) -> Result<Vec<(String, String, Vec<u8>)>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(500) {
            let sql = format!(
                "SELECT id, parent, wrapped FROM sealing_key WHERE wrapped IS NOT NULL AND id IN {}",
                in_list(chunk.len())
            );
            let args: Vec<Value> = chunk.iter().map(|id| Value::Text((*id).clone())).collect();
            for row in source.fetch(sql, &args).await? {
                found.push((
                    row.text(0)?.to_owned(),
                    row.text(1)?.to_owned(),
                    row.blob(2)?.to_vec(),
                ));
            }
        }
        Ok(found)
    }
}
