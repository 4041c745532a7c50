"""Named checks: each prints `ok NAME` or `not ok NAME: why`, as lib/checks.mjs does."""

import asyncio
import traceback

LIMIT_S = 30

passed = 0
failed = 0


async def check(name, run):
    """Runs one check, a coroutine function without arguments."""
    global passed, failed
    try:
        await asyncio.wait_for(run(), LIMIT_S)
    except Exception as error:  # whatever it is, it is why the check failed
        failed += 1
        line = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error)[:300] or type(error).__name__
        print(f"not ok websockets: {name}: {text} ({line.name}:{line.lineno})", flush=True)
    else:
        passed += 1
        print(f"ok websockets: {name}", flush=True)


def same(actual, expected, what="value"):
    """Fails unless both are equal."""
    if actual != expected:
        raise AssertionError(f"{what} is {brief(actual)}, not {brief(expected)}")


def brief(value):
    """A value for a message."""
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}… ({len(text)})"


def finish():
    """Prints the sum; the status of the program."""
    print(f"# {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
