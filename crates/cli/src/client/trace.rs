//! Names each call, so that it can be followed through the gateway: `x-request-id`, and
//! `traceparent` (W3C Trace Context, section 3.2).

use data_encoding::HEXLOWER;
use evidence_ledger::key::random;
use tonic::{Request, Status, metadata::MetadataValue, service::Interceptor};

use super::Rng;

/// Puts both headers on every call, unless the caller has.
#[derive(Clone)]
pub struct Trace {
    rng: Rng,
}

impl Trace {
    pub fn new(rng: Rng) -> Self {
        Self { rng }
    }
}

impl Interceptor for Trace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let bits: [u8; 24] =
            random(&*self.rng).map_err(|error| Status::internal(error.to_string()))?;
        let (trace, span) = bits.split_at(16);
        let (trace, span) = (HEXLOWER.encode(trace), HEXLOWER.encode(span));
        let metadata = request.metadata_mut();
        for (name, value) in [
            ("x-request-id", trace.clone()),
            ("traceparent", format!("00-{trace}-{span}-01")),
        ] {
            if metadata.get(name).is_none() {
                let value = MetadataValue::try_from(value)
                    .map_err(|_| Status::internal("a header of hex digits"))?;
                metadata.insert(name, value);
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::rng;
    use std::sync::Arc;

    fn headers(request: &Request<()>) -> (String, String) {
        let text = |name: &str| {
            request
                .metadata()
                .get(name)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        (text("x-request-id"), text("traceparent"))
    }

    #[test]
    fn every_call_has_its_own_trace() {
        let mut trace = Trace::new(Arc::new(rng()));
        let (id, parent) = headers(&trace.call(Request::new(())).unwrap());
        let parts: Vec<&str> = parent.split('-').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [2, 32, 16, 2]
        );
        assert_eq!((parts[0], parts[1], parts[3]), ("00", id.as_str(), "01"));
        assert_ne!(headers(&trace.call(Request::new(())).unwrap()).0, id);
    }

    #[test]
    fn a_callers_own_trace_is_kept() {
        let mut request = Request::new(());
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        request
            .metadata_mut()
            .insert("traceparent", parent.parse().unwrap());
        let mut trace = Trace::new(Arc::new(rng()));
        assert_eq!(headers(&trace.call(request).unwrap()).1, parent);
    }
}
