"""The store of the tests refuses what a real S3 refuses; else what passes against it would prove nothing."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3client import S3Client

pytestmark = pytest.mark.s3


def status(call, **members) -> int:
    with pytest.raises(ClientError) as caught:
        call(**members)
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def bucket(s3_store):
    s3_store.make_bucket("self-test")
    return "self-test"


def test_a_wrong_secret_is_refused(s3_store, bucket):
    wrong = S3Client(s3_store.info(), secret_key="wrong").client
    assert status(wrong.put_object, Bucket=bucket, Key="k", Body=b"x") == 403


def test_a_missing_bucket_is_missing(s3_client):
    assert status(s3_client.client.put_object, Bucket="no-such-bucket", Key="k", Body=b"x") == 404


def test_kms_keys(s3_store, s3_client, bucket):
    info, client = s3_store.info(), s3_client.client
    client.put_object(Bucket=bucket, Key="kms", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=info["kms_key_arn"])
    assert client.get_object(Bucket=bucket, Key="kms")["Body"].read() == b"x"
    unknown = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": info["unknown_kms_key_arn"]}
    assert status(client.put_object, Bucket=bucket, Key="unknown", Body=b"x", **unknown) in (400, 403)


def test_roles(s3_store, bucket):
    info = s3_store.info()
    assumer = {"aws_access_key_id": info["assumer_access_key"], "aws_secret_access_key": info["assumer_secret_key"]}
    options = {"endpoint_url": info["endpoint"], "region_name": info["region"], "config": Config(retries={"max_attempts": 0})}
    assert status(boto3.client("s3", **assumer, **options).put_object, Bucket=bucket, Key="k", Body=b"x") == 403
    role = S3Client.as_role(info).client
    role.put_object(Bucket=bucket, Key="by-role", Body=b"x")
    sts = boto3.client("sts", **assumer, **options)
    assert status(sts.assume_role, RoleArn=info["forbidden_role_arn"], RoleSessionName="test") == 403
    assert status(sts.assume_role, RoleArn="arn:aws:iam:::role/nobody", RoleSessionName="test") == 404


def test_multipart(s3_client, bucket):
    client, part = s3_client.client, b"x" * (5 << 20)
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = client.create_multipart_upload(**upload, ContentEncoding="gzip")["UploadId"]
    assert s3_client.open_uploads(bucket) == 1
    parts = [{"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=part)["ETag"]} for n in (1, 2)]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    head = client.head_object(Bucket=bucket, Key="parts")
    assert (head["ContentLength"], head["ContentEncoding"]) == (2 * len(part), "gzip")
    assert s3_client.open_uploads(bucket) == 0
