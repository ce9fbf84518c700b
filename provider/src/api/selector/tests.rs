use proptest::prelude::*;

use super::*;

/// The good texts of upstream's tables (`pkg/labels/selector_test.go`: `TestSelectorParse`,
/// `TestSetSelectorParser`, `TestSelectorMatches`) and our own, with their canonical form.
#[test]
fn what_upstream_reads_is_read() {
    for (text, canonical) in [
        ("x=a,y=b,z=c", "x=a,y=b,z=c"),
        ("", ""),
        ("  ", ""),
        ("x!=a,y=b", "x notin (a),y=b"),
        ("x=", "x="),
        ("x= ", "x="),
        ("x=,z= ", "x=,z="),
        ("x= ,z= ", "x=,z="),
        ("!x", "!x"),
        ("x>1", "x>1"),
        ("x>1,z<5", "x>1,z<5"),
        ("x=a,a=x", "a=x,x=a"),
        ("notin=in", "notin=in"),
        ("\rx", "x"),
        ("this-is-a-dns.domain.com/key-with-dash", "this-is-a-dns.domain.com/key-with-dash"),
        (
            "this-is-another-dns.domain.com/key-with-dash in (so,what)",
            "this-is-another-dns.domain.com/key-with-dash in (so,what)",
        ),
        (
            "0.1.2.domain/99 notin (10.10.100.1, tick.tack.clock)",
            "0.1.2.domain/99 notin (10.10.100.1,tick.tack.clock)",
        ),
        ("foo  in\t (abc)", "foo=abc"),
        ("x notin\n (abc)", "x notin (abc)"),
        ("x  notin\t\t\t(abc,def)", "x notin (abc,def)"),
        ("x in (abc,def)", "x in (abc,def)"),
        ("x in (abc,)", "x in (,abc)"),
        ("x in (abc,abc)", "x=abc"),
        ("x in ()", "x="),
        ("x in (a,,)", "x in (,a)"),
        ("x in (a,,,)", "x in (,a)"),
        ("x in (a,,,,,,)", "x in (,a)"),
        ("x in (a,,a,,a,,a,,)", "x in (,a)"),
        ("x notin (abc,,def),bar,z in (),w", "bar,w,x notin (,abc,def),z="),
        ("x,y in (a)", "x,y=a"),
        ("x<7", "x<7"),
        ("x=a,y!=b,z in (h,i,j)", "x=a,y notin (b),z in (h,i,j)"),
        ("x notin ( )", "x notin ()"),
        ("x notin (, a)", "x notin (,a)"),
        ("a ", "a"),
        ("a in (x,y,notin, z,in)", "a in (in,notin,x,y,z)"),
        ("x in (foo,,baz),y,z notin ()", "x in (,baz,foo),y,z notin ()"),
        ("in in (in)", "in=in"),
        ("in", "in"),
        ("x>007", "x>7"),
        ("x>9223372036854775807", "x>9223372036854775807"),
        // What Go does with a byte 0: at the end of a token it is nothing, else the text ends.
        ("a=\0b\0,c", "a=b,c"),
        ("a= \0)", "a="),
    ] {
        let parsed = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(parsed.to_string(), canonical, "{text:?}");
        assert_eq!(parse(canonical), Ok(parsed), "{canonical:?}");
    }
}

#[test]
fn two_spellings_of_the_same_are_the_same() {
    for (one, other) in [
        ("a=b", "a==b"),
        ("a=b", "a in (b)"),
        ("a=b", "a in (b,b),a==b"),
        ("a!=b", "a notin (b)"),
        ("a,!b", " ! b , a,a"),
        ("a=", "a in ()"),
        ("a>1", "a > 01"),
        ("a in (x,y),b", "b,a in(y,x)"),
    ] {
        assert_eq!(parse(one), parse(other), "{one:?} {other:?}");
    }
    for (one, other) in [("a", "A"), ("a=b", "a!=b"), ("a=", "a"), ("a>1", "a<1"), ("a>1", "a=1")] {
        assert_ne!(parse(one), parse(other), "{one:?} {other:?}");
    }
}

/// The bad texts of the same tables and our own, with the words that Go's parser has for them.
#[test]
fn what_upstream_refuses_is_refused_in_its_words() {
    let operators = "expected: in, notin, =, ==, !=, gt, lt";
    for (text, words) in [
        ("x=a||y=b", "values[0][x]: Invalid value: \"a||y\": a valid label must be"),
        ("x==a==b", "found '==', expected: ',' or 'end of string'"),
        ("!x=a", "found '=', expected: ',' or 'end of string'"),
        ("x,,y", "found ',', expected: identifier after ','"),
        (",x,y", "found ',', expected: !, identifier, or 'end of string'"),
        ("x nott in (y)", &format!("unable to parse requirement: found 'nott', {operators}")),
        ("a in (xyz),", "found '', expected: identifier after ','"),
        ("a in (xyz)b notin ()", "found 'b', expected: ',' or 'end of string'"),
        ("a in (xyz abc)", "unable to parse requirement: found 'abc', expected: ',' or ')'"),
        ("a notin(", "found '', expected: ',', ')' or identifier"),
        ("a notin(x,=", "found '=', expected: ',', or identifier"),
        ("a (", &format!("found '(', {operators}")),
        ("(", "found '(', expected: !, identifier, or 'end of string'"),
        ("a b", &format!("found 'b', {operators}")),
        ("a!", &format!("found '!', {operators}")),
        ("a in x", "found 'x' expected: '('"),
        ("a=(b)", "found '(', expected: identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!!a", "found '!', expected: identifier"),
        ("a\u{a0}", "<nil>: Invalid value: \"a\\u00a0\": name part must consist of"),
        ("a/b/c", "<nil>: Invalid value: \"a/b/c\": a valid label key must consist of"),
        ("/a", "prefix part must be non-empty"),
        ("a/", "name part must be non-empty; name part must consist of"),
        ("A.b/c", "prefix part a lowercase RFC 1123 subdomain must consist of"),
        ("a..b/c", "prefix part a lowercase RFC 1123 subdomain must consist of"),
        (&"a".repeat(64), "name part must be no more than 63 bytes"),
        (&format!("{}/a", "a".repeat(254)), "prefix part must be no more than 253 bytes"),
        (&format!("a={}", "a".repeat(64)), "must be no more than 63 bytes"),
        ("a=b-", "Invalid value: \"b-\""),
        ("a in (b,c:,é)", "[values[1][a]: Invalid value: \"c:\": a valid label must"),
        ("x>-1", "values[0][x]: Invalid value: \"-1\""),
        ("x>", "values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators, the value must be an"),
        ("x<9223372036854775808", "operators, the value must be an integer"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text:?}: {error}");
    }
    let error = |text| parse(text).unwrap_err().to_string();
    insta::assert_snapshot!(error("x<a"), @"unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer");
    insta::assert_snapshot!(error("a/b/c"), @r#"unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"#);
    insta::assert_snapshot!(error("A/b\\\x01=x"), @r#"unable to parse requirement: <nil>: Invalid value: "A/b\\\x01": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'); name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"#);
    insta::assert_snapshot!(error("x>-"), @r#"unable to parse requirement: [values[0]: Invalid value: "-": for 'Gt', 'Lt' operators, the value must be an integer, values[0][x]: Invalid value: "-": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')]"#);
}

/// Go's servers would answer with some hundred times what they were sent.
#[test]
fn an_error_does_not_grow_with_the_number_of_bad_values() {
    let values: Vec<String> = (0..5000).map(|number| format!("%{number}")).collect();
    let error = parse(&format!("a in ({})", values.join(","))).unwrap_err();
    assert!(error.to_string().len() < 4000);
}

prop_compose! {
    fn requirement()(
        key in "([a-z0-9]([a-z0-9-]{0,3}[a-z0-9])?[.]?[a-z]/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,4}[a-z])?",
        operator in 0..6_u8,
        values in proptest::collection::btree_set("|[A-Za-z0-9]([A-Za-z0-9_.-]{0,4}[A-Z])?", 1..4),
        limit in 0..=i64::MAX,
    ) -> Requirement {
        let operator = match operator {
            0 => Operator::In(values.into_iter().collect()),
            1 => Operator::NotIn(values.into_iter().collect()),
            2 => Operator::Exists,
            3 => Operator::DoesNotExist,
            4 => Operator::GreaterThan(limit),
            _ => Operator::LessThan(limit),
        };
        Requirement { key, operator }
    }
}

proptest! {
    #[test]
    fn property_test_no_text_panics_and_what_is_written_is_read_back(
        text in "[abi n0-2=!,()<>/.é\0\\-]{0,24}"
    ) {
        if let Ok(selector) = parse(&text) {
            prop_assert_eq!(parse(&selector.to_string()), Ok(selector));
        }
    }

    #[test]
    fn property_test_every_selector_is_read_back_in_any_order_and_spacing(
        requirements in proptest::collection::vec(requirement(), 0..5).prop_shuffle(),
        blank in "[ \t\r\n]{0,2}",
    ) {
        let texts: Vec<String> = requirements.iter().map(ToString::to_string).collect();
        let text = texts.join(&format!("{blank},{blank}"));
        let selector: Selector = requirements.into_iter().collect();
        prop_assert_eq!(parse(&format!("{blank}{text}{blank}")), Ok(selector));
    }
}
