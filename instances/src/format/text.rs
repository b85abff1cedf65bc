//! Numbers separated by blanks: what the published benchmark files have in common.
//!
//! Every reader here is bounded by its input: a count is compared with the bytes that are left
//! before anything is allocated for it, so that `1000000000 10` costs nothing.

use crate::ids::{CapacityIx, TenantId};
use crate::instance::{Capacity, Choice, Instance, InstanceParts, InstanceTenant, MAX_MAGNITUDE, Sense};
use crate::issue::{Code, Issue, Issues};
use crate::objective::{Objective, Term};
use crate::scenario::Shedding;
use crate::units::Hertz;

/// A byte sequence between blanks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) line: usize,
}

/// Walks over the tokens of a text, counting lines.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, line: 1 }
    }

    /// An issue at a line.
    pub(super) fn issue(code: Code, line: usize, message: impl Into<String>) -> Issues {
        Issues::one(Issue::new(code, format!("/line/{line}"), message))
    }

    /// An issue at the line of the token read last.
    pub(super) fn issue_here(&self, code: Code, message: impl Into<String>) -> Issues {
        Self::issue(code, self.line, message)
    }

    /// The next token, or [`Code::Truncated`].
    fn token(&mut self, what: &str) -> Result<Token<'a>, Issues> {
        self.next()
            .ok_or_else(|| Self::issue(Code::Truncated, self.line, format!("the file ends before {what}")))
    }

    /// A finite number from `low` to `high`.
    pub(super) fn read_number(&mut self, what: &str, low: f64, high: f64) -> Result<f64, Issues> {
        let token = self.token(what)?;
        let value = parse_number(token.bytes).ok_or_else(|| unreadable(&token, what, "a number"))?;
        if value.is_finite() && value >= low && value <= high {
            return Ok(value);
        }
        let message = format!("{what} is {value}, not a number from {low} to {high}");
        Err(Self::issue(Code::OutOfRange, token.line, message))
    }

    /// A count from 1 to `most`.
    pub(super) fn read_count(&mut self, what: &str, most: usize) -> Result<usize, Issues> {
        let token = self.token(what)?;
        if token.bytes.is_empty() || !token.bytes.iter().all(u8::is_ascii_digit) {
            return Err(unreadable(&token, what, "a count"));
        }
        // Only digits: what does not parse is larger than any limit.
        let text = std::str::from_utf8(token.bytes).unwrap_or_default();
        match text.parse::<usize>().ok().filter(|n| *n <= most) {
            None => Err(Self::issue(
                Code::TooMany,
                token.line,
                format!("{what} is {}, at most {most}", show(&token)),
            )),
            Some(0) => Err(Self::issue(Code::OutOfRange, token.line, format!("{what} is 0, at least 1"))),
            Some(count) => Ok(count),
        }
    }

    /// Refuses to go on when the rest of the file cannot hold `numbers` numbers.
    pub(super) fn expect_room(&self, numbers: Option<usize>, what: &str) -> Result<(), Issues> {
        // A number takes a digit and a blank, the last one only a digit.
        let room = self.rest.len().div_ceil(2);
        if numbers.is_some_and(|n| n <= room) {
            return Ok(());
        }
        let message = format!("{what} need more numbers than the {} bytes left can hold", self.rest.len());
        Err(Self::issue(Code::Truncated, self.line, message))
    }

    /// Refuses anything but blanks up to the end.
    pub(super) fn expect_end(&mut self) -> Result<(), Issues> {
        self.next().map_or(Ok(()), |token| {
            let message = format!("`{}` after the last number that the counts announce", show(&token));
            Err(Self::issue(Code::Inconsistent, token.line, message))
        })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let start = self.rest.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(self.rest.len());
        let (blank, rest) = self.rest.split_at(start);
        self.line += blank.iter().filter(|b| **b == b'\n').count();
        let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
        let (bytes, rest) = rest.split_at(end);
        self.rest = rest;
        (!bytes.is_empty()).then_some(Token { bytes, line: self.line })
    }
}

/// A decimal number; `nan`, `inf` and hexadecimal are not.
fn parse_number(bytes: &[u8]) -> Option<f64> {
    let plain = bytes.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    std::str::from_utf8(bytes).ok().filter(|_| plain)?.parse().ok()
}

fn unreadable(token: &Token<'_>, what: &str, kind: &str) -> Issues {
    Tokens::issue(Code::BadNumber, token.line, format!("{what} is `{}`, not {kind}", show(token)))
}

/// The first bytes of a token, printable.
fn show(token: &Token<'_>) -> String {
    let head: &[u8] = token.bytes.get(..24).unwrap_or(token.bytes);
    let dots = if head.len() < token.bytes.len() { "…" } else { "" };
    format!("{}{dots}", head.escape_ascii())
}

/// Reads the right-hand sides of `rows` capacity rows named `prefix-1` ….
pub(super) fn capacities(
    tokens: &mut Tokens<'_>,
    rows: usize,
    prefix: &str,
) -> Result<Vec<Capacity>, Issues> {
    (1..=rows)
        .map(|row| {
            let capacity = tokens.read_number("a capacity", 0.0, MAX_MAGNITUDE)?;
            Ok(Capacity { id: format!("{prefix}-{row}"), capacity, unit: String::new() })
        })
        .collect()
}

/// Reads the use of capacity row `row`; zeros are not stored.
pub(super) fn use_of(tokens: &mut Tokens<'_>, row: usize) -> Result<Option<(CapacityIx, f64)>, Issues> {
    let amount = tokens.read_number("a weight", 0.0, MAX_MAGNITUDE)?;
    Ok((amount != 0.0).then(|| (CapacityIx::new(row), amount)))
}

/// A class of a published problem: exactly one of its options is taken.
pub(super) fn class(id: String, options: Vec<Choice>) -> InstanceTenant {
    InstanceTenant {
        id: TenantId::new(id),
        priority: 1.0,
        rate: Hertz::ZERO,
        slo: None,
        family: String::new(),
        tiers: Vec::new(),
        accuracy_floor: None,
        devices: None,
        switch_price: 0.0,
        running: None,
        shedding: Shedding { allowed: false, price: None },
        options,
    }
}

/// An instance without boards.
pub(super) fn instance(
    name: &str,
    sense: Sense,
    capacities: Vec<Capacity>,
    tenants: Vec<InstanceTenant>,
) -> Result<Instance, Issues> {
    Instance::try_new(InstanceParts {
        name: name.to_owned(),
        sense,
        objective: Objective::Single(Term::Value),
        sites: Vec::new(),
        classes: Vec::new(),
        devices: Vec::new(),
        weights: Vec::new(),
        capacities,
        tenants,
        affinities: Vec::new(),
        fleet_accuracy_floor: None,
        stability: crate::scenario::Stability::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_carry_their_line() {
        let mut tokens = Tokens::new(b"\n 1\t2\r\n\n x");
        let seen: Vec<_> = tokens.by_ref().map(|t| (t.bytes, t.line)).collect();
        assert_eq!(seen, [(&b"1"[..], 2), (&b"2"[..], 2), (&b"x"[..], 4)]);
        assert!(tokens.next().is_none());
    }

    #[test]
    fn only_plain_decimal_numbers() {
        assert_eq!(parse_number(b"-1.5e3"), Some(-1500.0));
        for bad in ["nan", "inf", "Infinity", "0x10", "1_000", "1,5", "--1", ".", "e", "", "\u{661}"] {
            assert_eq!(parse_number(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_printable() {
        let token = Token { bytes: b"\x1b[31m\xff", line: 1 };
        assert_eq!(show(&token), r"\x1b[31m\xff");
        let long = [b'9'; 100];
        assert_eq!(show(&Token { bytes: &long, line: 1 }).chars().count(), 25);
    }
}
