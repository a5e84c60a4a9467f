#!/bin/sh
# Prepares and runs a private Postfix instance below the folder $1 until this script's standard input
# ends (its parent went away) or Postfix stops. Never reads or writes the machine's own instance.
set -eu
# Ctrl-C reaches Postfix directly; this script stays to see it end.
trap '' INT
folder=$1
master=$2
cd "$folder"
for queue in active bounce corrupt defer deferred flush hold incoming private saved trace; do
  install -d -o postfix -m 700 "queue/$queue"
done
install -d -m 755 queue/pid
install -d -o postfix -g postdrop -m 710 queue/public
install -d -o postfix -g postdrop -m 730 queue/maildrop
install -d -o postfix -m 700 data
exec 3<&0
"$master" -c "$folder/etc" </dev/null 3<&- &
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
# What belongs to Postfix's own user could not be removed by ours.
rm -rf queue data
exit "$status"
