"""Reads Autobahn's index.json and decides.

OK and INFORMATIONAL pass; NON-STRICT, UNIMPLEMENTED, FAILED and whatever else do not, and neither
does a connection that was closed in a wrong way, nor a case that never ran.

    judge.py REPORT_FOLDER [--all-deflate]

The lines of the table begin with `= `: tests/run shows these also when all is well.
"""

import collections
import json
import os
import sys

import cases

GOOD = ("OK", "INFORMATIONAL")
COLUMNS = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "FAILED")


def verdict(result):
    """One word for a case: how it behaved, or, if that was right, how its closing did."""
    behavior, closing = result["behavior"], result["behaviorClose"]
    if behavior in GOOD and closing not in GOOD:
        return "FAILED"
    return behavior if behavior in COLUMNS else "FAILED"


def main():
    """Prints the table and the bad cases; the status says whether all was well."""
    folder = sys.argv[1]
    _, expected = cases.chosen("--all-deflate" in sys.argv[2:])
    path = os.path.join(folder, "index.json")
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["shardwire"]
    except (OSError, KeyError, ValueError) as error:
        sys.exit("not ok autobahn: no report (%s)\n# 0 passed, %d failed" % (error, expected))

    table = collections.defaultdict(collections.Counter)
    bad = []
    for case, result in results.items():
        word = verdict(result)
        table[int(case.split(".")[0])][word] += 1
        if word not in GOOD:
            bad.append((case, result))

    print("= %-8s" % "chapter" + "".join("%15s" % column for column in COLUMNS))
    for chapter in sorted(table):
        print("= %-8d" % chapter + "".join("%15d" % table[chapter][column] for column in COLUMNS))
    for case, result in sorted(bad, key=lambda row: [int(part) for part in row[0].split(".")]):
        print("not ok %s: %s, closing %s" % (case, result["behavior"], result["behaviorClose"]))
    astray = abs(expected - len(results))
    if astray:
        print("not ok autobahn: %d cases expected, %d ran" % (expected, len(results)))
    failed = len(bad) + astray
    print("# %d passed, %d failed" % (len(results) - len(bad), failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
