//! HTTPS beside HTTP, on one port or two.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::net::{Ipv4Addr, SocketAddr};

use fake_datadog::{FakeDatadog, server::Tls};
use reqwest::{Certificate, Client, StatusCode, Url};

#[path = "support/client.rs"]
mod client;

use crate::client::{get, start};

async fn status(fake: &FakeDatadog, url: &Url) -> Result<StatusCode, reqwest::Error> {
    let ca = Certificate::from_pem(fake.ca_pem().unwrap().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([ca]).build().unwrap();
    client.get(url.join("fake/health").unwrap()).send().await.map(|it| it.status())
}

#[tokio::test]
async fn one_port_speaks_http_and_https() {
    let fake = start(FakeDatadog::builder().tls(Tls::made())).await;
    let https = fake.https_url().unwrap().clone();
    assert_eq!(https.port(), fake.url().port());
    assert_eq!(status(&fake, fake.url()).await.unwrap(), StatusCode::OK);
    assert_eq!(status(&fake, &https).await.unwrap(), StatusCode::OK);
    let by_name = Url::parse(&format!("https://localhost:{}", https.port().unwrap())).unwrap();
    assert_eq!(status(&fake, &by_name).await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn https_may_have_a_port_of_its_own() {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let fake = start(FakeDatadog::builder().tls(Tls::made()).tls_listen(any)).await;
    let https = fake.https_url().unwrap().clone();
    assert_ne!(https.port(), fake.url().port());
    assert_eq!(status(&fake, fake.url()).await.unwrap(), StatusCode::OK);
    assert_eq!(status(&fake, &https).await.unwrap(), StatusCode::OK);
    let mut http = https.clone();
    http.set_scheme("http").unwrap();
    status(&fake, &http).await.unwrap_err();
}

#[tokio::test]
async fn a_client_that_says_nothing_holds_up_neither_others_nor_the_stop() {
    let fake = start(FakeDatadog::builder().tls(Tls::made())).await;
    let address = fake.url().socket_addrs(|| None).unwrap()[0];
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let status = get(&fake, "api/v1/validate").send().await.unwrap().status();
    assert_eq!(status, StatusCode::OK);
    let started = tokio::time::Instant::now();
    fake.stop().await;
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "the stop waited for the drain");
    drop(silent);
}
