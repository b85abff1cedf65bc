//! `SplitMix64` (Steele, Lea, Flood 2014): the seeded choices of a study. Written down here so that a
//! choice of traces can be repeated in any language.

/// A generator.
#[derive(Debug, Clone)]
pub struct Mix(u64);

impl Mix {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`, 0 for none; by remainder, as unevenly as 2^64 is no multiple of `n`.
    pub fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % n).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The first outputs for seed 1234567, as the reference implementation gives them.
        let mut mix = Mix::new(1_234_567);
        assert_eq!([mix.draw(), mix.draw()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert!((0..100).all(|_| mix.below(7) < 7));
    }
}
