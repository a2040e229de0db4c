//! The AWS SDK for Rust against a node with keys, plain and over TLS.

use aws_sdk_firehose::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata,
    primitives::Blob,
    types::Record,
};
use hydrant::{
    api::{ServerLimits, tls},
    credentials::{Key, Keyring, Secret},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::node::{Ask, Node};

fn client(node: &Node, secret: &str, token: Option<&str>) -> Client {
    let credentials = Credentials::new("AKIDEXAMPLE", secret, token.map(Into::into), None, "test");
    let config = aws_sdk_firehose::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(format!("http://{}", node.addr))
        .credentials_provider(credentials)
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn what_the_rust_sdk_signs_is_verified() {
    let mut key = Key::new("AKIDEXAMPLE", "secret", "123456789012");
    key.session_token = Some(Secret::new("token/with+signs=="));
    let keyring = Keyring::new([key]).unwrap();
    let node = Node::start(keyring, ServerLimits::default(), None).await;
    let put = |client: Client, stream: &'static str| async move {
        let record = Record::builder()
            .data(Blob::new("hello\n"))
            .build()
            .unwrap();
        client
            .put_record()
            .delivery_stream_name(stream)
            .record(record)
            .send()
            .await
    };
    let right = client(&node, "secret", Some("token/with+signs=="));
    put(right.clone(), "logs").await.unwrap();
    right.list_delivery_streams().send().await.unwrap();
    let error = put(right, "no/name")
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
    assert_eq!(
        error.message(),
        Some(
            "1 validation error detected: Value 'no/name' at 'deliveryStreamName' failed to \
             satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )
    );

    let wrong = client(&node, "guess", Some("token/with+signs=="));
    let error = put(wrong, "logs").await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
    let tokenless = client(&node, "secret", None);
    let error = put(tokenless, "logs")
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(error.code(), Some("UnrecognizedClientException"));
}

const CERTIFICATE: &[u8] = include_bytes!("localhost.crt");
const KEY: &[u8] = include_bytes!("localhost.key");

#[tokio::test]
async fn tls() {
    let acceptor = tls::acceptor(CERTIFICATE, KEY).unwrap();
    let node = Node::start(Keyring::open(), ServerLimits::default(), Some(acceptor)).await;

    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    roots.add(certificate).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let socket = tokio::net::TcpStream::connect(node.addr).await.unwrap();
    let mut stream = connector
        .connect("localhost".try_into().unwrap(), socket)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let ask = Ask::put("logs").with("Connection", "close");
    stream.write_all(&ask.head()).await.unwrap();
    stream.write_all(&ask.body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    // A client that speaks no TLS is turned away and harms nobody.
    let mut plain = node.connect().await;
    plain.send(&Ask::put("logs").head()).await;
    plain.rest().await;
    assert_eq!(node.seen.0.lock().unwrap().len(), 1);
}

#[test]
fn unusable_certificates_are_explained() {
    let text = |certificates: &[u8], key: &[u8]| match tls::acceptor(certificates, key) {
        Ok(_) => panic!("accepted"),
        Err(error) => error.to_string(),
    };
    assert!(text(b"", KEY).contains("no CERTIFICATE block"));
    assert!(text(KEY, KEY).contains("no CERTIFICATE block"));
    assert!(text(CERTIFICATE, b"").contains("no PRIVATE KEY block"));
    assert!(text(CERTIFICATE, CERTIFICATE).contains("no PRIVATE KEY block"));
}
