//! The archive of recordings against a real S3 server, which checks signatures and checksums.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::path::Path;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mimamori::recording::{Archive, ArchiveError, Config, S3};
use mimamori::tape::State;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::recordings::{config, goes_through, spooled};

/// A server over a folder; it ends when it is dropped.
struct Server {
    endpoint: String,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

const BUCKET: &str = "recordings";

impl Server {
    async fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
        builder.set_auth(SimpleAuth::from_single("minato", "a secret of the archive"));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                let connection = http.serve_connection(TokioIo::new(socket), service.clone());
                let connection = connection.into_owned();
                tokio::spawn(async move {
                    // A client may leave at any time.
                    let _ = connection.await;
                });
            }
        });
        Self { endpoint, serving }
    }

    fn config(&self, folder: &Path, secret: &str) -> Config {
        let s3 = S3 {
            endpoint: Some(self.endpoint.clone()),
            bucket: BUCKET.to_owned(),
            region: "us-east-1".to_owned(),
            access_key_id: "minato".to_owned().into(),
            secret_access_key: secret.to_owned().into(),
        };
        Config { s3: Some(s3), ..config(folder) }
    }
}

fn with_tls() {
    // Another test may have been faster.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_store_keeps_what_it_is_given() {
    with_tls();
    let (bucket, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(bucket.path()).await;
    let config = server.config(folder.path(), "a secret of the archive");
    let archive = Archive::open(&config).unwrap();
    goes_through(&archive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_found_by_the_check_and_not_shown() {
    with_tls();
    let (bucket, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(bucket.path()).await;
    let config = server.config(folder.path(), "a wrong secret");
    assert!(
        !format!("{config:?}").contains("secret of") && !format!("{config:?}").contains("wrong")
    );
    let refused = Archive::open(&config).unwrap().check().await;
    assert!(matches!(refused, Err(ArchiveError::Unavailable { .. })), "{refused:?}");
    assert!(!format!("{refused:?}").contains("a wrong secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_object_store_is_away_the_spool_keeps_the_sound() {
    with_tls();
    let (bucket, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(bucket.path()).await;
    let config = server.config(folder.path(), "a secret of the archive");
    let archive = Archive::open(&config).unwrap();
    let mut recording = spooled(&archive, &vec![0x42; 2 * 20_000]);
    drop(server);
    let away = archive.store(&recording).await;
    assert!(matches!(away, Err(ArchiveError::Unavailable { .. })), "{away:?}");
    assert_eq!(archive.read_range(&recording, 58..60).await.unwrap(), [0x42, 0x42].as_slice());

    // It comes back at another address.
    let server = Server::start(bucket.path()).await;
    let again = server.config(folder.path(), "a secret of the archive");
    let archive = Archive::open(&Config { key: config.key, ..again }).unwrap();
    let stored = archive.store(&recording).await.unwrap();
    assert_eq!(stored.sha256.len(), 64);
    archive.forget_spooled(recording.id).unwrap();
    recording.state = State::Stored;
    let end = archive.read_range(&recording, 40_056..40_100).await.unwrap();
    assert_eq!(end, [0x42, 0x42].as_slice());
    tokio::time::timeout(Duration::from_secs(5), archive.delete(&recording))
        .await
        .unwrap()
        .unwrap();
}
