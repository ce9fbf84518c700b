//! How often the HPA controller has looked at its HPAs, by its own count.

/// Counter of `k8s.io/kubernetes/pkg/controller/podautoscaler/monitor`, one series for each action
/// and error.
const COUNTER: &str = "horizontal_pod_autoscaler_controller_reconciliations_total{";

/// Reads the count out of kube-controller-manager's `/metrics`: the sum over all series, 0 before the
/// first reconciliation, when there is none.
pub(super) fn count(metrics: &str) -> u64 {
    let values = metrics
        .lines()
        .filter(|line| line.starts_with(COUNTER))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    values.sum()
}

/// The same counts of one HPA controller's work on single metrics, for each action, error and type.
const METRICS: &str = "horizontal_pod_autoscaler_controller_metric_computation_total{";

/// How often the HPA controller has asked for an external metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// All of it.
    pub all: u64,
    /// How often it got no value.
    pub failed: u64,
}

/// Reads how often external metrics were asked for, and in vain.
pub(super) fn asked(metrics: &str) -> Asked {
    let mut asked = Asked::default();
    for line in metrics.lines().filter(|line| line.starts_with(METRICS)) {
        let count = line.rsplit_once(' ').and_then(|(_, count)| count.parse::<u64>().ok());
        let Some(count) = count.filter(|_| line.contains(r#"metric_type="External""#)) else {
            continue;
        };
        asked.all += count;
        if !line.contains(r#"error="none""#) {
            asked.failed += count;
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_counts() {
        let metrics = "\
# TYPE horizontal_pod_autoscaler_controller_reconciliations_total counter
horizontal_pod_autoscaler_controller_reconciliations_total{action=\"none\",error=\"internal\"} 2
horizontal_pod_autoscaler_controller_reconciliations_total{action=\"scale_up\",error=\"none\"} 1
horizontal_pod_autoscaler_controller_reconciliation_duration_seconds_count{action=\"none\"} 9
";
        assert_eq!(count(metrics), 3);
        assert_eq!(count(""), 0);
    }

    #[test]
    fn an_external_metric_without_a_value_counts_as_failed() {
        let metrics = "\
# TYPE horizontal_pod_autoscaler_controller_metric_computation_total counter
horizontal_pod_autoscaler_controller_metric_computation_total{action=\"none\",error=\"internal\",metric_type=\"External\"} 2
horizontal_pod_autoscaler_controller_metric_computation_total{action=\"none\",error=\"none\",metric_type=\"External\"} 40
horizontal_pod_autoscaler_controller_metric_computation_total{action=\"none\",error=\"internal\",metric_type=\"Resource\"} 9
";
        assert_eq!(asked(metrics), Asked { all: 42, failed: 2 });
    }
}
