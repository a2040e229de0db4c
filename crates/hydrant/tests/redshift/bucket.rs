//! A bucket, by plain requests with whatever credentials somebody has.

use bytes::Bytes;
use object_store::{
    ClientOptions,
    aws::{AwsAuthorizer, AwsCredential},
    client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector},
};

use super::services::S3;

/// Who asks.
pub(crate) fn owner(store: &S3) -> AwsCredential {
    AwsCredential {
        key_id: store.access_key.clone(),
        secret_key: store.secret_key.clone(),
        token: None,
    }
}

/// One signed request: `GET`, `PUT`; the status and the body.
pub(crate) async fn request(
    store: &S3,
    credential: &AwsCredential,
    method: &str,
    path: &str,
    body: impl Into<Bytes>,
) -> (u16, Bytes) {
    let client: HttpClient = ReqwestConnector::default()
        .connect(&ClientOptions::new().with_allow_http(true))
        .unwrap();
    let mut request: HttpRequest = http::Request::builder()
        .method(method)
        .uri(format!("{}/{path}", store.endpoint))
        .body(HttpRequestBody::from(body.into()))
        .unwrap();
    AwsAuthorizer::new(credential, "s3", &store.region)
        .try_authorize(&mut request, None)
        .unwrap();
    let (parts, body) = client.execute(request).await.unwrap().into_parts();
    (parts.status.as_u16(), body.bytes().await.unwrap())
}
