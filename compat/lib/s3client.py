"""Reads and prepares the real S3 of the tests with boto3."""

import boto3
from botocore.config import Config


class S3Client:
    def __init__(self, info: dict, access_key: str = "", secret_key: str = "", token: str | None = None) -> None:
        self.client = boto3.client(
            "s3", endpoint_url=info["endpoint"], region_name=info["region"],
            aws_access_key_id=access_key or info["access_key"], aws_secret_access_key=secret_key or info["secret_key"],
            aws_session_token=token, config=Config(s3={"addressing_style": "path"}),
        )

    @classmethod
    def as_role(cls, info: dict) -> "S3Client":
        """With the credentials of the assumed role, to which the objects belong that it wrote."""
        sts = boto3.client(
            "sts", endpoint_url=info["sts_endpoint"], region_name=info["region"],
            aws_access_key_id=info["assumer_access_key"], aws_secret_access_key=info["assumer_secret_key"],
        )
        found = sts.assume_role(RoleArn=info["role_arn"], RoleSessionName="reader")["Credentials"]
        return cls(info, found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def keys(self, bucket: str) -> list[str]:
        found, more = [], {}
        while True:
            page = self.client.list_objects_v2(Bucket=bucket, **more)
            found += [entry["Key"] for entry in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, bucket: str) -> dict[str, tuple[bytes, dict]]:
        """Key to (body as stored, the answer's headers as boto3 names them) of every object."""
        out = {}
        for key in self.keys(bucket):
            answer = self.client.get_object(Bucket=bucket, Key=key)
            out[key] = (answer["Body"].read(), answer)
        return out

    def bodies(self, bucket: str) -> list[bytes]:
        return [body for body, _ in self.read(bucket).values()]

    def each_body(self, bucket: str):
        """The body of every object, one by one."""
        for key in self.keys(bucket):
            yield self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def open_uploads(self, bucket: str) -> int:
        """Multipart uploads that nobody finished."""
        return len(self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))
