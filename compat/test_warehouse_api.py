"""Redshift destinations as configuration: made, described, changed and exchanged, by every client (SPEC §2)."""

import base64
import copy
import pathlib
import subprocess

import pytest

from callers import CALLERS, boto3_of_2015
from models import TODAY, model_of_2015, violations
from node import binary, clean_env
from streams import active, bucket_of
from wire import ROLE, s3

DESTINATION = "destinationId-000000000001"
# Nothing listens there, and nothing needs to: no record is put.
URL = "jdbc:postgresql://127.0.0.1:1/db?ssl=true&sslmode=require"
PASSWORD = "Sesam-0ffne-d1ch"


def redshift(name: str, **members) -> dict:
    """A RedshiftDestinationConfiguration with what must be given, and `members` over it."""
    return {
        "RoleARN": ROLE,
        "ClusterJDBCURL": URL,
        "CopyCommand": {"DataTableName": "events", "DataTableColumns": "a,b", "CopyOptions": "csv"},
        "Username": "loader",
        "Password": PASSWORD,
        "S3Configuration": s3(BucketARN=f"arn:aws:s3:::{bucket_of(name)}"),
        **members,
    }


def as_update(configuration: dict) -> dict:
    """The RedshiftDestinationUpdate that says the same."""
    update = dict(configuration)
    update["S3Update"] = update.pop("S3Configuration")
    return update


def leg(name: str, **members) -> dict:
    """A described S3 destination, with the defaults filled in."""
    return {
        "RoleARN": ROLE,
        "BucketARN": f"arn:aws:s3:::{bucket_of(name)}",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": False},
        **members,
    }


def described(name: str, **members) -> dict:
    """What `redshift(name)` becomes."""
    description = {
        **redshift(name),
        "RetryOptions": {"DurationInSeconds": 3600},
        "S3BackupMode": "Disabled",
        "CloudWatchLoggingOptions": {"Enabled": False},
        "S3DestinationDescription": leg(name),
        **members,
    }
    del description["Password"], description["S3Configuration"]
    return description


def known_in_2015(destination: dict) -> dict:
    """What a client of 2015 sees of a destination: what came later it leaves out."""

    def kept(shape, value):
        if shape.type_name != "structure":
            return value
        return {name: kept(shape.members[name], inner) for name, inner in value.items() if name in shape.members}

    return kept(model_of_2015().shape_for("DestinationDescription"), destination)


# --- what the clients say ---------------------------------------------------------------------------------------------


class Teller:
    """A stream's life through one client: calls are collected, told in one go, and their answers checked."""

    def __init__(self, node, caller, name: str):
        self.node, self.caller, self.name = node, caller, name
        self.version, self.calls, self.checks = 1, [], []

    def call(self, operation: str, members: dict, check) -> None:
        self.calls.append((operation, {"DeliveryStreamName": self.name, **members}))
        self.checks.append(check)

    def update(self, member: str, value: dict, refusal: str | None = None) -> None:
        """An update that is taken, or refused as an invalid argument with that text."""
        members = {"CurrentDeliveryStreamVersionId": str(self.version), "DestinationId": DESTINATION, member: value}

        def check(said):
            wanted = {"answer": {}} if refusal is None else {"error": "InvalidArgumentException", "message": refusal}
            assert said == wanted

        self.call("UpdateDestination", members, check)
        if refusal is None:
            self.version += 1

    def describes(self, destination: dict) -> None:
        """Describe, and what it must say of the one destination."""
        destination = copy.deepcopy({"DestinationId": DESTINATION, **destination})
        version = str(self.version)

        def check(said):
            description = said["answer"]["DeliveryStreamDescription"]
            wanted = known_in_2015(destination) if self.caller is boto3_of_2015 else destination
            assert (description["VersionId"], description["Destinations"]) == (version, [wanted])

        self.call("DescribeDeliveryStream", {}, check)

    def tell(self) -> None:
        said = self.caller(self.node, self.calls)
        assert len(said) == len(self.calls)
        for call, check, answer in zip(self.calls, self.checks, said):
            assert PASSWORD not in str(answer)
            try:
                check(answer)
            except (AssertionError, KeyError) as error:
                raise AssertionError(f"{call} answered {answer}: {error}") from error
        self.calls, self.checks = [], []


@pytest.mark.slow  # the command line tool is started for each of fifty calls
@pytest.mark.client
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_the_life_of_a_redshift_destination(node, wire, name, caller):
    teller = Teller(node, caller, name)
    later = caller is not boto3_of_2015  # knows the members that came later

    def created(said):
        assert said["answer"]["DeliveryStreamARN"].endswith(f":deliverystream/{name}")

    teller.call("CreateDeliveryStream", {"RedshiftDestinationConfiguration": redshift(name)}, created)
    teller.tell()
    active(wire, name)

    expected = described(name)
    teller.describes({"RedshiftDestinationDescription": expected})
    changes = [
        ({"RoleARN": ROLE + "2"}, {"RoleARN": ROLE + "2"}),
        ({"ClusterJDBCURL": "jdbc:postgresql://127.0.0.1:2/d-b"}, {"ClusterJDBCURL": "jdbc:postgresql://127.0.0.1:2/d-b"}),
        ({"Username": "other"}, {"Username": "other"}),
        ({"Password": "another-" + PASSWORD}, {}),
        ({"CopyCommand": {"DataTableName": "s.t"}}, {"CopyCommand": {"DataTableName": "s.t"}}),
    ]
    if later:
        changes += [
            ({"RetryOptions": {"DurationInSeconds": 0}}, {"RetryOptions": {"DurationInSeconds": 0}}),
            ({"S3BackupMode": "Disabled"}, {}),
            (
                {"ProcessingConfiguration": {"Enabled": False, "Processors": []}},
                {"ProcessingConfiguration": {"Enabled": False, "Processors": []}},
            ),
            (
                {"CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": "g", "LogStreamName": "s"}},
                {"CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": "g", "LogStreamName": "s"}},
            ),
        ]
    for change, becomes in changes:
        teller.update("RedshiftDestinationUpdate", change)
        expected = {**expected, **becomes}
        teller.describes({"RedshiftDestinationDescription": expected})
    s3_changes = [
        {"Prefix": "in/"},
        {"Prefix": "", "BucketARN": f"arn:aws:s3:::{bucket_of(name)}-2"},
        {"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60}},
    ]
    for change in s3_changes:
        teller.update("RedshiftDestinationUpdate", {"S3Update": change})
        expected["S3DestinationDescription"] = {**expected["S3DestinationDescription"], **change}
        teller.describes({"RedshiftDestinationDescription": expected})
    # COPY options and compression belong together.
    gzip = {"CopyCommand": {"DataTableName": "t", "CopyOptions": "csv gzip"}, "S3Update": {"CompressionFormat": "GZIP"}}
    teller.update("RedshiftDestinationUpdate", gzip)
    expected["CopyCommand"] = gzip["CopyCommand"]
    expected["S3DestinationDescription"] = {**expected["S3DestinationDescription"], **gzip["S3Update"]}
    teller.describes({"RedshiftDestinationDescription": expected})
    teller.update(
        "RedshiftDestinationUpdate", {"S3Update": {"CompressionFormat": "Snappy"}},
        "RedshiftDestinationUpdate.S3Update.CompressionFormat cannot be Snappy for a Redshift destination, because COPY does "
        "not read it: only UNCOMPRESSED and GZIP can",
    )

    why = ": of a destination of another type nothing is kept"
    teller.update("S3DestinationUpdate", {"Prefix": "x/"}, "S3DestinationUpdate.RoleARN must be given" + why)
    teller.update("S3DestinationUpdate", {"RoleARN": ROLE}, "S3DestinationUpdate.BucketARN must be given" + why)
    teller.update("S3DestinationUpdate", s3(BucketARN=f"arn:aws:s3:::{bucket_of(name)}"))
    both = {
        "S3DestinationDescription": leg(name),
        "ExtendedS3DestinationDescription": {**leg(name), "S3BackupMode": "Disabled"},
    }
    teller.describes(both)

    complete = as_update(redshift(name))
    for member in ("RoleARN", "ClusterJDBCURL", "CopyCommand", "Username", "Password"):
        partial = {key: value for key, value in complete.items() if key != member}
        teller.update("RedshiftDestinationUpdate", partial, f"RedshiftDestinationUpdate.{member} must be given{why}")
    for member in ("RoleARN", "BucketARN"):
        partial = {**complete, "S3Update": {key: value for key, value in complete["S3Update"].items() if key != member}}
        teller.update(
            "RedshiftDestinationUpdate", partial, f"RedshiftDestinationUpdate.S3Update.{member} must be given{why}"
        )
    teller.describes(both)
    teller.update("RedshiftDestinationUpdate", complete)
    teller.describes({"RedshiftDestinationDescription": described(name)})
    teller.call("DeleteDeliveryStream", {}, lambda said: None if said == {"answer": {}} else pytest.fail(str(said)))
    teller.tell()


@pytest.mark.client
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.__name__)
def test_what_a_redshift_destination_cannot_be(node, wire, name, caller):
    bucket = f"arn:aws:s3:::{bucket_of(name)}"
    prefixes = (
        "Ths supplied prefix(es) do not satisfy the following constraint: Prefix Expressions or ErrorOutputPrefix is "
        "currently not supported for this destination"
    )
    path = "RedshiftDestinationConfiguration"
    cases = [
        ({"S3Configuration": s3(BucketARN=bucket, CompressionFormat=format)}, f"{path}.S3Configuration.CompressionFormat")
        for format in ("Snappy", "ZIP")
    ]
    cases.append(({"S3Configuration": s3(BucketARN=bucket, Prefix="!{timestamp:yyyy}/")}, prefixes))
    junk = (
        "1 validation error detected: Value 'jdbc:mysql://h/db' at 'redshiftDestinationConfiguration.clusterJDBCURL' failed "
        "to satisfy constraint: Member must satisfy regular expression pattern: "
    )
    if caller is not boto3_of_2015:
        cases += [
            ({"S3Configuration": s3(BucketARN=bucket, ErrorOutputPrefix="e/")}, prefixes),
            ({"S3Configuration": s3(BucketARN=bucket, CompressionFormat="HADOOP_SNAPPY")}, f"{path}.S3Configuration."),
            ({"Username": None}, f"{path}.Username must be given"),
            ({"Password": None}, f"{path}.Password must be given"),
            ({"S3BackupMode": "Enabled"}, f"This value of {path}.S3BackupMode is not supported"),
            ({"ProcessingConfiguration": {"Enabled": True}}, f"This value of {path}.ProcessingConfiguration is not supported"),
            (
                {"SecretsManagerConfiguration": {"Enabled": True}},
                f"This value of {path}.SecretsManagerConfiguration is not supported",
            ),
        ]
    cases.append(({"ClusterJDBCURL": "jdbc:mysql://h/db"}, junk))
    calls = []
    for members, _ in cases:
        configuration = {key: value for key, value in redshift(name, **members).items() if value is not None}
        calls.append(("CreateDeliveryStream", {"DeliveryStreamName": name, "RedshiftDestinationConfiguration": configuration}))
    for (members, text), said in zip(cases, caller(node, calls), strict=True):
        error = "ValidationException" if text == junk else "InvalidArgumentException"
        assert said.get("error") == error, (members, said)
        assert said["message"].startswith(text), (members, said)
        assert PASSWORD not in said["message"]
    assert wire.call("DescribeDeliveryStream", {"DeliveryStreamName": name}).error == "ResourceNotFoundException"


# --- on the wire ------------------------------------------------------------------------------------------------------


@pytest.mark.s3
def test_its_description_fits_both_models(s3_node, name):
    """Today's patterns, too, where what was sent fits them. A host of Amazon's is Redshift, which reads no directory."""
    wire = s3_node.wire()
    url = "jdbc:postgresql://c.abc.us-east-1.redshift.amazonaws.com:5439/dev"
    everything = redshift(
        name, ClusterJDBCURL=url, RetryOptions={"DurationInSeconds": 7200}, S3BackupMode="Disabled",
        ProcessingConfiguration={"Enabled": False, "Processors": []}, SecretsManagerConfiguration={"Enabled": False},
        CloudWatchLoggingOptions={"Enabled": True, "LogGroupName": "g", "LogStreamName": "s"},
        S3Configuration=s3(
            BucketARN=f"arn:aws:s3:::{bucket_of(name)}", Prefix="p/", ErrorOutputPrefix="", CompressionFormat="GZIP",
            BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60},
        ),
        CopyCommand={"DataTableName": "t", "DataTableColumns": "", "CopyOptions": "json 'auto' gzip;"},
    )
    wire.call("CreateDeliveryStream", {"DeliveryStreamName": name, "RedshiftDestinationConfiguration": everything}).ok()
    operation = "DescribeDeliveryStream"
    answer = wire.call(operation, {"DeliveryStreamName": name}).ok()
    assert violations(TODAY.operation_model(operation).output_shape, answer) == []
    assert violations(model_of_2015().operation_model(operation).output_shape, answer, unknown=True) == []
    (destination,) = answer["DeliveryStreamDescription"]["Destinations"]
    given = {key: value for key, value in everything.items() if key not in ("Password", "S3Configuration")}
    assert destination == {
        "DestinationId": DESTINATION,
        "RedshiftDestinationDescription": {**given, "S3DestinationDescription": leg(name, **everything["S3Configuration"])},
    }


def test_the_password_is_nowhere_to_be_seen(make_node, name):
    """Not in an answer, the log, at the admin port, the program's output, nor in any file: not even after a restart."""
    node = make_node(args=("--quotas", "unlimited", "--log-level", "trace"))
    wire = node.wire()
    seen = []

    def call(operation: str, **members):
        answer = wire.call(operation, {"DeliveryStreamName": name, **members})
        seen.append(answer.body)
        return answer

    def update(version: int, **members):
        members = {"RedshiftDestinationUpdate": members}
        return call("UpdateDestination", CurrentDeliveryStreamVersionId=str(version), DestinationId=DESTINATION, **members)

    wrong = [
        {"Password": PASSWORD * 40},
        {"Password": [PASSWORD]},
        {"Password": {"Value": PASSWORD}},
        {"ClusterJDBCURL": "nowhere"},
        {"Username": ""},
        {"RetryOptions": {"DurationInSeconds": 7201}},
        {"S3BackupMode": "Enabled"},
    ]
    for members in wrong:
        answer = call("CreateDeliveryStream", RedshiftDestinationConfiguration=redshift(name, **members))
        assert answer.status == 400, members
    call("CreateDeliveryStream", RedshiftDestinationConfiguration=redshift(name)).ok()
    assert call("CreateDeliveryStream", RedshiftDestinationConfiguration=redshift(name)).error == "ResourceInUseException"
    active(wire, name)
    for members in wrong:
        assert update(1, **{"Password": PASSWORD, **members}).status == 400, members
    assert update(7, Password=PASSWORD).error == "ConcurrentModificationException"
    update(1, Password=PASSWORD, Username="other").ok()
    update(2, Password=PASSWORD).ok()
    call("DescribeDeliveryStream")

    def outside():
        for path in ("/api/streams", "/metrics", "/readyz"):
            seen.append(node.admin(path)[1])
        admin = f"http://127.0.0.1:{node.admin_port}"
        command = [binary(), "streams", "--admin", admin]
        done = subprocess.run(command, capture_output=True, timeout=60, env=clean_env())
        assert done.returncode == 0, done.stderr
        seen.extend((done.stdout, done.stderr))

    outside()
    node.stop()
    node.start()
    call("DescribeDeliveryStream").ok()
    outside()
    node.stop()

    files = {path: path.read_bytes() for path in pathlib.Path(node.data_dir).rglob("*") if path.is_file()}
    key = node.data_dir / "secret.key"
    assert len(files.pop(key).strip()) == 64 and key.stat().st_mode & 0o777 == 0o600
    assert any(name.encode() in body for body in files.values()), "the catalog is among the files"
    places = [*seen, node.log.read_bytes(), *files.values()]
    plain = PASSWORD.encode()
    for form in (plain, plain.hex().encode(), base64.b64encode(plain), plain.upper(), plain.decode().encode("utf-16-le")):
        found = [place[:200] for place in places if form in place]
        assert not found, form
    keys = [place[:200] for place in places if key.read_text().strip().encode() in place]
    assert not keys, "the key itself"


def test_a_key_file_of_its_own(make_node, name, tmp_path):
    """A key that others may read is refused; another one may be named."""
    key = tmp_path / "elsewhere.key"
    node = make_node(args=("--secret-key-file", str(key)))
    wire = node.wire()
    configuration = {"DeliveryStreamName": name, "RedshiftDestinationConfiguration": redshift(name)}
    wire.call("CreateDeliveryStream", configuration).ok()
    assert key.exists() and not (node.data_dir / "secret.key").exists()
    node.stop()
    key.chmod(0o644)
    with pytest.raises(AssertionError, match="chmod 600"):
        node.start()
    key.chmod(0o600)
    node.start()
    assert wire.describe(name)["DeliveryStreamName"] == name
