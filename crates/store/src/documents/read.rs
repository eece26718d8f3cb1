//! Reading a document back.
use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};

use super::{Bytes, DocumentError, Documents, PART_SIZE, context};
use crate::seal::DataKey;

/// Parts fetched ahead of the reader.
const READ_AHEAD: usize = 2;

impl Documents {
    /// Streams a document's plaintext from `offset`, part by part and in order. `size` is what its
    /// entry says it has, in bytes. Of a part, nothing is given out before all of it was checked.
    ///
    /// # Errors
    /// At once, where `offset` is beyond `size`. In the stream, as its end, where a part is missing
    /// ([`DocumentError::NotFound`]), or altered, moved or of a document longer or shorter than
    /// `size` ([`DocumentError::Damaged`], [`DocumentError::Length`]).
    pub fn read(
        &self,
        id: &str,
        key: Arc<DataKey>,
        size: u64,
        offset: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, DocumentError>> + Send + use<>, DocumentError>
    {
        if offset > size {
            return Err(DocumentError::OutOfRange { offset, size });
        }
        let whole = PART_SIZE as u64;
        let parts = size.div_ceil(whole).max(1);
        let first = if offset == size && size > 0 {
            parts
        } else {
            offset / whole
        };
        let skip = usize::try_from(offset % whole).expect("less than a part");
        let document = Document {
            documents: self.clone(),
            id: id.to_owned(),
            key,
            size,
        };
        let document = Arc::new(document);
        let plain = stream::iter(first..parts)
            .map(move |part| {
                let document = Arc::clone(&document);
                async move { document.part(part, part + 1 == parts).await }
            })
            .buffered(READ_AHEAD)
            .enumerate()
            .map(move |(nth, plain)| match nth {
                0 => plain.map(|plain| plain.slice(skip..)),
                _ => plain,
            })
            // Ends with the first error: what follows a missing part must not be given out as if it
            // followed what came before it.
            .scan(false, |failed, plain| {
                let given = (!*failed).then_some(plain);
                *failed |= matches!(given, Some(Err(_)));
                std::future::ready(given)
            });
        Ok(plain)
    }
}

struct Document {
    documents: Documents,
    id: String,
    key: Arc<DataKey>,
    size: u64,
}

impl Document {
    async fn part(&self, part: u64, last: bool) -> Result<Bytes, DocumentError> {
        let sealed = self.documents.get_part(&self.id, part).await?;
        let plain = self.key.open(&context(&self.id), part, last, &sealed);
        let plain = plain.map_err(|cause| DocumentError::Damaged {
            id: self.id.clone(),
            part,
            cause,
        })?;
        let whole = PART_SIZE as u64;
        let expected = if last {
            self.size - part * whole
        } else {
            whole
        };
        let found = plain.len() as u64;
        if found == expected {
            Ok(plain.into())
        } else {
            Err(DocumentError::Length {
                id: self.id.clone(),
                part,
                expected,
                found,
            })
        }
    }
}
