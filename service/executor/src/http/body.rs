//! Reading a body within bounds: of length, of time, and of what all requests together may hold.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A body as it arrives.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// Bytes of one unit of the budget.
const GRAIN: u64 = 1 << 16;

/// Bounds on bodies.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Most bytes of one body.
    pub bytes: u64,
    /// Most time from its first byte to its last.
    pub time: Duration,
    /// What all bodies together may hold, in units of [`GRAIN`].
    budget: Arc<Semaphore>,
}

impl Bounds {
    /// Bounds of one body, and of all together.
    #[must_use]
    pub fn new(bytes: u64, time: Duration, all: u64) -> Self {
        let grains = usize::try_from(all.max(bytes).div_ceil(GRAIN)).unwrap_or(Semaphore::MAX_PERMITS);
        Self { bytes, time, budget: Arc::new(Semaphore::new(grains.min(Semaphore::MAX_PERMITS))) }
    }
}

/// A body, and its part of the budget while it is held.
#[derive(Debug)]
pub struct Body {
    /// The bytes.
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// Longer than the bound.
    TooLarge,
    /// Not complete in time.
    TooSlow,
    /// It ended early, or its framing is broken.
    Cut,
    /// All requests together hold as many bytes as they may.
    NoRoom,
}

/// A chunk's buffer as bytes.
pub(super) fn chunk(mut buffer: impl Buf) -> Bytes {
    buffer.copy_to_bytes(buffer.remaining())
}

/// Reads a body.
///
/// # Errors
/// [`BodyError`].
pub async fn read(mut stream: BodyStream, bounds: &Bounds) -> Result<Body, BodyError> {
    let reading = async {
        let mut bytes = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        let mut held = 0_u64;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| BodyError::Cut)?;
            let total = bytes.len() as u64 + chunk.len() as u64;
            if total > bounds.bytes {
                return Err(BodyError::TooLarge);
            }
            let missing = u32::try_from(total.saturating_sub(held).div_ceil(GRAIN));
            let missing = missing.map_err(|_| BodyError::NoRoom)?;
            if missing > 0 {
                let more = Arc::clone(&bounds.budget).try_acquire_many_owned(missing);
                let more = more.map_err(|_| BodyError::NoRoom)?;
                held += u64::from(missing) * GRAIN;
                match &mut share {
                    Some(share) => share.merge(more),
                    None => share = Some(more),
                }
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Body { bytes: bytes.freeze(), _share: share })
    };
    tokio::time::timeout(bounds.time, reading).await.unwrap_or(Err(BodyError::TooSlow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn body(chunks: usize, size: usize) -> BodyStream {
        Box::pin(stream::iter((0..chunks).map(move |_| Ok(Bytes::from(vec![b'x'; size])))))
    }

    #[tokio::test]
    async fn bounds_hold() {
        let bounds = Bounds::new(100, Duration::from_millis(100), 100);
        let read_all = read(body(10, 10), &bounds).await.unwrap();
        assert_eq!(read_all.bytes.len(), 100);
        // The one grain there is is held.
        assert_eq!(read(body(1, 1), &bounds).await.unwrap_err(), BodyError::NoRoom);
        drop(read_all);
        assert_eq!(read(body(11, 10), &bounds).await.unwrap_err(), BodyError::TooLarge);
        let drip: BodyStream = Box::pin(body(1, 1).chain(stream::pending()));
        assert_eq!(read(drip, &bounds).await.unwrap_err(), BodyError::TooSlow);
        assert!(read(body(1, 1), &bounds).await.is_ok());
    }
}
