# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that goes with the evidence: it verifies everything with stock tools and knows nothing of this collection.

docs/verify.md says how it is used, and how each of its steps is done by hand.
"""

from __future__ import annotations

VERIFY = r"""#!/bin/sh
# Copyright (c) 2026 the cloudexit.flexible_engine contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Verify the evidence of a migration or of an erasure. Needs sh, sed, awk, sort, cmp, mkdir, rm, openssl and ssh-keygen
# (OpenSSH 8.9 or later), and nothing of those who made the evidence.
#
#   sh verify.sh [-s SIGNERS] [-t TSA_CA] [-p HEADS] [-r HASH] [FOLDER]
#
#   FOLDER   the evidence (default: the folder that this file is in)
#   SIGNERS  whose keys count (default: allowed_signers in FOLDER). Get it from somewhere else than FOLDER, or compare
#            the fingerprints that are printed with those that you know.
#   TSA_CA   certificates of the time-stamping authority (default: tsa.pem in FOLDER)
#   HEADS    one more folder of published heads: a store's, or those that were sent to you
#   HASH     hash of a record that the ledger must hold
#
# Ends with 0 when all is sound, 1 when something is not, 2 when it could not be checked.

umask 077
export LC_ALL=C TZ=UTC
case $0 in */*) folder=${0%/*} ;; *) folder=. ;; esac
signers='' authority='' heads='' wanted=''
while getopts s:t:p:r: option; do
    case $option in
    s) signers=$OPTARG ;;
    t) authority=$OPTARG ;;
    p) heads=$OPTARG ;;
    r) wanted=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
folder=${1:-$folder}
signers=${signers:-$folder/allowed_signers}
authority=${authority:-$folder/tsa.pem}
ledger=$folder/ledger.jsonl

bad=0
good() { printf 'ok   %s\n' "$*"; }
fail() {
    printf 'BAD  %s\n' "$*"
    bad=1
}
stop() {
    printf 'cannot verify: %s\n' "$*" >&2
    exit 2
}

for tool in sed awk sort cmp mkdir rm openssl ssh-keygen; do
    command -v "$tool" >/dev/null || stop "$tool is missing"
done
[ -r "$ledger" ] || stop "there is no $ledger"
[ -r "$signers" ] || stop "there is no $signers"
temporary=${TMPDIR:-/tmp}/verify.$$
mkdir "$temporary" || stop "no temporary folder"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 2' HUP INT TERM

# ---- helpers ----

# digest FILE: the SHA-256 of a file
digest() { openssl dgst -sha256 -r <"$1" | sed 's/[^0-9a-f].*//'; }

# text KEY FILE: the first text that stands for a key
text() { sed -n '1s/.*"'"$1"'":"\([^"\\]*\)".*/\1/p' "$2"; }

# verified FILE SIGNATURE NAMESPACE SIGNERS TIME: `role:person` of the one who signed it; nothing when nobody did
verified() {
    [ -r "$2" ] || return 1
    moment=$(printf '%s\n' "$5" | sed 's/\..*//; s/[^0-9]//g')
    ssh-keygen -Y find-principals -s "$2" -f "$4" -Overify-time="$moment" 2>/dev/null </dev/null |
        sed 's/,.*//' >"$temporary/principal"
    read -r principal <"$temporary/principal" || return 1
    ssh-keygen -Y verify -f "$4" -I "$principal" -n "$3" -s "$2" -Overify-time="$moment" \
        <"$1" >"$temporary/said" 2>&1 || return 1
    key=$(sed -n 's/.* key \(SHA256:[A-Za-z0-9+/]*\).*/\1/p' "$temporary/said")
    signed="$principal $key"
}

# of_ledger FILE NAMESPACE TIME WHAT: whether a `ledger:` key signed it, and its time stamp if there is one
of_ledger() {
    signed=''
    if ! verified "$1" "$1.sig" "$2" "$signers" "$3"; then
        fail "$4: its signature is missing or not valid"
    else
        case $signed in
        ledger:*) good "$4: signed by $signed" ;;
        *) fail "$4: signed by $signed, not by a ledger: key" ;;
        esac
    fi
    [ -e "$1.tsr" ] || return
    if [ ! -r "$authority" ]; then
        fail "$4: its time stamp cannot be checked without the authority's certificates (-t)"
    elif openssl ts -verify -data "$1" -in "$1.tsr" -CAfile "$authority" >/dev/null 2>&1; then
        good "$4: time stamp of $(openssl ts -reply -in "$1.tsr" -text 2>/dev/null | sed -n 's/^Time stamp: //p')"
    else
        fail "$4: its time stamp is not valid"
    fi
}

# ---- the chain ----

# Each line without its own hash goes into a file of its own; what is told of it goes into the table:
# number, seq, hash, prev
awk -v out="$temporary" '
{
    line = $0; copy = $0
    if (gsub(/"hash":/, "", copy) != 1) { print "line " NR ": has not one hash" > (out "/faults") }
    copy = $0; links = gsub(/[}],"prev":"/, "", copy)
    hash = prev = seq = "none"
    if (match(line, /"hash":"sha256:[0-9a-f]*",/)) {
        hash = substr(line, RSTART + 8, RLENGTH - 10)
        line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
    }
    if (links == 1 && match(line, /[}],"prev":"sha256:[0-9a-f]*","result":[{]/)) {
        prev = substr(line, RSTART + 10, RLENGTH - 22)
    }
    if (match(line, /,"seq":[0-9]*,"tenant":"([^"\\]|\\.)*","time":"[^"]*","workload":"([^"\\]|\\.)*"[}]$/)) {
        seq = substr(line, RSTART + 7); sub(/,.*/, "", seq)
    }
    file = sprintf("%s/r%08d", out, NR)
    printf "%s", line > file
    close(file)
    print NR, seq, hash, prev > (out "/table")
}' "$ledger" || stop "$ledger could not be read"
[ -s "$temporary/table" ] || stop "$ledger is empty"
awk 1 "$ledger" | cmp -s - "$ledger" || fail "chain: the last line is not ended: a write or the file was cut off"
(
    cd "$temporary" || exit 2
    group=0
    while :; do
        set -- "$(printf 'r%05d' "$group")"???
        [ -e "$1" ] || break
        openssl dgst -sha256 -r "$@" || exit 2
        group=$((group + 1))
    done
) | sed 's/ .*//' >"$temporary/digests"
awk -v digests="$temporary/digests" '
BEGIN { prev = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
{
    if ((getline real < digests) <= 0) real = "none"
    if ($3 != "sha256:" real) print "line " $1 ": does not match its hash: the record was changed"
    if ($2 != $1) print "line " $1 ": has number " $2 ": a record was dropped or put in"
    if ($4 != prev) print "line " $1 ": does not follow the record before it"
    prev = $3
}' "$temporary/table" >>"$temporary/faults"
if [ -s "$temporary/faults" ]; then
    while read -r fault; do fail "chain: $fault"; done <"$temporary/faults"
else
    good "chain: $(awk 'END { print NR " records, the last one " $3 }' "$temporary/table")"
fi
if [ -n "$wanted" ]; then
    if awk -v wanted="$wanted" '$3 == wanted { found = 1 } END { exit !found }' "$temporary/table"; then
        good "chain: holds $wanted"
    else
        fail "chain: does not hold $wanted: records were removed or rewritten"
    fi
fi

# ---- published heads ----

count=0
for place in "$folder/heads" ${heads:+"$heads"}; do
    for file in "$place"/[0-9]*.json; do
        [ -e "$file" ] || continue
        count=$((count + 1))
        name="head ${file##*/}"
        of_ledger "$file" cloudexit-ledger-head "$(text time "$file")" "$name"
        seq=$(sed -n '1s/.*"seq":\([0-9]*\),.*/\1/p' "$file")
        awk -v seq="${seq:-0}" -v hash="$(text hash "$file")" -v first="$(text ledger "$file")" '
        NR == 1 { start = $3 }
        $1 == seq { there = $3 }
        END {
            if (start != first) print "is of another ledger, or this one was written anew"
            else if (there == "") print "the ledger ends before record " seq ": records were removed"
            else if (there != hash) print "record " seq " is another one now: records were removed or rewritten"
        }' "$temporary/table" >"$temporary/wrong"
        if read -r said <"$temporary/wrong"; then fail "$name: $said"; else good "$name: the chain holds it"; fi
    done
done
[ "$count" -gt 0 ] || fail "heads: none is here: that nothing was cut off at the end cannot be shown"

# ---- the sealed plan ----

# allowed_by PLAN: the digest of the file of allowed signers that a plan names
allowed_by() {
    sed -n '1s/.*"approvals":{"needed":[0-9]*,"roles":\[[^]]*\],"signers":"\([^"]*\)".*/\1/p' "$1"
}

: >"$temporary/plans"
for plan in "$folder"/retirement/*.json; do
    [ -e "$plan" ] || continue
    name="plan ${plan##*/}"
    allowed=$folder/retirement/allowed_signers
    sum=sha256:$(digest "$plan")
    printf '%s\n' "$sum" >>"$temporary/plans"
    # its signatures are checked as of the first delete; before there is one, as of when it was made
    began=$(sed -n '/"act":"purge_intent".*"plan":"'"$sum"'"/{s/.*"time":"\([^"]*\)","workload":.*/\1/p;q;}' "$ledger")
    made=$(sed -n '1s/.*"made":{"at":"\([^"]*\)".*/\1/p' "$plan")
    [ "sha256:$(digest "$allowed")" = "$(allowed_by "$plan")" ] ||
        fail "$name: its file of allowed signers is not the one that was sealed"
    : >"$temporary/people"
    for signature in "$plan".*.sig; do
        [ -e "$signature" ] || continue
        if verified "$plan" "$signature" cloudexit-retirement "$allowed" "${began:-$made}"; then
            good "$name: signed by $signed"
            printf '%s\n' "$principal" >>"$temporary/people"
        else
            fail "$name: ${signature##*/} is not a valid signature of it"
        fi
    done
    needed=$(sed -n '1s/.*"approvals":{"needed":\([0-9]*\),.*/\1/p' "$plan")
    people=$(sed 's/^[^:]*://' "$temporary/people" | awk '{ print tolower($0) }' | sort -u | awk 'END { print NR }')
    if [ "$people" -ge "${needed:-9999}" ]; then
        good "$name: $people of $needed people signed it"
    else
        fail "$name: $people of ${needed:-(unknown)} people signed it"
    fi
    roles=$(sed -n '1s/.*"approvals":{"needed":[0-9]*,"roles":\[\([^]]*\)\].*/\1/p' "$plan" | sed 's/[",]/ /g')
    for role in $roles; do
        awk -v role="$role" 'index($0, role ":") == 1 { found = 1 } END { exit !found }' "$temporary/people" ||
            fail "$name: nobody signed as $role"
    done
    [ -n "$began" ] || continue
    # every delete that was begun is of an object of the plan, and every object of the plan was read back as absent
    awk '
    {
        parts = split($0, part, /"ref":[{]/)
        for (i = 2; i <= parts; i++)
            if (match(part[i], /"id":"([^"\\]|\\.)*","kind":"[^"]*"/)) {
                found = substr(part[i], RSTART, RLENGTH)
                kind = found
                sub(/.*","kind":"/, "", kind)
                sub(/"$/, "", kind)
                print kind "/" substr(found, 7, length(found) - length(kind) - 17)
            }
    }' "$plan" | sort -u >"$temporary/planned"
    items=$(awk '{ n += gsub(/"ref":[{]/, "") } END { print n + 0 }' "$plan")
    [ "$items" = "$(awk 'END { print NR }' "$temporary/planned")" ] || fail "$name: its list of objects cannot be read"
    awk -v sum="$sum" '
    /"act":"purge_/ && index($0, "\"plan\":\"" sum "\"") && match($0, /"object":"([^"\\]|\\.)*"/) {
        key = substr($0, RSTART + 10, RLENGTH - 11)
        if (/"act":"purge_intent"/) { begun[key] = 1; delete absent[key] }
        else if (/"outcome":"absent"/) absent[key] = 1
        else delete absent[key]
    }
    END {
        for (key in begun) print "begun\t" key
        for (key in absent) print "absent\t" key
    }' "$ledger" | sort >"$temporary/purged"
    awk -F "\t" -v planned="$temporary/planned" '
    BEGIN { while ((getline key < planned) > 0) { plan[key] = 1; total++ } }
    $1 == "begun" && !($2 in plan) { print "delete of " $2 ", which is not in the plan" }
    $1 == "absent" { gone[$2] = 1 }
    END { for (key in plan) if (!(key in gone)) print "the ledger does not say that " key " is absent" }
    ' "$temporary/purged" | sort >"$temporary/wrong"
    if [ -s "$temporary/wrong" ]; then
        while read -r said; do fail "$name: $said"; done <"$temporary/wrong"
    else
        good "$name: all of its $items objects are absent, and no other was touched"
    fi
done

sed -n '/"act":"purge_intent"/s/.*"digests":{[^}]*"plan":"\([^"]*\)".*/\1/p' "$ledger" | sort -u >"$temporary/used"
while read -r sum; do
    awk -v sum="$sum" '$0 == sum { found = 1 } END { exit !found }' "$temporary/plans" ||
        fail "ledger: objects were deleted by the plan $sum, which is not here"
done <"$temporary/used"

# ---- certificates ----

for file in "$folder"/certificates/*.json; do
    [ -e "$file" ] || continue
    name="certificate ${file##*/}"
    issued=$(sed -n '1s/.*,"issued":"\([^"]*\)","kept":.*/\1/p' "$file")
    of_ledger "$file" cloudexit-certificate "$issued" "$name"
    for page in "${file%.json}".*.html; do
        [ -e "$page" ] || continue
        of_ledger "$page" cloudexit-certificate "$issued" "certificate ${page##*/}"
        awk -v sum="$(digest "$file")" 'index($0, sum) { found = 1 } END { exit !found }' "$page" ||
            fail "certificate ${page##*/}: is not the page of ${file##*/}"
    done
    head=$(sed -n '1s/.*"chain":{"head":"\([^"]*\)".*/\1/p' "$file")
    if awk -v head="$head" '$3 == head { found = 1 } END { exit !found }' "$temporary/table"; then
        good "$name: the chain holds its record $head"
    else
        fail "$name: the chain does not hold its record ${head:-(none)}"
    fi
    digests=$(sed -n '1s/.*"plan":{"digest":"\([^"]*\)".*/\1/p' "$file")
    [ -n "$digests" ] || continue
    found=''
    for plan in "$folder"/retirement/*.json; do
        [ -e "$plan" ] && [ "sha256:$(digest "$plan")" = "$digests" ] && found=$plan
    done
    if [ -n "$found" ]; then
        good "$name: is of the plan ${found##*/}"
    else
        fail "$name: its plan $digests is not here"
    fi
done

if [ "$bad" -eq 0 ]; then
    printf 'SOUND\n'
else
    printf 'NOT SOUND\n'
fi
exit "$bad"
"""
