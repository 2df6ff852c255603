"""The moment at which a run ends changes neither the culprit nor its confidence.

Captures of helpers that wait for dead servers are cut at every tenth of a second. From the third wait that ended on,
each cut must report the culprit first, with high confidence. If a test fails here, the moment of Ctrl-C decides whether
a user believes the report.
"""
import collections
import concurrent.futures
import itertools
import json
import os
import struct

import pytest

import captures
import report_check
from probe import ROOT, SECOND, expect

CASES = os.path.join(ROOT, '..', 'shared', 'cases')
STEP = SECOND // 10
LOCKS = 3  # observations that high confidence needs
LEAD, LAG = SECOND // 4, SECOND // 20  # an attempt begins this long after the wait, or before it
ACCUSING = 'waits-for-peer', 'slow-helper', 'held-before-connect', 'failover-chain'


def packets_of(path):
    """Returns the head of a pcap file of this byte order, and its packets: (time in ns, bytes with their header)."""
    with open(path, 'rb') as f:
        content = f.read()
    unit = {0xa1b2c3d4: 1000, 0xa1b23c4d: 1}[struct.unpack_from('<I', content)[0]]
    packets, at = [], 24
    while at + 16 <= len(content):
        seconds, fraction, size, _ = struct.unpack_from('<IIII', content, at)
        packets.append((seconds * SECOND + fraction * unit, content[at:at + 16 + size]))
        at += 16 + size
    return content[:24], packets


def objects_of(content):
    """Returns the objects of --json about a capture that ends early."""
    done = captures.run('-q', '--json', '--read', '-', stdin=content)
    expect(done.returncode == 0, done.stderr.decode())
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def ends_of_locks(content, culprits):
    """Returns the ends of all waits that began together with a SYN to a culprit, from the connections alone."""
    connections = captures.of(objects_of(content), 'connection')
    asked = collections.defaultdict(list)
    for c in connections:
        if (c['server'], c['server_port']) in culprits:
            asked[c['client']].append(c['syn'])
    return sorted(c['ack'] + c['wait'] for c in connections if (c['wait'] or 0) >= SECOND and
                  any(-LAG <= syn - c['ack'] <= LEAD for syn in asked[c['client']]))


def show(f):
    return '%s %s %s' % (f['kind'], f['peer'] and '%(address)s:%(port)s' % f['peer'], f['confidence'])


def fault_of(objects, culprits, is_locked):
    """Returns the fault of the report about a cut, or None."""
    findings = captures.of(objects, 'finding')
    for f in findings:
        peer = f['peer'] and (f['peer']['address'], f['peer']['port'])
        if f['kind'] in ACCUSING and peer not in culprits:
            return 'accuses ' + show(f)
    if not is_locked:
        return None
    first = findings[0] if findings else None
    if not first or first['kind'] != 'waits-for-peer' or first['confidence'] != 'high':
        return 'first is ' + (show(first) if first else 'nothing')
    return None


def ranges(wrong):
    """Yields a line for each range of moments with the same fault."""
    for fault, cuts in itertools.groupby(wrong, lambda item: item[1]):
        moments = [at / SECOND for at, _ in cuts]
        yield '%.1f to %.1f s, %d cuts: %s' % (moments[0], moments[-1], len(moments), fault)


def check_cuts(head, packets, culprits, step=STEP):
    """Cuts a capture after every step: each time the report must name the same culprit first."""
    start = packets[0][0]
    ends = ends_of_locks(head + b''.join(p for _, p in packets), culprits)
    expect(len(ends) > LOCKS, 'only', len(ends), 'waits are locked')

    def cut(at):
        content = head + b''.join(p for when, p in packets if when - start <= at)
        objects = objects_of(content)
        report_check.expect_sound(objects)
        first = [f['peer'] for f in captures.of(objects, 'finding')[:1]]
        return at, fault_of(objects, culprits, at >= ends[LOCKS - 1]), first

    # before the third lock a culprit is not required, but nobody else may be accused
    moments = list(range(step, ends[LOCKS - 1], 5 * step)) + \
        list(range(ends[LOCKS - 1] // step * step + step, packets[-1][0] - start + step, step))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        cuts = list(pool.map(cut, moments))
    wrong = [(at, fault) for at, fault, _ in cuts if fault]
    expect(not wrong, '%d of %d cuts are wrong (third lock at %.2f s):\n' % (
        len(wrong), len(cuts), ends[LOCKS - 1] / SECOND),
        '\n'.join(ranges(wrong)))
    named = {json.dumps(first) for at, _, first in cuts if at >= ends[LOCKS - 1]}
    expect(len(named) == 1, 'the culprit changes with the end of the run:', named)


@pytest.mark.parametrize('name, culprits', [
    ('story-retrying', {('10.200.7.9', 5274)}),
    ('story-servers-chain', {('10.200.7.9', 5274), ('10.200.7.10', 5274)}),
    ('story-back', {('203.0.113.77', 5274)}),
])
def test_case(name, culprits):
    """a recorded helper with a dead server, cut at every tenth of a second: the same culprit, with high confidence"""
    if not os.path.isdir(CASES):
        pytest.skip('needs ../shared/cases, which a user\'s checkout has not')
    check_cuts(*packets_of(os.path.join(CASES, name + '.pcap')), culprits)


def test_one_wait():
    """a single wait for a dead server accuses nobody, at whatever moment the run ends"""
    packets = captures.story()
    for at in range(SECOND // 4, packets[-1][0] - packets[0][0] + SECOND // 4, SECOND // 4):
        content = captures.pcap([(when, frame) for when, frame in packets if when - packets[0][0] <= at])
        fault = fault_of(objects_of(content), set(), False)
        expect(not fault, at / SECOND, 's:', fault)


OTHER_DEAD, TELEMETRY = ('10.200.7.10', 5274), ('192.0.2.66', 443)
SITES = [captures.SERVER, captures.OTHER, ('203.0.113.10', 80)]


def attempt(at, client, server, number, lasts):
    """Yields the SYNs of an attempt that is never answered. The kernel's timers are late by some ms."""
    for i, after in enumerate((0, 1.015, 3.031, 7.063)):
        if after < lasts:
            yield at + int(after * SECOND), captures.frame((client, 40000 + number), server, captures.SYN,
                                                           9000 + number, 0, ip_id=30 + i)


def office(chain):
    """Returns the packets of three hosts whose helper tries the servers of `chain` in turn, and of three without it.

    An element of the chain is (server, seconds). All six try a dead server every 4.7 s, and nobody waits for that one.
    """
    packets, number = [], 0
    lasts = sum(seconds for _, seconds in chain)
    for n in range(1, 7):
        client = '10.1.4.%d' % n
        for page in range(5 if n % 2 else 30):
            at = captures.START + n * 271 * 10**6
            at += page * int((lasts + 0.35 + 0.11 * n) * SECOND) if n % 2 else page * (900 + 31 * n) * 10**6
            number += 1
            wait = int(lasts * SECOND) + (number * 37 % 11) * 10**5 if n % 2 else 10**6
            packets += captures.connection(at, wait, (client, 50000 + page), SITES[(page + n) % 3], isn=1000 * number)
            began = at + 11 * 10**6 + 700000
            for server, seconds in chain if n % 2 else ():
                number += 1
                packets += attempt(began, client, server, number, seconds)
                began += int(seconds * SECOND)
        for i in range(6):
            number += 1
            packets += attempt(captures.START + n * 613 * 10**6 + i * 4700 * 10**6, client, TELEMETRY, number, 2)
    return sorted(packets)


@pytest.mark.parametrize('chain', [
    [(captures.DEAD, 5)],
    [(captures.DEAD, 2.5), (captures.DEAD, 2.5)],
    [(captures.DEAD, 3), (OTHER_DEAD, 3)],
], ids=['once', 'twice', 'two servers'])
def test_office(chain):
    """a helper that tries its dead server once, twice, or two of them: the same at every fifth of a second"""
    head = captures.pcap([])
    packets = [(at, captures.pcap([(at, frame)])[24:]) for at, frame in office(chain)]
    check_cuts(head, packets, {server for server, _ in chain}, 2 * STEP)
