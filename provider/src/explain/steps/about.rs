//! What is known of one external metric of the HPA, from whichever source says it.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::ExternalMetricSource;

use crate::{
    demand::{
        hpa,
        wish::{Origin, Wish},
    },
    explain::{
        cause::Cause,
        facts::{Answer, Facts, Found, Item},
        replicas::Target,
        view,
    },
};

/// One external metric.
#[derive(Debug)]
pub(super) struct About<'a> {
    /// As it stands in the HPA.
    pub(super) source: &'a ExternalMetricSource,
    /// What the provider makes of it, or why it cannot.
    pub(super) wish: Result<Wish, String>,
    /// What it aims at.
    pub(super) target: Option<Target>,
    /// What the provider says of it.
    pub(super) view: Option<&'a view::Metric>,
    /// What the API answers.
    pub(super) answer: &'a Found<Answer>,
    /// What is wrong, in the provider's words.
    pub(super) trouble: Option<(Cause, &'a str)>,
}

/// What stands before the provider's words in the HPA's condition.
const BEFORE: &str = "external metrics API: ";

impl<'a> About<'a> {
    pub(super) fn all(facts: &'a Facts) -> Vec<Self> {
        let metrics = facts.hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
        let sources = metrics.filter(|metric| metric.type_ == "External");
        let sources = sources.filter_map(|metric| metric.external.as_ref());
        sources.enumerate().map(|(position, source)| Self::new(facts, position, source)).collect()
    }

    fn new(facts: &'a Facts, position: usize, source: &'a ExternalMetricSource) -> Self {
        static NOT_ASKED: Found<Answer> = Found::Missing;
        let wish = wish(facts, source);
        let view = wish.as_ref().ok().and_then(|wish| {
            let external = facts.view.get()?.external_metrics.as_ref()?;
            let (namespace, name) = (&wish.key.namespace, &wish.key.metric);
            let selector = wish.key.selector.to_string();
            external.metrics.iter().find(|metric| {
                metric.namespace == *namespace
                    && metric.name.to_lowercase() == *name
                    && metric.selector == selector
            })
        });
        let answer = facts.answers.get(position).unwrap_or(&NOT_ASKED);
        let mut about = Self {
            source,
            wish,
            target: Target::read(&source.target),
            view,
            answer,
            trouble: None,
        };
        about.trouble = about.read_trouble(facts);
        about
    }

    /// The first source that has words which are known.
    fn read_trouble(&self, facts: &'a Facts) -> Option<(Cause, &'a str)> {
        if self.item().is_some() {
            return None;
        }
        let answer = self.answer.get().map(|answer| answer.message.as_str());
        let viewed = self.view.and_then(|view| view.error.as_deref());
        let known = |words: &'a str| Cause::of(words).map(|cause| (cause, words));
        let now = viewed.into_iter().chain(answer).find_map(known);
        // What the HPA says is older than what is asked now.
        now.or_else(|| {
            let silent = self.view.is_none() && self.answer.get().is_none();
            let condition =
                condition(facts, "ScalingActive").filter(|it| silent && it.0 == "False");
            let (_, words) = condition?.1.split_once(BEFORE)?;
            let about_this = condition?.1.contains(&format!("/{}/", self.source.metric.name));
            about_this.then(|| known(words)).flatten()
        })
    }

    /// The value that the API gives.
    pub(super) fn item(&self) -> Option<&'a Item> {
        match self.answer.get()?.items.as_slice() {
            [item] => Some(item),
            _ => None,
        }
    }

    /// Its name and selector.
    pub(super) fn text(&self) -> String {
        let name = &self.source.metric.name;
        match &self.wish {
            Ok(wish) if !wish.key.selector.is_empty() => {
                format!("{name} {{{}}}", wish.key.selector)
            }
            _ => name.clone(),
        }
    }

    /// The query, from the status or from the provider's words.
    pub(super) fn query(&self) -> Option<&'a str> {
        let viewed = self.view.and_then(|view| view.query.as_deref());
        viewed.or_else(|| {
            let (_, words) = self.trouble?;
            ["(query ", "no series for ", "no value for ", "newest point of "].iter().find_map(
                |it| {
                    let rest = words.split_once(it)?.1;
                    let end = ["in the last", "is "]
                        .iter()
                        .filter_map(|end| rest.find(&format!(" {end}")));
                    let end = if *it == "(query " { rest.rfind(')') } else { end.min() };
                    rest.get(..end?)
                },
            )
        })
    }

    /// What the provider told the HPA's owner about this metric for this reason; its Events stay for
    /// an hour, so that the status is believed first.
    pub(super) fn problem<'b>(&self, facts: &'b Facts, reason: &str) -> Option<&'b str> {
        let metric = &self.source.metric.name;
        let metadata = &facts.hpa.metadata;
        let fits = |why: &str, note: &str| why == reason && note.contains(metric.as_str());
        if let Some(view) = facts.view.get() {
            let problems = view.external_metrics.iter().flat_map(|it| it.problems.iter());
            let ours = problems.filter(|it| {
                Some(&it.autoscaler.namespace) == metadata.namespace.as_ref()
                    && Some(&it.autoscaler.name) == metadata.name.as_ref()
            });
            let mut notes = ours.filter(|it| fits(&it.reason, &it.note)).map(|it| it.note.as_str());
            return notes.next();
        }
        let events = facts.events.get()?;
        let event = events.iter().find(|event| fits(&event.reason, &event.note))?;
        Some(&event.note)
    }

    /// Whether the text is made by us, of name and selector.
    pub(super) fn is_plain(&self) -> bool {
        self.wish.as_ref().is_ok_and(|wish| wish.origin == Origin::Selector)
    }

    /// Whether what is asked needs the tag that node agents get from the cluster agent.
    pub(super) fn needs_service_tag(&self) -> bool {
        let selects = |wish: &Wish| {
            wish.key.selector.requirements().any(|requirement| requirement.key == "kube_service")
        };
        self.wish.as_ref().is_ok_and(selects)
            || self.query().is_some_and(|query| query.contains("kube_service"))
    }
}

/// What the provider makes of this metric alone.
fn wish(facts: &Facts, source: &ExternalMetricSource) -> Result<Wish, String> {
    let mut hpa = facts.hpa.clone();
    for metric in hpa.spec.iter_mut().flat_map(|spec| spec.metrics.iter_mut()) {
        metric.retain(|metric| metric.external.as_ref() == Some(source));
        metric.truncate(1);
    }
    let mut wishes = hpa::read(&hpa);
    if wishes.wishes.is_empty() {
        let problem = wishes.problems.into_iter().find(|it| it.reason == "BadMetricSource");
        return Err(problem.map_or_else(|| "it cannot be read".to_owned(), |it| it.note));
    }
    Ok(wishes.wishes.remove(0))
}

/// Status and message of a condition of the HPA.
pub(super) fn condition<'a>(facts: &'a Facts, kind: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let conditions = facts.hpa.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions.iter().find(|condition| condition.type_ == kind)?;
    let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default();
    Some((&condition.status, text(&condition.message), text(&condition.reason)))
}

/// Seconds since `at`.
pub(super) fn ago(facts: &Facts, at: Timestamp) -> String {
    format!("{}s", facts.now.duration_since(at).as_secs().max(0))
}
