"""Round trips of a message among 100 000 processes, without and with `lunatic top` open.

    python3 bench/top_latency.py target/release/lunatic

It needs tmux. Printed are the median of p50, p99 and p99.9 of six times 262 144 round trips, in
nanoseconds, three times.
"""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

BLOCK = 262_144
lunatic = os.path.abspath(sys.argv[1])
guest = pathlib.Path(__file__).with_name("top_latency.wat")
tmux = ["tmux", "-L", f"top-latency-{os.getpid()}", "-f", "/dev/null"]


def percentiles(pipe):
    data = b""
    while len(data) < 4 * BLOCK:
        piece = pipe.read(4 * BLOCK - len(data))
        if not piece:
            sys.exit("the guest has ended")
        data += piece
    times = sorted(struct.unpack(f"<{BLOCK}I", data))
    return [times[int(BLOCK * part)] for part in (0.5, 0.99, 0.999)]


def measure(pipe):
    percentiles(pipe)
    blocks = [percentiles(pipe) for _ in range(6)]
    return [sorted(column)[3] for column in zip(*blocks)]


with tempfile.TemporaryDirectory() as directory:
    os.environ["XDG_RUNTIME_DIR"] = directory
    run = [lunatic, "run", "--name", "latency", str(guest)]
    with subprocess.Popen(run, stdout=subprocess.PIPE) as process:
        try:
            for _ in range(3):
                without = measure(process.stdout)
                top = f"{lunatic} top --name latency"
                subprocess.run(tmux + ["new-session", "-d", "-x", "80", "-y", "24", top], check=True)
                time.sleep(2)
                beside = measure(process.stdout)
                subprocess.run(tmux + ["kill-server"], check=True)
                time.sleep(1)
                print(f"without {without}, with {beside}", flush=True)
        finally:
            process.kill()
