"""AWS Signature Version 4 in the standard library alone.

The raw-HTTP suite signs with this, because it must send what no SDK would send (wrong scopes, odd header sets, bad
bodies under a good signature), and the radosgw launcher uses it to make buckets without installing anything. It is
written from the public description of the algorithm and shares no code with the server it tests; test_sigv4.py holds
it against botocore's signer.
"""

import datetime
import hashlib
import hmac
import urllib.parse
from dataclasses import dataclass


@dataclass
class Signer:
    """Who signs, for where. `token` is a session token, sent and signed when given."""

    access_key: str
    secret_key: str
    region: str = "us-east-1"
    service: str = "firehose"
    token: str | None = None

    def headers(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        *,
        when: datetime.datetime | None = None,
        signed: list[str] | None = None,
        send_payload_hash: bool = False,
        query: str = "",
    ) -> dict[str, str]:
        """Returns `headers` with X-Amz-Date and Authorization added. `headers` must hold Host.

        `signed` names the headers to sign (default: all of them); `when` sets the request's clock.
        """
        when = when or datetime.datetime.now(datetime.timezone.utc)
        stamp = when.strftime("%Y%m%dT%H%M%SZ")
        out = dict(headers)
        lower = {name.lower() for name in out}
        if "x-amz-date" not in lower and "date" not in lower:
            out["X-Amz-Date"] = stamp
        if self.token:
            out["X-Amz-Security-Token"] = self.token
        payload = hashlib.sha256(body).hexdigest()
        if send_payload_hash:
            out["X-Amz-Content-Sha256"] = payload
        by_name = {name.lower(): " ".join(value.split()) for name, value in out.items()}
        names = sorted(signed if signed is not None else by_name)
        canonical = "\n".join(
            [
                method,
                urllib.parse.quote(path, safe="/~"),
                query,
                *(f"{name}:{by_name[name]}" for name in names),
                "",
                ";".join(names),
                payload,
            ]
        )
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret_key).encode()
        for part in (stamp[:8], self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        out["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return out
