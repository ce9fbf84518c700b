//! The series as the page draws them.

use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::{state::Shared, tags::Tags};

/// Most series drawn at a time; a filter finds the others.
const MAX_SERIES: usize = 300;

/// Most points drawn of one series, about one for two pixels.
const MAX_POINTS: i64 = 300;

/// What part of a plot is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Parts of names and tags, all of which a series must have; in lower case.
    pub(crate) words: Vec<String>,
    /// Unix seconds.
    pub(crate) from: i64,
    pub(crate) now: i64,
    pub(crate) to: i64,
}

/// One series.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plot {
    pub(crate) metric: String,
    pub(crate) tags: Vec<String>,
    pub(crate) scripted: bool,
    /// `(Unix seconds, value)`; sent as `[seconds after now, value, …]`.
    #[serde(serialize_with = "flat")]
    pub(crate) points: Vec<(i64, f64)>,
}

/// The series wanted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plots {
    now: i64,
    from: i64,
    to: i64,
    /// How many there are, the ones not in `series` included.
    total: usize,
    series: Vec<Plot>,
}

impl Wanted {
    /// Between two points drawn, in seconds.
    pub(crate) fn step(&self) -> i64 {
        ((self.to - self.from) / MAX_POINTS).max(1)
    }

    /// Whether a series is wanted.
    pub(crate) fn takes(&self, metric: &str, tags: &Tags) -> bool {
        let has = |word: &String| {
            metric.to_lowercase().contains(word) || tags.iter().any(|tag| tag.contains(word))
        };
        self.words.iter().all(has)
    }
}

/// The series wanted, scripted ones first, in a stable order.
pub(crate) fn plots(shared: &Shared, wanted: &Wanted) -> Plots {
    let (scripted, mut series) = shared.scripted_plots(wanted, MAX_SERIES);
    let room = MAX_SERIES - series.len();
    let (submitted, more) = shared.submitted_plots(wanted, room);
    series.extend(more);
    for plot in &mut series {
        for (time, _) in &mut plot.points {
            *time -= wanted.now;
        }
    }
    let (from, now, to) = (wanted.from, wanted.now, wanted.to);
    Plots { now, from, to, total: scripted + submitted, series }
}

/// The last point of each step.
pub(crate) fn thinned(points: impl Iterator<Item = (i64, f64)>, step: i64) -> Vec<(i64, f64)> {
    let mut kept: Vec<(i64, f64)> = Vec::new();
    for (time, value) in points {
        match kept.last_mut() {
            Some(last) if last.0.div_euclid(step) == time.div_euclid(step) => {
                *last = (time, value);
            }
            _ => kept.push((time, value)),
        }
    }
    kept
}

fn flat<S: Serializer>(points: &[(i64, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(points.len() * 2))?;
    for (time, value) in points {
        list.serialize_element(time)?;
        // Rounded as pixels are: half the bytes.
        list.serialize_element(&format!("{value:.6e}").parse::<f64>().unwrap_or(*value))?;
    }
    list.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_point_of_each_step_is_drawn() {
        let points = [(0, 1.0), (1, 2.0), (2, 3.0), (5, 4.0)];
        assert_eq!(thinned(points.into_iter(), 1), points);
        assert_eq!(thinned(points.into_iter(), 2), [(1, 2.0), (2, 3.0), (5, 4.0)]);
    }

    #[test]
    fn every_word_must_be_somewhere_in_name_or_tags() {
        let takes = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            let tags = Tags::normalise(["env:prod", "host:a"]);
            Wanted { words, from: 0, now: 1, to: 2 }.takes("Nginx.requests", &tags)
        };
        assert!(takes(&[]));
        assert!(takes(&["nginx", "prod"]));
        assert!(!takes(&["nginx", "staging"]));
    }
}
