//! W3C Trace Context: which trace a request belongs to (<https://www.w3.org/TR/trace-context/>).

use crate::access::token::{hex, unhex};
use http::HeaderMap;
use http::header::HeaderName;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

/// The header, in requests and answers.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What vendors add to it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Longest `tracestate` passed on, bytes; the specification asks for at least 512.
const MOST_STATE: usize = 512;

/// A trace's id; not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// A span's id; not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// 32 hexadecimal digits.
    #[must_use]
    pub fn text(self) -> String {
        hex(&self.0)
    }
}

impl SpanId {
    /// 16 hexadecimal digits.
    #[must_use]
    pub fn text(self) -> String {
        hex(&self.0)
    }
}

/// A span's place in its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// Trace.
    pub trace: TraceId,
    /// The span that caused this one, in another process or this.
    pub parent: Option<SpanId>,
    /// This span.
    pub span: SpanId,
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// `tracestate`, passed on as it came.
    pub state: Option<String>,
}

impl TraceContext {
    /// The context of a request: in the caller's trace where it names one, else in a new one, which
    /// is recorded when `sample` says so.
    #[must_use]
    pub fn of(headers: &HeaderMap, ids: &Ids, sample: bool) -> Self {
        let mut given = headers.get_all(TRACEPARENT).iter();
        let parent = match (given.next(), given.next()) {
            (Some(value), None) => value.to_str().ok().and_then(parse),
            _ => None, // none, or more than one, which the specification forbids
        };
        let Some((trace, parent, sampled)) = parent else {
            return Self { trace: ids.trace(), parent: None, span: ids.span(), sampled: sample, state: None };
        };
        let state: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|v| v.to_str().ok()).collect();
        let state = state.join(",");
        let state = (!state.is_empty() && state.len() <= MOST_STATE).then_some(state);
        Self { trace, parent: Some(parent), span: ids.span(), sampled, state }
    }

    /// A context from the text of [`Self::header`], as a child of the span that it names.
    #[must_use]
    pub fn resume(header: &str, ids: &Ids) -> Option<Self> {
        let (trace, parent, sampled) = parse(header)?;
        Some(Self { trace, parent: Some(parent), span: ids.span(), sampled, state: None })
    }

    /// A span within this one.
    #[must_use]
    pub fn child(&self, ids: &Ids) -> Self {
        Self { parent: Some(self.span), span: ids.span(), ..self.clone() }
    }

    /// `traceparent` of what this span causes.
    #[must_use]
    pub fn header(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace.text(), self.span.text(), u8::from(self.sampled))
    }
}

/// Reads `traceparent`. Later versions may be longer; their beginning is that of version 00.
fn parse(text: &str) -> Option<(TraceId, SpanId, bool)> {
    if !text.is_ascii() || text.len() < 55 {
        return None;
    }
    let (known, rest) = text.split_at(55);
    let mut parts = known.split('-');
    let [version] = unhex::<1>(parts.next()?)?;
    let trace = unhex::<16>(parts.next()?).filter(|id| *id != [0; 16])?;
    let span = unhex::<8>(parts.next()?).filter(|id| *id != [0; 8])?;
    let [flags] = unhex::<1>(parts.next()?)?;
    let whole = rest.is_empty() || (version > 0 && rest.starts_with('-'));
    let fine = version != 0xff && whole && parts.next().is_none();
    fine.then_some((TraceId(trace), SpanId(span), flags & 1 == 1))
}

/// Makes ids that nobody else is likely to make: a counter hashed under random keys. They are
/// names, not secrets.
#[derive(Debug, Default)]
pub struct Ids {
    keys: [RandomState; 2],
    count: AtomicU64,
}

impl Ids {
    fn eight(&self, keys: usize) -> [u8; 8] {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let hash = self.keys.get(keys).map_or(n, |k| k.hash_one(n));
        hash.max(1).to_be_bytes()
    }

    /// A trace's id.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.eight(0));
        id[8..].copy_from_slice(&self.eight(1));
        TraceId(id)
    }

    /// A span's id.
    #[must_use]
    pub fn span(&self) -> SpanId {
        SpanId(self.eight(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_callers_trace_goes_on() {
        let ids = Ids::default();
        let mut given = headers(&[PARENT]);
        given.append(TRACESTATE, HeaderValue::from_static("a=1"));
        given.append(TRACESTATE, HeaderValue::from_static("b=2"));
        let context = TraceContext::of(&given, &ids, false);
        assert_eq!(context.trace.text(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.parent.map(SpanId::text).as_deref(), Some("b7ad6b7169203331"));
        assert!(context.sampled && Some(context.span) != context.parent);
        assert_eq!(context.state.as_deref(), Some("a=1,b=2"));
        let child = context.child(&ids);
        assert_eq!((child.trace, child.parent), (context.trace, Some(context.span)));
        let resumed = TraceContext::resume(&context.header(), &ids).expect("its own text");
        assert_eq!((resumed.trace, resumed.parent), (context.trace, Some(context.span)));
    }

    #[test]
    fn what_the_specification_forbids_begins_a_new_trace() {
        let ids = Ids::default();
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        ] {
            assert_eq!(TraceContext::of(&headers(&[bad]), &ids, true).parent, None, "{bad}");
        }
        assert_eq!(TraceContext::of(&headers(&[PARENT, PARENT]), &ids, true).parent, None);
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what-comes";
        let context = TraceContext::of(&headers(&[later]), &ids, true);
        assert!(context.parent.is_some() && !context.sampled);
        let fresh = TraceContext::of(&headers(&[]), &ids, true);
        assert!(fresh.sampled && fresh.trace != TraceContext::of(&headers(&[]), &ids, true).trace);
    }
}
