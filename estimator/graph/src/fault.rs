//! A mistake before its place is known.

use ecomap_instances::{Code, Issue};

/// A code and what is wrong; the caller that knows where adds the pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// An operator that its definition does not allow.
    pub(crate) fn operator(message: impl Into<String>) -> Self {
        Self::new(Code::ModelOperator, message)
    }

    /// A count that does not fit.
    pub(crate) fn overflow(what: &str) -> Self {
        Self::new(Code::ModelOverflow, format!("{what} out of range"))
    }

    pub(crate) fn at(self, pointer: impl Into<String>) -> Issue {
        Issue::new(self.code, pointer, self.message)
    }
}

/// Names come from the file: shortened, so that a message stays readable.
pub(crate) fn short(name: &str) -> String {
    const MOST: usize = 80;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}
