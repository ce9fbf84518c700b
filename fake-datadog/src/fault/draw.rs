//! Chance, the same in every run.

use sha2::{Digest, Sha256};

/// Numbers from 0 to below 1 that follow from a seed and a name alone, so that a fault's chances
/// are the same whatever other faults there are.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    key: [u8; 32],
    drawn: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
        Self { key: digest.into(), drawn: 0 }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> f64 {
        let digest =
            Sha256::new().chain_update(self.key).chain_update(self.drawn.to_le_bytes()).finalize();
        self.drawn += 1;
        // The first 53 bits: as many as a double holds exactly.
        let bits = digest.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let draw = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        draw
    }

    /// The next number of a normal distribution with mean 0 and deviation 1 (Box and Muller).
    pub(crate) fn next_normal(&mut self) -> f64 {
        // 1 - u is above 0, so that the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_from_seed_and_name() {
        let draw = |seed, name| {
            let mut draws = Draws::new(seed, name);
            [draws.next(), draws.next()].map(|it| format!("{it:.6}"))
        };
        assert_eq!(draw(0, "a"), draw(0, "a"));
        assert_ne!(draw(0, "a"), draw(1, "a"));
        assert_ne!(draw(0, "a"), draw(0, "b"));
        assert_eq!(draw(0, "a"), ["0.536337", "0.380646"]);
    }

    #[test]
    fn normal_draws_have_mean_0_and_deviation_1() {
        let mut draws = Draws::new(0, "normal");
        let values: Vec<f64> = (0..4000).map(|_| draws.next_normal()).collect();
        let mean = values.iter().sum::<f64>() / 4000.0;
        let variance = values.iter().map(|it| it * it).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.1, "{mean} {variance}");
    }
}
