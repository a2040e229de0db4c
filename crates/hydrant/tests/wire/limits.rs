//! What a client may take of the node: every limit with a client that goes beyond it.

use std::time::Duration;

use hydrant::api::{ServerLimits, limits::BODY_BYTES};
use tokio::io::AsyncWriteExt;

use super::node::{Ask, Node};

const TOO_LARGE: &str = r#"{"__type":"RequestEntityTooLargeException"}"#;
const SLOW_DOWN: &str = r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#;

fn list(bytes: usize) -> Ask {
    let pad = "x".repeat(bytes - r#"{"Pad":""}"#.len());
    Ask::new("ListDeliveryStreams", format!(r#"{{"Pad":"{pad}"}}"#))
}

#[tokio::test]
async fn a_body_of_8_mib_and_no_byte_more() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    assert_eq!(client.ask(list(BODY_BYTES)).await.status, 200);
    // It is read to its end, so that its sender gets the answer and may go on.
    client.ask(list(BODY_BYTES + 1)).await.is(413, TOO_LARGE);
    assert_eq!(client.ask(list(100)).await.status, 200);

    let chunked = list(100)
        .without("Content-Length")
        .with("Transfer-Encoding", "chunked");
    client.send(&chunked.head()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    for _ in 0..9 {
        client.send(chunk.as_bytes()).await;
    }
    client.send(b"0\r\n\r\n").await;
    client.reply().await.is(413, TOO_LARGE);
    assert_eq!(client.ask(list(100)).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_far_too_large_ends_the_connection() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    client
        .send(&list(100).with("Content-Length", "1000000000000").head())
        .await;
    let reply = client.reply().await;
    reply.is(413, TOO_LARGE);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn who_asks_before_sending_is_told_to_go_on_or_not() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    let ask = Ask::put("logs").with("Expect", "100-continue");
    client.send(&ask.head()).await;
    let go_on = client.reply().await;
    go_on.is(100, "");
    client.send(&ask.body).await;
    assert_eq!(client.reply().await.status, 200);

    let length = (1_u64 << 30).to_string();
    client
        .send(&ask.with("Content-Length", &length).head())
        .await;
    // No "100 Continue" first.
    client.reply().await.is(413, TOO_LARGE);
}

#[tokio::test]
async fn a_head_must_be_small_and_in_time() {
    let limits = ServerLimits {
        head: Duration::from_millis(200),
        ..ServerLimits::default()
    };
    let node = Node::limited(limits).await;
    // Slowly, byte after byte, does not help.
    let mut client = node.connect().await;
    client.send(b"POST / HTTP/1.1\r\nHost: ").await;
    let rest = String::from_utf8(client.rest().await).unwrap();
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408 "),
        "{rest}"
    );
    // A kept connection that asks nothing ends too.
    let mut client = node.connect().await;
    assert_eq!(client.ask(Ask::put("logs")).await.status, 200);
    client.rest().await;

    let node = Node::open().await;
    let mut client = node.connect().await;
    let huge = Ask::put("logs").with("X-Huge", &"x".repeat(100_000));
    let _ = client.io.write_all(&huge.head()).await;
    let rest = String::from_utf8(client.rest().await).unwrap();
    assert!(rest.starts_with("HTTP/1.1 431 "), "{rest}");
    let mut client = node.connect().await;
    let many = (0..101).fold(Ask::put("logs"), |ask, n| ask.with(&format!("x-{n}"), "1"));
    client.send(&many.head()).await;
    let rest = String::from_utf8(client.rest().await).unwrap();
    assert!(rest.starts_with("HTTP/1.1 431 "), "{rest}");
}

#[tokio::test]
async fn where_a_request_ends_is_never_in_doubt() {
    let node = Node::open().await;
    let put = Ask::put("logs");
    let length = put.body.len().to_string();
    let head = |lines: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: Firehose_20150804.PutRecord\r\n{lines}\r\n\r\n"
        )
    };
    let body = String::from_utf8(put.body.clone()).unwrap();
    let answers = async |bytes: String| {
        let mut client = node.connect().await;
        // It may be refused before it is read.
        let _ = client.io.write_all(bytes.as_bytes()).await;
        String::from_utf8(client.rest().await).unwrap()
    };
    for lines in [
        format!("Content-Length: {length}\r\nContent-Length: 5"),
        format!("Content-Length: {length}, 5"),
        format!("Content-Length: +{length}"),
        format!("Content-Length : {length}"),
        format!("Content-Length: {length}\r\n folded: 1"),
        "Content-Length: 99999999999999999999".to_owned(),
        "Transfer-Encoding: gzip".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip".to_owned(),
    ] {
        let told = answers(head(&lines) + &body).await;
        assert!(told.starts_with("HTTP/1.1 400 "), "{lines:?}: {told}");
        assert_eq!(told.matches("HTTP/1.1").count(), 1, "{lines:?}: {told}");
    }
    let old = head("Transfer-Encoding: chunked").replace("HTTP/1.1", "HTTP/1.0");
    let told = answers(old + "0\r\n\r\n").await;
    assert!(told.contains(" 400 "), "{told}");
    assert_eq!(node.seen.0.lock().unwrap().len(), 0, "nobody was asked");

    // Both: the chunks hold, and the connection ends, so what follows them is nobody's request.
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let hidden = head(&format!("Content-Length: {length}")) + &body;
    for lines in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let told = answers(head(lines) + &chunked + &hidden).await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
        assert_eq!(told.matches("HTTP/1.1").count(), 1, "{told}");
    }
    // Chunks without a proper size.
    for size in ["-1", "ffffffffffffffffffff", "0x5", "5;\n"] {
        let told = answers(head("Transfer-Encoding: chunked") + size + "\r\n" + &body).await;
        assert!(!told.contains(" 200 "), "{size}: {told}");
    }
}

#[tokio::test]
async fn json_that_is_made_to_hurt_is_refused() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    let within = |name: &str, value: &str| {
        format!(
            r#"{{"DeliveryStreamName":"logs","Record":{{"Data":"aGVsbG8="}},"{name}":{value}}}"#
        )
    };
    let much = BODY_BYTES - 1024;
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    for (what, body, status) in [
        ("open for ever", "[".repeat(much), 400),
        ("objects for ever", r#"{"a":"#.repeat(much / 5), 400),
        (
            "nested where nothing is known",
            within("Pad", &nested(much / 2 - 100)),
            200,
        ),
        (
            "nested where a text is",
            within("DeliveryStreamName", &nested(100_000)),
            400,
        ),
        ("digits", within("Pad", &"9".repeat(1_000_000)), 200),
        ("an exponent", within("Pad", "1e999999999"), 200),
        (
            "many members",
            within(
                "Pad",
                &format!("{{{}}}", vec![r#""a":0"#; 500_000].join(",")),
            ),
            200,
        ),
        (
            "escapes",
            within("Pad", &format!("\"{}\"", r"\u0000".repeat(500_000))),
            200,
        ),
        (
            "half a surrogate",
            within("DeliveryStreamName", r#""\ud800""#),
            400,
        ),
    ] {
        let reply = client.ask(Ask::new("PutRecord", &body)).await;
        assert!(
            reply.status == status,
            "{what}: {} {}",
            reply.status,
            &reply.body[..reply.body.len().min(300)]
        );
    }
}

#[tokio::test]
async fn a_body_must_arrive_at_some_rate() {
    let limits = ServerLimits {
        body_grace: Duration::from_millis(200),
        ..ServerLimits::default()
    };
    let node = Node::limited(limits).await;
    let mut client = node.connect().await;
    let ask = Ask::put("logs");
    client.send(&ask.head()).await;
    client.send(&ask.body[..10]).await;
    let reply = client.reply().await;
    assert_eq!(reply.status, 408);
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("RequestTimeoutException")
    );
    assert_eq!(reply.header("connection"), Some("close"));
    client.rest().await;
}

#[tokio::test]
async fn bodies_in_flight_are_bounded_over_all_connections() {
    let limits = ServerLimits {
        body_bytes: 64 * 1024,
        bytes_in_flight: 0,
        in_flight_wait: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let node = Node::limited(limits).await;
    let mut holder = node.connect().await;
    let wait = |pad: usize| {
        let body = format!(
            r#"{{"DeliveryStreamName":"wait","Pad":"{}"}}"#,
            "x".repeat(pad)
        );
        Ask::new("DescribeDeliveryStream", body)
    };
    let held = wait(60_000);
    holder.send(&held.head()).await;
    holder.send(&held.body).await;
    node.toy.waiting.acquire().await.unwrap().forget();
    // Only a little is left, for which a large one waits in vain and a small one does not.
    let reply = node.ask(list(60_000)).await;
    reply.is(503, SLOW_DOWN);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(node.ask(list(1_000)).await.status, 200);
    node.toy.gate.add_permits(1);
    assert_eq!(holder.reply().await.status, 200);
    assert_eq!(node.ask(list(60_000)).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let limits = ServerLimits {
        connections: 1,
        ..ServerLimits::default()
    };
    let node = Node::limited(limits).await;
    let mut first = node.connect().await;
    assert_eq!(first.ask(Ask::put("logs")).await.status, 200);
    let mut second = node.connect().await;
    let ask = Ask::put("logs");
    second.send(&ask.head()).await;
    second.send(&ask.body).await;
    // The first one is still served, the second not yet.
    assert_eq!(first.ask(Ask::put("logs")).await.status, 200);
    assert_eq!(node.seen.0.lock().unwrap().len(), 2);
    drop(first);
    assert_eq!(second.reply().await.status, 200);
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_nothing_else() {
    let node = Node::open().await;
    let mut fresh = node.connect().await;
    let mut idle = node.connect().await;
    assert_eq!(idle.ask(Ask::put("logs")).await.status, 200);
    let mut busy = node.connect().await;
    let wait = Ask::put("wait");
    busy.send(&wait.head()).await;
    busy.send(&wait.body).await;
    node.toy.waiting.acquire().await.unwrap().forget();

    node.shutdown.cancel();
    assert_eq!(idle.rest().await, b"");
    assert_eq!(fresh.rest().await, b"");
    assert!(!node.served.is_finished());
    node.toy.gate.add_permits(1);
    let reply = busy.reply().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("connection"), Some("close"));
    node.served.await.unwrap();
    assert!(tokio::net::TcpStream::connect(node.addr).await.is_err());
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let limits = ServerLimits {
        shutdown: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let node = Node::limited(limits).await;
    let mut busy = node.connect().await;
    let wait = Ask::put("wait");
    busy.send(&wait.head()).await;
    busy.send(&wait.body).await;
    node.toy.waiting.acquire().await.unwrap().forget();
    node.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(20), node.served)
        .await
        .expect("the server must end")
        .unwrap();
    assert_eq!(busy.rest().await, b"");
}
