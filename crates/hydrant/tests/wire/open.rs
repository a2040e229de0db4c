//! A node without keys: protocol, headers, order of checks.

use hydrant::api::Operation;

use super::node::{Ask, Node, Reply};

const PUT_DONE: &str = r#"{"Arn":"arn:aws:firehose:us-east-1:000000000000:deliverystream/logs","Bytes":58,"Operation":"PutRecord"}"#;
const NOT_AUTHORIZED: &str = "<AccessDeniedException>\n  <Message>Unable to determine \
                              service/operation name to be authorized</Message>\n\
                              </AccessDeniedException>\n";

async fn answer(ask: Ask) -> Reply {
    Node::open().await.ask(ask).await
}

#[tokio::test]
async fn a_good_request_has_a_good_answer_with_all_headers() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    let first = client.ask(Ask::put("logs")).await;
    first.is(200, PUT_DONE);
    assert_eq!(
        first.header("content-type"),
        Some("application/x-amz-json-1.1")
    );
    assert_eq!(first.header("x-amz-id-2").unwrap().len(), 96);
    let id = first.header("x-amzn-requestid").unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
    let date = first.header("date").unwrap();
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    assert_eq!(first.header("access-control-allow-origin"), None);
    assert_eq!(first.header("x-amzn-errortype"), None);
    assert_eq!(first.header("connection"), None);
    assert_eq!(first.header("transfer-encoding"), None);

    // The connection is kept, and no two answers share an id.
    let second = client.ask(Ask::put("logs")).await;
    second.is(200, PUT_DONE);
    assert_ne!(
        second.header("x-amzn-requestid"),
        first.header("x-amzn-requestid")
    );
    assert_ne!(second.header("x-amz-id-2"), first.header("x-amz-id-2"));
}

#[tokio::test]
async fn parameters_of_the_content_type_and_the_path_do_not_matter() {
    let charset = "application/x-amz-json-1.1; charset=utf-8";
    let ask = Ask::put("logs").with("Content-Type", charset);
    answer(ask.path("/any/path?and=query"))
        .await
        .is(200, PUT_DONE);
}

#[tokio::test]
async fn account_and_region_come_from_the_scope() {
    let scoped = Ask::put("logs").with(
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=123456789012/20150830/eu-west-1/firehose/aws4_request, \
         SignedHeaders=host, Signature=junk",
    );
    let body = answer(scoped).await.body;
    assert!(body.contains("firehose:eu-west-1:123456789012:"), "{body}");
}

#[tokio::test]
async fn errors_name_themselves_twice() {
    let reply = answer(Ask::new("DescribeDeliveryStream", "{}")).await;
    reply.is(
        400,
        r#"{"__type":"ValidationException","message":"1 validation error detected: Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null"}"#,
    );
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("ValidationException")
    );
    assert_eq!(
        reply.header("content-type"),
        Some("application/x-amz-json-1.1")
    );
    answer(Ask::new("ListDeliveryStreams", r#"{"Limit":"1"}"#)).await.is(
        400,
        r#"{"__type":"SerializationException","Message":"class java.lang.String can not be converted to an Integer"}"#,
    );
    answer(Ask::put("slow")).await.is(
        503,
        r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#,
    );
}

#[tokio::test]
async fn the_order_of_checks() {
    const MALFORMED: &str = r#"{"__type":"SerializationException"}"#;
    const UNKNOWN: &str = r#"{"__type":"UnknownOperationException"}"#;
    let good = Ask::put("logs");
    let body = |ask: &Ask, body: &str| {
        let mut ask = ask.clone().with("Content-Length", &body.len().to_string());
        ask.body = body.into();
        ask
    };
    let untargeted = good.clone().without("X-Amz-Target");
    let unknown = good.clone().with(
        "X-Amz-Target",
        "Firehose_20150804.StartDeliveryStreamEncryption",
    );
    let typed = |ask: &Ask, kind: &str| ask.clone().with("Content-Type", kind);

    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let reply = answer(body(&good, "").method(method)).await;
        reply.is(403, NOT_AUTHORIZED);
        assert_eq!(reply.header("content-type"), None);
    }
    // An empty body comes before the content type.
    answer(body(&typed(&good, "text/plain"), ""))
        .await
        .is(400, MALFORMED);
    answer(body(&typed(&unknown, "text/plain"), ""))
        .await
        .is(400, UNKNOWN);
    answer(body(&untargeted, "")).await.is(400, UNKNOWN);
    // The content type comes before the body's form.
    let reply = answer(body(&typed(&good, "text/plain"), "junk")).await;
    reply.is(404, "<UnknownOperationException/>\n");
    assert_eq!(reply.header("content-type"), None);
    answer(good.clone().without("Content-Type"))
        .await
        .is(404, "<UnknownOperationException/>\n");
    answer(typed(&good, "application/x-amz-cbor-1.1"))
        .await
        .is(404, "<UnknownOperationException/>\n");
    answer(typed(&untargeted, "text/plain"))
        .await
        .is(403, NOT_AUTHORIZED);
    answer(typed(&good, "application/json")).await.is(
        404,
        r#"{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}"#,
    );
    answer(body(&typed(&good, "application/json"), "1")).await.is(
        400,
        r#"{"Output":{"__type":"com.amazon.coral.service#SerializationException"},"Version":"1.0"}"#,
    );
    // The body's form comes before the target.
    for junk in ["junk", "1", "null", "\"a\"", "{", "{}}", "\u{feff}{}"] {
        answer(body(&unknown, junk)).await.is(400, MALFORMED);
        answer(body(&good, junk)).await.is(400, MALFORMED);
    }
    let reply = answer(unknown).await;
    reply.is(400, UNKNOWN);
    assert_eq!(reply.header("content-length"), Some("38"));
    answer(untargeted).await.is(400, UNKNOWN);
    answer(good.with("X-Amz-Target", "Kinesis_20131202.PutRecord"))
        .await
        .is(400, UNKNOWN);
}

#[tokio::test]
async fn pages_of_this_machine_may_ask_and_post() {
    let preflight = Ask::put("logs")
        .method("OPTIONS")
        .with("Origin", "http://localhost:3000")
        .with(
            "Access-Control-Request-Headers",
            "x-amz-target,authorization",
        )
        .with("Access-Control-Request-Method", "POST");
    let reply = answer(preflight).await;
    reply.is(200, "");
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-headers", "x-amz-target,authorization"),
        ("access-control-allow-methods", "POST"),
        ("access-control-max-age", "172800"),
        ("content-length", "0"),
    ] {
        assert_eq!(reply.header(name), Some(value));
    }
    assert!(reply.header("x-amzn-requestid").is_some());
    assert_eq!(reply.header("x-amz-id-2"), None);

    let reply = answer(Ask::put("logs").with("Origin", "http://localhost:3000")).await;
    reply.is(200, PUT_DONE);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        reply.header("access-control-expose-headers"),
        Some(
            "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,\
             x-amzn-ErrorMessage,Date"
        )
    );
}

#[tokio::test]
async fn pages_of_other_machines_are_refused_by_a_node_without_keys() {
    let node = Node::open().await;
    for origin in ["https://example.com", "http://evil.example:4573", "null"] {
        let preflight = Ask::put("logs")
            .method("OPTIONS")
            .with("Origin", origin)
            .with("Access-Control-Request-Headers", "x-amz-target")
            .with("Access-Control-Request-Method", "POST")
            .with("Access-Control-Request-Private-Network", "true");
        let post = Ask::put("logs").with("Origin", origin);
        let simple = post.clone().with("Content-Type", "text/plain");
        for ask in [preflight, post, simple] {
            let reply = node.ask(ask).await;
            assert_eq!(reply.status, 403, "{reply:?}");
            let told: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(told["__type"], "AccessDeniedException");
            let mut headers = reply.headers.iter();
            assert!(
                headers.all(|(name, _)| !name.starts_with("access-control-")),
                "{reply:?}"
            );
        }
    }
    let seen = node.seen.0.lock().unwrap();
    assert!(seen.iter().all(|(_, status, _)| *status == 403), "{seen:?}");
}

#[tokio::test]
async fn compressed_bodies_are_refused_clearly() {
    let reply = answer(Ask::put("logs").with("Content-Encoding", "gzip")).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.starts_with(
            r#"{"__type":"SerializationException","Message":"Content-Encoding 'gzip' is not supported"#
        ),
        "{reply:?}"
    );
    answer(Ask::put("logs").with("Content-Encoding", "identity"))
        .await
        .is(200, PUT_DONE);
}

#[tokio::test]
async fn faults_inside_stay_inside_and_end_nothing_else() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    for stream in ["broken", "panic"] {
        let reply = client.ask(Ask::put(stream)).await;
        reply.is(
            500,
            r#"{"__type":"InternalFailure","message":"The service failed to process the request. Try again."}"#,
        );
    }
    client.ask(Ask::put("logs")).await.is(200, PUT_DONE);
    let seen = node.seen.0.lock().unwrap().clone();
    let put = Some(Operation::PutRecord);
    let failure = Some("InternalFailure".to_owned());
    assert_eq!(
        seen,
        [
            (put, 500, failure.clone()),
            (put, 500, failure),
            (put, 200, None)
        ]
    );
}

#[tokio::test]
async fn requests_may_be_pipelined_and_chunked() {
    let node = Node::open().await;
    let mut client = node.connect().await;
    let put = Ask::put("logs");
    let mut bytes = put.head();
    bytes.extend_from_slice(&put.body);
    let chunked = put
        .clone()
        .without("Content-Length")
        .with("Transfer-Encoding", "chunked");
    bytes.extend_from_slice(&chunked.head());
    let (left, right) = put.body.split_at(20);
    for part in [left, right, b""] {
        bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    client.send(&bytes).await;
    client.reply().await.is(200, PUT_DONE);
    client.reply().await.is(200, PUT_DONE);
}
