//! kube-apiserver or etcd goes away and comes back, as in an upgrade of the control plane.

use std::{sync::PoisonError, time::Duration};

use anyhow::Context;
use url::Url;

use crate::{
    cluster::local::control_plane::{ControlPlane, Restartable, probe::Prober, ready},
    process::Processes,
};

/// It is not waited for until it has let every watch end: the harder the end, the better the test.
const GRACE: Duration = Duration::from_millis(100);

impl ControlPlane {
    /// Ends kube-apiserver and leaves everything else running.
    pub async fn stop_apiserver(&self) -> anyhow::Result<()> {
        self.apiserver.process().stop(GRACE).await.context("cannot end kube-apiserver")?;
        Ok(())
    }

    /// Starts kube-apiserver again as it was, on the same port, and waits until it is ready.
    pub async fn start_apiserver(&self, processes: &Processes) -> anyhow::Result<()> {
        self.start_again(&self.apiserver, processes, &self.server.url.join("readyz")?).await
    }

    /// Kills etcd and leaves everything else running.
    pub async fn kill_etcd(&self) -> anyhow::Result<()> {
        self.etcd.process().kill().await.context("cannot end etcd")?;
        Ok(())
    }

    /// Starts etcd again with its data, on the same ports, and waits until it is well.
    pub async fn start_etcd(&self, processes: &Processes) -> anyhow::Result<()> {
        self.start_again(&self.etcd, processes, &self.etcd_health).await
    }

    async fn start_again(
        &self,
        program: &Restartable,
        processes: &Processes,
        health: &Url,
    ) -> anyhow::Result<()> {
        let process = processes.spawn(program.launch.clone())?;
        program.process.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&process);
        let prober = Prober::new(&self.pki.ca)?;
        ready(&process, || prober.ok(health)).await?;
        Ok(())
    }
}
