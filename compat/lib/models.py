"""AWS's own description of the API, as today's botocore and that of October 2015 carry it."""

import json
import pathlib
import re

import botocore.session
from botocore.model import ServiceModel, Shape

from clients import VENV_2015

TODAY: ServiceModel = botocore.session.get_session().get_service_model("firehose")


def model_of_2015() -> ServiceModel:
    (path,) = pathlib.Path(VENV_2015).glob("lib/python*/site-packages/botocore/data/firehose/2015-08-04/service-2.json")
    return ServiceModel(json.loads(path.read_text()), "firehose")


def java_pattern(text: str) -> str:
    """A pattern of the model, for Python: Unicode's classes, which the models use within brackets only."""
    return text.replace(r"\p{L}", r"\w").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d")


def violations(shape: Shape, value, *, path: str = "", unknown: bool = False) -> list[str]:
    """What is wrong with `value` as a value of `shape` on the wire. `unknown` lets unknown members pass."""
    if value is None:
        return [f"{path}: null"]
    kind = shape.type_name
    out = []
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: not a structure: {value!r}"]
        out += [f"{path}.{name}: missing" for name in shape.required_members if name not in value]
        for name, inner in value.items():
            if name in shape.members:
                out += violations(shape.members[name], inner, path=f"{path}.{name}", unknown=unknown)
            elif not unknown:
                out.append(f"{path}.{name}: not in the model")
        return out
    if kind == "list":
        if not isinstance(value, list):
            return [f"{path}: not a list: {value!r}"]
        for index, inner in enumerate(value):
            out += violations(shape.member, inner, path=f"{path}[{index}]", unknown=unknown)
        size = len(value)
    elif kind in ("string", "blob"):
        if not isinstance(value, str):
            return [f"{path}: not a string: {value!r}"]
        size = len(value)
        if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
            out.append(f"{path}: {value!r} is not in {shape.metadata['enum']}")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(java_pattern(pattern), value):
            out.append(f"{path}: {value!r} does not match {pattern}")
    elif kind == "boolean":
        return [] if isinstance(value, bool) else [f"{path}: not a boolean: {value!r}"]
    elif kind in ("integer", "long"):
        if isinstance(value, bool) or not isinstance(value, int):
            return [f"{path}: not an integer: {value!r}"]
        size = value
    elif kind in ("timestamp", "double", "float"):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return [] if number else [f"{path}: not a number: {value!r}"]
    else:
        return [f"{path}: the test knows no {kind}"]
    if "min" in shape.metadata and size < shape.metadata["min"]:
        out.append(f"{path}: less than {shape.metadata['min']}")
    if "max" in shape.metadata and size > shape.metadata["max"]:
        out.append(f"{path}: more than {shape.metadata['max']}")
    return out
