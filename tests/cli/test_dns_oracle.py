"""DNS packets, and answered and unanswered questions, of every capture with DNS, compared with tshark.

If a test fails here, a report counts questions as unanswered that were answered, or takes an answer for that of another
question. tshark pairs by addresses, ports and id alone. Where the probe differs, one of the rules below must hold.
"""
import collections
import concurrent.futures
import os
import re
import subprocess

import pytest

from probe import ROOT, expect

SHARED = os.path.join(ROOT, '..', 'shared')
FOLDERS = [os.path.join(SHARED, 'cases'), os.path.join(SHARED, 'captures', 'pcaps')]
CAPTURE_ENDINGS = '.pcap', '.pcapng', '.cap'
PROGRAM = os.path.join(ROOT, 'build', 'dns-lookups')
MAX_TRIES = 8  # tries of a lookup that the probe keeps, besides the last one
COPY = 20 * 10**6  # ns within which an equal question is a copy, of another interface or VLAN

FIELDS = ('frame.time_relative', 'frame.number', 'frame.protocols', 'ip.src', 'ip.dst', 'ipv6.src', 'ipv6.dst',
          'udp.srcport', 'udp.dstport', 'tcp.srcport', 'tcp.dstport', 'dns.id', 'dns.flags.response', 'dns.flags.opcode',
          'dns.flags.rcode', 'dns.count.queries', 'dns.qry.name', 'dns.qry.type', 'dns.response_to', 'dns.a', 'dns.aaaa',
          '_ws.malformed')

# DNS right above UDP or TCP, outside tunnels
PLAIN = re.compile(r'[^:]+(:ethertype|:vlan|:pppoes|:ppp)*:ipv?6?(:ipv6\.\w+)*:(udp|tcp):dns')

Packet = collections.namedtuple('Packet', 'time client server is_answer id rcode name type addresses over_tcp more')
Try = collections.namedtuple('Try', 'time client server id result answered name type count')
TRY_OPEN, TRY_ANSWERED, TRY_FAILED, TRY_TRUNCATED, TRY_FRAGMENT, TRY_ERROR = range(6)


class Ours:
    """Holds the packets, errors and tries of lookups that the probe finds in a capture."""

    def __init__(self, path):
        self.packets, self.errors, self.tries, self.statuses = [], [], [], collections.Counter()
        done = subprocess.run([PROGRAM, path], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            kind, time, client, port, server, server_port, *rest = line.split('\t')
            common = int(time), (client, int(port)), (server, int(server_port))
            if kind == 'packet':
                self.add_packet(common, *rest)
            else:
                number, result, answered, count, name, qtype, _ = rest
                self.tries.append(Try(*common, int(number), int(result), int(answered), name, int(qtype), int(count)))

    def add_packet(self, common, status, kind, has_id, number, rcode, name, qtype, addresses, more):
        self.statuses[status] += 1
        if kind.startswith('error'):
            self.errors.append(common)
        elif status == 'read':
            self.packets.append(Packet(*common, kind == 'answer', int(number), int(rcode), name, int(qtype),
                                       addresses.split(',') if addresses else [], None, more == '1'))


def nanoseconds(text):
    sign, text = (-1, text[1:]) if text.startswith('-') else (1, text)
    seconds, _, rest = text.partition('.')
    return sign * (int(seconds) * 10**9 + int(rest.ljust(9, '0')))


def name_of(text):
    """Returns tshark's text of a name as the probe formats it, or None if the bytes cannot be told from it."""
    text = text.lower()
    if text == '<root>':
        return '.'
    return text if re.fullmatch(r'[a-z0-9_.-]+', text) else None


class Theirs:
    """Holds the packets that tshark finds, by frame, and the question of each answer."""

    def __init__(self, path):
        command = ['tshark', '-n', '-r', path, '-Y', 'dns', '-T', 'fields', '-E', 'occurrence=a',
                   '-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE', '-o', 'tcp.desegment_tcp_streams:FALSE']
        rows = subprocess.run(command + [word for field in FIELDS for word in ('-e', field)], capture_output=True,
                              text=True).stdout.splitlines()
        self.packets, self.request_of, self.malformed = {}, {}, set()
        for row in rows:
            f = dict(zip(FIELDS, row.split('\t')))
            if f['_ws.malformed']:
                self.malformed.add(nanoseconds(f['frame.time_relative']))
            elif PLAIN.fullmatch(f['frame.protocols']) and is_query(f):
                self.add(int(f['frame.number']), f)

    def add(self, frame, f):
        source = f['ip.src'] or f['ipv6.src'], int(f['udp.srcport'] or f['tcp.srcport'])
        destination = f['ip.dst'] or f['ipv6.dst'], int(f['udp.dstport'] or f['tcp.dstport'])
        is_answer = f['dns.flags.response'] == '1'
        client, server = (destination, source) if is_answer else (source, destination)
        if server[1] != 53:
            return
        self.packets[frame] = Packet(nanoseconds(f['frame.time_relative']), client, server, is_answer,
                                     int(f['dns.id'], 16), int(f['dns.flags.rcode'] or 0), name_of(f['dns.qry.name']),
                                     int(f['dns.qry.type']),
                                     [a for a in (f['dns.a'] + ',' + f['dns.aaaa']).split(',') if a],
                                     bool(f['tcp.srcport']), False)
        if f['dns.response_to']:
            self.request_of[frame] = int(f['dns.response_to'])


def is_query(f):
    """Standard queries with one question that tshark could read: the probe looks at no others."""
    return (f['dns.flags.opcode'] == '0' and f['dns.count.queries'] == '1' and f['dns.qry.type'] and
            f['dns.qry.name'] != '<Unknown extended label>')


def has_dns(path):
    """Returns true if any packet uses the port of DNS, as far as tcpdump finds it: tshark takes some 0.3 s a file."""
    words = 'port 53 or (vlan and (port 53 or vlan and port 53)) or (pppoes and port 53)'
    done = subprocess.run(['tcpdump', '-n', '-c', '1', '-r', path, words], capture_output=True, text=True)
    return bool(done.stdout or done.returncode)  # no filter for VLANs on some link types


def question_of(packet):
    """All of a question that its answer repeats."""
    return packet.client, packet.server, packet.id, packet.name, packet.type


class Comparison:
    """Compares both. Each difference without a rule is in faults; agreed and explained count the others."""

    def __init__(self, path):
        self.path, self.ours, self.theirs = path, Ours(path), Theirs(path)
        self.faults, self.agreed, self.explained = [], collections.Counter(), collections.Counter()
        self.read_by_both()
        self.tries = collections.defaultdict(list)
        for t in self.ours.tries:
            self.tries[question_of(t)].append(t)
        self.requests, self.answers = collections.defaultdict(list), collections.defaultdict(list)
        for p in self.packets.values():
            (self.answers if p.is_answer else self.requests)[question_of(p)].append(p.time)
        answered = {request: frame for frame, request in sorted(self.theirs.request_of.items(), reverse=True)}
        # tshark pairs only whole answers: no first fragments, first segments, and malformed ones
        self.partial = {(p.time, question_of(p)) for p in self.ours.packets
                        if p.is_answer and (p.more or p.time in self.theirs.malformed)}
        for frame, p in self.packets.items():
            if not p.is_answer:
                self.compare_question(p, self.packets.get(answered.get(frame)))
        for question, tries in self.tries.items():
            self.check_answers(question, tries)

    def fault(self, what, *about):
        self.faults.append('%s: %s: %s' % (os.path.basename(self.path), what, ', '.join(str(a) for a in about)))

    def read_by_both(self):
        """Compares the packets. Sets self.packets: those of tshark, with the names of the probe."""
        self.packets, left = {}, collections.defaultdict(list)
        for p in self.ours.packets:
            left[p.time, p.client, p.server, p.is_answer, p.id].append(p)
        for frame, p in self.theirs.packets.items():
            found = left[p.time, p.client, p.server, p.is_answer, p.id]
            if not found:
                # only the first payload of a side, of a connection whose SYN was seen, is read
                if not p.over_tcp:
                    self.fault('packet not read', frame, p)
                continue
            q = found.pop()
            if q.type != p.type or (p.name and q.name != p.name) or (p.is_answer and q.rcode != p.rcode):
                self.fault('packet read otherwise', frame, p, q)
            # tshark's are those of all sections
            if not set(q.addresses) <= set(p.addresses):
                self.fault('other addresses', frame, p, q)
            self.packets[frame] = p._replace(name=q.name)
            self.agreed['packets'] += 1
        self.explained['packets malformed or cut'] = sum(len(rest) for rest in left.values())

    def compare_question(self, request, answer):
        """Compares a question of tshark, and its answer there if it has one, with the tries of the probe."""
        what = 'pairs' if answer else 'unanswered'
        found = [t for t in self.tries[question_of(request)] if t.time == request.time]
        if any((t.answered == answer.time) if answer else t.result == TRY_OPEN for t in found):
            self.agreed[what] += 1
            return
        rule = self.rule_of(request, answer, found)
        if rule:
            self.explained[what + ': ' + rule] += 1
        else:
            self.fault('other pair', request, answer, found)

    def rule_of(self, request, answer, found):
        if not found and self.is_copy(request):
            return 'the question is a copy'
        if not found and any(t.count > MAX_TRIES + 1 and (t.client[0], t.name, t.type) ==
                             (request.client[0], request.name, request.type) for t in self.ours.tries):
            return 'the try is not kept'
        if any(t.result == TRY_ERROR and (t.answered, t.client, t.server) in self.ours.errors for t in found):
            return 'an ICMP error came'
        if any((t.answered, question_of(t)) in self.partial for t in found):
            return 'the answer is a part or malformed'
        if answer and question_of(answer) != question_of(request):
            return 'the answer repeats another question'
        if len(self.requests[question_of(request)]) > 1:
            return 'several equal questions, see check_answers()'
        return None

    def is_copy(self, request):
        return any(p is not request and not p.is_answer and 0 <= request.time - p.time <= COPY and
                   question_of(p)[2:] == question_of(request)[2:] for p in self.packets.values())

    def check_answers(self, question, tries):
        """Each answer ends one try, and no answer passes by an open try."""
        used = [t.answered for t in tries if t.answered >= 0 and t.result != TRY_ERROR]
        known = set(self.answers[question]) | {time for time, answered in self.partial if answered == question}
        if len(set(used)) != len(used) or not set(used) <= known:
            self.fault('answers of tries that are none', question, used, self.answers[question])
        for t in tries:
            passed = [a for a in self.answers[question] if a >= t.time and a not in used]
            if t.result == TRY_OPEN and passed:
                self.fault('open in spite of an answer', t, passed)
            if t.answered >= 0 and t.answered < t.time:
                self.fault('answered before', t)


@pytest.fixture(scope='module')
def comparisons():
    if not os.path.isdir(SHARED):
        pytest.skip('needs ../shared, which a user\'s checkout has not')
    paths = [os.path.join(folder, name) for folder in FOLDERS for name in sorted(os.listdir(folder))
             if name.endswith(CAPTURE_ENDINGS)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(Comparison, [path for path in paths if has_dns(path)]))


def total(comparisons, attribute):
    return sum((getattr(c, attribute) for c in comparisons), collections.Counter())


def test_no_difference_without_a_rule(comparisons):
    """packets, pairs and unanswered questions are those of tshark, or differ by a rule"""
    faults = [fault for c in comparisons for fault in c.faults]
    print('agreed', dict(total(comparisons, 'agreed')), 'explained', dict(total(comparisons, 'explained')))
    expect(not faults, len(faults), 'differences:\n' + '\n'.join(faults[:20]))


def test_enough_was_compared(comparisons):
    """the agreement is about thousands of pairs and hundreds of unanswered questions"""
    agreed = total(comparisons, 'agreed')
    expect(sum(1 for c in comparisons if c.packets) > 40, 'too few captures with DNS')
    expect(agreed['pairs'] > 2000 and agreed['unanswered'] > 200, 'only', dict(agreed))


def test_rules_are_exceptions(comparisons):
    """the rules explain few differences: most pairs and unanswered questions are equal"""
    agreed, explained = total(comparisons, 'agreed'), total(comparisons, 'explained')
    for what in 'pairs', 'unanswered':
        by_rule = sum(n for rule, n in explained.items() if rule.startswith(what))
        expect(by_rule * 3 < agreed[what], what, 'agreed', agreed[what], 'by rule', by_rule, dict(explained))
