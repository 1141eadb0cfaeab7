//! TLS without a proxy: real sockets, a real handshake, a client that takes no other certificate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mimamori::web::tls::Files;
use mimamori::web::{listen, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::web::Office;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn files() -> Files {
    Files { certificate: file("certificate.pem"), key: file("key.pem") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_needs_no_proxy() {
    let office = Office::with(|config| {
        config.bind = ([127, 0, 0, 1], 0).into();
        config.tls = Some(files());
    })
    .await;
    let listener = listen(&office.desk.config).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, office.desk.clone(), stopped));

    // Whoever connects and says nothing holds nobody up.
    let silent = TcpStream::connect(address).await.unwrap();
    let pem = std::fs::read(file("certificate.pem")).unwrap();
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/login", address.port());
    let answer = client.get(&url).send().await.unwrap();
    assert!(answer.status().is_success());
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert!(answer.text().await.unwrap().contains("見守りコール"));
    let plain = client.get(url.replace("https", "http")).send().await;
    assert!(plain.is_err(), "nothing is served without TLS");

    drop((silent, client));
    stop.send_replace(true);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_told_before_anybody_is_served() {
    let office = Office::with(|config| {
        config.bind = ([127, 0, 0, 1], 0).into();
        config.tls = Some(Files { key: file("provider.pem"), ..files() });
    })
    .await;
    let listener = listen(&office.desk.config).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    assert!(serve(listener, office.desk.clone(), stopped).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_never_ends_a_request_is_let_go_and_stops_nothing() {
    let office = Office::with(|config| config.bind = ([127, 0, 0, 1], 0).into()).await;
    let listener = listen(&office.desk.config).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, office.desk.clone(), stopped));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let url = format!("http://{address}/login");
    assert!(reqwest::get(&url).await.unwrap().status().is_success());
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(20), serving).await.unwrap().unwrap().unwrap();
    let mut rest = Vec::new();
    assert!(slow.read_to_end(&mut rest).await.is_ok() || rest.is_empty());
    assert!(reqwest::get(&url).await.is_err(), "nobody listens any more");
}
