use proptest::prelude::*;

use super::*;

const PAGE: &str = r"# Title
<!-- run: pods nginx datadog-agent -->
<!-- run: cleanup kubectl delete pod stress -->

```console
$ kubectl apply -f a.yaml
created
$ kubectl apply \
    -f b.yaml
```

<!-- run: within 60s until Running -->
<!-- run: about {8}/9 ± 1 -->

```console
$ kubectl get pods
NAME   STATUS

nginx  Running
```
<!-- run: exit 1 -->
<!-- run: hidden false -->
```yaml
$ not a command
```
";

#[track_caller]
fn refused(source: &str, line: usize, expected: &str) {
    let error = source.parse::<Page>().unwrap_err();
    assert_eq!(error.line, line, "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn commands_outputs_and_comments_are_found() {
    let page: Page = PAGE.parse().unwrap();
    let steps: Vec<&Step> = page.steps().collect();
    let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
    assert_eq!(
        commands,
        ["kubectl apply -f a.yaml", "kubectl apply \\\n    -f b.yaml", "kubectl get pods", "false"]
    );
    assert_eq!(steps[0].view, View::Shown { output: vec!["created".to_owned()] });
    assert_eq!(steps[1].view, View::Shown { output: vec![] });
    assert!(steps[1].expect.until.is_none());
    assert!(steps[2].expect.until.is_some());
    assert_eq!(steps[2].expect.about.len(), 1);
    assert_eq!((steps[3].expect.exit, steps[3].line), (1, 22));
    assert_eq!(page.pods(), ["nginx", "datadog-agent"]);
    assert_eq!(page.cleanup(), ["kubectl delete pod stress"]);
}

#[test]
fn a_page_that_cannot_be_run_is_refused_with_its_line() {
    refused("a\n<!-- run: exit -->", 2, "is no exit code");
    refused("<!-- run: exit 1 -->\n\ntext", 3, "none follows");
    refused("<!-- run: exit 1 -->\n", 1, "none follows");
    refused("```console\nls\n```", 2, "begins with `$ `");
    refused("```console\n```", 2, "begins with `$ `");
    refused("\n```console\n$ ls\n", 2, "has no end");
    refused("- x\n  ```console\n  $ ls\n  ```", 2, "indented");
    refused("<!-- run: exit 1 -->\n```console\n$ ls\n$ ls\n```", 4, "split it");
}

#[test]
fn fences_within_other_blocks_are_text() {
    let page: Page = "````markdown\n```console\n$ ls\n```\n````\n".parse().unwrap();
    assert_eq!(page.steps().count(), 0);
}

fn lines() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("```console".to_owned()),
        Just("```".to_owned()),
        Just("````".to_owned()),
        Just("```yaml".to_owned()),
        Just("$ kubectl get pods".to_owned()),
        Just("$ kubectl get \\".to_owned()),
        Just("<!-- run: exit 1 -->".to_owned()),
        Just(" <!-- run: about {1} ± 1 -->".to_owned()),
        Just("<!-- run: hidden true -->".to_owned()),
        Just("<!-- run: within 1s until x -->".to_owned()),
        Just(String::new()),
        "\\PC{0,20}\r?",
    ]
}

/// A page that parses: text, hidden commands and blocks in any order.
fn pages() -> impl Strategy<Value = String> {
    let command = "\\$ [a-z ]{0,9}(\\\\\n[a-z ]{0,9})?";
    let output = prop::collection::vec("[a-z0-9 /]{0,9}", 0..4).prop_map(|lines| lines.join("\n"));
    let step = (command, output).prop_map(|(command, output)| format!("{command}\n{output}\n"));
    let block = prop::collection::vec(step, 1..4)
        .prop_map(|steps| format!("```console\n{}```\n", steps.concat()));
    let hidden = "<!-- run: hidden [a-z]{1,9} -->\n";
    let text = "[a-z #*]{0,20}\n{0,2}";
    let part = prop_oneof![
        block.prop_map(|block| format!("\n{block}")),
        hidden.prop_map(|hidden| format!("\n{hidden}")),
        text
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn property_test_printing_gives_the_source_back(source in pages()) {
        let page: Page = source.parse().unwrap();
        prop_assert_eq!(page.to_string(), source);
    }

    #[test]
    fn property_test_any_lines_are_refused_or_given_back(
        lines in prop::collection::vec(lines(), 0..12)
    ) {
        let source = lines.join("\n");
        if let Ok(page) = source.parse::<Page>() {
            prop_assert_eq!(page.to_string(), source);
        }
    }
}
