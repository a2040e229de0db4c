"""The access keys of the shared node: one for each way in which a key can differ."""

from node import MAIN_KEY, Key

TOKEN = "session-token/with+signs=="
TOKEN_KEY = Key("ASIAWITHTOKEN", "token-secret", extra=f'session_token = "{TOKEN}"')
EXPIRED_KEY = Key("ASIAEXPIRED", "expired-secret", extra=f'session_token = "{TOKEN}"\nexpires = "2020-01-01T00:00:00Z"')
READER_KEY = Key(
    "AKIDREADER",
    "reader-secret",
    extra=(
        '[[keys.policy]]\neffect = "Allow"\naction = ["firehose:Describe*", "firehose:List*"]\nresource = "*"\n'
        '[[keys.policy]]\neffect = "Allow"\naction = "firehose:*"\n'
        'resource = "arn:aws:firehose:*:*:deliverystream/readers-own-*"\n'
    ),
)
OTHER_ACCOUNT_KEY = Key("AKIDOTHER", "other-secret", account="210987654321")
KEYS = (MAIN_KEY, TOKEN_KEY, EXPIRED_KEY, READER_KEY, OTHER_ACCOUNT_KEY)
