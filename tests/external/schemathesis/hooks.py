"""What Schemathesis cannot know by itself, and what its reports do not tell.

A cursor names a shard of the broker, which the description cannot say: a well formed one is made to
name one that is there (`SHARDS` of them). And each answer is written down for run.mjs (in the file
`CALLS`): the operation, the status, and whether there was anything in it.
"""

import os
import re

import schemathesis

SHARDS = int(os.environ["SHARDS"])
CALLS = open(os.environ["CALLS"], "a", buffering=1, encoding="utf-8")
CURSOR = re.compile("[0-9a-f]{10}")

# Members of an answer that are empty or 0 where there was nobody and nothing to tell of.
TELLING = ("items", "delivered", "disconnected", "connections", "history", "byTenant", "byChannel")


@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query if isinstance(case.query, dict) else {}
    cursor = query.get("cursor")
    if isinstance(cursor, str) and CURSOR.fullmatch(cursor):
        query["cursor"] = f"{int(cursor[:2], 16) % SHARDS:02x}{cursor[2:]}"


@schemathesis.hook
def after_call(context, case, response):
    content = "full" if is_full(response) else "empty"
    if case.method.upper() != case.operation.method.upper():
        content = "other method"
    print(case.operation.label, response.status_code, content, sep="\t", file=CALLS)


def is_full(response):
    try:
        answer = response.json()
    except ValueError:
        return bool(response.content)
    return not isinstance(answer, dict) or all(
        answer[name] for name in TELLING if name in answer
    )
