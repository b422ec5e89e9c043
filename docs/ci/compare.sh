#!/usr/bin/env bash
# Replay scenarios as they are now and as they were in a base revision, and compare the counts.
#
#     compare.sh DIRECTORY
#
# runs in a git work tree, with swaptrace on the PATH. The report goes to standard output; DIRECTORY
# gets new.json, old.json and junit.xml. The environment says what is wanted:
#
# SCENARIOS  what to replay, one a line: files, directories, bundled names
# POLICIES   under what, as for --policies; the base is replayed under its own version of a file
# FAIL_ON    kinds of --fail-on with blanks between them, or nothing
# THRESHOLD  as for --threshold, or nothing
# BASE       compare with the commit at which HEAD left this revision; nothing, or only zeros:
#            with the parent of HEAD
# FORMAT     of the report, as for --format
#
# The exit code is 1 where an expectation does not hold or FAIL_ON finds something, and 2 where
# something cannot be used. A base that lacks the files or cannot be replayed is no failure: the
# report says so, and the expectations count all the same.
set -euo pipefail

mkdir -p "$1"
results=$(cd "$1" && pwd)
rm -f "$results"/{old.json,new.json,junit.xml}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"; git worktree prune' EXIT

trimmed() {
    sed 's/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d'
}

mapfile -t new_scenarios < <(trimmed <<< "$SCENARIOS")
mapfile -t new_policies < <(tr , '\n' <<< "$POLICIES" | trimmed)
mapfile -t kinds < <(tr ' ' '\n' <<< "$FAIL_ON" | trimmed)
judge=("${kinds[@]/#/--fail-on=}")
if [[ -n $THRESHOLD ]]; then
    judge+=("--threshold=$THRESHOLD")
fi

joined() {
    local IFS=,
    echo "$*"
}

replay_new() {
    swaptrace run --policies "$(joined "${new_policies[@]}")" "$@" -- "${new_scenarios[@]}"
}

replay_old() (
    cd "$scratch/base/$prefix" || exit
    swaptrace run --policies "$(joined "${old_policies[@]}")" "$@" -- "${old_scenarios[@]}"
)

compare() (
    cd "$results" || exit
    swaptrace diff old.json new.json "${judge[@]}" "$@"
)

# A sentence of the report, and below it what swaptrace or git said.
report() {
    printf '%s\n\n' "$1"
    sed 's/^/    /' "$scratch/said"
    echo
}

# junit.xml is of the expectations where they fail or nothing is compared, else of the comparison.
nothing_to_compare() {
    echo "$1"
    if ((result == 0)); then
        replay_new --format junit --output "$results/junit.xml"
    fi
    exit "$result"
}

# Those of the arguments that are not new: a file that is here must be in the base as well.
known_to_base() {
    local path
    for path; do
        if [[ -e $scratch/base/$prefix$path || ! -e $path ]]; then
            echo "$path"
        fi
    done
}

# What is checked.
result=0
replay_new --format json --output "$results/new.json" 2> "$scratch/said" || result=$?
if ((result > 1)); then
    report "The scenarios cannot be replayed:"
    exit "$result"
elif ((result == 1)); then
    report "These expectations do not hold:"
    replay_new --format junit --output "$results/junit.xml" 2> /dev/null || true
else
    cat "$scratch/said" >&2
fi

# The commit to compare with.
if [[ $BASE =~ ^0*$ ]]; then
    BASE=HEAD^
fi
if ! base=$(git merge-base HEAD "$BASE" 2> "$scratch/said"); then
    if [[ $BASE == HEAD^ && $(git rev-parse --is-shallow-repository) == false ]]; then
        nothing_to_compare "This is the first commit: nothing to compare with."
    fi
    report "This clone has no commit that $BASE and HEAD share. Is it shallow?"
    exit 2
fi
name=$(git rev-parse --short "$base")

# The same in that commit.
prefix=$(git rev-parse --show-prefix)
git worktree add --quiet --detach "$scratch/base" "$base"
mkdir -p "$scratch/base/$prefix"
mapfile -t old_scenarios < <(known_to_base "${new_scenarios[@]}")
mapfile -t old_policies < <(known_to_base "${new_policies[@]}")
if ((${#old_scenarios[@]} == 0 || ${#old_policies[@]} == 0)); then
    nothing_to_compare "The base, $name, has no such scenarios or policies: nothing to compare with."
fi
code=0
replay_old --format json --output "$results/old.json" 2> "$scratch/said" || code=$?
if ((code > 1)); then
    report "The base, $name, cannot be replayed:"
    nothing_to_compare "Nothing to compare with."
fi

# The comparison.
printf '%s\n\n' "old.json is of the base, $name; new.json is of what is checked."
code=0
compare --format "$FORMAT" || code=$?
if ((code > 1)); then
    exit "$code"
elif ((result == 0)); then
    compare --format junit --output junit.xml 2> /dev/null || true
fi
exit "$((result | code))"
