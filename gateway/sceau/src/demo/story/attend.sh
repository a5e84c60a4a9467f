#!/bin/sh
# Runs a command until this script's standard input ends (its parent went away, however it went) or
# the command ends by itself. Ctrl-C reaches the command directly; this script stays to see it end.
set -eu
trap '' INT
exec 3<&0
"$@" </dev/null 3<&- &
pid=$!
(
  cat <&3 >/dev/null
  kill -TERM "$pid"
) 2>/dev/null &
watch=$!
exec 3<&-
status=0
wait "$pid" || status=$?
kill "$watch" 2>/dev/null || true
exit "$status"
