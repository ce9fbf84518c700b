//! kube-apiserver goes away and comes back, as it does in an upgrade of the control plane.

use std::{sync::PoisonError, time::Duration};

use anyhow::Context;

use crate::{
    cluster::local::control_plane::{ControlPlane, probe::Prober, ready},
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
        let process = processes.spawn(self.apiserver.launch.clone())?;
        self.apiserver.process.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&process);
        let prober = Prober::new(&self.pki.ca)?;
        let readyz = self.server.url.join("readyz")?;
        ready(&process, || prober.ok(&readyz)).await?;
        Ok(())
    }
}
