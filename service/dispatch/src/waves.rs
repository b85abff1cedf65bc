//! In which order boards switch, so that a site never draws more than its cap in between.
//!
//! Let `o` be what a board draws under the plan it runs and `n` under the new one. Boards with `n ≤ o` switch first,
//! those of which `o` is not known second, those with `n > o` last; a wave begins when every board of the wave before
//! has said that it switched. Where every `o` is known, a site then never draws more than `max(Σ o, Σ n)` over its
//! boards: in the first wave no board is above its `o`; in the last one no board is above its `n`, for all others are
//! at theirs already. A board whose `o` is not known may be above the new plan until it has switched; that is why it
//! does so before any other rises.

use crate::dispatcher::Board;
use ecomap_instances::format::orders_v1::OrdersDto;

/// Relative tolerance within which a draw counts as unchanged.
const TOLERANCE: f64 = 1e-9;

/// Positions in `boards`, wave by wave; waves without a board are left out. `orders` are in the order of `boards`.
#[must_use]
pub fn waves(boards: &[Board], orders: &[OrdersDto]) -> Vec<Vec<usize>> {
    let mut waves = [Vec::new(), Vec::new(), Vec::new()];
    for (n, (board, orders)) in boards.iter().zip(orders).enumerate() {
        let wave = match board.draws_w {
            Some(old) if orders.power_w <= old + TOLERANCE * old.abs() => 0,
            None => 1,
            Some(_) => 2,
        };
        if let Some(wave) = waves.get_mut(wave) {
            wave.push(n);
        }
    }
    waves.into_iter().filter(|wave| !wave.is_empty()).collect()
}
