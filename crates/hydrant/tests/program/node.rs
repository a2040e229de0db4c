//! A whole node in the test's own process, and its admin port.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use futures::stream::BoxStream;
use hydrant::{
    client::{Firehose, admin::Admin},
    config::{Config, Settings},
    node::Node,
    sigv4::sign::Credentials,
};
use hydrant_engine::{
    Chance, Engine, Frame, FrameMeta, LaneId, LaneUsage, Log, LogError, Position, SystemClock,
    Usage,
};
use serde_json::json;

fn settings() -> Settings {
    Settings {
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Settings::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_request_to_an_object() {
    let data = tempfile::tempdir().unwrap();
    let config = Settings {
        data_dir: Some(data.path().to_owned()),
        max_interval: Some("0.2".parse().unwrap()),
        ..settings()
    };
    let clock = Arc::new(SystemClock::new());
    let config = Config::resolve(config).unwrap();
    let node = Node::start(config, clock.clone(), Chance::seeded(1))
        .await
        .unwrap();
    let credentials = Credentials {
        access_key: "123456789012".to_owned(),
        secret_key: "any".to_owned(),
        session_token: None,
    };
    let endpoint = node.api_url().parse().unwrap();
    let firehose = Firehose::new(endpoint, "eu-west-1", Arc::new(credentials), clock).unwrap();
    let request = json!({
        "DeliveryStreamName": "clicks",
        "S3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::123456789012:role/r",
            "BucketARN": "arn:aws:s3:::web",
            "Prefix": "in/",
            "BufferingHints": { "SizeInMBs": 5, "IntervalInSeconds": 900 },
        },
    });
    let created = firehose
        .call("CreateDeliveryStream", &request)
        .await
        .unwrap();
    let arn = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/clicks";
    assert_eq!(created["DeliveryStreamARN"], arn);
    while firehose.describe("clicks").await.unwrap()["DeliveryStreamStatus"] != "ACTIVE" {
        tokio::task::yield_now().await;
    }
    let put = json!({ "DeliveryStreamName": "clicks", "Record": { "Data": "aGVsbG8K" } });
    let id = firehose.call("PutRecord", &put).await.unwrap();

    // By itself: the interval is 900 s, but capped.
    let admin = Admin::new(node.admin_url().parse().unwrap()).unwrap();
    let (key, stream) = loop {
        let trace = admin.trace(id["RecordId"].as_str().unwrap()).await.unwrap();
        if let hydrant::console::model::Fate::Delivered { key, .. } = trace.fate {
            break (key, trace.stream);
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(stream.as_deref(), Some(arn));
    assert!(key.starts_with("in/"), "{key}");
    let object = std::fs::read(data.path().join("buckets/web").join(&key)).unwrap();
    assert_eq!(object, b"hello\n");
    let status = &admin.streams().await.unwrap()[0];
    assert_eq!(status.destination, "s3://web/in/");
    assert_eq!(
        status.last_delivery.as_ref().map(|last| &last.key),
        Some(&key)
    );
    node.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_tells_health_and_metrics_and_keeps_pages_out() {
    let data = tempfile::tempdir().unwrap();
    let config = Config::resolve(Settings {
        data_dir: Some(data.path().to_owned()),
        ..settings()
    });
    let config = config.unwrap();
    let clock = Arc::new(SystemClock::new());
    let engine = Engine::mem();
    let node = Node::start_with(config, engine.clone(), clock, Chance::seeded(2))
        .await
        .unwrap();
    let get = async |path: &str, host: Option<&str>, origin: Option<&str>| {
        let mut request = reqwest::Client::new().get(format!("{}{path}", node.admin_url()));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get("/livez", None, None).await, (200, "alive\n".to_owned()));
    assert_eq!(
        get("/readyz", None, None).await,
        (200, "ready\n".to_owned())
    );
    let (status, metrics) = get("/metrics", None, None).await;
    assert!(status == 200 && metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(metrics.contains("LogWritable 1"), "{metrics}");
    assert_eq!(get("/nothing", None, None).await.0, 404);
    assert_eq!(get("/metrics", Some("evil.example"), None).await.0, 403);
    assert_eq!(
        get("/metrics", None, Some("http://evil.example")).await.0,
        403
    );
    node.stop().await.unwrap();
}

/// A log whose disk has failed.
#[derive(Debug)]
struct Failed(Arc<dyn Log>);

#[async_trait]
impl Log for Failed {
    async fn append(&self, _: LaneId, _: Frame) -> Result<Position, LogError> {
        Err(LogError::Failed("input/output error".to_owned()))
    }

    fn follow(
        &self,
        lane: LaneId,
        from: Position,
    ) -> BoxStream<'static, Result<FrameMeta, LogError>> {
        self.0.follow(lane, from)
    }

    fn read(
        &self,
        lane: LaneId,
        range: Range<Position>,
    ) -> BoxStream<'static, Result<(Position, Frame), LogError>> {
        self.0.read(lane, range)
    }

    async fn trim(&self, lane: LaneId, keep_from: Position) -> Result<(), LogError> {
        self.0.trim(lane, keep_from).await
    }

    async fn remove(&self, lane: LaneId) -> Result<(), LogError> {
        self.0.remove(lane).await
    }

    async fn lanes(&self) -> Result<Vec<LaneId>, LogError> {
        self.0.lanes().await
    }

    fn lane_usage(&self, lane: LaneId) -> LaneUsage {
        self.0.lane_usage(lane)
    }

    fn usage(&self) -> Usage {
        Usage {
            writable: false,
            ..self.0.usage()
        }
    }

    fn frame_limit(&self) -> usize {
        self.0.frame_limit()
    }

    async fn close(&self) -> Result<(), LogError> {
        self.0.close().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_failed_is_alive_but_not_ready() {
    let mut engine = Engine::mem();
    engine.log = Arc::new(Failed(engine.log));
    let data = tempfile::tempdir().unwrap();
    let config = Config::resolve(Settings {
        data_dir: Some(data.path().to_owned()),
        ..settings()
    });
    let config = config.unwrap();
    let clock = Arc::new(SystemClock::new());
    let node = Node::start_with(config, engine, clock, Chance::seeded(3))
        .await
        .unwrap();
    let get = async |path: &str| {
        reqwest::get(format!("{}{path}", node.admin_url()))
            .await
            .unwrap()
    };
    assert_eq!(get("/livez").await.status(), 200);
    let ready = get("/readyz").await;
    assert_eq!(ready.status(), 503);
    assert!(ready.text().await.unwrap().contains("disk failed"));
    assert!(
        get("/metrics")
            .await
            .text()
            .await
            .unwrap()
            .contains("LogWritable 0")
    );
    node.stop().await.unwrap();
}
