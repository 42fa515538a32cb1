#!/bin/bash
# A session at a terminal of 80 × 24: starts an application, looks at it, kills a process and
# sees it come back. Each picture is written as text into a directory.
#
#   docs/operating-session.sh LUNATIC MANIFEST DIRECTORY [LABEL]
#
# - LUNATIC: the program, for example target/debug/lunatic.
# - MANIFEST: the application, for example examples/diner/app.toml.
# - DIRECTORY: is made; has 1-ps.txt, 2-top.txt, 3-question.txt, 4-restarted.txt,
#   5-inspect.txt afterwards.
# - LABEL: that of the process that is killed; cook-2 by default.
set -eu
lunatic=$(realpath "$1") manifest=$(realpath "$2") label=${4:-cook-2}
mkdir -p "$3"
out=$(realpath "$3")
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work LC_ALL=C.UTF-8 TERM=screen
export DINER_ADDRESS=${DINER_ADDRESS:-127.0.0.1:0}
unset NO_COLOR TMUX
screen() { tmux -L "session-$$" -f /dev/null "$@"; }
end() {
    screen kill-server 2>/dev/null || true
    [ -z "${app:-}" ] || kill "$app" 2>/dev/null || true
    [ -z "${app:-}" ] || wait "$app" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

# Waits until a command is successful, half a minute at most.
await() {
    for _ in $(seq 300); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "waited in vain for: $*" >&2
    screen capture-pane -p >&2 || true
    exit 1
}
pid_of() {
    "$lunatic" ps --name session --filter "$1" | awk -v label="$1" '$2 == label { print $1 }'
}
lives() { [ -n "$(pid_of "$1")" ]; }
lives_anew() { lives "$label" && [ "$(pid_of "$label")" != "$killed" ]; }
shows() { screen capture-pane -p | grep -q -- "$1"; }
picture() { screen capture-pane -p | sed 's/ *$//' >"$out/$1"; }

"$lunatic" start --name session "$manifest" >/dev/null 2>&1 &
app=$!
await lives "$label"
killed=$(pid_of "$label")
sleep 1

"$lunatic" ps --name session --tree >"$out/1-ps.txt"

screen new-session -d -x 80 -y 24 "$lunatic top --name session --delay 200ms"
await shows "$label"
sleep 3
screen send-keys t
await shows "  $label"
picture 2-top.txt

# The process is found by its label, and is the only one then.
screen send-keys /
await shows "filter: _"
screen send-keys -l "$label"
screen send-keys Enter
await shows "1-1 of 1"
screen send-keys k
await shows "kill process $killed, $label"
picture 3-question.txt
screen send-keys y
await lives_anew
# Its supervisor has counted.
screen send-keys /
await shows "(Enter: done"
screen send-keys Escape
await shows "^ *$(pid_of "$label") .*$label .* 1 "
picture 4-restarted.txt
screen send-keys q

"$lunatic" inspect --name session "$(pid_of "$label")" >"$out/5-inspect.txt"
