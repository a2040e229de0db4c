//! TLS as `sslmode` says, errors in words, and what happens to statements that nobody waits for.

use std::{fs, sync::Arc, time::Duration};

use hydrant_engine::SystemClock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use super::server::{Server, server, value};
use crate::{
    credentials::Secret,
    destination::DeliveryError,
    warehouse::{
        connect::{Connection, Connector},
        errors,
        jdbc::JdbcUrl,
    },
};

const SOMEBODY_ELSE: &[u8] = include_bytes!("somebody-else.crt");
const IS_ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// What stands between client and server.
#[derive(Clone, Copy, PartialEq)]
enum Between {
    /// Nothing but another address, which no certificate is for.
    AnotherName,
    /// A server that cannot do TLS.
    NoTls,
}

/// Another way to the server.
async fn detour(server: &'static Server, between: Between) -> JdbcUrl {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let mut url = server.url("");
    url.host = "127.0.0.2".to_owned();
    url.port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                if between == Between::NoTls {
                    let mut wish = [0; 8];
                    client.read_exact(&mut wish).await.unwrap();
                    // Length 8, then the number that asks for TLS.
                    assert_eq!(wish, [0, 0, 0, 8, 4, 210, 22, 47]);
                    client.write_all(b"N").await.unwrap();
                }
                let there = (server.host.as_str(), server.port);
                let mut there = TcpStream::connect(there).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut there).await;
            });
        }
    });
    url
}

fn with_mode(url: &JdbcUrl, mode: &str) -> JdbcUrl {
    let said = JdbcUrl::parse(&format!("jdbc:postgresql://h/d?sslmode={mode}")).unwrap();
    JdbcUrl {
        tls: said.tls,
        ..url.clone()
    }
}

async fn encrypted(connected: Result<Connection, DeliveryError>) -> bool {
    let mut connection = connected.unwrap();
    let answer = value(&mut connection, IS_ENCRYPTED).await;
    connection.close().await;
    answer.as_deref() == Some("t")
}

/// The refusal's message, which must be one that somebody has to act on.
fn refused(connected: Result<Connection, DeliveryError>) -> String {
    let error = connected.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error}");
    assert_eq!(error.code(), "Redshift.ConnectionFailed");
    error.message().to_owned()
}

#[tokio::test]
async fn who_is_trusted() {
    let Some(server) = server() else { return };
    let ca = fs::read(&server.ca).unwrap();
    let itself = fs::read(server.ca.with_file_name("server.crt")).unwrap();
    let here = server.url("");
    let there = detour(server, Between::AnotherName).await;
    let connect = async |url: &JdbcUrl, mode: &str, ca: Option<&[u8]>| {
        server.connect(&with_mode(url, mode), ca).await
    };

    for mode in ["allow", "prefer", "require"] {
        assert!(encrypted(connect(&here, mode, None).await).await, "{mode}");
        let wrong = connect(&there, mode, Some(SOMEBODY_ELSE)).await;
        assert!(encrypted(wrong).await, "{mode}");
    }
    for mode in ["verify-ca", "verify-full"] {
        for trusted in [&ca, &itself] {
            let connected = connect(&here, mode, Some(trusted)).await;
            assert!(encrypted(connected).await, "{mode}");
        }
        for trusted in [None, Some(SOMEBODY_ELSE)] {
            let told = refused(connect(&here, mode, trusted).await);
            assert!(told.contains("database_ca"), "{mode}: {told}");
        }
    }
    let connected = connect(&there, "verify-ca", Some(&ca)).await;
    assert!(encrypted(connected).await);
    for trusted in [&ca, &itself] {
        let told = refused(connect(&there, "verify-full", Some(trusted)).await);
        assert!(told.contains("127.0.0.2"), "{told}");
    }
    assert!(!encrypted(connect(&here, "disable", None).await).await);
}

#[tokio::test]
async fn in_clear_only_where_that_is_allowed() {
    let Some(server) = server() else { return };
    let plain = detour(server, Between::NoTls).await;
    let prefer = server.connect(&with_mode(&plain, "prefer"), None).await;
    assert!(!encrypted(prefer).await);
    for mode in ["require", "verify-ca", "verify-full"] {
        let told = refused(server.connect(&with_mode(&plain, mode), None).await);
        assert!(told.contains("does not support TLS"), "{mode}: {told}");
    }
}

#[tokio::test]
async fn who_does_not_get_in_is_told_why() {
    let Some(server) = server() else { return };
    let fails = async |server: &Server, url: &JdbcUrl| server.connect(url, None).await.unwrap_err();

    let wrong = Server {
        password: "hush".to_owned(),
        ..server.clone()
    };
    let told = fails(&wrong, &server.url("")).await;
    assert_eq!(told.code(), "Redshift.AuthenticationFailed");
    assert!(told.message().contains("FATAL: password authentication"));
    assert!(!told.message().contains("hush"), "{told}");

    let mut elsewhere = server.url("");
    elsewhere.database = "nowhere".to_owned();
    let told = fails(server, &elsewhere).await;
    assert_eq!(told.code(), "Redshift.DatabaseNotFound");
    assert!(matches!(told, DeliveryError::Refused { .. }), "{told}");

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut url = server.url("");
    url.port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let told = fails(server, &url).await;
    assert_eq!(told.code(), "Redshift.ConnectionFailed");
    assert!(told.is_unreachable(), "{told}");
}

#[tokio::test]
async fn a_way_to_authenticate_that_is_not_known_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        // Redshift's own digest has the number 13.
        client.write_all(b"R\0\0\0\x08\0\0\0\x0d").await.unwrap();
        let _ = client.read_to_end(&mut Vec::new()).await;
    });
    let url = format!("jdbc:redshift://127.0.0.1:{port}/d?ssl=false");
    let url = JdbcUrl::parse(&url).unwrap();
    let connector = Connector::new(Arc::new(SystemClock::new()), None).unwrap();
    let told = connector.connect(&url, "u", &Secret::new("hush")).await;
    let told = told.unwrap_err();
    assert_eq!(told.code(), "Redshift.AuthenticationFailed");
    assert!(matches!(told, DeliveryError::Refused { .. }), "{told}");
    assert!(told.message().contains("MD5"), "{told}");
}

/// A server that says of itself that it has no TLS, then `first`, then `ever` for as long as anybody listens. Gives what it
/// was told.
async fn liar(first: Vec<u8>, ever: Vec<u8>) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 8];
        client.read_exact(&mut heard).await.unwrap();
        if heard[4..] == [4, 210, 22, 47] {
            client.write_all(b"N").await.unwrap();
        }
        let (mut from, mut to) = client.split();
        let talk = async {
            let mut said = to.write_all(&first).await;
            while said.is_ok() && !ever.is_empty() {
                said = to.write_all(&ever).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = talk => {}
            _ = from.read_to_end(&mut heard) => {}
        }
        heard
    });
    (port, heard)
}

async fn to_liar(port: u16, parameters: &str) -> Result<Connection, DeliveryError> {
    let url = format!("jdbc:postgresql://127.0.0.1:{port}/d{parameters}");
    let connector = Connector::new(Arc::new(SystemClock::new()), None).unwrap();
    let url = JdbcUrl::parse(&url).unwrap();
    connector.connect(&url, "u", &Secret::new("hush")).await
}

const ASKS_FOR_PASSWORD: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const LETS_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const IS_READY: &[u8] = b"Z\0\0\0\x05I";

#[tokio::test]
async fn no_password_in_clear_that_nobody_meant_to_be_seen() {
    let says_it = |heard: &[u8]| heard.windows(4).any(|part| part == b"hush");
    let (port, heard) = liar(ASKS_FOR_PASSWORD.to_vec(), Vec::new()).await;
    let told = to_liar(port, "").await.unwrap_err();
    assert_eq!(told.code(), "Redshift.AuthenticationFailed");
    assert!(matches!(told, DeliveryError::Refused { .. }), "{told}");
    assert!(told.message().contains("sslmode=disable"), "{told}");
    assert!(!says_it(&heard.await.unwrap()));

    let asks_and_lets_in = [ASKS_FOR_PASSWORD, LETS_IN, IS_READY].concat();
    let (port, heard) = liar(asks_and_lets_in, Vec::new()).await;
    let connection = to_liar(port, "?sslmode=disable").await.unwrap();
    connection.close().await;
    assert!(says_it(&heard.await.unwrap()));
}

#[tokio::test]
async fn a_server_that_never_stops_talking_is_left() {
    for endless in [
        // Notices, settings, and an error of two gigabytes.
        b"N\0\0\0\x05\0".repeat(4096),
        b"S\0\0\0\x08a\0b\0".repeat(4096),
        b"E\x7f\xff\xff\xff".to_vec(),
    ] {
        let (port, _) = liar(LETS_IN.to_vec(), endless).await;
        let told = to_liar(port, "").await.unwrap_err();
        assert_eq!(told.code(), "Redshift.ConnectionFailed");
        assert!(told.message().contains("more than"), "{told}");
    }

    let rows = b"D\0\0\0\x0b\0\x01\0\0\0\x01x".repeat(4096);
    let (port, _) = liar([LETS_IN, IS_READY].concat(), rows).await;
    let mut connection = to_liar(port, "").await.unwrap();
    let answer = connection.client().batch_execute("SELECT version()").await;
    answer.unwrap_err();
    let ending = connection.ending().await.unwrap();
    assert!(matches!(ending, DeliveryError::Refused { .. }), "{ending}");
}

#[tokio::test]
async fn silence_is_noticed() {
    let (port, _) = liar([LETS_IN, IS_READY].concat(), Vec::new()).await;
    let mut connection = to_liar(port, "").await.unwrap();
    assert!(!connection.is_private());
    let silence = connection.silence(Duration::from_millis(80));
    tokio::select! {
        answer = connection.client().batch_execute("SELECT 1") => panic!("{answer:?}"),
        () = silence => {}
    }
}

#[test]
fn a_file_without_certificates_is_refused() {
    for pem in [
        "",
        "nothing",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let made = Connector::new(Arc::new(SystemClock::new()), Some(pem.as_bytes()));
        assert!(made.is_err(), "{pem}");
    }
}

/// Waits, in the database, until it lists a session that runs `marker` (or none).
async fn wait_until_listed(connection: &mut Connection, marker: &str, listed: bool) {
    let running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%{marker}%' AND state = 'active' \
         AND pid <> pg_backend_pid()"
    );
    for _ in 0..3000 {
        let count = value(connection, &running).await;
        if (count.as_deref() != Some("0")) == listed {
            return;
        }
        value(connection, "SELECT pg_sleep(0.01)").await;
    }
    panic!("{marker} is listed: {}", !listed);
}

#[tokio::test]
async fn what_nobody_waits_for_is_cancelled_there() {
    let Some(server) = server() else { return };
    let mut watch = server.connect(&server.url(""), None).await.unwrap();
    for mode in ["disable", "require"] {
        let marker = format!("dropped-{mode}-{}", std::process::id());
        let url = with_mode(&server.url(""), mode);
        let mut connection = server.connect(&url, None).await.unwrap();
        let statement = format!("SELECT pg_sleep(3600) -- {marker}");
        let running = tokio::spawn(async move {
            connection.client().batch_execute(&statement).await.unwrap();
        });
        wait_until_listed(&mut watch, &marker, true).await;
        running.abort();
        wait_until_listed(&mut watch, &marker, false).await;
    }
    watch.close().await;
}

#[test]
fn a_process_that_ends_cancels_first() {
    let Some(server) = server() else { return };
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let marker = format!("ending-{}", std::process::id());
    let watching = runtime();
    let mut watch = watching
        .block_on(server.connect(&server.url(""), None))
        .unwrap();
    let ending = runtime();
    ending.block_on(async {
        let connector = Connector::new(Arc::new(SystemClock::new()), None).unwrap();
        let password = Secret::new(&server.password);
        let url = server.url("");
        let connected = connector.connect(&url, &server.user, &password).await;
        let mut connection = connected.unwrap();
        let statement = format!("SELECT pg_sleep(3600) -- {marker}");
        let running = tokio::spawn(async move {
            connection.client().batch_execute(&statement).await.unwrap();
        });
        let mut watch = server.connect(&url, None).await.unwrap();
        wait_until_listed(&mut watch, &marker, true).await;
        running.abort();
        let _ = running.await;
        connector.settle().await;
    });
    drop(ending);
    watching.block_on(wait_until_listed(&mut watch, &marker, false));
    watching.block_on(watch.close());
}

#[tokio::test]
async fn a_connection_that_ended_knows_why() {
    let Some(server) = server() else { return };
    let mut watch = server.connect(&server.url(""), None).await.unwrap();
    let mut connection = server.connect(&server.url(""), None).await.unwrap();
    let session = value(&mut connection, "SELECT pg_backend_pid()").await;
    let end = format!("SELECT pg_terminate_backend({}, 10000)", session.unwrap());
    assert_eq!(value(&mut watch, &end).await.as_deref(), Some("t"));
    let error = loop {
        // The end may arrive before or after the next statement is sent.
        if let Err(error) = connection.client().batch_execute("SELECT 1").await {
            break errors::in_words(&error);
        }
    };
    assert!(error.is_unreachable(), "{error}");
    let ending = connection.ending().await.unwrap_or(error);
    assert!(ending.is_unreachable(), "{ending}");
    assert!(ending.message().contains("administrator"), "{ending}");
    watch.close().await;
    // Ended, it neither hangs nor cancels anything.
    connection.close().await;
}
