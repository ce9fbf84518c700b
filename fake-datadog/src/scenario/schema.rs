//! The JSON Schema of scenario files.

use schemars::generate::SchemaSettings;

use crate::scenario::Scenario;

/// The JSON Schema of scenario files, for editors; `fake-datadog/scenario.schema.json` holds it.
pub fn schema() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Scenario>();
    schema.insert("title".to_owned(), "Scenario of fake-datadog".into());
    // The documentation of the type goes on with an example in Rust.
    let description = "What a fake serves from its start, and again after each reset. Every span \
                       of time is scenario time, except for a series' `every` and `interval` and \
                       a rate limit's `period`.";
    schema.insert("description".to_owned(), description.into());
    schema.to_value()
}

/// The text of [`schema`] as it stands in the file.
pub(crate) fn text() -> String {
    format!("{:#}\n", schema())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(&schema()).unwrap()
    }

    #[track_caller]
    fn refused(yaml: &str, expected: &str) {
        let document: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        let validator = validator();
        let errors: Vec<_> = validator.iter_errors(&document).map(|it| it.to_string()).collect();
        assert!(errors.iter().any(|it| it.contains(expected)), "{yaml}: {errors:?}");
    }

    #[test]
    fn the_file_in_the_repository_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenario.schema.json");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == text(),
            "scenario.schema.json is stale, renew it: \
             cargo run -p fake-datadog -- schema > fake-datadog/scenario.schema.json"
        );
    }

    #[test]
    fn every_scenario_we_ship_fits_the_schema() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let validator = validator();
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|it| it != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let document: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
            let errors: Vec<_> =
                validator.iter_errors(&document).map(|it| it.to_string()).collect();
            assert_eq!(errors, [""; 0], "{}", path.display());
            let modeline = "# yaml-language-server: $schema=../scenario.schema.json\n";
            assert!(text.starts_with(modeline), "{} names no schema", path.display());
            found += 1;
        }
        assert!(0 < found);
    }

    #[test]
    fn the_schema_refuses_what_the_program_refuses() {
        refused("serie: []", "'serie' was unexpected");
        refused("time_scale: -1", "less than the minimum");
        refused("series: [{metric: m}]", "\"shape\" is a required property");
        refused("series: [{metric: m, shape: {saw: 1}}]", "not valid under any");
        refused("series: [{metric: m, shape: {constant: 1}, typ: gauge}]", "'typ' was unexpected");
        refused(
            "series: [{metric: m, shape: {constant: 1}, every: a while}]",
            "not valid under any",
        );
        refused(
            "series: [{metric: m, shape: {constant: 1}, for: {pod: 50}}]",
            "not valid under any",
        );
        refused("rate_limits: keda", "not valid under any");
        refused("keys: [{name: n}]", "not valid under any");
        refused("keys: [{api: a, app: b}]", "valid under more than one");
        refused("keys: [{app: a, scope: []}]", "'scope' was unexpected");
        refused("faults: [{name: f}]", "\"effect\" is a required property");
    }
}
