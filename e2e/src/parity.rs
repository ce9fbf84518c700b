//! Whether two runs of a scenario, on different backends, came to the same decisions.

use crate::outcome::Outcome;

/// What a scenario decided, as far as it must not depend on where it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    /// Where the wanted replicas turned or rested. How many steps a ramp has depends on which moment
    /// a sample fell on, where it leads does not.
    pub replicas: Vec<i32>,
    /// Every assertion, and whether it held.
    pub assertions: Vec<(String, bool)>,
}

impl Decisions {
    /// Those of a run.
    pub fn of(outcome: &Outcome) -> Self {
        let assertions = outcome.assertions.iter();
        Self {
            replicas: turning_points(&outcome.timeline.desired_counts()),
            assertions: assertions.map(|it| (it.name.clone(), it.result.is_ok())).collect(),
        }
    }

    /// What differs, a line each; empty when nothing does.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.replicas != other.replicas {
            let [one, two] = [self, other].map(Self::path);
            lines.push(format!("replicas {one} and {two}"));
        }
        let missing = |assertions: &[(String, bool)], name: &str| {
            !assertions.iter().any(|(known, _)| known == name)
        };
        for (name, held) in &self.assertions {
            match other.assertions.iter().find(|(known, _)| known == name) {
                None => lines.push(format!("{name}: only the first asserted it")),
                Some((_, other)) if held != other => {
                    let words = |held: bool| if held { "held" } else { "did not hold" };
                    lines.push(format!("{name}: {} and {}", words(*held), words(*other)));
                }
                Some(_) => {}
            }
        }
        let only_second =
            other.assertions.iter().filter(|(name, _)| missing(&self.assertions, name));
        lines.extend(only_second.map(|(name, _)| format!("{name}: only the second asserted it")));
        lines
    }

    /// The replicas for people.
    pub fn path(&self) -> String {
        self.replicas.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ")
    }
}

/// First, last, and every count at which the direction changes.
fn turning_points(counts: &[i32]) -> Vec<i32> {
    let mut points: Vec<i32> = Vec::new();
    for &count in counts {
        match points[..] {
            [.., last] if last == count => {}
            [.., before, last] if (before < last) == (last < count) => {
                points.pop();
                points.push(count);
            }
            _ => points.push(count),
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_a_ramp_do_not_count() {
        for (counts, expected) in [
            (&[1, 3, 1][..], &[1, 3, 1][..]),
            (&[1, 2, 3, 1], &[1, 3, 1]),
            (&[1, 2, 3, 2, 1], &[1, 3, 1]),
            (&[1, 3, 2, 3, 1], &[1, 3, 2, 3, 1]),
            (&[1], &[1]),
            (&[], &[]),
        ] {
            assert_eq!(turning_points(counts), expected, "{counts:?}");
        }
    }

    fn decisions(replicas: &[i32], assertions: &[(&str, bool)]) -> Decisions {
        let assertions = assertions.iter().map(|(name, held)| ((*name).to_owned(), *held));
        Decisions { replicas: replicas.to_vec(), assertions: assertions.collect() }
    }

    #[test]
    fn every_difference_is_named() {
        let one = decisions(&[1, 3, 1], &[("a", true), ("b", true)]);
        assert!(one.differences(&one).is_empty());
        let two = decisions(&[1, 4, 1], &[("a", false), ("c", true)]);
        assert_eq!(
            one.differences(&two),
            [
                "replicas 1 → 3 → 1 and 1 → 4 → 1",
                "a: held and did not hold",
                "b: only the first asserted it",
                "c: only the second asserted it",
            ]
        );
    }
}
