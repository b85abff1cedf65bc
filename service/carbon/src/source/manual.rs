//! Values that an operator or another program pushes.

use super::{Exchange, Reading, Response, Source, SourceError};
use crate::sample::{Sample, Signal};
use jiff::Timestamp;
use std::sync::Arc;

/// Most samples that wait to be read.
const MOST: usize = 1_200;

/// Pushed samples, handed on when they are next asked for.
#[derive(Debug)]
pub struct Manual {
    name: Arc<str>,
    signal: Signal,
    waiting: Vec<Sample>,
}

impl Manual {
    /// Nothing is pushed yet.
    #[must_use]
    pub fn new(signal: Signal) -> Self {
        Self { name: "manual".into(), signal, waiting: Vec::new() }
    }

    /// Takes a sample; of more than 1200 the oldest goes.
    ///
    /// # Errors
    /// The sample itself when it answers the other question (average or marginal).
    pub fn push(&mut self, sample: Sample) -> Result<(), Sample> {
        if sample.signal() != self.signal {
            return Err(sample);
        }
        if self.waiting.len() >= MOST {
            self.waiting.remove(0);
        }
        self.waiting.push(sample);
        Ok(())
    }
}

impl Source for Manual {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn begin(&mut self, _now: Timestamp) -> Exchange {
        Exchange::Done(Reading { samples: std::mem::take(&mut self.waiting), dropped: 0 })
    }

    fn accept(&mut self, _response: &Response, _now: Timestamp) -> Result<Exchange, SourceError> {
        Err(SourceError::Malformed("nothing was asked".to_owned()))
    }
}
