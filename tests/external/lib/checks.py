"""Named checks: each prints `ok NAME` or `not ok NAME: why`, as checks.mjs does."""

import asyncio
import traceback

LIMIT_S = 30


class Checks:
    """The checks of one program; `of` stands before each name."""

    def __init__(self, of):
        self.of = of
        self.passed = 0
        self.failed = 0

    async def check(self, name, run):
        """Runs one check, a coroutine function without arguments."""
        try:
            await asyncio.wait_for(run(), LIMIT_S)
        except Exception as error:  # whatever it is, it is why the check failed
            self.failed += 1
            line = traceback.extract_tb(error.__traceback__)[-1]
            text = str(error)[:300] or type(error).__name__
            print(f"not ok {self.of}: {name}: {text} ({line.name}:{line.lineno})", flush=True)
        else:
            self.passed += 1
            print(f"ok {self.of}: {name}", flush=True)

    def finish(self):
        """Prints the sum; the status of the program."""
        print(f"# {self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def same(actual, expected, what="value"):
    """Fails unless both are equal."""
    if actual != expected:
        raise AssertionError(f"{what} is {brief(actual)}, not {brief(expected)}")


def brief(value):
    """A value for a message."""
    text = repr(value)
    return text if len(text) < 200 else f"{text[:200]}… ({len(text)})"
