use proptest::prelude::*;

use super::*;

/// Byte for byte what nginx 1.22 answers, trailing blanks included.
const PAGE: &str = "Active connections: 7 \nserver accepts handled requests\n 161 160 3410 \nReading: 1 Writing: 2 Waiting: 4 \n";

const STATUS: StubStatus = StubStatus {
    active: 7,
    accepts: 161,
    handled: 160,
    requests: 3410,
    reading: 1,
    writing: 2,
    waiting: 4,
};

#[test]
fn a_page_of_nginx_is_read() {
    assert_eq!(PAGE.parse(), Ok(STATUS));
}

#[test]
fn line_ends_of_windows_and_further_lines_do_not_matter() {
    assert_eq!(PAGE.replace('\n', "\r\n").parse(), Ok(STATUS));
    assert_eq!(format!("{PAGE}\nand more").parse(), Ok(STATUS));
}

#[test]
fn what_is_not_a_status_page_is_refused_with_the_line_at_fault() {
    #[track_caller]
    fn check(page: &str, line: usize, found: &str) {
        let error = page.parse::<StubStatus>().unwrap_err();
        assert_eq!((error.line, error.found.as_str()), (line, found));
    }
    check("", 1, "");
    check("<!DOCTYPE html>\n<title>404", 1, "<!DOCTYPE html>");
    check(&PAGE.replace(" 7", " many"), 1, "Active connections: many ");
    check(&PAGE.replace(" 7", " -7"), 1, "Active connections: -7 ");
    check(&PAGE.replace(" 7", " +7"), 1, "Active connections: +7 ");
    check(
        &PAGE.replace(" 7", " 18446744073709551616"),
        1,
        "Active connections: 18446744073709551616 ",
    );
    check(&PAGE.replace(" requests", ""), 2, "server accepts handled");
    check(&PAGE.replace(" 3410", ""), 3, " 161 160 ");
    check(&PAGE.replace(" 3410", " 3410 99"), 3, " 161 160 3410 99 ");
    check(&PAGE[..PAGE.find("Reading").unwrap()], 4, "");
    check(&"long ".repeat(1000), 1, &"long ".repeat(12));
}

#[test]
fn an_error_says_what_to_look_at() {
    insta::assert_snapshot!(
        "<h1>Welcome".parse::<StubStatus>().unwrap_err(),
        @r#"line 1 of the status page should read "Active connections: #" (# a number) but is "<h1>Welcome"; does the address lead to a location with the directive stub_status?"#
    );
}

fn sample(seconds: u64, accepts: u64, handled: u64, requests: u64) -> Sample {
    let status = StubStatus { accepts, handled, requests, ..STATUS };
    Sample { at: Duration::from_secs(seconds), status }
}

#[test]
fn a_rate_is_the_increase_over_the_time_between() {
    assert_eq!(
        rates(&sample(10, 100, 100, 1000), &sample(25, 160, 130, 1375)),
        Ok(Rates { conn_opened: Some(4.0), conn_dropped: Some(2.0), requests: Some(25.0) })
    );
}

#[test]
fn counters_at_rest_are_a_rate_of_zero() {
    assert_eq!(
        rates(&sample(10, 100, 100, 1000), &sample(11, 100, 100, 1000)),
        Ok(Rates { conn_opened: Some(0.0), conn_dropped: Some(0.0), requests: Some(0.0) })
    );
}

#[test]
fn a_counter_that_went_backwards_has_no_rate_and_the_others_keep_theirs() {
    assert_eq!(
        rates(&sample(10, 100, 90, 1000), &sample(20, 120, 120, 3)),
        Ok(Rates { conn_opened: Some(2.0), conn_dropped: None, requests: None })
    );
}

#[test]
fn without_time_between_them_two_samples_have_no_rate() {
    let earlier = sample(10, 1, 1, 1);
    let later = sample(11, 2, 2, 2);
    assert!(rates(&earlier, &earlier).is_err());
    assert_eq!(
        rates(&later, &earlier),
        Err(NoTimeBetween { previous: Duration::from_secs(11), current: Duration::from_secs(10) })
    );
}

proptest! {
    #[test]
    fn property_test_any_text_is_parsed_or_refused(page in "(?s).{0,200}") {
        if let Err(error) = page.parse::<StubStatus>() {
            prop_assert!((1..=4).contains(&error.line));
            prop_assert!(error.found.chars().count() <= 60);
        }
    }

    #[test]
    fn property_test_any_counters_come_back_as_written(numbers in any::<[u64; 7]>()) {
        let [active, accepts, handled, requests, reading, writing, waiting] = numbers;
        let page = format!(
            "Active connections: {active} \nserver accepts handled requests\n {accepts} {handled} \
             {requests} \nReading: {reading} Writing: {writing} Waiting: {waiting} \n"
        );
        let status = StubStatus { active, accepts, handled, requests, reading, writing, waiting };
        prop_assert_eq!(page.parse(), Ok(status));
    }

    #[test]
    fn property_test_a_rate_is_never_negative(
        before in any::<[u64; 3]>(), after in any::<[u64; 3]>(), times in any::<[u32; 2]>(),
    ) {
        let first = sample(times[0].into(), before[0], before[1], before[2]);
        let second = sample(times[1].into(), after[0], after[1], after[2]);
        match rates(&first, &second) {
            Ok(Rates { conn_opened, conn_dropped, requests }) => {
                for rate in [conn_opened, conn_dropped, requests].into_iter().flatten() {
                    prop_assert!(rate.is_finite() && rate >= 0.0);
                }
            }
            Err(_) => prop_assert!(times[1] <= times[0]),
        }
    }
}
