# Runs the sections one after the other, counts what they report, and prints the closing table.
#
# A check is what a section counted itself: `# N passed, N failed`, or cargo's `test result:` lines.
# A section that counts nothing is one check, and so is one that failed without a failed check of
# its own (it did not build, could not be installed, was cut off). Sourced by tests/run.

LOGS="$CACHE/logs"
mkdir -p "$LOGS"

TABLE=()
PASSED=0
FAILED=0
SECTION_PID=

# run_section NAME: runs section_NAME in a process group of its own.
run_section() {
    local name=$1 log="$LOGS/$1.log" status=0 start=$SECONDS passed failed result note
    NOTE_FILE="$LOGS/$name.note"
    rm -f "$NOTE_FILE"
    printf '== %s\n' "$name"
    # A job of its own, so that `set -e` holds inside and everything in it can be stopped by its
    # process group. (After `||` or `if`, bash would ignore `set -e` all the way down.)
    set -m
    (
        set -euo pipefail
        trap - EXIT INT TERM HUP
        "section_$name"
    ) >"$log" 2>&1 </dev/null &
    SECTION_PID=$!
    set +m
    wait "$SECTION_PID" || status=$?
    # Whatever it left behind goes with it.
    kill -TERM -- "-$SECTION_PID" 2>/dev/null || true
    SECTION_PID=

    read -r passed failed < <(count_checks "$log")
    if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    if [ "$status" -eq 0 ] && [ "$passed" -eq 0 ] && [ "$failed" -eq 0 ]; then passed=1; fi
    grep '^= ' "$log" || true
    result=ok
    if [ "$failed" -gt 0 ]; then
        result=FAILED
        show_failure "$log" "$status"
    fi
    note=$(head -n 1 "$NOTE_FILE" 2>/dev/null || true)
    PASSED=$((PASSED + passed))
    FAILED=$((FAILED + failed))
    TABLE+=("$(printf '%-11s %-7s %6d s %8d %8d  %s' \
        "$name" "$result" $((SECONDS - start)) "$passed" "$failed" "$note")")
    printf '   %s, %d passed, %d failed, %d s\n' "$result" "$passed" "$failed" $((SECONDS - start))
}

# count_checks LOG: prints how many checks passed and failed.
count_checks() {
    awk '
        /^# [0-9]+ passed, [0-9]+ failed$/ { passed += $2; failed += $4 }
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed;?$/) passed += $(i - 1)
                if ($i ~ /^failed;?$/) failed += $(i - 1)
            }
        }
        END { print passed + 0, failed + 0 }' "$1"
}

# show_failure LOG STATUS: the lines that say what went wrong, then the end of the log, less what
# went well.
show_failure() {
    printf -- '-- status %s; from %s:\n' "$2" "${1#"$ROOT"/}"
    grep -E '^(not ok|error|warning: unused|cannot go on)|panicked at|^test .* FAILED$' "$1" | head -n 60 || true
    printf -- '-- its last lines:\n'
    grep -v '^ok ' "$1" | tail -n 40 || true
    printf -- '--\n'
}

# Stops the section under way, with all it started.
stop_section() {
    [ -n "$SECTION_PID" ] || return 0
    kill -TERM -- "-$SECTION_PID" 2>/dev/null || true
    wait "$SECTION_PID" 2>/dev/null || true
}

# The table, and as the last line the sum. Ends with the status of the whole run.
print_summary() {
    printf '\n%-11s %-7s %8s %8s %8s  %s\n' section result time passed failed note
    printf '%s\n' "${TABLE[@]}"
    printf '\n%d passed, %d failed\n' "$PASSED" "$FAILED"
    [ "$FAILED" -eq 0 ]
}
