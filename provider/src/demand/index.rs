//! What the objects of the cluster say together, kept from watch events; pure.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{core::DynamicObject, runtime::watcher::Event};

use crate::{
    demand::{
        Autoscaler, Builder, Claim, DatadogMetricUse, Demand, MetricKey, ObjectName, Source,
        definition::{self, Definition},
        hpa, reference,
        table::{State, Table},
        watch::Config,
        wish::{Origin, Wish, Wishes},
        wpa,
    },
    query::{
        Defaults,
        resolve::{self, Unresolvable},
        template,
    },
};

/// What is watched, by the plural that people know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// `autoscaling/v2 HorizontalPodAutoscaler`.
    Hpas,
    /// `datadoghq.com/v1alpha1 WatermarkPodAutoscaler`.
    Wpas,
    /// `datadoghq.com/v1alpha1 DatadogMetric`.
    DatadogMetrics,
}

/// One event of one of the watches.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and none is kept")]
pub enum Change {
    /// About HPAs.
    Hpa(Event<HorizontalPodAutoscaler>),
    /// About WPAs.
    Wpa(Event<DynamicObject>),
    /// About `DatadogMetric`s.
    DatadogMetric(Event<DynamicObject>),
}

/// What all of them say.
#[derive(Debug)]
pub struct Index {
    hpas: Table<Wishes>,
    /// `None` where they are not watched.
    wpas: Option<Table<Wishes>>,
    /// `None` where they are not watched.
    datadog_metrics: Option<Table<Definition>>,
    templates: template::Values,
    defaults: Defaults,
}

impl Index {
    /// An index of what `config` says is watched.
    pub fn new(config: &Config) -> Self {
        Self {
            hpas: Table::default(),
            wpas: config.wpas.then(Table::default),
            datadog_metrics: config.datadog_metrics.then(Table::default),
            templates: config.templates.clone(),
            defaults: config.defaults,
        }
    }

    /// Takes in one event; tells whether [`Index::demand`] has to be read again.
    pub fn apply(&mut self, change: &Change) -> bool {
        match change {
            Change::Hpa(event) => self.hpas.apply(event, |object| row(hpa::read(object))),
            Change::Wpa(event) => self
                .wpas
                .as_mut()
                .is_some_and(|wpas| wpas.apply(event, |object| row(wpa::read(object)))),
            Change::DatadogMetric(event) => self.datadog_metrics.as_mut().is_some_and(|metrics| {
                metrics.apply(event, |object| definition::read(object, &self.templates))
            }),
        }
    }

    /// Notes that a watch fails, `is_gone` if kube-apiserver knows no such kind; tells whether
    /// [`Index::demand`] has to be read again. Without HPAs there is no demand, so that their
    /// failure changes nothing.
    pub fn unreadable(&mut self, watched: Watched, reason: String, is_gone: bool) -> bool {
        match watched {
            Watched::Hpas => false,
            Watched::Wpas => {
                self.wpas.as_mut().is_some_and(|wpas| wpas.unreadable(reason, is_gone))
            }
            Watched::DatadogMetrics => self
                .datadog_metrics
                .as_mut()
                .is_some_and(|metrics| metrics.unreadable(reason, is_gone)),
        }
    }

    /// Whether all HPAs have been read, and all others or else that they cannot be.
    pub fn is_ready(&self) -> bool {
        let is_settled = |state: &State| *state != State::Waiting;
        *self.hpas.state() == State::Listed
            && self.wpas.as_ref().is_none_or(|wpas| is_settled(wpas.state()))
            && self.datadog_metrics.as_ref().is_none_or(|metrics| is_settled(metrics.state()))
    }

    /// What all of them want together.
    pub fn demand(&self) -> Demand {
        let mut builder = Builder::new(self.defaults.aggregator);
        let mut problems = Vec::new();
        let wpas = self.wpas.iter().flat_map(Table::iter);
        for (_, object) in self.hpas.iter().chain(wpas) {
            for wish in &object.wishes {
                builder.claim(wish.key.clone(), self.claim(wish, object.autoscaler.clone()));
            }
            let by = &object.autoscaler;
            problems.extend(object.problems.iter().map(|it| (by.clone(), it.clone())));
        }
        for (object, definition) in self.datadog_metrics.iter().flat_map(Table::iter) {
            if definition.always_active {
                let source = source(object, definition);
                builder.always(MetricKey::of(object), reference::write(object), source);
            }
        }
        let mut demand = builder.build();
        demand.datadog_metrics = self.uses(&demand);
        demand.problems.append(&mut problems);
        demand.problems.sort_by(|(by, problem), (other_by, other)| {
            by.identity().cmp(&other_by.identity()).then_with(|| problem.cmp(other))
        });
        demand.problems.dedup();
        demand
    }

    fn claim(&self, wish: &Wish, by: Autoscaler) -> Claim {
        let source = match &wish.origin {
            Origin::Selector => Source::Selector,
            Origin::DatadogMetric(Ok(object)) => self.look_up(object),
            Origin::DatadogMetric(Err(error)) => {
                Source::DatadogMetric(Err(Unresolvable::Reference(error.clone())))
            }
        };
        let Wish { name, overrides, average_value, .. } = wish;
        let (name, overrides, average_value) = (name.clone(), *overrides, *average_value);
        Claim { name, source, overrides, average_value, by }
    }

    fn look_up(&self, object: &ObjectName) -> Source {
        let found = self.datadog_metrics.as_ref().map(|table| (table.get(object), table.state()));
        let object = object.clone();
        Source::DatadogMetric(Err(match found {
            Some((Some(definition), _)) => return source(&object, definition),
            Some((None, State::Unreadable(reason))) => {
                Unresolvable::DatadogMetricsUnreadable { object, reason: reason.clone() }
            }
            Some((None, _)) => Unresolvable::NoDatadogMetric { object },
            None => Unresolvable::DatadogMetricsOff { object },
        }))
    }

    /// How each `DatadogMetric` is used.
    fn uses(&self, demand: &Demand) -> BTreeMap<ObjectName, DatadogMetricUse> {
        let mut uses = BTreeMap::new();
        // Objects that stand for a metric that an autoscaler names, by their query.
        let mut standing_in: BTreeMap<&str, Vec<&ObjectName>> = BTreeMap::new();
        for (object, definition) in self.datadog_metrics.iter().flat_map(Table::iter) {
            let key = MetricKey::of(object);
            let wanted = demand.position(&key).and_then(|position| demand.get(position));
            if let (None, Some(_), Ok(raw)) =
                (wanted, &definition.external_metric_name, &definition.raw)
            {
                standing_in.entry(raw.query.as_str()).or_default().push(object);
            }
            let new = DatadogMetricUse {
                uid: definition.uid.clone(),
                key,
                external_metric_name: definition.external_metric_name.clone(),
                active: wanted.is_some(),
                referenced_by: wanted.map(|(_, wanted)| wanted.by.clone()).unwrap_or_default(),
            };
            uses.insert(object.clone(), new);
        }
        if !standing_in.is_empty() {
            self.stand_in(&standing_in, demand, &mut uses);
        }
        uses
    }

    /// Marks the objects whose query is that of a metric which an autoscaler names.
    fn stand_in(
        &self,
        objects: &BTreeMap<&str, Vec<&ObjectName>>,
        demand: &Demand,
        uses: &mut BTreeMap<ObjectName, DatadogMetricUse>,
    ) {
        for (key, wanted) in demand.iter().filter(|(_, it)| it.source == Source::Selector) {
            let Ok(ask) = resolve::resolve(key, wanted, &self.defaults).ask else { continue };
            for object in objects.get(ask.query.as_str()).into_iter().flatten() {
                let Some(found) = uses.get_mut(*object) else { continue };
                if !found.active {
                    found.active = true;
                    found.key = key.clone();
                }
                found.referenced_by.extend(wanted.by.iter().cloned());
                found.referenced_by.sort_by(Autoscaler::age_order);
                found.referenced_by.dedup();
            }
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hpas => "HorizontalPodAutoscalers",
            Self::Wpas => "WatermarkPodAutoscalers",
            Self::DatadogMetrics => "DatadogMetrics",
        })
    }
}

fn row(wishes: Wishes) -> (ObjectName, Wishes) {
    let Autoscaler { namespace, name, .. } = &wishes.autoscaler;
    (ObjectName { namespace: namespace.clone(), name: name.clone() }, wishes)
}

fn source(object: &ObjectName, definition: &Definition) -> Source {
    Source::DatadogMetric(
        definition
            .raw
            .clone()
            .map_err(|reason| Unresolvable::DatadogMetric { object: object.clone(), reason }),
    )
}

#[cfg(test)]
mod tests;
