//! Writes down what is true at a scrape.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::MetricType,
};

use crate::metrics::datadog::JOIN_LEADER;

/// The text so far.
pub(super) struct Told<'a>(pub(super) DescriptorEncoder<'a>);

impl Told<'_> {
    /// A gauge with one value for each set of labels; none where there are no values.
    pub(super) fn gauge<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A counter in the same way.
    pub(super) fn counter<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, MetricType::Counter)?;
        for (labels, value) in values {
            family
                .encode_family(&labels)?
                .encode_counter::<[(&str, &str); 0], _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A gauge of the leader without other labels.
    pub(super) fn one(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauge(name, help, [([JOIN_LEADER], value)])
    }

    /// A metric that counts by itself.
    pub(super) fn metric(
        &mut self,
        name: &str,
        help: &str,
        type_: MetricType,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        metric.encode(self.0.encode_descriptor(name, &format!("{help}."), None, type_)?)
    }
}
