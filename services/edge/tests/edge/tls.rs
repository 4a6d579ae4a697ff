//! TLS towards clients: certificates by name, changed while it runs, and what HTTP says about it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{TestEdge, Upstream, client, eventually};
use crate::websocket::echo;

/// Puts a new certificate for `name` into a folder, and returns it for a client to trust.
fn certify(folder: &Path, name: &str) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let made = params.self_signed(&key).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("tls.crt"), made.pem()).unwrap();
    Certificate::from_pem(made.pem().as_bytes()).unwrap()
}

/// A client without connections to begin with, that trusts one certificate and finds every name at
/// the edge.
fn trusting(certificate: &Certificate, names: &[&str], edge: SocketAddr) -> Client {
    // For the TLS provider.
    drop(client(0));
    let builder = Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([certificate.clone()]);
    names
        .iter()
        .fold(builder, |builder, name| builder.resolve(name, edge))
        .build()
        .unwrap()
}

pub(crate) struct Scene {
    folders: TempDir,
    pub(crate) upstream: Upstream,
    pub(crate) edge: TestEdge,
    pub(crate) one: Certificate,
    other: Certificate,
}

impl Scene {
    /// An edge with certificates for `one.test` and `*.other.test`.
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::before(Upstream::start("api"), settings).await
    }

    /// The same before services of one's own.
    pub(crate) async fn before(upstream: Upstream, settings: &[(&str, &str)]) -> Self {
        let folders = tempfile::tempdir().unwrap();
        let (first, second) = (folders.path().join("one"), folders.path().join("other"));
        let (one, other) = (
            certify(&first, "one.test"),
            certify(&second, "*.other.test"),
        );
        let named = format!("{},{}", first.display(), second.display());
        let mut variables = vec![
            ("INGOT_UPSTREAM_API", upstream.address.to_string()),
            ("INGOT_EDGE_TLS_PORT", "0".to_owned()),
            ("INGOT_EDGE_TLS_CERTIFICATES", named),
            ("INGOT_EDGE_TLS_CHECK", "1".to_owned()),
        ];
        variables.extend(
            settings
                .iter()
                .map(|(name, text)| (*name, (*text).to_owned())),
        );
        let edge = TestEdge::start(&variables).await;
        Self {
            folders,
            upstream,
            edge,
            one,
            other,
        }
    }

    pub(crate) fn secure(&self) -> SocketAddr {
        self.edge.secure.unwrap()
    }

    /// Whether a client that trusts only this certificate gets an answer under that name.
    async fn answers(&self, certificate: &Certificate, name: &str) -> bool {
        let client = trusting(certificate, &[name], self.secure());
        let url = format!("https://{name}:{}/api/health", self.secure().port());
        client
            .get(url)
            .send()
            .await
            .is_ok_and(|it| it.status() == 200)
    }
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_services_hear_of_https() {
    let scene = Scene::start(&[]).await;
    assert!(scene.answers(&scene.one, "one.test").await);
    assert!(scene.answers(&scene.other, "a.other.test").await);
    assert!(!scene.answers(&scene.one, "a.other.test").await);
    assert!(!scene.answers(&scene.other, "one.test").await);
    assert_eq!(scene.upstream.last().header("x-forwarded-proto"), "https");
    // Plain HTTP goes on beside it.
    assert_eq!(scene.edge.get("/api/health").await.status(), 200);
    assert_eq!(scene.upstream.last().header("x-forwarded-proto"), "http");
}

#[tokio::test]
async fn many_requests_of_all_sizes_go_over_one_connection() {
    let scene = Scene::start(&[]).await;
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([scene.one.clone()])
        .resolve("one.test", scene.secure());
    let client = client.build().unwrap();
    let url = format!("https://one.test:{}/api/auth/x", scene.secure().port());
    for size in [0, 1, 5_000, 300_000] {
        let body = vec![b'x'; size];
        let answer = client.post(&url).body(body).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "api");
        assert_eq!(scene.upstream.last().body_len, size);
    }
}

#[tokio::test]
async fn websockets_pass_over_tls() {
    let node = echo();
    let address = node.address.to_string();
    let scene = Scene::start(&[("INGOT_UPSTREAM_REALTIME", &address)]).await;
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(scene.folders.path().join("one/tls.crt")).unwrap();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(scene.secure()).await.unwrap();
    let name = ServerName::try_from("one.test").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let url = "wss://one.test/socket.io/?EIO=4&transport=websocket";
    let (mut socket, answer) = client_async(url, stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    for message in [Message::text("hello"), Message::text("x".repeat(500_000))] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn changed_files_are_taken_over_and_broken_ones_are_not() {
    let scene = Scene::start(&[]).await;
    let folder = scene.folders.path().join("one");
    let renewed = certify(&folder, "one.test");
    eventually("the new certificate is used", || {
        scene.answers(&renewed, "one.test")
    })
    .await;
    assert!(!scene.answers(&scene.one, "one.test").await);

    std::fs::write(folder.join("tls.crt"), "nothing of the kind").unwrap();
    std::fs::remove_file(scene.folders.path().join("other/tls.key")).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert!(scene.answers(&renewed, "one.test").await);
    assert!(scene.answers(&scene.other, "b.other.test").await);
}

#[tokio::test]
async fn plain_requests_are_led_to_https_and_browsers_told_to_stay_there() {
    let scene = Scene::start(&[
        ("INGOT_EDGE_TLS_REDIRECT", "true"),
        ("INGOT_EDGE_TLS_HSTS", "3600"),
    ])
    .await;
    let ask = async |header: (&str, &str)| {
        let request = scene.edge.client.get(scene.edge.url("/api/health?a=b"));
        request.header(header.0, header.1).send().await.unwrap()
    };
    let led = ask(("x-nothing", "")).await;
    assert_eq!(led.status(), 308);
    let secure = format!("https://{}/api/health?a=b", scene.edge.address.ip());
    assert_eq!(led.headers()["location"], secure);
    assert!(!led.headers().contains_key("strict-transport-security"));
    // The one trusted proxy of these tests ended TLS itself.
    let behind = ask(("x-forwarded-proto", "https")).await;
    assert_eq!(behind.status(), 200);

    let client = trusting(&scene.one, &["one.test"], scene.secure());
    let url = format!("https://one.test:{}/api/health", scene.secure().port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(
        answer.headers()["strict-transport-security"],
        "max-age=3600"
    );
}

#[tokio::test]
async fn who_does_not_speak_tls_is_let_go_and_a_stop_waits_for_nobody_idle() {
    let scene = Scene::start(&[]).await;
    let mut stranger = TcpStream::connect(scene.secure()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stranger, b"GET / HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stranger.read_to_end(&mut answer).await.ok();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    let _silent = TcpStream::connect(scene.secure()).await.unwrap();
    assert!(scene.answers(&scene.one, "one.test").await);
    let took = scene.edge.stop().await;
    assert!(took.as_secs() < 10, "{took:?}");
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path(), "one.test");
    let another = tempfile::tempdir().unwrap();
    certify(another.path(), "one.test");
    std::fs::copy(
        another.path().join("tls.key"),
        folder.path().join("tls.key"),
    )
    .unwrap();
    let environment = ingot_config::Environment::from_pairs([
        ("INGOT_EDGE_ADDRESS", "127.0.0.1"),
        ("PORT", "0"),
        ("INGOT_EDGE_ADMIN_LISTEN", "127.0.0.1:0"),
        ("INGOT_EDGE_KEY", crate::support::EDGE_KEY),
        ("INGOT_EDGE_TLS_PORT", "0"),
        (
            "INGOT_EDGE_TLS_CERTIFICATES",
            folder.path().to_str().unwrap(),
        ),
    ]);
    let config = <ingot_edge::Config as ingot_config::Settings>::load(&environment).unwrap();
    let refused = format!("{:#}", ingot_edge::Edge::bind(config).await.err().unwrap());
    assert!(refused.contains("do not belong together"), "{refused}");
    assert!(refused.contains("INGOT_EDGE_TLS_CERTIFICATES"), "{refused}");
}

#[tokio::test]
async fn monitoring_is_told_when_certificates_end() {
    // Metrics go where the process that starts telemetry has them; here a test does.
    let settings = ingot_config::Environment::from_pairs([("LOG_LEVEL", "error")]);
    let settings = <ingot_telemetry::TelemetrySettings as ingot_config::Settings>::load(&settings);
    let _telemetry = ingot_telemetry::init(&settings.unwrap(), "ingot-edge").ok();
    let scene = Scene::start(&[]).await;
    let url = format!("http://{}/metrics", scene.edge.admin);
    let metrics = scene.edge.client.get(url).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let ends = metrics
        .lines()
        .filter(|line| line.starts_with("edge_certificate_end_seconds{folder="))
        .count();
    assert!(ends >= 2, "{metrics}");
}
