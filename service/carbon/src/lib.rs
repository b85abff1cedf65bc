//! From the grid's carbon intensity to a power cap.
//!
//! Data passes through in this order:
//!
//! 1. [`source`]: one file for each service or file format that knows intensities. A source says what to ask and
//!    reads what comes back ([`Exchange`]); it never opens a connection, so every failure can be
//!    tested without one.
//! 2. [`poll`]: when to ask again: intervals, retries with jitter, `Retry-After`, `ETag`, a quota of requests.
//! 3. [`series`]: the samples of one zone, observed and forecast, bounded in time and number.
//! 4. [`chain`]: what holds now, and on whose word: the first source with a fresh sample, else a forecast, else the
//!    same hour yesterday, else a stated pessimistic value. Every step down is visible.
//! 5. [`forecast`]: the hours ahead from those behind, when no source foretells them.
//! 6. [`policy`]: one file for each rule that turns intensity into a cap; [`damper`] keeps caps from fluttering.
//!
//! Average and marginal intensities answer different questions (what the grid emits, what one more kilowatt-hour
//! emits) and are never mixed: a chain has one [`Signal`].

pub mod chain;
pub mod damper;
pub mod forecast;
pub mod policy;
pub mod poll;
pub mod sample;
pub mod secret;
pub mod series;
pub mod source;

pub use chain::{Chain, Current, Provenance};
pub use damper::Damper;
pub use policy::{Cap, Outlook, Policy};
pub use sample::{Kind, Sample, SampleError, Signal};
pub use secret::Secret;
pub use series::Series;
pub use source::{Exchange, Reading, Request, Response, Source, SourceError};
