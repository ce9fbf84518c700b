//! The HPA controller asks for protobuf first, and gets it.

use crate::{
    cluster::local::LocalCluster,
    phase::Recorder,
    scenario::{
        api::{READER, metric_path},
    },
};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub(super) async fn run(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let token = cluster.token(READER, None).await?;
    let reader = cluster.apiserver_as(None)?;
    let accept = format!("{PROTOBUF}, */*");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("accept", accept.as_str())];
    let answer = reader.get(&metric_path(), &headers).await?;
    let sent = answer.headers.get("content-type").and_then(|it| it.to_str().ok());
    recorder.assertion(
        "who accepts as the HPA controller does gets protobuf",
        match sent {
            Some(PROTOBUF) if answer.status == 200 => Ok(format!("{} bytes", answer.body.len())),
            other => Err(format!("{other:?}, {}", answer.describe())),
        },
    )?;
    Ok(())
}
