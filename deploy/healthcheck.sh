#!/usr/bin/env bash
# 0 when the server on this machine has a playlist to serve, else 1. The port is the argument, or what the environment says, or 8080.
port="${1:-${PLIMSOLL_PLAYLIST_SERVE_PORT:-8080}}"
exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/${port}" || exit 1
printf 'GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -r -t 4 _ status _ <&3
[ "${status}" = 200 ]
