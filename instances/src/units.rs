//! Units of measure as types.
//!
//! A power cap and a latency are both `f64` on the wire; here they are not interchangeable. Each
//! type carries only the operations that make physical sense: watts add up, watts divided by watts
//! are a ratio, watts times a carbon intensity are grams per hour. Wire names carry the unit as a
//! suffix (`_w`, `_ms`, `_bytes`, …).

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $suffix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct $name(f64);

        impl $name {
            /// Zero of this unit.
            pub const ZERO: Self = Self(0.0);

            /// Wraps a number given in this unit.
            #[must_use]
            pub const fn new(value: f64) -> Self {
                Self(value)
            }

            /// The number in this unit.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }

            /// The larger of two values.
            #[must_use]
            pub fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }

            /// The smaller of two values.
            #[must_use]
            pub fn min(self, other: Self) -> Self {
                Self(self.0.min(other.0))
            }

            /// Total order (NaN never passes validation).
            #[must_use]
            pub fn total_cmp(&self, other: &Self) -> Ordering {
                self.0.total_cmp(&other.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if let Some(digits) = f.precision() {
                    write!(f, "{:.*} {}", digits, self.0, $suffix)
                } else {
                    write!(f, "{} {}", self.0, $suffix)
                }
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl Div<f64> for $name {
            type Output = Self;
            fn div(self, divisor: f64) -> Self {
                Self(self.0 / divisor)
            }
        }

        impl Div for $name {
            type Output = f64;
            fn div(self, other: Self) -> f64 {
                self.0 / other.0
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self::ZERO, |a, b| a + b)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                self.0.partial_cmp(&other.0)
            }
        }
    };
}

unit!(
    /// Electrical power in watts.
    Watts, "W"
);
unit!(
    /// Energy in joules.
    Joules, "J"
);
unit!(
    /// A duration in milliseconds.
    Millis, "ms"
);
unit!(
    /// A size in bytes. Sizes here reach 10^11, far below 2^53, so `f64` is exact.
    Bytes, "B"
);
unit!(
    /// Data rate in bytes per second.
    BytesPerSecond, "B/s"
);
unit!(
    /// A duration in seconds, for jobs that run for hours.
    Seconds, "s"
);
unit!(
    /// Bandwidth of a link between accelerators, in 10^9 bytes per second, as vendors state it.
    GigabytesPerSecond, "GB/s"
);
unit!(
    /// Memory of a server or a job, in 10^9 bytes.
    Gigabytes, "GB"
);
unit!(
    /// A frequency or a request rate in events per second.
    Hertz, "Hz"
);
unit!(
    /// Arithmetic work in operations, one multiply-accumulate counting two.
    Ops, "op"
);
unit!(
    /// Arithmetic rate in operations per second.
    OpsPerSecond, "op/s"
);
unit!(
    /// Carbon intensity of electricity in grams of CO2-equivalent per kilowatt-hour.
    GramsPerKwh, "gCO2e/kWh"
);
unit!(
    /// Emission rate in grams of CO2-equivalent per hour.
    GramsPerHour, "gCO2e/h"
);

impl Watts {
    /// Emission rate at a carbon intensity: `P/1000` kWh each hour times g/kWh.
    #[must_use]
    pub fn emits(self, intensity: GramsPerKwh) -> GramsPerHour {
        GramsPerHour::new(self.0 / 1000.0 * intensity.get())
    }
}

impl Mul<Hertz> for Joules {
    type Output = Watts;
    fn mul(self, rate: Hertz) -> Watts {
        Watts::new(self.0 * rate.get())
    }
}

impl Mul<Millis> for Watts {
    type Output = Joules;
    fn mul(self, time: Millis) -> Joules {
        Joules::new(self.0 * time.get() / 1000.0)
    }
}

impl Div<BytesPerSecond> for Bytes {
    type Output = Millis;
    fn div(self, rate: BytesPerSecond) -> Millis {
        Millis::new(self.0 / rate.get() * 1000.0)
    }
}

impl Div<OpsPerSecond> for Ops {
    type Output = Millis;
    fn div(self, rate: OpsPerSecond) -> Millis {
        Millis::new(self.0 / rate.get() * 1000.0)
    }
}

impl Mul<Hertz> for Bytes {
    type Output = BytesPerSecond;
    fn mul(self, rate: Hertz) -> BytesPerSecond {
        BytesPerSecond::new(self.0 * rate.get())
    }
}

impl Mul<Hertz> for Millis {
    /// Utilisation: busy seconds per second.
    type Output = f64;
    fn mul(self, rate: Hertz) -> f64 {
        self.0 / 1000.0 * rate.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watts_emit_grams_per_hour() {
        // 250 W at 400 g/kWh: a quarter of a kWh each hour.
        let rate = Watts::new(250.0).emits(GramsPerKwh::new(400.0));
        assert_eq!(rate, GramsPerHour::new(100.0));
    }

    #[test]
    fn physical_products() {
        assert_eq!(Joules::new(0.5) * Hertz::new(30.0), Watts::new(15.0));
        assert_eq!(Watts::new(10.0) * Millis::new(500.0), Joules::new(5.0));
        assert_eq!(Bytes::new(1e6) / BytesPerSecond::new(1e9), Millis::new(1.0));
        assert_eq!(Ops::new(4e9) / OpsPerSecond::new(1e12), Millis::new(4.0));
        assert!((Millis::new(20.0) * Hertz::new(30.0) - 0.6).abs() < 1e-12);
    }

    #[test]
    fn display_carries_the_unit() {
        assert_eq!(format!("{:.1}", Watts::new(12.345)), "12.3 W");
    }
}
