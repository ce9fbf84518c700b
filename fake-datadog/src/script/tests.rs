use super::*;
use crate::control::{Gap, Start, Step};

const ORIGIN: i64 = 1_800_000_000;

fn script(shape: Shape) -> Script {
    Script::new("m", ["K:V"], shape)
}

/// The points of a script that is set at [`ORIGIN`], seen 20 s later, in seconds since then.
#[track_caller]
fn check(script: Script, from: i64, to: i64, expected: &[(i64, f64)]) {
    let mut scripts = Scripts::default();
    scripts.set(ORIGIN, script).unwrap();
    let scope = Scope::everything();
    let sources = scripts.sources(ORIGIN + 20, "m", &scope, ORIGIN + from, ORIGIN + to);
    let points: Vec<_> =
        sources[0].points.iter().map(|(time, value)| (time - ORIGIN, *value)).collect();
    assert_eq!(points, expected);
}

#[track_caller]
fn refused(script: &Script, expected: &str) {
    assert_eq!(validate(script).unwrap_err().to_string(), expected);
}

fn step(at: u64, value: f64) -> Step {
    Step { at: Span::from_secs(at), value }
}

#[test]
fn there_is_a_point_every_second_from_the_start_until_now() {
    check(script(Shape::Constant(5.0)), -3, 1, &[(0, 5.0), (1, 5.0)]);
    check(script(Shape::Constant(5.0)), 19, 99, &[(19, 5.0), (20, 5.0)]);
    check(script(Shape::Constant(5.0)), 21, 99, &[]);
}

#[test]
fn the_spacing_counts_from_the_start() {
    let mut every_seven = script(Shape::Constant(1.0));
    every_seven.every = Span::from_secs(7);
    check(every_seven.clone(), 0, 20, &[(0, 1.0), (7, 1.0), (14, 1.0)]);
    check(every_seven, 8, 14, &[(14, 1.0)]);
}

#[test]
fn a_start_in_the_past_gives_a_history() {
    let started = script(Shape::Step(vec![step(0, 1.0), step(10, 2.0)]))
        .starting(Start::Ago(Span::from_secs(9)));
    check(
        started,
        -10,
        2,
        &[
            (-9, 1.0),
            (-8, 1.0),
            (-7, 1.0),
            (-6, 1.0),
            (-5, 1.0),
            (-4, 1.0),
            (-3, 1.0),
            (-2, 1.0),
            (-1, 1.0),
            (0, 1.0),
            (1, 2.0),
            (2, 2.0),
        ],
    );
}

#[test]
fn nothing_reaches_back_beyond_the_retention() {
    let mut scripts = Scripts::default();
    let long_ago = Start::Ago(Span::from_secs(10 * 24 * 3600));
    scripts.set(ORIGIN, script(Shape::Constant(1.0)).starting(long_ago)).unwrap();
    let sources = scripts.sources(ORIGIN, "m", &Scope::everything(), 0, i64::MAX);
    assert_eq!(sources[0].points.len(), usize::try_from(RETENTION).unwrap() + 1);
}

#[test]
fn steps_hold_until_the_next_and_begin_with_the_first() {
    let steps = script(Shape::Step(vec![step(1, 0.0), step(3, 25.0), step(4, 0.0)]));
    check(steps, 0, 5, &[(1, 0.0), (2, 0.0), (3, 25.0), (4, 0.0), (5, 0.0)]);
}

#[test]
fn a_ramp_ends_level() {
    let ramp = Shape::Ramp { from: 10.0, to: 0.0, over: Span::from_secs(2) };
    check(script(ramp), 0, 3, &[(0, 10.0), (1, 5.0), (2, 0.0), (3, 0.0)]);
}

#[test]
fn a_sine_starts_at_its_mean_and_goes_up() {
    let shape = Shape::Sine { mean: 10.0, amplitude: 4.0, period: Span::from_secs(4) };
    let at = |secs| value(&shape, Span::from_secs(secs)).unwrap();
    let expected = [10.0, 14.0, 10.0, 6.0, 10.0];
    for (secs, expected) in (0..).zip(expected) {
        assert!((at(secs) - expected).abs() < 1e-9, "{secs}");
    }
}

#[test]
fn a_replay_ends_or_repeats_and_null_is_no_point() {
    let replay = |repeat| Shape::Replay {
        values: vec![Some(1.0), None, Some(3.0)],
        each: Span::from_secs(2),
        repeat,
    };
    check(script(replay(false)), 0, 8, &[(0, 1.0), (1, 1.0), (4, 3.0), (5, 3.0)]);
    check(script(replay(true)), 4, 7, &[(4, 3.0), (5, 3.0), (6, 1.0), (7, 1.0)]);
}

#[test]
fn gaps_have_no_points() {
    let mut gappy = script(Shape::Constant(1.0));
    gappy.gaps = vec![Gap { at: Span::from_secs(1), length: Span::from_secs(2) }];
    check(gappy, 0, 4, &[(0, 1.0), (3, 1.0), (4, 1.0)]);
}

#[test]
fn a_script_is_replaced_and_removed_by_metric_and_tags() {
    let mut scripts = Scripts::default();
    for tags in [vec!["a:b"], vec!["A:B"], vec!["c:d"], vec![]] {
        scripts.set(ORIGIN, Script::new("m", tags, Shape::Constant(1.0))).unwrap();
    }
    scripts.set(ORIGIN, Script::new("n", ["a:b"], Shape::Constant(1.0))).unwrap();
    assert_eq!(scripts.len(), 4);
    assert_eq!(scripts.remove(Some("m"), Some(&Tags::normalise(["a:b"]))), 1);
    assert_eq!(scripts.remove(Some("m"), Some(&Tags::default())), 1);
    assert_eq!(scripts.remove(Some("m"), None), 1);
    assert_eq!(scripts.remove(None, None), 1);
}

#[test]
fn scripts_without_sense_are_refused() {
    let constant = Shape::Constant(1.0);
    refused(
        &Script::new("1m", ["a"], constant.clone()),
        "metric `1m` is no metric name: letters, digits, `_` and `.`, beginning with a letter",
    );
    let mut fast = script(constant);
    fast.every = std::time::Duration::from_millis(1500).into();
    refused(&fast, "every `1s 500ms` must be a whole number of seconds, at least 1s");
    refused(&script(Shape::Step(vec![])), "step needs at least one value");
    refused(
        &script(Shape::Step(vec![step(5, 1.0), step(5, 2.0)])),
        "step at `5s` must come after the step at `5s`",
    );
    refused(&script(Shape::Constant(f64::NAN)), "value `NaN` must be finite");
    let sine = Shape::Sine { mean: 0.0, amplitude: 1.0, period: Span::default() };
    refused(&script(sine), "period must be longer than 0s");
}
