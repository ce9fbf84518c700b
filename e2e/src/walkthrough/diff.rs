//! How the page and a run differ, for people.

use similar::TextDiff;

/// A unified diff, or nothing where there is no difference.
pub fn diff(name: &str, page: &str, run: &str) -> String {
    TextDiff::from_lines(page, run)
        .unified_diff()
        .context_radius(2)
        .header(name, "this run")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_what_is_around_it() {
        let page = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";
        insta::assert_snapshot!(diff("page.md", page, &page.replace("four", "4")), @r"
        --- page.md
        +++ this run
        @@ -2,5 +2,5 @@
         two
         three
        -four
        +4
         five
         six
        ");
        assert_eq!(diff("page.md", page, page), "");
    }
}
