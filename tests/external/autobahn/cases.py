"""Which cases of Autobahn's test suite are run, and how many that must be.

Writes the specification that `wstest -m fuzzingclient` reads. The judge asks for the number again:
a run that ended early must not pass for the cases it did not get to.

    cases.py URL REPORT_FOLDER [--all-deflate] > spec.json
"""

import json
import sys

# 1-7 and 10: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, auto-fragmentation.
# 9: messages up to 16 MiB, whole, in frames, in small TCP pieces.
CORE = ["%d.*" % chapter for chapter in (1, 2, 3, 4, 5, 6, 7, 9, 10)]
CORE_COUNT = 247 + 54

# 12: five kinds of payload with the plain offer; 13: seven kinds of offer. Eighteen cases each, of
# growing messages (1-10) and of fragments (11-18).
DEFLATE_FAMILIES = ["12.%d" % n for n in range(1, 6)] + ["13.%d" % n for n in range(1, 8)]
DEFLATE_COUNT = 216

# Each family with small and middling messages, and the largest and the fragmented ones in turn:
# all of them take minutes.
DEFLATE_QUICK = [family + tail for family in DEFLATE_FAMILIES for tail in (".2", ".6")] + [
    "12.1.10",
    "12.2.13",
    "12.3.17",
    "12.4.18",
    "12.5.11",
    "13.3.14",
    "13.5.12",
]


def chosen(all_deflate):
    """The patterns of the cases, and how many cases they stand for."""
    if all_deflate:
        return CORE + ["12.*", "13.*"], CORE_COUNT + DEFLATE_COUNT
    return CORE + DEFLATE_QUICK, CORE_COUNT + len(DEFLATE_QUICK)


def main():
    """Prints the specification."""
    url, folder = sys.argv[1:3]
    cases, _ = chosen("--all-deflate" in sys.argv[3:])
    spec = {
        "outdir": folder,
        "servers": [{"agent": "shardwire", "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    json.dump(spec, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
