//! What people see with kubectl.

use serde_json::Value;

use crate::{
    cluster::local::{LocalCluster, kubectl::Kubectl},
    phase::Recorder,
    scenario::{
        METRIC,
        api::{GROUP, READER, RESOURCE, STRANGER, metric_path},
    },
};

/// The columns of a Table of metrics.
const COLUMNS: [&str; 5] = ["METRIC", "LABELS", "VALUE", "AGE", "WINDOW"];

pub(super) async fn run(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let Some(admin) = cluster.kubectl()? else {
        recorder.fact("kubectl", "there is none, put one into E2E_ASSETS: not looked at");
        return Ok(());
    };
    let as_reader = cluster.kubectl_as(READER).await?;
    let as_stranger = cluster.kubectl_as(STRANGER).await?;
    let (reader, stranger) = (as_reader.as_ref().unwrap_or(&admin), as_stranger.as_ref());

    let listed = said(&admin, &["api-resources", "--no-headers", "--api-group", GROUP]).await?;
    let listed = listed.and_then(|out| {
        let expected = [RESOURCE, "external.metrics.k8s.io/v1beta1", "true", "ExternalMetricValue"];
        one_row(&out, &expected)
    });
    recorder.assertion("kubectl api-resources lists one resource", listed)?;

    let raw = said(reader, &["get", "--raw", &metric_path()]).await?;
    recorder.assertion("kubectl get --raw reads the metric", raw.and_then(|out| value(&out)))?;

    let table = said(reader, &["get", RESOURCE, "--namespace", "default"]).await?;
    let row = [METRIC, "kube_container_name=nginx", "1"];
    let table = table.and_then(|out| row_of(&out, &COLUMNS, &row));
    recorder.assertion("kubectl get externalmetrics shows the metrics of a namespace", table)?;

    let table = said(&admin, &["get", RESOURCE, "--all-namespaces"]).await?;
    let columns = [&["NAMESPACE"], &COLUMNS[..]].concat();
    let row = [&["default"], &row[..]].concat();
    let table = table.and_then(|out| row_of(&out, &columns, &row));
    recorder.assertion("kubectl get externalmetrics -A shows those of all", table)?;

    let explained = said(&admin, &["explain", RESOURCE]).await?;
    let explained = explained.and_then(|out| has_all(&out, &["ExternalMetricValue", "metricName"]));
    recorder.assertion("kubectl explain knows its fields", explained)?;

    if let Some(stranger) = stranger {
        forbidden(stranger, recorder).await?;
    }
    Ok(())
}

/// A user without rights is told so, of the list as of a metric.
async fn forbidden(stranger: &Kubectl, recorder: &Recorder) -> anyhow::Result<()> {
    let path = metric_path();
    for arguments in [&["get", RESOURCE, "--namespace", "default"][..], &["get", "--raw", &path]] {
        let said = said(stranger, arguments).await?;
        let user =
            format!("User \"system:serviceaccount:default:{STRANGER}\" cannot list resource");
        let refused = match said {
            Ok(out) => Err(format!("it is answered: {out}")),
            Err(err) => has_all(&err, &["Forbidden", &user]),
        };
        recorder
            .assertion(format!("kubectl {} needs rights", arguments[..2].join(" ")), refused)?;
    }
    Ok(())
}

async fn said(kubectl: &Kubectl, arguments: &[&str]) -> anyhow::Result<Result<String, String>> {
    Ok(kubectl.run(arguments).await?.good())
}

/// The value of a list with one metric.
fn value(body: &str) -> Result<String, String> {
    let list: Value = serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))?;
    let item = &list["items"][0];
    if list["kind"] == "ExternalMetricValueList" && item["metricName"] == METRIC {
        return Ok(format!("{METRIC} is {}", item["value"]));
    }
    Err(body.to_owned())
}

/// The one line there is, if it begins with these words.
fn one_row(out: &str, words: &[&str]) -> Result<String, String> {
    let rows: Vec<&str> = out.lines().collect();
    match rows[..] {
        [row] if begins(row, words) => Ok(squeezed(row)),
        _ => Err(out.to_owned()),
    }
}

/// The first row of a table, if it begins with these words and the columns are these.
fn row_of(out: &str, columns: &[&str], words: &[&str]) -> Result<String, String> {
    let mut lines = out.lines();
    let head = lines.next().unwrap_or_default();
    if !head.split_whitespace().eq(columns.iter().copied()) {
        return Err(format!("other columns than {}: {out}", columns.join(" ")));
    }
    match lines.find(|row| begins(row, words)) {
        Some(row) => Ok(squeezed(row)),
        None => Err(format!("no row {}: {out}", words.join(" "))),
    }
}

fn begins(row: &str, words: &[&str]) -> bool {
    let mut found = row.split_whitespace();
    words.iter().all(|word| found.next() == Some(word))
}

fn squeezed(row: &str) -> String {
    row.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has_all(text: &str, words: &[&str]) -> Result<String, String> {
    match words.iter().find(|word| !text.contains(**word)) {
        None => Ok(words.join(", ")),
        Some(missing) => Err(format!("no {missing:?} in: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_its_first_words_under_the_right_columns() {
        let out = "METRIC   LABELS   VALUE\na.b      x=y      1\nc        <none>   2\n";
        let columns = ["METRIC", "LABELS", "VALUE"];
        assert_eq!(row_of(out, &columns, &["c", "<none>"]), Ok("c <none> 2".to_owned()));
        assert!(row_of(out, &columns, &["c", "x=y"]).is_err());
        assert!(row_of(out, &["NAME"], &["c"]).is_err());
        assert!(one_row(out, &["METRIC"]).is_err());
    }
}
