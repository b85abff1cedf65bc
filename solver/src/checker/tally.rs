//! Counts rows and keeps the broken ones.

use super::{MOST_VIOLATIONS, RowCheck, TOLERANCE, Violation};

/// A row family of the formulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    Choice,
    Mode,
    Load,
    Memory,
    Bandwidth,
    DevicePower,
    SitePower,
    Latency,
    AccuracyFloor,
    FleetAccuracy,
    Capacity,
    Pinning,
    Together,
    Apart,
    Moves,
    Frozen,
}

impl Row {
    /// Every family, in the order of the formulation.
    const ALL: [Self; 16] = [
        Self::Choice,
        Self::Mode,
        Self::Load,
        Self::Memory,
        Self::Bandwidth,
        Self::DevicePower,
        Self::SitePower,
        Self::Latency,
        Self::AccuracyFloor,
        Self::FleetAccuracy,
        Self::Capacity,
        Self::Pinning,
        Self::Together,
        Self::Apart,
        Self::Moves,
        Self::Frozen,
    ];

    /// Number and name.
    const fn name(self) -> &'static str {
        match self {
            Self::Choice => "1 choice",
            Self::Mode => "2 mode",
            Self::Load => "3 load",
            Self::Memory => "4 memory",
            Self::Bandwidth => "5 bandwidth",
            Self::DevicePower => "6a device power",
            Self::SitePower => "6b site power",
            Self::Latency => "7 latency",
            Self::AccuracyFloor => "8a accuracy floor",
            Self::FleetAccuracy => "8b fleet accuracy",
            Self::Capacity => "9 capacity",
            Self::Pinning => "10a pinning",
            Self::Together => "10b together",
            Self::Apart => "10c apart",
            Self::Moves => "11a moves",
            Self::Frozen => "11b frozen",
        }
    }
}

/// Rows checked so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    checked: [u64; Row::ALL.len()],
    violated: [u64; Row::ALL.len()],
    violations: Vec<Violation>,
}

impl Tally {
    /// A row `value ≤ limit`. `subject` is asked for only when it is broken.
    pub(super) fn at_most(&mut self, row: Row, value: f64, limit: f64, subject: impl FnOnce() -> String) {
        // Written so that a NaN would count as broken.
        let kept = value <= limit + TOLERANCE * limit.abs().max(1.0);
        self.record(row, kept, value, limit, subject);
    }

    /// A row `value ≥ limit`.
    pub(super) fn at_least(&mut self, row: Row, value: f64, limit: f64, subject: impl FnOnce() -> String) {
        let kept = value >= limit - TOLERANCE * limit.abs().max(1.0);
        self.record(row, kept, value, limit, subject);
    }

    /// A row that is a matter of yes or no: `0 ≤ 0` when kept, `1 ≤ 0` when not.
    pub(super) fn holds(&mut self, row: Row, kept: bool, subject: impl FnOnce() -> String) {
        self.record(row, kept, if kept { 0.0 } else { 1.0 }, 0.0, subject);
    }

    fn record(&mut self, row: Row, kept: bool, value: f64, limit: f64, subject: impl FnOnce() -> String) {
        let at = row as usize;
        self.checked[at] += 1;
        if !kept {
            self.violated[at] += 1;
            if self.violations.len() < MOST_VIOLATIONS {
                self.violations.push(Violation { row: row.name(), subject: subject(), value, limit });
            }
        }
    }

    /// The counts of every family, and the violations kept.
    pub(super) fn finish(self) -> (Vec<RowCheck>, Vec<Violation>) {
        let rows = Row::ALL
            .iter()
            .zip(self.checked.iter().zip(&self.violated))
            .map(|(row, (checked, violated))| RowCheck {
                row: row.name(),
                checked: *checked,
                violated: *violated,
            })
            .collect();
        (rows, self.violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_is_relative_above_one_and_absolute_below() {
        let mut tally = Tally::default();
        for (value, limit) in [(1e9 + 900.0, 1e9), (0.5 + 9e-7, 0.5), (9e-7, 0.0), (-1e9 + 900.0, -1e9)] {
            tally.at_most(Row::Load, value, limit, String::new);
            tally.at_least(Row::Load, -value, -limit, String::new);
        }
        for (value, limit) in [(1e9 + 1100.0, 1e9), (0.5 + 1.1e-6, 0.5), (1.1e-6, 0.0), (f64::NAN, 1.0)] {
            tally.at_most(Row::SitePower, value, limit, String::new);
            tally.at_least(Row::SitePower, -value, -limit, String::new);
        }
        let (rows, violations) = tally.finish();
        let count = |name: &str| rows.iter().find(|r| r.row == name).map(|r| (r.checked, r.violated));
        assert_eq!(count("3 load"), Some((8, 0)));
        assert_eq!(count("6b site power"), Some((8, 8)));
        assert_eq!(violations.len(), 8);
    }

    #[test]
    fn violations_are_kept_up_to_a_limit_and_counted_beyond() {
        let mut tally = Tally::default();
        for _ in 0..250 {
            tally.holds(Row::Apart, false, || "x".to_owned());
        }
        let (rows, violations) = tally.finish();
        assert_eq!(violations.len(), MOST_VIOLATIONS);
        assert_eq!(rows.iter().map(|r| r.violated).sum::<u64>(), 250);
    }
}
