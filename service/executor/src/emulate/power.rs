//! Power of an emulated board: what the simulator says that it draws.

use crate::emulate::runtime::lock;
use crate::emulate::world::World;
use crate::power::{Activity, Origin, PowerError, PowerSource, Quantity, Rail, Reading, Scope};
use std::sync::{Arc, Mutex};

/// One rail, the whole board.
#[derive(Debug, Clone)]
pub struct EmulatedPower(pub(super) Arc<Mutex<World>>);

impl PowerSource for EmulatedPower {
    fn name(&self) -> &'static str {
        "simulator"
    }

    fn origin(&self) -> Origin {
        Origin::Emulated
    }

    fn scope(&self) -> Scope {
        Scope::Board
    }

    fn read(&mut self, _: &Activity<'_>) -> Result<Reading, PowerError> {
        // Energy and time of one moment: the board's time goes on while it is asked.
        let (energy, at) = {
            let world = lock(&self.0);
            (Quantity::Energy(world.energy), world.counters.at)
        };
        let rails = vec![Rail { name: "board".to_owned(), quantity: energy }];
        Ok(Reading { rails, total: Some(energy), at: Some(at), ..Reading::default() })
    }
}
