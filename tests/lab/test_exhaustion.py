#!/usr/bin/env python3
"""What becomes of a run when something runs out: memory, descriptors, disk, places in a map, a reader's patience.

    scripts/lab --clients 4 tests/lab/test_exhaustion.py [TEST...]

Each time the run goes on, or ends with a clear word; what it reports is true, and what was lost is counted.
"""
import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import lab  # noqa: E402
import schema  # noqa: E402
from lab import CLIENTS, GATEWAY, LAN_IFACE, SECOND, SERVER4, SERVER6, WAN, Probe, Serve, expect  # noqa: E402
from test_read import START, Files, pcap  # noqa: E402
from test_schema import office  # noqa: E402

A, B = CLIENTS[0], CLIENTS[1]
WEB = {(SERVER4, 80): lab.answers, (SERVER6, 80): lab.answers}
HERE = os.path.dirname(os.path.abspath(__file__))


# ---- memory ----

class Forgetful:
    """The probe over a capture with all its outputs, on a machine that refuses allocations (see no_memory.c)."""

    def __init__(self, folder):
        self.folder, self.library = folder, os.path.join(folder, 'no-memory.so')
        subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-o', self.library, os.path.join(HERE, '../no_memory.c')],
                       check=True)
        with open(os.path.join(folder, 'capture'), 'wb') as f:
            f.write(pcap(office()))
        self.outputs = [os.path.join(folder, name) for name in ('json', 'html', 'pcapng')]

    def run(self, **refused):
        for output in self.outputs:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(output)
        return subprocess.run(
            [lab.PROBE, '--read', os.path.join(self.folder, 'capture'), '--json=' + self.outputs[0], '--html',
             self.outputs[1], '--write', self.outputs[2]], capture_output=True, text=True,
            env=dict(os.environ, LC_ALL='C', LD_PRELOAD=self.library, **{k: str(v) for k, v in refused.items()}))

    def objects(self):
        with open(self.outputs[0]) as f:
            return schema.load(f)


def told(objects):
    """What was told, whatever the order of what happened at once."""
    return sorted(json.dumps(o, sort_keys=True) for o in objects)


def written(stderr):
    return int(re.search(r'(\d+) packets written', stderr).group(1)) if 'packets written' in stderr else None


def test_no_memory():
    """whichever allocation is refused, alone or with all that follow: no crash, and no report that hides it"""
    with tempfile.TemporaryDirectory() as folder:
        f = Forgetful(folder)
        count_file = os.path.join(folder, 'count')
        whole = f.run(NO_MEMORY_COUNT=count_file)
        reference, packets = f.objects(), written(whole.stderr)
        with open(count_file) as c:
            count = int(c.read())
        expect(whole.returncode == 0 and packets and count > 100, whole, count)
        for how, step in ('NO_MEMORY_AT', 1), ('NO_MEMORY_FROM', 7):
            for n in range(1, count + 1, step):
                r = f.run(**{how: n})
                expect(r.returncode in (0, 1), how, n, r)
                if r.returncode:
                    expect('memory' in r.stderr, how, n, r)
                    continue
                got = f.objects()
                lost = got[-1]['lost']['sum'] + got[-1]['folded']
                expect(lost or told(got) == told(reference), how, n, 'hides that something is missing', r.stderr)
                expect(lost or written(r.stderr) == packets or 'no room for the packets of' in r.stderr, how, n, r.stderr)
                with open(f.outputs[1]) as page:
                    expect(page.read().rstrip().endswith('</html>'), how, n, 'half a page')


if __name__ == '__main__':
    sys.exit(lab.main([f for name, f in list(globals().items()) if name.startswith('test_')]))
