//! Chance that does not depend on who asked before: each number follows from a seed and an index.

use crate::{control::Script, tags::Tags};

/// What all randomness of one series derives from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed(u64);

/// Keeps numbers for noise apart from those for steps.
const NOISE: u64 = 0x6e6f_6973_6500_0000;

impl Seed {
    /// The seed of the series of `script`, as its metric and tags are stored.
    pub(crate) fn of(scenario: u64, script: &Script, metric: &str, tags: &Tags) -> Self {
        let mut seed = mix(scenario ^ mix(script.seed.unwrap_or_default()));
        for part in std::iter::once(metric).chain(tags.iter()) {
            for byte in part.bytes() {
                seed = mix(seed ^ u64::from(byte));
            }
            // So that `a:b` and `c` are not `a:bc`.
            seed = mix(seed ^ 0x100);
        }
        Self(seed)
    }

    /// An even chance from -1 to 1.
    pub(crate) fn noise(self, index: u64) -> f64 {
        // 53 bits are what an f64 holds exactly.
        let bits = mix(mix(self.0 ^ NOISE) ^ index) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = bits as f64 / (1_u64 << 53) as f64;
        unit * 2.0 - 1.0
    }

    /// Where a walk from 0 with steps of standard deviation 1 is after `steps`.
    ///
    /// Lévy's construction: first the places at powers of two, each from the one before, then by
    /// halves between two of them. It takes 2·log₂(steps) numbers, from any place, and only
    /// operations that give the same bits on every machine.
    pub(crate) fn walk(self, steps: u64) -> f64 {
        if steps == 0 {
            return 0.0;
        }
        let (mut low, mut at_low) = (0, 0.0);
        let (mut high, mut at_high) = (1, self.normal(1));
        while high < steps {
            (low, at_low) = (high, at_high);
            high = low.saturating_mul(2);
            at_high = at_low + self.normal(high) * exact(low).sqrt();
        }
        while low + 1 < high && steps != high {
            let middle = low + (high - low) / 2;
            let spread = exact(high - low).sqrt() / 2.0;
            let at_middle = f64::midpoint(at_low, at_high) + self.normal(middle) * spread;
            if steps <= middle {
                (high, at_high) = (middle, at_middle);
            } else {
                (low, at_low) = (middle, at_middle);
            }
        }
        at_high
    }

    /// About normal, with mean 0 and standard deviation 1: the sum of four even chances.
    fn normal(self, index: u64) -> f64 {
        let bits = mix(self.0 ^ mix(index));
        let sum: f64 = bits.to_le_bytes().chunks_exact(2).map(|it| unit(it[0], it[1])).sum();
        // A mean of 4 · ½ less half a bin each, and a variance of 4 · 1/12.
        (sum - 2.0 + 2.0 / 65_536.0) * 3_f64.sqrt()
    }
}

/// Turns a value back at the bounds as often as it takes.
pub(crate) fn reflect(value: f64, min: f64, max: f64) -> f64 {
    let width = max - min;
    let folded = (value - min).rem_euclid(2.0 * width);
    (min + if folded <= width { folded } else { 2.0 * width - folded }).clamp(min, max)
}

/// 16 bits as a fraction of 1.
fn unit(low: u8, high: u8) -> f64 {
    f64::from(u16::from_le_bytes([low, high])) / 65_536.0
}

#[expect(clippy::cast_precision_loss, reason = "a power of two")]
fn exact(power_of_two: u64) -> f64 {
    power_of_two as f64
}

/// `SplitMix64`: spreads each bit over all of them.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed(42);

    #[test]
    fn a_walk_takes_steps_of_deviation_one() {
        let steps: Vec<f64> =
            (0..10_000).map(|index| SEED.walk(index + 1) - SEED.walk(index)).collect();
        let mean = steps.iter().sum::<f64>() / 10_000.0;
        let variance = steps.iter().map(|step| step * step).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn steps_follow_chance_and_not_each_other() {
        let step = |index| SEED.walk(index + 1) - SEED.walk(index);
        let together: f64 = (0..10_000).map(|index| step(index) * step(index + 1)).sum();
        assert!((together / 10_000.0).abs() < 0.05, "{together}");
    }

    #[test]
    fn a_walk_has_an_end_at_any_number_of_steps() {
        for steps in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) + 1] {
            assert!(SEED.walk(steps).is_finite());
        }
    }

    #[test]
    fn noise_stays_in_its_bounds_around_zero() {
        let noise: Vec<f64> = (0..10_000).map(|index| SEED.noise(index)).collect();
        assert!(noise.iter().all(|it| (-1.0..=1.0).contains(it)));
        assert!((noise.iter().sum::<f64>() / 10_000.0).abs() < 0.03);
    }

    #[test]
    fn bounds_turn_a_value_back() {
        let check = |value, expected: f64| {
            assert!((reflect(value, 2.0, 5.0) - expected).abs() < 1e-9, "{value}");
        };
        for (value, expected) in [(3.0, 3.0), (5.5, 4.5), (1.0, 3.0), (8.5, 2.5), (-41.0, 3.0)] {
            check(value, expected);
        }
    }

    #[test]
    fn every_part_of_a_name_changes_the_seed() {
        let script = |seed| Script {
            seed,
            ..Script::new("m", [""; 0], crate::control::Shape::Constant(0.0))
        };
        let seeds = [
            Seed::of(0, &script(None), "m", &Tags::normalise(["a:b", "c"])),
            Seed::of(1, &script(None), "m", &Tags::normalise(["a:b", "c"])),
            Seed::of(0, &script(Some(1)), "m", &Tags::normalise(["a:b", "c"])),
            Seed::of(0, &script(None), "n", &Tags::normalise(["a:b", "c"])),
            Seed::of(0, &script(None), "m", &Tags::normalise(["a:bc"])),
        ];
        for (index, seed) in seeds.iter().enumerate() {
            assert!(!seeds[..index].contains(seed), "{index}");
        }
    }
}
