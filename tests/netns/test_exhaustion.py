"""A run when a resource is exhausted: memory, descriptors, disk space, map entries, or a reader that stops.

In each case the run continues, or ends with a clear message. Its report is true, and losses are counted.
"""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import netns
import schema
from captures import office, pcap
from dns_clients import surf, using
from dns_server import NameServers, well
from netns import CLIENTS, GATEWAY, LAN_IFACE, SERVER4, SERVER6, WAN, WEB, Probe, Serve, require_lab
from probe import PROBE, ROOT, expect

require_lab(clients=4)

schema.UNCHECKED = True  # tens of thousands of lines: other suites validate each kind against the schema
# Without libseccomp's filter: this test does not cover libseccomp's behaviour without memory.
UNFILTERED = os.path.join(ROOT, 'build/unfiltered/probe')
A, B = CLIENTS[0], CLIENTS[1]


# ---- memory ----

class Forgetful:
    """The probe reads a capture with all its outputs while allocations fail (see lib/no_memory.c)."""

    def __init__(self, folder):
        self.folder, self.library = folder, os.path.join(folder, 'no-memory.so')
        subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-o', self.library, os.path.join(ROOT, 'tests/lib/no_memory.c')],
                       check=True)
        with open(os.path.join(folder, 'capture'), 'wb') as f:
            f.write(pcap(office()))
        self.outputs = [os.path.join(folder, name) for name in ('json', 'html', 'pcapng')]

    def run(self, **refused):
        for output in self.outputs:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(output)
        return subprocess.run(
            [UNFILTERED, '--read', os.path.join(self.folder, 'capture'), '--json=' + self.outputs[0], '--html',
             self.outputs[1], '--write', self.outputs[2]], capture_output=True, text=True,
            env=dict(os.environ, LC_ALL='C', LD_PRELOAD=self.library, **{k: str(v) for k, v in refused.items()}))

    def objects(self):
        with open(self.outputs[0]) as f:
            return schema.load(f)


def reported(objects):
    """Returns the reported objects, independent of the order of simultaneous events, which numbers the connects."""
    return sorted(json.dumps(dict(o, connect=None), sort_keys=True) for o in objects)


def written(stderr):
    return int(re.search(r'(\d+) packets? written', stderr).group(1)) if ' written to' in stderr else None


def test_no_memory():
    """any failed allocation, alone or with all later ones, causes no crash and no report that hides the loss"""
    with tempfile.TemporaryDirectory() as folder:
        f = Forgetful(folder)
        whole = f.run(NO_MEMORY_COUNT='yes')
        reference, packets = f.objects(), written(whole.stderr)
        count = int(re.search(r'(\d+) allocations', whole.stderr).group(1))
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
                expect(lost or reported(got) == reported(reference) or 'out of memory' in str(got) or
                       'by their ports only' in r.stderr, how, n, 'hides that something is missing', r.stderr)
                expect(lost or written(r.stderr) == packets or 'no room for the packets of' in r.stderr or
                       'out of memory' in r.stderr, how, n, r.stderr)
                with open(f.outputs[1]) as page:
                    expect(page.read().rstrip().endswith('</html>'), how, n, 'half a page')


def probe_in(namespace, *arguments, limits=(), **options):
    return subprocess.run(['nsenter', '--net=/run/netns/' + namespace, 'prlimit', *limits, PROBE, *arguments],
                          capture_output=True, text=True, **options)


def test_limits():
    """with too little address space or too few descriptors, the probe works or names the exhausted resource"""
    with tempfile.TemporaryDirectory() as folder:
        files = ['--json=' + os.path.join(folder, 'json'), '--html', os.path.join(folder, 'html'), '--write',
                 os.path.join(folder, 'pcapng')]

        def outcome(limit):
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
            return probe_in(GATEWAY, '-i', LAN_IFACE, '-d', '0.2', *files, limits=[limit])

        statuses = set()
        for mib in (4, 8, 10, 12, 16, 24, 32, 40, 64, 128):
            r = outcome('--as=%d' % (mib << 20))
            statuses.add(r.returncode)
            # 127: from the dynamic loader, whose message is also about memory
            expect(r.returncode in (0, 1, 127), mib, r)
            expect(not r.returncode or 'memory' in r.stderr or 'failed to map' in r.stderr or 'cannot allocate' in r.stderr,
                   mib, r.stderr)
        expect(statuses == {0, 1, 127}, statuses)
        for count in (4, 5, 6, 8, 16, 20, 24, 28, 32, 40):
            r = outcome('--nofile=%d:%d' % (count, count))
            expect(r.returncode == 1 and ('open files' in r.stderr), count, r)
        # The probe raises its soft limit up to the hard limit.
        expect(outcome('--nofile=16:1024').returncode == 0, 'the soft limit must not matter')


# ---- disk ----

class FullDisk:
    """A file system of a limited size in KiB, for a with block."""

    def __init__(self, kib):
        self.kib = kib

    def __enter__(self):
        self.folder = tempfile.mkdtemp()
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dk' % self.kib, 'none', self.folder], check=True)
        return self.folder

    def __exit__(self, *_):
        subprocess.run(['umount', self.folder], check=True)
        os.rmdir(self.folder)


def refused(count):
    for _ in range(count):
        netns.try_connect(SERVER4, 81, 20)


def test_full_disk():
    """on a full disk the message names the file, the status is 1, the text is complete and JSON has no partial line"""
    for option, name in ('--json=%s', 'out.json'), ('--write=%s', 'out.pcapng'), ('--html=%s', 'out.html'):
        with FullDisk(64) as folder:
            path = os.path.join(folder, name)
            p = subprocess.Popen(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', LAN_IFACE, option % path],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            expect('watching' in p.stderr.readline(), 'not started')
            netns.run(A, refused, 500)
            time.sleep(0.5)
            with contextlib.suppress(ProcessLookupError):  # it may already have ended
                p.send_signal(signal.SIGTERM)
            out, errors = p.communicate(timeout=60)
            expect(p.returncode == 1, name, p.returncode)
            expect(path in errors and 'No space left on device' in errors, errors)
            expect('203.0.113.10:81 refuses connections' in out and 'NOT MEASURED' in out, out)
            if name == 'out.json':
                with open(path) as f:
                    lines = f.read()
                expect(len(schema.load(lines)) > 10 and lines.endswith('\n'), lines[-300:])


# ---- map entries ----

COUNTER = '''table inet exhaustion {
    chain seen {
        type filter hook prerouting priority raw
        ip saddr %s counter
    }
}
''' % netns.STORM_SOURCES


class Counted:
    """Counts the packets of storms that arrive, for a with block."""

    def __enter__(self):
        netns.sh(GATEWAY, 'nft', '-f', '-', text=COUNTER)
        return self

    def count(self):
        return int(re.search(r'packets (\d+)', netns.sh(GATEWAY, 'nft', 'list', 'table', 'inet', 'exhaustion')).group(1))

    def __exit__(self, *_):
        netns.sh(GATEWAY, 'nft', 'delete', 'table', 'inet', 'exhaustion')


def many(server, count):
    for _ in range(count):
        netns.browse(server, 80)


def test_syn_flood():
    """in a SYN flood from random sources real connections are measured, and each SYN is a record or counted as lost"""
    dead = 0x0ac80709, 9

    with Counted() as flood, Serve(WAN, WEB), Probe('--max-flows', '8192') as p:
        storm = netns.fork(CLIENTS[2], netns.storm, 30000, lambda: dead)
        waits = [netns.fork(ns, many, server, 150) for ns in (A, B) for server in (SERVER4, SERVER6)]
        for wait in (storm, *waits):
            wait()
        p.stop()
        real = p.connections(server_port=80)
        expect(len(real) == 600 and all(c['outcome'] == 'established' for c in real), len(real), p.summary)
        expect(all(c['syn'] < c['synack'] < c['ack'] < c['client_first'] < c['server_first'] for c in real), 'not whole')
        lost = p.summary['lost']
        gone = lost['evicted'] + lost['map_full'] + lost['ring_full']
        flooded = p.connections(server_port=9)
        expect(any(c['settled_by'] == 'pressure' for c in flooded), 'the map was never full')
        expect(len(flooded) + gone + p.summary['late_syn_copies'] == flood.count() == 30000, flood.count(), p.summary)
        expect('%d lost' % lost['sum'] in p.text, p.text)
        expect('SYN flood at 10.200.7.9:9: %d connects' % len(flooded) in p.text, p.text)


def hold(count, seconds):
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((SERVER4, 80))
        sockets.append(s)
    time.sleep(seconds)
    return len(sockets)


def test_connection_flood():
    """with more silent connections than map entries, each is a record or counted as lost, and no wait is invented"""
    with Serve(WAN, WEB), Probe('--max-flows', '1024') as p:
        waits = [netns.fork(ns, hold, 800, 1) for ns in CLIENTS]
        opened = sum(wait() for wait in waits)
        p.stop()
        lost = p.summary['lost']
        expect(opened == 3200 == len(p.connections()) + lost['evicted'] + lost['map_full'], p.summary)
        expect(not p.summary['stalls'] and not p.summary['unanswered'], p.summary)
        expect('%d lost' % lost['sum'] in p.text, p.text)


def test_full_ring():
    """if the probe is stopped for long, records without room in the ring are counted, and the run continues"""
    with Serve(WAN, WEB), Probe('--ring-size', '1') as p:
        p.process.send_signal(signal.SIGSTOP)
        waits = [netns.fork(ns, many, SERVER4, 2500) for ns in (A, B)]
        for wait in waits:
            wait()
        p.process.send_signal(signal.SIGCONT)
        p.settle()
        netns.run(A, netns.browse, SERVER6, 80)
        p.stop()
        lost = p.summary['lost']['ring_full']
        expect(lost and len(p.connections(server=SERVER4)) + lost == 5000, p.summary)
        expect(len(p.connections(server=SERVER6)) == 1, 'the run does not continue')
        expect('%d lost' % lost in p.text and 'lost by this tool' in p.text, p.text)


# ---- names ----

FLOODED, QUESTIONS, FLOOD_SECONDS = '203.0.113.53', 100000, 5


def packets_received():
    """how many packets have reached the interface on which the hook is"""
    links = json.loads(netns.sh(GATEWAY, 'ip', '-json', '-statistics', 'link', 'show', 'dev', LAN_IFACE))
    return links[0]['stats64']['rx']['packets']


def test_dns_flood():
    """up to 100 000 questions a second beside TCP connections: no connection is lost, nobody is accused, all is counted"""
    def browse(count):
        for _ in range(count):
            netns.browse(SERVER4, 80)
            time.sleep(0.03)
        return count

    def flood():
        return int(subprocess.run([os.path.join(ROOT, 'build', 'dns-flood'), FLOODED, str(QUESTIONS), str(FLOOD_SECONDS)],
                                  capture_output=True, text=True, check=True).stdout)

    with NameServers(WAN, {FLOODED: well}), Serve(WAN, WEB), Probe() as p:
        before = packets_received()
        floods = netns.fork(A, flood)
        browsing = [netns.fork(name, browse, 100) for name in CLIENTS[1:4]]
        opened = sum(wait() for wait in browsing)
        sent = floods()
        arrived = packets_received() - before
        netns.run(B, using, [FLOODED], surf, ['a.example.com', 'b.example.com', 'c.example.com'], 0.1)
    expect(sent > QUESTIONS * FLOOD_SECONDS / 4, 'only', sent, 'questions were sent')
    web = p.connections(server=SERVER4)
    expect(len(web) >= opened and all(c['outcome'] == 'established' for c in web), len(web), 'of', opened)
    lost, read = p.summary['lost'], p.summary['names']['packets']['questions']
    expect(lost['map_full'] == lost['ring_full'] == lost['evicted'] == 0, 'TCP was lost', lost)
    counted = read + p.summary['names']['packets']['not_sampled'] + lost['dns_budget'] + lost['dns_ring_full']
    print(sent, 'questions sent,', arrived, 'packets arrived,', counted, 'counted,', read, 'read', lost)
    # what arrives on this side is questions and some 7 packets of each connection
    expect(counted >= arrived - 8 * opened, 'questions are in no counter')
    expect(lost['dns_budget'] + lost['dns_ring_full'] > 0 and 'DNS' in p.text, p.text)
    accused = [f for f in p.of('finding') if f['kind'] in ('resolver-unanswered', 'resolver-slow', 'zone-unanswered',
                                                           'type-unanswered', 'dns-answers-lost')]
    expect(not accused, accused)
