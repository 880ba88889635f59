#!/bin/sh
# A collector that takes the numbers up to LIMIT, STEP at a time: each step's records and the state that follows from
# them are one commit, under the run's fence. A number that was taken twice would be two records.
at=0
test -e "$HOLDFAST_STATE_FILE" && read -r at <"$HOLDFAST_STATE_FILE"
while test "$at" -lt "$LIMIT"; do
    to=$((at + STEP))
    test "$to" -gt "$LIMIT" && to=$LIMIT
    while test "$at" -lt "$to"; do
        at=$((at + 1))
        printf '{"kind":"taken","id":"%05d of %s","doc":%d}\n' "$at" "$HOLDFAST_RUN_ID" "$at"
    done >"$WORK/$HOLDFAST_RUN_ID"
    at=$to
    "$HOLDFAST" -q state commit "$HOLDFAST_STATE" --value "$at" --with-records "$WORK/$HOLDFAST_RUN_ID" \
        --fence "$HOLDFAST_FENCE" || exit
    test -z "$PAUSE" || sleep "$PAUSE"
done
