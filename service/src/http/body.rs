//! Reading a request body within bounds: of length, of time, and of what all requests together
//! may hold.

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A body as it arrives.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// How long a refused body is still read and thrown away, so that a client that sends first and
/// reads later sees the refusal and not a broken connection.
const LINGER: Duration = Duration::from_secs(5);

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most bytes.
    pub bytes: u64,
    /// Most time from the first byte to the last.
    pub time: Duration,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than the bound.
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// The connection ended before the body did, or its framing is broken.
    Cut,
    /// All requests together hold as many bytes as they may.
    NoRoom,
}

/// Bytes that all requests together may hold.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    held: AtomicU64,
    most: u64,
}

impl Budget {
    /// A budget of `most` bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self(Arc::new(Account { held: AtomicU64::new(0), most }))
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    fn share(&self) -> Share {
        Share { account: Arc::clone(&self.0), bytes: 0 }
    }
}

/// What one request holds of the budget; given back when dropped.
#[derive(Debug)]
struct Share {
    account: Arc<Account>,
    bytes: u64,
}

impl Share {
    fn grow(&mut self, more: u64) -> bool {
        let fits = |held: u64| held.checked_add(more).filter(|sum| *sum <= self.account.most);
        let taken = self.account.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if taken {
            self.bytes += more;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body read whole. Holds its share of the budget until dropped.
#[derive(Debug)]
pub struct Body {
    bytes: Vec<u8>,
    _share: Share,
}

impl Body {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A chunk's buffer as bytes.
pub fn chunk(mut buffer: impl Buf) -> Bytes {
    buffer.copy_to_bytes(buffer.remaining())
}

/// Reads a body. `announced` is its `Content-Length`; `expects` says that the client waits for
/// `100 Continue` before it sends anything.
///
/// # Errors
/// [`BodyError`]; the rest of a body that is too large is thrown away for a few seconds.
pub async fn read(
    mut stream: BodyStream,
    announced: Option<u64>,
    expects: bool,
    bounds: Bounds,
    budget: &Budget,
) -> Result<Body, BodyError> {
    if announced.is_some_and(|length| length > bounds.bytes) {
        if !expects {
            linger(stream);
        }
        return Err(BodyError::TooLarge);
    }
    let mut share = budget.share();
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| BodyError::Cut)?;
            let length = chunk.len() as u64;
            if length > bounds.bytes.saturating_sub(bytes.len() as u64) {
                return Err(BodyError::TooLarge);
            }
            if !share.grow(length) {
                return Err(BodyError::NoRoom);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(bounds.time, reading).await {
        Ok(Ok(())) => Ok(Body { bytes, _share: share }),
        Ok(Err(error)) => {
            drop(bytes);
            if error != BodyError::Cut {
                linger(stream);
            }
            Err(error)
        }
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Throws away what still comes, for a bounded time.
fn linger(mut stream: BodyStream) {
    tokio::spawn(async move {
        let drain = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = tokio::time::timeout(LINGER, drain).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn bounds(bytes: u64) -> Bounds {
        Bounds { bytes, time: Duration::from_millis(200) }
    }

    fn body(chunks: usize, size: usize) -> BodyStream {
        Box::pin(stream::iter((0..chunks).map(move |_| Ok(Bytes::from(vec![b'x'; size])))))
    }

    #[tokio::test]
    async fn cap_holds_with_and_without_a_length() {
        let budget = Budget::new(1 << 20);
        let fits = read(body(10, 10), None, false, bounds(100), &budget).await.expect("100 bytes fit");
        assert_eq!((fits.bytes().len(), budget.held()), (100, 100));
        drop(fits);
        assert_eq!(budget.held(), 0);
        let over = read(body(11, 10), None, false, bounds(100), &budget).await;
        assert_eq!(over.expect_err("110 bytes"), BodyError::TooLarge);
        let announced = read(body(1, 1), Some(101), true, bounds(100), &budget).await;
        assert_eq!(announced.expect_err("announced"), BodyError::TooLarge);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn all_requests_share_one_budget() {
        let budget = Budget::new(150);
        let first = read(body(1, 100), None, false, bounds(100), &budget).await.expect("fits");
        let second = read(body(1, 100), None, false, bounds(100), &budget).await;
        assert_eq!(second.expect_err("no room"), BodyError::NoRoom);
        drop(first);
        assert!(read(body(1, 100), None, false, bounds(100), &budget).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let drip: BodyStream = Box::pin(body(1, 1).chain(stream::pending()));
        let result = read(drip, None, false, bounds(100), &Budget::new(1000)).await;
        assert_eq!(result.expect_err("slow"), BodyError::TooSlow);
    }
}
