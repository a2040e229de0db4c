//! Whether the signature of an upload covers its body.
//!
//! To cover it, the body is hashed, which costs about as much as to hash it when it came in. It keeps others from changing
//! the body on its way. Where TLS does that already, as AWS's own SDKs have it, or where there is no way because the store
//! is on the same machine, it is left out.

use url::Url;

use crate::config::is_loopback;

/// Whether the body is part of the signature by default. `endpoint`: the store; `None` is AWS, over TLS.
pub(in crate::destination) fn is_signed(endpoint: Option<&str>) -> bool {
    let Some(endpoint) = endpoint else {
        return false;
    };
    match Url::parse(endpoint) {
        Ok(url) => url.scheme() != "https" && !is_loopback(&url),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use hydrant_engine::SystemClock;
    use object_store::client::{
        HttpClient, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    };

    use crate::{
        config::{BucketRule, S3Rule},
        credentials::{Outbound, Secret},
        destination::{
            Buckets, Destinations, conformance::object, directory::Machine, s3::SharedClient,
        },
        stream::{BufferingHints, CompressionFormat, Encryption, S3Spec},
    };

    const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

    /// A store that takes everything, and remembers what the signatures said of the bodies.
    #[derive(Debug, Default)]
    struct Store(Arc<Mutex<Vec<String>>>);

    #[async_trait]
    impl HttpService for Store {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let hash = &request.headers()["x-amz-content-sha256"];
            let hash = hash.to_str().unwrap().to_owned();
            self.0.lock().unwrap().push(hash);
            let none = HttpResponseBody::from(bytes::Bytes::new());
            Ok(http::Response::builder()
                .header("etag", "e")
                .body(none)
                .unwrap())
        }
    }

    /// What the signature of `key` with body `x` says of it.
    async fn hash_of(endpoint: Option<&str>, sign_payload: Option<bool>, key: &str) -> String {
        let store = Store::default();
        let hashes = store.0.clone();
        let rule = S3Rule {
            pattern: "*".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            access_key_id: Some("AKID".to_owned()),
            secret_access_key: Some(Secret::new("secret")),
            sign_payload,
            ..S3Rule::default()
        };
        let outbound = Outbound::new(Arc::new(SystemClock::new()));
        let buckets = Buckets::new(vec![BucketRule::S3(rule)], "/nowhere".into(), outbound)
            .unwrap()
            .on(Machine::default(), SharedClient::of(HttpClient::new(store)));
        let spec = S3Spec {
            role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
            bucket_arn: "arn:aws:s3:::bucket".to_owned(),
            prefix: None,
            buffering: BufferingHints::DEFAULT,
            compression: CompressionFormat::Uncompressed,
            encryption: Encryption::None,
            echoed: serde_json::Map::new(),
        };
        let destination = buckets.find(&spec, "us-east-1").unwrap();
        destination.deliver(&object(key, b"x")).await.unwrap();
        let hashes = hashes.lock().unwrap();
        assert_eq!(hashes.len(), 1);
        hashes[0].clone()
    }

    #[tokio::test]
    async fn bodies_are_signed_where_others_could_change_them() {
        // printf x | sha256sum
        let signed = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        for (endpoint, expected) in [
            (None, UNSIGNED),
            (Some("https://minio.example:9000"), UNSIGNED),
            (Some("http://127.0.0.1:9000"), UNSIGNED),
            (Some("http://[::1]:9000"), UNSIGNED),
            (Some("http://localhost:9000"), UNSIGNED),
            (Some("http://minio.example:9000"), signed),
            (Some("http://10.0.0.7:9000"), signed),
            (Some("http://localhost.example"), signed),
        ] {
            // The second key is one that is signed a second time.
            for key in ["key", "/a//key"] {
                assert_eq!(
                    hash_of(endpoint, None, key).await,
                    expected,
                    "{endpoint:?} {key}"
                );
                assert_eq!(hash_of(endpoint, Some(true), key).await, signed);
                assert_eq!(hash_of(endpoint, Some(false), key).await, UNSIGNED);
            }
        }
    }
}
