//! Clusters that exist: their contexts, none of which is tried (a kubeconfig may start programs that
//! ask the user to log in).

use crate::doctor::{
    diagnosis::{Group, Line, Verdict},
    facts::Existing,
};

pub(crate) fn group(facts: &Existing) -> Group {
    Group { name: "existing", about: "a cluster that is there already", lines: vec![line(facts)] }
}

fn line(facts: &Existing) -> Line {
    const REMEDY: &str = "only for --cluster existing: point KUBECONFIG to a file with a context";
    match &facts.contexts {
        Err(said) => Line::warn("contexts", said, REMEDY),
        Ok((names, _)) if names.is_empty() => {
            Line::warn("contexts", "the kubeconfig has none", REMEDY)
        }
        Ok((names, current)) => {
            let current = current.as_deref().filter(|name| !name.is_empty());
            let current = current.map_or_else(String::new, |name| format!(" (current: {name})"));
            Line::ok("contexts", format!("{}{current}", names.join(", ")))
        }
    }
}

pub(crate) fn verdict(facts: &Existing) -> Verdict {
    match &facts.contexts {
        Ok((names, _)) if !names.is_empty() => {
            Verdict::Depends("works if the cluster of the context that you name does".to_owned())
        }
        _ => Verdict::Fails("no context to name: point KUBECONFIG to a file with one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_named_with_the_current_one() {
        let names = vec!["kind-a".to_owned(), "prod".to_owned()];
        let facts = Existing { contexts: Ok((names, Some("prod".to_owned()))) };
        assert_eq!(line(&facts), Line::ok("contexts", "kind-a, prod (current: prod)"));
        assert!(matches!(verdict(&facts), Verdict::Depends(_)), "no cluster was tried");
    }

    #[test]
    fn without_a_context_there_is_nothing_to_use() {
        for contexts in [Ok((Vec::new(), None)), Err("no kubeconfig".to_owned())] {
            let facts = Existing { contexts };
            assert!(line(&facts).mark.remedy().is_some_and(|remedy| remedy.contains("KUBECONFIG")));
            assert!(matches!(verdict(&facts), Verdict::Fails(_)));
        }
    }
}
