"""Common definitions of every Python suite: the path of the probe, and expect()."""
import os
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROBE = os.environ.get('PROBE', os.path.join(ROOT, 'probe'))
SECOND = 10 ** 9  # ns


def wait_until_watching(pid):
    """Waits until a live probe, which may be --quiet, watches: it gives up most capabilities then."""
    def capabilities(process):
        with open('/proc/%s/status' % process) as f:
            return next(line for line in f if line.startswith('CapEff:'))
    wait_for(lambda: capabilities(pid) != capabilities('self'), 'the probe to watch')


def wait_for(condition, what, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        expect(time.monotonic() < end, 'timeout while waiting for', what)
        time.sleep(0.02)


def expect(condition, *what):
    if not condition:
        raise AssertionError(' '.join(str(w) for w in what))
