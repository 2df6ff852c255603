"""The catalogue of causes: a test stages a scene in namespaces, and judges the findings of the probe on the gateway.

A scene passes if all required findings are there, and no other finding accuses a host. The rows D1 to D26 are the
diagnoses, F and F1 to F24 the rules against false alarms; other rows are kinds of findings. Each scene has namespaces
of its own, made by scripts/lab around play_scene.py. The tests only wait for the results, so that several scenes run
in parallel (netns/causes/conftest.py).
"""
import ipaddress
import json
import os
import re
import subprocess
import sys
import time

from probe import ROOT, SECOND, expect

LEVELS = ['low', 'medium', 'high']
ACCUSING = ['waits-for-peer', 'slow-helper', 'held-before-connect', 'failover-chain']


class Finding:
    """A required or permitted finding: one or more kinds, the peer, the confidence, the clients."""

    def __init__(self, kind, peer=None, least='low', most='high', hosts=None, others=None, timer=None, text=None):
        self.kinds = kind.split('|')
        self.peer, self.least, self.most = peer, least, most
        self.hosts, self.others, self.timer, self.text = hosts, others, timer, text

    def __str__(self):
        sure = self.least if self.least == self.most else \
            'at least ' + self.least if self.most == 'high' and self.least != 'low' else \
            'at most ' + self.most if self.most != 'high' else ''
        if self.least == 'high':
            sure = 'high'
        return ' '.join(filter(None, ['|'.join(self.kinds), self.peer, sure, self.text and '"%s"' % self.text]))

    def is_about(self, f):
        return f['kind'] in self.kinds and is_peer(self.peer, f['peer'])

    def differs(self, f, text):
        """Yields the differences between this and a reported finding about the same peer."""
        if not LEVELS.index(self.least) <= LEVELS.index(f['confidence']) <= LEVELS.index(self.most):
            yield 'confidence is %s' % f['confidence']
        if self.hosts is not None and names(f['affected']) != set(self.hosts):
            yield 'affected are %s' % brief(names(f['affected']))
        if self.others is not None and names(f['unaffected']) != set(self.others):
            yield 'unaffected are %s' % brief(names(f['unaffected']))
        if self.timer and not (f['timer'] and abs(f['timer'] / SECOND - self.timer) < 0.1 * self.timer):
            yield 'timer is %s' % f['timer']
        if self.text and not re.search(self.text, f['text'] + '\n' + text, re.I):
            yield 'no text contains "%s"' % self.text


def is_peer(wanted, peer):
    """Reports whether a peer matches: wanted is None for any, a network, an address, :port, or address:port."""
    if wanted is None:
        return True
    if peer is None:
        return False
    if '/' in wanted:
        return ipaddress.ip_address(peer['address']) in ipaddress.ip_network(wanted)
    if wanted[0] == ':' and wanted[1:].isdigit():
        return peer['port'] == int(wanted[1:])
    return wanted in (peer['address'], show_peer(peer))


def show_peer(peer):
    if peer is None:
        return ''
    address = '[%s]' % peer['address'] if ':' in peer['address'] else peer['address']
    return '%s:%s' % (address, peer['port']) if peer['port'] else address


def names(addresses):
    """Returns client numbers: client n is 10.1.4.n or fd00:1:4::n, or 10.1.5.n to 10.1.9.n in another subnet."""
    numbers = set()
    for a in addresses:
        m = re.fullmatch(r'(?:10\.1\.[4-9]\.|fd00:1:4::)(\d+)', a)
        numbers.add(int(m[1]) if m else a)
    return numbers


def brief(numbers):
    return ' '.join('.%s' % n if isinstance(n, int) else n for n in sorted(numbers, key=str)) or 'none'


# These findings accuse nobody: every scene permits them.
MODEST = [Finding('stalls-unexplained|no-verdict|not-the-network')]


class Scene:
    """A row of the catalogue: the events in the office, and the required, permitted and forbidden findings."""

    def __init__(self, row, title, stage, clients, wants, may, never, texts, absent, check):
        self.row, self.title, self.stage, self.clients = row, title, stage, clients
        self.wants, self.may, self.never, self.texts, self.absent = wants, may, never, texts, absent
        self.check = check  # of the probe, after judge(); it fails like a test
        self.name, self.file = stage.__name__, stage.__code__.co_filename

    @property
    def expected(self):
        return [str(w) for w in self.wants] + ['"%s"' % s for s in self.texts] or ['nobody accused']

    def judge(self, findings, text):
        """Returns a list of the faults in the findings."""
        text = ' '.join(text.split())  # sentences wrap
        wrong = []
        for want in self.wants:
            about = [f for f in findings if want.is_about(f)]
            faults = [list(want.differs(f, text)) for f in about]
            if not about:
                wrong.append('not found: %s' % want)
            elif all(faults):
                wrong.append('%s: %s' % (want, '; '.join(min(faults, key=len))))
        for f in findings:
            if any(n.is_about(f) for n in self.never) or \
                    not any(a.is_about(f) and LEVELS.index(f['confidence']) <= LEVELS.index(a.most)
                            for a in self.wants + self.may + MODEST):
                wrong.append('false alarm: %s' % show(f))
        wrong += ['the report does not contain "%s"' % s for s in self.texts if not re.search(s, text, re.I)]
        wrong += ['the report contains "%s"' % s for s in self.absent if re.search(s, text, re.I)]
        return wrong


def show(f):
    return ' '.join(filter(None, [f['kind'], show_peer(f['peer']), f['confidence']]))


HELPER = Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23, 25), others=(22, 24, 26), timer=5)
DEAD = Finding('peer-unanswered', '10.200.7.9')
CUT = Finding('prefix-cut', '10.200.0.0/16')
DEAD_NETWORK = Finding('peer-unanswered|prefix-cut', '10.200.0.0/16')


def accusers(p, network='0.0.0.0/0'):
    """Returns the findings of a probe in which hosts wait for a peer of this network."""
    return [f for f in p.of('finding') if f['kind'] in ACCUSING and is_peer(network, f['peer'])]


def named(f):
    """Returns the peers that a finding names: in its place, beside it, or in its evidence."""
    told = ' '.join(line['text'] for line in f['evidence'])
    return {show_peer(peer) for peer in [f['peer']] + f['also']} | set(re.findall(r'[0-9a-f.:\[\]]+:\d+', told))


def rows(p):
    """Returns the rows of the ledger: (row, stage, how) -> number of connects."""
    return {(r['row'], r['stage'], r['how']): r['count'] for r in p.summary['ledger']['rows']}


def fails(stage, how, least):
    """Returns a check: so many connects fail at one of these stages in one of these ways, and no others fail."""
    def check(p):
        left = {key: n for key, n in rows(p).items() if key[0] not in ('in_time', 'late')}
        count = sum(left.pop(('failed', s, h), 0) for s in stage.split('|') for h in how.split('|'))
        expect(count >= least and not left, 'the ledger', rows(p))
    return check


def late(stage, least):
    """Returns a check: so many connects are served late because of this stage, and none fails."""
    def check(p):
        left = {key: n for key, n in rows(p).items() if key[0] not in ('in_time', 'late')}
        expect(rows(p).get(('late', stage, 'slow'), 0) >= least and not left, 'the ledger', rows(p))
    return check


def cause(row, title, clients=4, wants=(), may=(), never=(), text=(), absent=(), check=None):
    """Declares a function as a test. The function stages a scene and returns its probe."""
    def declare(stage):
        def test(performance):
            performance(test.scene)
        test.scene = Scene(row, title, stage, clients, list(wants), list(may), list(never), list(text), list(absent),
                           check)
        test.__name__, test.__doc__ = stage.__name__, '%s: %s' % (row, title)
        return test
    return declare


def perform(scene, running):
    """Returns a dict with the result of a scene, played in its own namespaces. `running` holds the active processes."""
    began = time.monotonic()
    process = subprocess.Popen(
        [os.path.join(ROOT, 'scripts', 'lab'), '--clients', str(scene.clients), '--', sys.executable,
         os.path.join(ROOT, 'tests', 'lib', 'play_scene.py'), scene.file, scene.name],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.add(process)
    stdout, stderr = process.communicate()
    running.discard(process)
    try:
        out = json.loads(stdout)
    except ValueError:
        out = {'found': [], 'wrong': ['no result, status %d: %s%s' % (process.returncode, stdout, stderr)]}
    out['errors'], out['seconds'] = stderr, time.monotonic() - began
    return out


def keep_reports(scene, out, folder):
    with open(os.path.join(folder, scene.name + '.json'), 'w') as f:
        f.writelines(json.dumps(line) + '\n' for line in out.get('json', []))
    with open(os.path.join(folder, scene.name + '.txt'), 'w') as f:
        f.write(out.get('text', '') + out['errors'])
