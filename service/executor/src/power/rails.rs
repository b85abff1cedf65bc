//! Which rails make up the draw of a module.
//!
//! Boards with a rail at the input report it as `VDD_IN` (Xavier NX, Orin NX and Nano) or `POM_5V_IN` (Nano): it is
//! the total, the others are parts of it. The AGX boards have no such rail:
//!
//! * AGX Xavier: `GPU`, `CPU`, `SOC`, `CV`, `VDDRQ` and `SYS5V` are fed side by side, so the total is their sum (design
//!   guide of the module, sections 5.2 and 5.6.2);
//! * AGX Orin: `VDD_GPU_SOC`, `VDD_CPU_CV` and `VIN_SYS_5V0` are fed side by side; `VDDQ_VDD2_1V8AO` is taken to lie
//!   behind `VIN_SYS_5V0` and is not added.
//!
//! None of them covers what lies outside the module: carrier board, fan, supply loss.

use crate::power::reading::{Quantity, Rail};
use ecomap_instances::units::{Joules, Watts};

/// Rails whose sum is the module, in the order in which they are looked for.
const TOTALS: [&[&str]; 5] = [
    &["VDD_IN"],
    &["POM_5V_IN"],
    &["5V_IN"],
    &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
    &["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"],
];

/// The rails that make up the module of a board with rails of the given names; empty where the board is not known.
#[must_use]
pub fn parts<'a>(names: &(impl Iterator<Item = &'a str> + Clone)) -> &'static [&'static str] {
    TOTALS
        .iter()
        .find(|parts| parts.iter().any(|part| names.clone().any(|name| name == *part)))
        .copied()
        .unwrap_or_default()
}

/// Sum of the rails named by `parts`; `None` when one is missing or there are none.
#[must_use]
pub fn total(rails: &[Rail], parts: &[&str]) -> Option<Quantity> {
    let (mut power, mut energy) = (None, None);
    for part in parts {
        match rails.iter().find(|r| r.name == *part)?.quantity {
            Quantity::Power(p) => power = Some(power.unwrap_or(Watts::ZERO) + p),
            Quantity::Energy(e) => energy = Some(energy.unwrap_or(Joules::ZERO) + e),
        }
    }
    match (power, energy) {
        (Some(p), None) => Some(Quantity::Power(p)),
        (None, Some(e)) => Some(Quantity::Energy(e)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rails(list: &[(&str, f64)]) -> Vec<Rail> {
        list.iter()
            .map(|(n, w)| Rail { name: (*n).to_owned(), quantity: Quantity::Power(Watts::new(*w)) })
            .collect()
    }

    fn sum(list: &[(&str, f64)]) -> Option<Quantity> {
        total(&rails(list), parts(&list.iter().map(|(n, _)| *n)))
    }

    #[test]
    fn an_input_rail_is_the_total() {
        let found = sum(&[("VDD_IN", 5.0), ("VDD_CPU_GPU_CV", 1.0), ("VDD_SOC", 1.5)]);
        assert_eq!(found, Some(Quantity::Power(Watts::new(5.0))));
    }

    #[test]
    fn agx_rails_add_up_and_memory_is_not_counted_twice() {
        let orin =
            [("VDD_GPU_SOC", 2.0), ("VDD_CPU_CV", 0.5), ("VIN_SYS_5V0", 3.5), ("VDDQ_VDD2_1V8AO", 0.75)];
        assert_eq!(sum(&orin), Some(Quantity::Power(Watts::new(6.0))));
        let xavier =
            [("GPU", 1.0), ("CPU", 2.0), ("SOC", 4.0), ("CV", 8.0), ("VDDRQ", 16.0), ("SYS5V", 32.0)];
        assert_eq!(sum(&xavier), Some(Quantity::Power(Watts::new(63.0))));
    }

    #[test]
    fn a_missing_part_leaves_no_total() {
        assert_eq!(sum(&[("VDD_GPU_SOC", 2.0), ("VDD_CPU_CV", 0.5)]), None);
        assert_eq!(sum(&[("SOMETHING", 2.0)]), None);
        assert_eq!(sum(&[]), None);
    }
}
