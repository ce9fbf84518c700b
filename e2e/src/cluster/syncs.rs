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
}
