//! kube-apiserver, with the aggregation layer set up as
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/> asks for.

use url::Url;

use crate::{
    cluster::local::control_plane::Shared, pki::FRONT_PROXY_NAME, ports::Reservation,
    process::Launch,
};

/// How kube-apiserver is started, and where clients reach it then.
pub(super) fn launch(
    shared: &Shared<'_>,
    store: &Url,
    port: Reservation,
) -> anyhow::Result<(Launch, Url)> {
    let url = Url::parse(&format!("https://{}", port.address()))?;
    let launch = Launch::new("kube-apiserver", &shared.programs.kube_apiserver)
        .args([
            format!("--etcd-servers={}", store.as_str().trim_end_matches('/')),
            format!("--secure-port={}", port.port()),
            "--bind-address=127.0.0.1".to_owned(),
            // Said, because it is otherwise looked for by the default route, and there may be none.
            "--advertise-address=127.0.0.1".to_owned(),
            // Loopback is refused in EndpointSlices, and no pod uses the Service `kubernetes`.
            "--endpoint-reconciler-type=none".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            // It taints a new node until the node lifecycle controller, which is not run, has seen
            // it ready.
            "--disable-admission-plugins=TaintNodesByCondition".to_owned(),
        ])
        .args(credentials(shared))
        .args(aggregation(shared));
    port.release();
    Ok((launch, url))
}

fn credentials(shared: &Shared<'_>) -> [String; 7] {
    let pki = shared.pki;
    [
        format!("--tls-cert-file={}", pki.serving.certificate.display()),
        format!("--tls-private-key-file={}", pki.serving.key.display()),
        format!("--client-ca-file={}", pki.ca.display()),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", pki.service_account.certificate.display()),
        format!("--service-account-signing-key-file={}", pki.service_account.key.display()),
        // Something is written there although the pair above is given; the default is a folder of
        // the system.
        format!("--cert-dir={}", shared.folder.join("apiserver").display()),
    ]
}

/// Without `--enable-aggregator-routing`, so that a Service of type `ExternalName` leads to a
/// process on loopback.
fn aggregation(shared: &Shared<'_>) -> [String; 8] {
    let pki = shared.pki;
    [
        format!("--proxy-client-cert-file={}", pki.front_proxy.certificate.display()),
        format!("--proxy-client-key-file={}", pki.front_proxy.key.display()),
        format!("--requestheader-client-ca-file={}", pki.front_proxy_ca.display()),
        format!("--requestheader-allowed-names={FRONT_PROXY_NAME}"),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--requestheader-uid-headers=X-Remote-Uid".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
    ]
}
