use super::*;

#[test]
fn a_version_has_the_parts_that_go_programs_expect() {
    insta::assert_json_snapshot!(parse("1.20.3-rc.1+build"), @r#"
    {
      "Major": 1,
      "Minor": 20,
      "Patch": 3,
      "Pre": "rc.1",
      "Meta": "build",
      "Commit": ""
    }
    "#);
    assert_eq!(parse("0.1.0").minor, 1);
}
