//! A node with keys: every request is verified.

use std::time::Duration;

use hydrant::{
    api::ServerLimits,
    credentials::{Key, Keyring},
    sigv4::{
        SERVICE,
        key::sha256_hex,
        sign::{Credentials, Subject, sign},
        verify,
    },
};
use hydrant_engine::{Clock, SystemClock, Timestamp};

use super::node::{Ask, Node, Reply};

fn keyring() -> Keyring {
    let all = Key::new("AKIDALL", "all-secret", "111111111111");
    let logs: Key = toml::from_str(
        r#"
        access_key = "AKIDLOGS"
        secret_key = "logs-secret"
        session_token = "logs-token"
        account = "222222222222"
        user_arn = "arn:aws:iam::222222222222:user/shipper"
        [[policy]]
        effect = "Allow"
        action = "firehose:PutRecord*"
        resource = "arn:aws:firehose:*:*:deliverystream/logs*"
        [[policy]]
        effect = "Deny"
        action = "firehose:*"
        resource = "*-private"
        "#,
    )
    .unwrap();
    Keyring::new([all, logs]).unwrap()
}

async fn node() -> Node {
    Node::start(keyring(), ServerLimits::default(), None).await
}

fn credentials(access_key: &str, secret_key: &str, token: Option<&str>) -> Credentials {
    Credentials {
        access_key: access_key.into(),
        secret_key: secret_key.into(),
        session_token: token.map(Into::into),
    }
}

fn all() -> Credentials {
    credentials("AKIDALL", "all-secret", None)
}

fn logs() -> Credentials {
    credentials("AKIDLOGS", "logs-secret", Some("logs-token"))
}

/// `ask` with the headers that `credentials` sign it with.
fn signed_at(ask: Ask, credentials: &Credentials, region: &str, now: Timestamp) -> Ask {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &ask.headers {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let subject = Subject {
        method: ask.method,
        path: ask.path,
        query: "",
        body_sha256: &sha256_hex(&ask.body),
    };
    sign(subject, &mut headers, credentials, region, SERVICE, now).unwrap();
    headers.iter().fold(ask, |ask, (name, value)| {
        ask.with(name.as_str(), value.to_str().unwrap())
    })
}

fn signed(ask: Ask, credentials: &Credentials) -> Ask {
    signed_at(ask, credentials, "eu-west-1", SystemClock::new().now())
}

fn refused(reply: &Reply, name: &str, message: &str) {
    let body = serde_json::json!({ "__type": name, "message": message });
    let given: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, given), (400, body));
    assert_eq!(reply.header("x-amzn-errortype"), Some(name));
}

#[tokio::test]
async fn a_signed_request_is_its_signers() {
    let node = node().await;
    let reply = node.ask(signed(Ask::put("logs"), &all())).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let arn = "arn:aws:firehose:eu-west-1:111111111111:deliverystream/logs";
    assert!(reply.body.contains(arn), "{reply:?}");
    let reply = node.ask(signed(Ask::put("logs"), &logs())).await;
    assert!(reply.body.contains(":222222222222:"), "{reply:?}");
}

#[tokio::test]
async fn large_bodies_are_hashed_as_they_arrive() {
    let data = "A".repeat(1_365_332);
    let body = format!(r#"{{"DeliveryStreamName":"logs","Record":{{"Data":"{data}"}}}}"#);
    let node = node().await;
    let ask = signed(Ask::new("PutRecord", &body), &all());
    assert_eq!(node.ask(ask.clone()).await.status, 200);
    let mut changed = ask;
    let middle = changed.body.len() / 2;
    changed.body[middle] = b'B';
    refused(
        &node.ask(changed).await,
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method. Consult the service documentation for details.",
    );
}

#[tokio::test]
async fn who_is_not_let_in() {
    let node = node().await;
    let put = || Ask::put("logs");
    refused(
        &node.ask(put()).await,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    );
    const INVALID: &str = "The security token included in the request is invalid.";
    let stranger = credentials("AKIDNOBODY", "x", None);
    let reply = node.ask(signed(put(), &stranger)).await;
    refused(&reply, "UnrecognizedClientException", INVALID);
    let tokenless = credentials("AKIDLOGS", "logs-secret", None);
    let reply = node.ask(signed(put(), &tokenless)).await;
    refused(&reply, "UnrecognizedClientException", INVALID);
    let guess = credentials("AKIDALL", "guess", None);
    let reply = node.ask(signed(put(), &guess)).await;
    assert!(
        reply
            .body
            .starts_with(r#"{"__type":"InvalidSignatureException","#),
        "{reply:?}"
    );
    let bare = put().with("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDALL");
    let reply = node.ask(bare.with("X-Amz-Date", "20150830T123600Z")).await;
    refused(
        &reply,
        "IncompleteSignatureException",
        "Authorization header requires 'Signature' parameter. Authorization header requires \
         'SignedHeaders' parameter. Authorization=AWS4-HMAC-SHA256 Credential=AKIDALL",
    );
    let reply = node
        .ask(signed_at(put(), &all(), "EU", SystemClock::new().now()))
        .await;
    refused(
        &reply,
        "InvalidSignatureException",
        "Credential should be scoped to a valid region, not 'EU'. ",
    );
}

#[tokio::test]
async fn clocks_may_differ_by_four_minutes_but_not_by_six() {
    let node = node().await;
    let now = SystemClock::new().now();
    for (skew, text) in [
        (-6, Some("Signature expired: ")),
        (-4, None),
        (4, None),
        (6, Some("Signature not yet current: ")),
    ] {
        let at = Timestamp(now.0.saturating_add_signed(skew * 60_000));
        let reply = node
            .ask(signed_at(Ask::put("logs"), &all(), "eu-west-1", at))
            .await;
        match text {
            None => assert_eq!(reply.status, 200, "{reply:?}"),
            Some(text) => {
                assert_eq!(
                    reply.header("x-amzn-errortype"),
                    Some("InvalidSignatureException")
                );
                assert!(reply.body.contains(text), "{reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_was_overheard_can_be_sent_again_but_not_changed() {
    let node = node().await;
    let now = SystemClock::new().now();
    let heard = signed_at(Ask::put("logs"), &all(), "eu-west-1", now);
    // Within the skew, as with AWS: a put may arrive twice. TLS keeps it from being overheard.
    for _ in 0..2 {
        assert_eq!(node.ask(heard.clone()).await.status, 200);
    }
    let delete = "Firehose_20150804.DeleteDeliveryStream";
    let mut body = heard.clone();
    body.body = String::from_utf8(body.body)
        .unwrap()
        .replace("aGVs", "aGVz")
        .into();
    for changed in [
        body,
        heard.clone().with("X-Amz-Target", delete),
        heard.clone().with("Host", "elsewhere"),
        heard.clone().path("/?a=b"),
        heard.clone().with(
            "X-Amz-Date",
            &verify::basic(now.plus(Duration::from_secs(1))),
        ),
        heard
            .clone()
            .with("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
    ] {
        let reply = node.ask(changed.clone()).await;
        assert_eq!(
            reply.header("x-amzn-errortype"),
            Some("InvalidSignatureException"),
            "{:?}",
            changed.headers
        );
    }
    // A signature that covers no target would do for any.
    let mut headers = http::HeaderMap::new();
    headers.insert("host", "localhost".parse().unwrap());
    let subject = Subject {
        method: "POST",
        path: "/",
        query: "",
        body_sha256: &sha256_hex(&heard.body),
    };
    sign(subject, &mut headers, &all(), "eu-west-1", SERVICE, now).unwrap();
    let bare = headers.iter().fold(Ask::put("logs"), |ask, (name, value)| {
        ask.with(name.as_str(), value.to_str().unwrap())
    });
    assert_eq!(
        node.ask(bare).await.status,
        200,
        "the signer's choice, as with AWS"
    );
}

#[tokio::test]
async fn a_page_must_sign_as_everybody_must() {
    let node = node().await;
    let preflight = Ask::put("logs")
        .method("OPTIONS")
        .with("Origin", "https://example.com")
        .with("Access-Control-Request-Headers", "authorization")
        .with("Access-Control-Request-Method", "POST");
    let reply = node.ask(preflight).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    let from_page = || Ask::put("logs").with("Origin", "https://example.com");
    let reply = node.ask(from_page()).await;
    refused(
        &reply,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    );
    let reply = node.ask(signed(from_page(), &all())).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn policies_bind_after_the_shape_was_checked() {
    let node = node().await;
    let reply = node.ask(signed(Ask::put("logs-private"), &logs())).await;
    refused(
        &reply,
        "AccessDeniedException",
        "User: arn:aws:iam::222222222222:user/shipper is not authorized to perform: \
         firehose:PutRecord on resource: \
         arn:aws:firehose:eu-west-1:222222222222:deliverystream/logs-private",
    );
    let delete = r#"{"DeliveryStreamName":"logs"}"#;
    let reply = node
        .ask(signed(Ask::new("DeleteDeliveryStream", delete), &logs()))
        .await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("AccessDeniedException")
    );
    let reply = node
        .ask(signed(Ask::new("DeleteDeliveryStream", "{}"), &logs()))
        .await;
    assert_eq!(
        reply.header("x-amzn-errortype"),
        Some("ValidationException")
    );
    // A body that is none comes before the signature.
    Node::start(keyring(), ServerLimits::default(), None)
        .await
        .ask(Ask::new("PutRecord", "junk"))
        .await
        .is(400, r#"{"__type":"SerializationException"}"#);
}
