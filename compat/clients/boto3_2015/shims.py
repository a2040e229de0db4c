"""Lets boto3 1.2.0 and botocore 1.3.0 of October 2015 run on today's Python. Import this before boto3.

Only what Python itself took away since is put back; nothing that signs, serializes, sends or parses is touched, for
that is what the test is about.
"""

import collections
import collections.abc
import email.message
import http.client
import inspect
import ssl
import sys
import types

import six

# `collections.Mapping` and the like moved to collections.abc for good in 3.10.
for name in ("Callable", "Mapping", "MutableMapping", "MutableSequence", "Sequence", "Set"):
    setattr(collections, name, getattr(collections.abc, name))

# inspect.getargspec went away in 3.11. Nobody asks for its last two values by name.
if not hasattr(inspect, "getargspec"):
    inspect.getargspec = lambda function: inspect.getfullargspec(function)[:4]

# ssl.match_hostname went away in 3.12; urllib3 imports it even to speak plain HTTP.
if not hasattr(ssl, "match_hostname"):
    ssl.match_hostname = None

# The cgi module went away in 3.13; requests parses the charset of a Content-Type with it.
if sys.version_info >= (3, 13):
    cgi = types.ModuleType("cgi")
    sys.modules["cgi"] = cgi

    def parse_header(line):
        message = email.message.Message()
        message["Content-Type"] = line
        return message.get_content_type(), dict(message.get_params()[1:])

    cgi.parse_header = parse_header

# The six of 2015 hooks itself into imports in a way that 3.12 no longer calls: give both vendored copies today's.
for package in ("botocore.vendored", "botocore.vendored.requests.packages.urllib3.packages"):
    sys.modules[f"{package}.six"] = six
    for name, module in list(sys.modules.items()):
        if name.startswith("six."):
            sys.modules[f"{package}.{name}"] = module
    for move in ("urllib", "urllib.parse", "urllib.request", "http_client", "http_cookies", "configparser", "queue",
                 "html_parser", "xmlrpc_client"):
        sys.modules[f"{package}.six.moves.{move}"] = __import__(f"six.moves.{move}", fromlist=["_"])

# Since 3.6 http.client hands `encode_chunked` to two methods that botocore overrides without it. botocore never sends
# chunks, so the argument is kept from it.
connection = http.client.HTTPConnection
send_request = connection._send_request


def request(self, method, url, body=None, headers=None, *, encode_chunked=False):
    self._send_request(method, url, body, headers or {})


def send_request_unchunked(self, method, url, body, headers, encode_chunked=False):
    send_request(self, method, url, body, headers, encode_chunked)


def endheaders(self, message_body=None, *, encode_chunked=False):
    if self._HTTPConnection__state != http.client._CS_REQ_STARTED:
        raise http.client.CannotSendHeader()
    self._HTTPConnection__state = http.client._CS_REQ_SENT
    self._send_output(message_body)


connection.request = request
connection._send_request = send_request_unchunked
connection.endheaders = endheaders
