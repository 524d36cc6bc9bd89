#!/bin/sh
# A new log of hits for nginx every three hours; those that are a day old go. The nginx image runs this before
# it starts nginx. Less than ten are kept: so many of them `hitwall follow` looks at when it comes back.
case "$EDGE_LOG" in "" | /dev/null) exit ;; esac
while sleep "${EDGE_ROTATE:-10800}"; do
    mv "$EDGE_LOG" "$EDGE_LOG-$(date +%s)" && kill -USR1 "$(cat /tmp/nginx.pid)"
    find "$(dirname "$EDGE_LOG")" -name "$(basename "$EDGE_LOG")-*" -mmin +1440 -delete
done &
