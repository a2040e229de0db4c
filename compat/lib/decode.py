"""Decodes delivered objects with the tools that users have: gzip, unzip, python-snappy, kafka-python."""

import io
import pathlib
import subprocess
import tempfile

import snappy
from kafka.codec import snappy_decode as xerial_decode

FORMATS = ["UNCOMPRESSED", "GZIP", "ZIP", "Snappy", "HADOOP_SNAPPY"]
EXTENSION = {"UNCOMPRESSED": "", "GZIP": ".gz", "ZIP": ".zip", "Snappy": ".snappy", "HADOOP_SNAPPY": ".snappy"}
CONTENT_ENCODING = {
    "UNCOMPRESSED": None,
    "GZIP": "gzip",
    "ZIP": "zip",
    "Snappy": "snappy-java",
    "HADOOP_SNAPPY": "hadoop-snappy",
}


def tool(*command: str, data: bytes | None = None) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode(errors='replace')}"
    return done.stdout


def unzip(body: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        archive = pathlib.Path(directory) / "object.zip"
        archive.write_bytes(body)
        tool("unzip", "-tq", str(archive))
        names = tool("unzip", "-Z1", str(archive)).decode().split()
        assert len(names) == 1, names
        return tool("unzip", "-p", str(archive))


def hadoop(body: bytes) -> bytes:
    out = io.BytesIO()
    snappy.stream_decompress(io.BytesIO(body), out, decompressor_cls=snappy.HadoopStreamDecompressor)
    return out.getvalue()


def xerial(body: bytes) -> bytes:
    assert body[:8] == b"\x82SNAPPY\x00", body[:16]
    return xerial_decode(body)


def decode(compression: str, body: bytes) -> bytes:
    """The records of an object, glued together."""
    match compression:
        case "UNCOMPRESSED":
            return body
        case "GZIP":
            return tool("gzip", "-dc", data=body)
        case "ZIP":
            return unzip(body)
        case "Snappy":
            return xerial(body)
        case "HADOOP_SNAPPY":
            return hadoop(body)
    raise AssertionError(compression)
