//! Finds and removes what runs have left behind that nobody could clean up after: processes, folders,
//! kind clusters.

use anyhow::Context;

use crate::{
    assets,
    cluster::kind::{orphans, tool::Runtime},
    guard,
};

/// Removes it, and gives a line for each thing that was removed. Where no container runtime answers
/// there are no clusters to be found.
pub async fn sweep(options: &assets::Options) -> anyhow::Result<Vec<String>> {
    let folder = std::env::temp_dir();
    // It has a runtime of its own, in which it blocks.
    let ended = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || guard::end_orphans(&folder)
    });
    let mut lines: Vec<String> =
        ended.await.context("the sweep broke down")??.iter().map(ToString::to_string).collect();
    if let Ok(runtime) = Runtime::find(options).await {
        let kept = guard::list_kept(&folder)?;
        let clusters = orphans::sweep(&runtime, &kept).await.map_err(anyhow::Error::msg)?;
        lines.extend(clusters.iter().map(|name| format!("removed kind cluster {name}")));
    }
    Ok(lines)
}

/// Removes what runs with `--keep` and `--reuse` have left on purpose.
pub async fn down(options: &assets::Options) -> anyhow::Result<Vec<String>> {
    let ended = tokio::task::spawn_blocking(|| {
        let kept = guard::list_kept(&std::env::temp_dir())?;
        kept.iter().map(guard::down).collect::<Result<Vec<_>, _>>()
    });
    let mut lines: Vec<String> =
        ended.await.context("the removal broke down")??.iter().map(ToString::to_string).collect();
    if let Ok(runtime) = Runtime::find(options).await {
        let clusters = orphans::remove_reused(&runtime).await.map_err(anyhow::Error::msg)?;
        lines.extend(clusters.iter().map(|name| format!("removed kind cluster {name}")));
    }
    Ok(lines)
}
