use super::*;
use crate::{
    control::{Gap, Moment, PerSeries, Shape, Span, Step, TimeScale},
    expr::data::Kind,
};

const ORIGIN: i64 = 1_800_000_000;

fn origin() -> Timestamp {
    Timestamp::from_second(ORIGIN).unwrap()
}

fn clock() -> ScenarioClock {
    ScenarioClock::new(origin(), TimeScale::REAL)
}

/// Sets a script at [`ORIGIN`].
fn set(scripts: &mut Scripts, script: Script) {
    scripts.set(&clock(), origin(), script).unwrap();
}

fn script(shape: Shape) -> Script {
    Script::new("m", ["K:V"], shape)
}

/// The points of a script that is set at [`ORIGIN`], seen 20 s later, in seconds since then.
#[track_caller]
fn check(script: Script, from: i64, to: i64, expected: &[(i64, f64)]) {
    assert_eq!(points(0, &clock(), script, from, to), expected);
}

/// The points of a script of `m` under a seed and a clock.
fn points(seed: u64, clock: &ScenarioClock, script: Script, from: i64, to: i64) -> Vec<(i64, f64)> {
    let mut scripts = Scripts::new(seed);
    scripts.set(clock, origin(), script).unwrap();
    let scope = Scope::everything();
    let sources = scripts.sources(clock, ORIGIN + 20, "m", &scope, ORIGIN + from, ORIGIN + to);
    sources[0].points.iter().map(|(time, value)| (time - ORIGIN, *value)).collect()
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
    set(&mut scripts, script(Shape::Constant(1.0)).starting(long_ago));
    let sources = scripts.sources(&clock(), ORIGIN, "m", &Scope::everything(), 0, i64::MAX);
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
    let seed = Seed::of(0, &script(shape.clone()), "m", &Tags::default());
    let at = |secs| value::value(&shape, seed, Span::from_secs(secs)).unwrap();
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
fn bursts_come_back_and_the_first_begins_at_the_start() {
    let (every, length) = (Span::from_secs(4), Span::from_secs(2));
    let burst = Shape::Burst { base: 1.0, height: 9.0, every, length };
    check(script(burst), 0, 5, &[(0, 10.0), (1, 10.0), (2, 1.0), (3, 1.0), (4, 10.0), (5, 10.0)]);
}

fn walk() -> Script {
    let each = Span::from_secs(1);
    let shape = Shape::RandomWalk { start: 5.0, step: 3.0, each, min: 0.0, max: 10.0 };
    script(shape).starting(Start::Ago(Span::from_secs(1000))).noise(0.5)
}

#[test]
fn a_random_walk_follows_from_the_seed_whoever_asked_before() {
    let all = points(7, &clock(), walk(), -1000, 20);
    assert_eq!(all.len(), 1021);
    assert!((all[0].1 - 5.0).abs() <= 0.5);
    assert!(all.iter().all(|(_, value)| (-0.5..=10.5).contains(value)));
    assert_eq!(points(7, &clock(), walk(), -300, -200), all[700..=800]);
    assert_ne!(points(8, &clock(), walk(), -1000, 20), all);
}

#[test]
fn at_another_time_scale_only_the_points_are_at_real_times() {
    let minute = ScenarioClock::new(origin(), TimeScale::new(60.0).unwrap());
    let steps = Shape::Step(vec![step(0, 1.0), step(120, 2.0)]);
    let mut fast = script(steps).starting(Start::Ago(Span::from_secs(60)));
    fast.gaps = vec![Gap { at: Span::from_secs(180), length: Span::from_secs(60) }];
    assert_eq!(
        points(0, &minute, fast, -5, 4),
        [(-1, 1.0), (0, 1.0), (1, 2.0), (3, 2.0), (4, 2.0)]
    );
}

#[test]
fn rates_and_counts_have_an_interval_and_gauges_only_one_of_their_own() {
    let interval = |script: Script| {
        let mut scripts = Scripts::default();
        set(&mut scripts, script);
        let sources = scripts.sources(&clock(), ORIGIN, "m", &Scope::everything(), 0, 0);
        (sources[0].kind, sources[0].interval)
    };
    let of = |kind| script(Shape::Constant(1.0)).every(Span::from_secs(10)).of_type(kind);
    assert_eq!(interval(of(MetricType::Gauge)), (Kind::Gauge, None));
    assert_eq!(interval(of(MetricType::Rate)), (Kind::Rate, Some(10)));
    let own = Script { interval: Some(Span::from_secs(60)), ..of(MetricType::Count) };
    assert_eq!(interval(own), (Kind::Count, Some(60)));
}

#[test]
fn the_last_value_of_a_timeline_holds_as_long_as_the_one_before() {
    let moment = |at, value| Moment { at: Span::from_secs(at), value };
    let points =
        vec![moment(0, Some(1.0)), moment(1, None), moment(2, Some(3.0)), moment(4, Some(4.0))];
    let timeline = |repeat| Shape::Timeline { points: points.clone(), repeat };
    check(script(timeline(false)), 0, 9, &[(0, 1.0), (2, 3.0), (3, 3.0), (4, 4.0), (5, 4.0)]);
    check(script(timeline(true)), 4, 8, &[(4, 4.0), (5, 4.0), (6, 1.0), (8, 3.0)]);
}

#[test]
fn series_of_a_template_differ_by_their_number() {
    let mut template = script(Shape::Ramp { from: 0.0, to: 10.0, over: Span::from_secs(10) })
        .for_each("pod", ["a", "b", "c"].into_iter().collect());
    template.tags = vec!["pod:{pod}".to_owned()];
    template.per_series = Some(PerSeries { add: 100.0, ahead: Span::from_secs(2) });
    let mut scripts = Scripts::default();
    set(&mut scripts, template.clone());
    let sources = scripts.sources(&clock(), ORIGIN, "m", &Scope::everything(), ORIGIN, ORIGIN);
    let values: Vec<_> = sources.iter().map(|it| it.points[0].1).collect();
    assert_eq!(values, [0.0, 102.0, 204.0]);
    assert_eq!((scripts.len(), scripts.scripts()), (3, vec![template]));
    assert_eq!(scripts.remove(Some("m"), Some(&Tags::normalise(["pod:b"]))), 1);
    assert_eq!(scripts.len(), 2);
    let states = scripts.states(&clock(), origin(), Some("m"));
    assert_eq!((states[1].tags[0].as_str(), states[1].value), ("pod:c", Some(204.0)));
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
        set(&mut scripts, Script::new("m", tags, Shape::Constant(1.0)));
    }
    set(&mut scripts, Script::new("n", ["a:b"], Shape::Constant(1.0)));
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
    refused(&script(Shape::Constant(1.0)).noise(-1.0), "noise `-1` must not be below 0");
    let each = Span::from_secs(1);
    let walk = Shape::RandomWalk { start: 5.0, step: 1.0, each, min: 0.0, max: 4.0 };
    refused(&script(walk), "random_walk needs min `0` below max `4` and start `5` within them");
}
