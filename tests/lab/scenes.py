#!/usr/bin/env python3
"""Scenes of real life, staged by real TCP stacks, and what the probe on their gateway finds in each.

    tests/lab/scenes.py [--jobs N] [--keep FOLDER] [SCENE...]

One row a scene: what must be found, what was. A scene passes when all of that was found and nothing else was
that accuses anybody. Each has a lab of its own; since most of their time is waiting, several run side by side.
The rows D1 to D25 are the diagnoses, F1 to F14 the rules against false alarms.
"""
import argparse
import concurrent.futures
import ipaddress
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import lab
from lab import (CLIENT4, CLIENT6, CLIENTS, DEAD4, DEAD6, GATEWAY, SECOND, SERVER4, SERVER6, WAN, Background, Probe, Rules,
                 Serve, expect)

SWITCH = os.environ.get('LAB_SWITCH')
OTHER4, OTHER6, THIRD4 = '203.0.113.11', '2001:db8:80::11', '174.143.213.184'
SITES = [(SERVER4, 80), (THIRD4, 80), (OTHER4, 80), (SERVER6, 80)]


def web(s):
    if s.recv(65536):
        s.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok')
        while s.recv(65536):
            pass


WEB = {site: web for site in SITES}
ANTIVIRUS = (DEAD4, 5274)

LEVELS = ['low', 'medium', 'high']


# ---- what is expected ----

class Finding:
    """What must be found, or may: a kind (or one of several), about whom, how surely, of which clients."""

    def __init__(self, kind, peer=None, least='low', most='high', hosts=None, others=None, timer=None, says=None):
        self.kinds = kind.split('|')
        self.peer, self.least, self.most = peer, least, most
        self.hosts, self.others, self.timer, self.says = hosts, others, timer, says

    def __str__(self):
        sure = self.least if self.least == self.most else \
            'at least ' + self.least if self.most == 'high' and self.least != 'low' else \
            'at most ' + self.most if self.most != 'high' else ''
        if self.least == 'high':
            sure = 'high'
        return ' '.join(filter(None, ['|'.join(self.kinds), self.peer, sure, self.says and '"%s"' % self.says]))

    def is_about(self, f):
        return f['kind'] in self.kinds and is_peer(self.peer, f['peer'])

    def differs(self, f, text):
        """-> what is wrong with a finding that is about this"""
        if not LEVELS.index(self.least) <= LEVELS.index(f['confidence']) <= LEVELS.index(self.most):
            yield 'confidence is %s' % f['confidence']
        if self.hosts is not None and names(f['affected']) != set(self.hosts):
            yield 'affected are %s' % brief(names(f['affected']))
        if self.others is not None and names(f['unaffected']) != set(self.others):
            yield 'unaffected are %s' % brief(names(f['unaffected']))
        if self.timer and not (f['timer'] and abs(f['timer'] / SECOND - self.timer) < 0.1 * self.timer):
            yield 'timer is %s' % f['timer']
        if self.says and not re.search(self.says, f['text'] + '\n' + text, re.I):
            yield 'nothing says "%s"' % self.says


def is_peer(wanted, peer):
    """wanted: None for any, a network, an address, :port, or address:port"""
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
    """Client n is 10.1.4.n or fd00:1:4::n."""
    numbers = set()
    for a in addresses:
        m = re.fullmatch(r'(?:10\.1\.4\.|fd00:1:4::)(\d+)', a)
        numbers.add(int(m[1]) if m else a)
    return numbers


def brief(numbers):
    return ' '.join('.%s' % n if isinstance(n, int) else n for n in sorted(numbers, key=str)) or 'none'


# Says nothing against anybody: may be found in every scene.
MODEST = [Finding('stalls-unexplained|no-verdict|not-the-network')]


class Scene:
    def __init__(self, row, title, stage, clients, wants, may, never, says):
        self.row, self.title, self.stage, self.clients = row, title, stage, clients
        self.wants, self.may, self.never, self.says = wants, may, never, says
        self.name = stage.__name__

    @property
    def expected(self):
        return [str(w) for w in self.wants] + ['"%s"' % s for s in self.says] or ['nobody accused']

    def judge(self, findings, text):
        """-> what is wrong with what was found"""
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
        wrong += ['the report does not say "%s"' % s for s in self.says if not re.search(s, text, re.I)]
        return wrong


def show(f):
    return ' '.join(filter(None, [f['kind'], show_peer(f['peer']), f['confidence']]))


SCENES = []


def scene(row, title, clients=4, wants=(), may=(), never=(), says=()):
    def declare(stage):
        SCENES.append(Scene(row, title, stage, clients, list(wants), list(may), list(never), list(says)))
        return stage
    return declare


# ---- what clients do ----

def client(number):
    return CLIENTS[number - 21]


class Actors:
    """Functions that run in clients at the same time; leaving the with block waits for them."""

    def __init__(self):
        self.waits = []

    def __enter__(self):
        return self

    def go(self, number, function, *arguments):
        self.waits.append(lab.fork(client(number), function, *arguments))

    def __exit__(self, kind, *_):
        for wait in self.waits:
            if kind:
                os.kill(wait.pid, signal.SIGKILL)
                os.waitpid(wait.pid, 0)
            else:
                wait()


source = None  # the address that this process speaks from, where it has several


def speaking_from(address, function, *arguments):
    global source
    source = address
    function(*arguments)


def new_socket(address):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    if source:
        s.bind((source, 0))
    return s


def connect(address, port, timeout=30):
    s = new_socket(address)
    s.settimeout(timeout)
    s.connect((address, port))
    return s


def page(address, port, hold=None, request=b'GET / HTTP/1.0\r\n\r\n', timeout=30):
    """One connection, one request. hold() stands between the handshake and the request."""
    with connect(address, port, timeout) as s:
        if hold:
            hold()
        s.sendall(request)
        s.recv(65536)


def rest(pause):
    """About so long: what people do has no period."""
    time.sleep(pause * random.Random(time.monotonic_ns()).uniform(0.5, 1.5))


def visit(pages, pause=0.3, hold=None, sites=None, after=0.0, before=None):
    """Page after page, site after site. before() stands before each connection."""
    sites = sites or SITES
    time.sleep(after)
    for i in range(pages):
        if before:
            before()
        page(*sites[i % len(sites)], hold)
        rest(pause)


def ask(peer, timeout, request=None):
    """What a helper does: connects to its server, waits for its word if it asks for one, gives up after a time."""
    end = time.monotonic() + timeout
    with new_socket(peer[0]) as s:
        s.setblocking(False)
        s.connect_ex(peer)
        if not wait_for(s, select.POLLOUT, end) or s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        if request:
            s.send(request)
            return wait_for(s, select.POLLIN, end)
    return True


def wait_for(s, event, end):
    poll = select.poll()
    poll.register(s, event)
    return bool(poll.poll(max(0.0, end - time.monotonic()) * 1000))


def fail_open(seconds, peer=ANTIVIRUS):
    """The helper of the story: nothing leaves before its server has answered or so many seconds are over."""
    return lambda: ask(peer, seconds)


def thinking(seed, shortest, longest):
    """Time that nobody's timer sets."""
    r = random.Random(seed)
    return lambda: time.sleep(r.uniform(shortest, longest))


def telemetry(peer, every, seconds, timeout=3.0, after=0.0):
    """A service that reports to its server in vain, all day long."""
    end = time.monotonic() + seconds
    time.sleep(after)
    while time.monotonic() + timeout < end:
        began = time.monotonic()
        ask(peer, timeout)
        time.sleep(max(0.0, began + every - time.monotonic()))


def attempts(peers, timeout, pause=0.0, rounds=1):
    """Connects in vain, one after another."""
    for _ in range(rounds):
        for peer in peers:
            lab.try_connect(*peer, timeout)
            time.sleep(pause)


def waits(p, *numbers):
    """The seconds that requests of these clients waited, where it was one or more."""
    return sorted(c['wait'] / SECOND for c in p.connections()
                  if c['client'] in [CLIENT4 % n for n in numbers] + [CLIENT6 % n for n in numbers]
                  and c['wait'] and c['wait'] >= SECOND)


def sysctl(namespace, *settings):
    lab.sh(namespace, 'sysctl', '-qw', *settings)


def ip(namespace, command):
    lab.sh(namespace, 'ip', *command.split())


# ---- D: the diagnoses ----

def story(p_arguments=(), seconds=5.0, classic=False, with_helper=(21, 23, 25), without=(22, 24, 26), peer=ANTIVIRUS):
    for n in with_helper if classic else ():
        sysctl(client(n), 'net.ipv4.tcp_syn_linear_timeouts=0')
    with Serve(WAN, WEB), Probe(*p_arguments) as p, Actors() as a:
        for n in with_helper:
            a.go(n, visit, 3, 0.2, fail_open(seconds, peer), None, 0.07 * (n - 20))
        for n in without:
            a.go(n, visit, 10, 1.1, None, None, 0.05 * (n - 20))
    return p


HELPER = Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23, 25), others=(22, 24, 26), timer=5)
DEAD = Finding('peer-unanswered', '10.200.7.9')
CUT = Finding('prefix-cut', '10.200.0.0/16')


@scene('D1', 'helper fails open after 5 s; half of the hosts have it', 6, [HELPER], [DEAD, CUT])
def d1():
    return story()


@scene('D1', 'the same, SYNs at 0 1 3 7 s (tcp_syn_linear_timeouts 0)', 6, [HELPER], [DEAD, CUT])
def d1_classic():
    p = story(classic=True)
    for c in p.connections(server=DEAD4):
        gaps = [round((t - c['syn']) / SECOND) for t in c['syn_times']]
        expect(gaps == [0, 1, 3], 'not the classic times', gaps)
    return p


@scene('D1', 'a helper that takes its dead server for dead for 5 s, and asks again', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), others=(22, 24), timer=5)], [DEAD, CUT])
def d1_cache():
    def cached(pages):
        dead_until = 0.0
        for i in range(pages):
            hold = None if time.monotonic() < dead_until else fail_open(5.0)
            page(*SITES[i % len(SITES)], hold)
            if hold:
                dead_until = time.monotonic() + 5
            rest(0.8)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, cached, 15)
        for n in (22, 24):
            a.go(n, visit, 15, 1.3)
    return p


@scene('D1', 'six connections behind one attempt of the helper', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), others=(22, 24), timer=5)], [DEAD, CUT])
def d1_gate():
    def six():
        end = time.monotonic() + 5
        helper = socket.socket()
        helper.setblocking(False)
        sockets = []
        for i in range(6):
            sockets.append(connect(*SITES[i % len(SITES)]))
            if i == 0:
                helper.connect_ex(ANTIVIRUS)
            time.sleep(0.16)
        expect(not wait_for(helper, select.POLLOUT, end), 'the helper was answered')
        helper.close()
        for s in sockets:
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        for s in sockets:
            s.recv(100)
            s.close()

    def rounds(count):
        for _ in range(count):
            six()
            time.sleep(0.4)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, rounds, 3)
        for n in (22, 24):
            a.go(n, visit, 12, 1.2)
    return p


@scene('D1', 'the guilty helper beside telemetry to another dead server', 6, [HELPER],
       [DEAD, Finding('peer-unanswered', '10.200.7.66'), CUT])
def d1_decoy():
    """everybody's telemetry fails all the time, also while the helper of some holds their requests"""
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 4, 0.4, fail_open(5.0), None, 0.3 * (n - 20))
        for n in (22, 24, 26):
            a.go(n, visit, 14, 1.4, None, None, 0.1 * (n - 20))
        for n in range(21, 27):
            a.go(n, telemetry, ('10.200.7.66', 443), 5.7, 20, 3.0, 0.37 * (n - 20))
    return p


@scene('D1', 'two helpers of two vendors, both servers gone, one of them an IPv6 address', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=5),
        Finding('waits-for-peer', '[2001:db8:dead::9]:443', 'high', hosts=(22, 24), timer=3.5)],
       [DEAD, CUT, Finding('peer-unanswered', '2001:db8:dead::9')])
def d1_two():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 3, 0.3, fail_open(5.0))
        for n in (22, 24):
            a.go(n, visit, 4, 0.5, fail_open(3.5, (DEAD6, 443)))
        for n in (25, 26):
            a.go(n, visit, 12, 1.2)
    return p


@scene('D1', 'the same behind a router of the office\'s own: six hosts with one MAC', 1,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(121, 123, 125), others=(122, 124, 126), timer=5)],
       [DEAD, CUT])
def d1_router():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in range(121, 127):
            ip(client(21), 'address add %s/32 dev eth0' % CLIENT4 % n)
            if n % 2:
                a.go(21, speaking_from, CLIENT4 % n, visit, 3, 0.2, fail_open(5.0), SITES[:3])
            else:
                a.go(21, speaking_from, CLIENT4 % n, visit, 12, 1.1, None, SITES[:3])
    return p


@scene('D1', 'the helper\'s server comes back after a while, and nobody waits any more', 4,
       [Finding('waits-for-peer', '203.0.113.11:5274', 'high', hosts=(21, 23), others=(22, 24), timer=4)],
       [Finding('peer-unanswered', '203.0.113.11:5274')])
def d1_back():
    with Serve(WAN, {**WEB, (OTHER4, 5274): web}), Probe() as p, Actors() as a:
        with Rules(WAN, 'chain i { type filter hook input priority 0; tcp dport 5274 tcp flags syn drop }'):
            for n in (21, 23):
                a.go(n, visit, 12, 0.7, fail_open(4.0, (OTHER4, 5274)))
            for n in (22, 24):
                a.go(n, visit, 16, 1.1)
            time.sleep(13.5)
    expect(p.connections(server=OTHER4, server_port=5274, outcome='established'), 'it did not come back')
    return p


def slow_words(seed, shortest, longest):
    """A server that takes its time for each answer."""
    def behaviour(s):
        s.recv(65536)
        time.sleep(random.Random(seed * 7919 + s.getpeername()[1]).uniform(shortest, longest))
        s.sendall(b'well\r\n')
        while s.recv(65536):
            pass
    return behaviour


FILTER = (OTHER4, 4433)


@scene('D2', 'a filter server that answers after 2.1 to 2.9 s', 6,
       [Finding('slow-helper', '203.0.113.11:4433', 'high', hosts=(21, 23, 25), others=(22, 24, 26))],
       [Finding('slow-server', '203.0.113.11:4433')])
def d2():
    with Serve(WAN, {**WEB, FILTER: slow_words(1, 2.1, 2.9)}), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 5, 0.4, lambda: ask(FILTER, 10, b'http://example.com/ ?\r\n'))
        for n in (22, 24, 26):
            a.go(n, visit, 12, 1.1)
    return p


@scene('D2', 'a filter server that is connected to only by its third SYN', 4,
       [Finding('slow-helper', '203.0.113.11:4433', 'high', hosts=(21, 23), others=(22, 24))],
       [Finding('slow-server|lossy-far-side|peer-unanswered', '203.0.113.11:4433')])
def d2_connect():
    rules = '''set once { type ipv4_addr . inet_service; flags dynamic; }
        set twice { type ipv4_addr . inet_service; flags dynamic; }
        chain i { type filter hook input priority 0;
        tcp dport != 4433 accept
        tcp flags & (syn | ack) != syn accept
        ip saddr . tcp sport @twice accept
        ip saddr . tcp sport @once add @twice { ip saddr . tcp sport } drop
        add @once { ip saddr . tcp sport } drop
        }'''
    with Serve(WAN, {**WEB, FILTER: web}), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 5, 0.4, lambda: ask(FILTER, 10, b'?\r\n'))
        for n in (22, 24):
            a.go(n, visit, 10, 1.1)
    slow = p.connections(server=OTHER4, server_port=4433)
    expect(len(slow) == 10 and all(c['syn_count'] == 3 and c['synack'] for c in slow), 'not by the third SYN', slow)
    return p


@scene('D2', 'the helper\'s server is an empty address of this gateway\'s own network', 4,
       [Finding('waits-for-peer|slow-helper', '198.51.100.77:5274', 'high', hosts=(21, 23), others=(22, 24)),
        Finding('peer-unreachable|waits-for-peer|slow-helper', '198.51.100.77', says='this gateway')])
def d2_neighbour():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, 4, 0.4, fail_open(9.0, ('198.51.100.77', 5274)))
        a.go(23, visit, 4, 0.4, fail_open(9.0, ('198.51.100.77', 5274)), None, 1.5)
        for n in (22, 24):
            a.go(n, visit, 10, 1.2)
    gone = p.connections(server='198.51.100.77')
    expect(gone and all(c['outcome'] == 'unreachable' and c['from_gateway'] for c in gone), 'no ICMP error', gone)
    return p


def dual_stack(pages, pause, patience):
    """curl, with both addresses of two names; the patience is what it gives IPv6 before it tries IPv4"""
    for i in range(pages):
        name, v6, v4 = (('a.test', SERVER6, SERVER4), ('b.test', OTHER6, OTHER4))[i % 2]
        subprocess.run(['curl', '--disable', '--noproxy', '*', '--silent', '--output', '/dev/null', '--max-time', '9',
                        '--resolve', '%s:80:[%s],%s' % (name, v6, v4), '--happy-eyeballs-timeout-ms',
                        str(int(patience * 1000)), 'http://%s/' % name], check=True)
        rest(pause)


V6_DROPPED = 'chain i { type filter hook input priority 0; ip6 daddr 2001:db8:80::/48 tcp dport 80 drop }'
V6_DEAD = Finding('peer-unanswered|prefix-cut', '2001:db8:80::/48')


@scene('D5', 'IPv6 is dropped on its way, curl takes IPv4 after 1.6 s', 4,
       [Finding('broken-ipv6', least='medium', hosts=(21, 22, 23))], [V6_DEAD])
def d5():
    with Serve(WAN, WEB), Rules(WAN, V6_DROPPED), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, dual_stack, 6, 0.4, 1.6)
        a.go(24, visit, 10, 1.1, None, SITES[:3])
    expect(len(p.connections(server=SERVER4, outcome='established')) >= 9, 'no IPv4 after IPv6')
    return p


@scene('D5', 'the same at 0.2 s: nobody notices', 4, [], [V6_DEAD, Finding('broken-ipv6', most='medium')])
def d5_harmless():
    with Serve(WAN, WEB), Rules(WAN, V6_DROPPED), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, dual_stack, 8, 0.7, 0.2)
        a.go(24, visit, 10, 0.9, None, SITES[:3])
    return p


def mail(count, pause, server=(SERVER4, 25), type_after=0.0):
    """Waits for the greeting, then speaks."""
    for _ in range(count):
        with connect(*server) as s:
            expect(s.recv(100), 'no greeting')
            time.sleep(type_after)
            s.sendall(b'EHLO me\r\n')
            s.recv(100)
        rest(pause)


def greets_again(delay, before=None):
    def behaviour(s):
        if before:
            before(s)
        time.sleep(delay)
        s.sendall(b'220 ready\r\n')
        while s.recv(65536):
            s.sendall(b'250 well\r\n')
    return behaviour


def asks_ident(s):
    """As sendmail does: the greeting comes when the client's port 113 has answered, or 5 s are over."""
    with socket.socket() as back:
        back.settimeout(5)
        back.bind((s.getsockname()[0], 0))
        try:
            back.connect((s.getpeername()[0], 113))
        except OSError:
            pass


@scene('D8', 'a mail server asks port 113 of its clients, which two of them drop', 4,
       [Finding('ident', least='high', hosts=(21, 23))],
       [Finding('late-banner', '203.0.113.10:25'), Finding('peer-unanswered', '10.1.4.21'),
        Finding('peer-unanswered', '10.1.4.23'), Finding('peer-refused', '10.1.4.22'),
        Finding('peer-refused', '10.1.4.24'), Finding('peer-unanswered|peer-refused', ':113')])
def d8():
    rules = 'chain i { type filter hook input priority 0; tcp dport 113 drop }'
    with Serve(WAN, {**WEB, (SERVER4, 25): greets_again(0, asks_ident)}), Rules(client(21), rules), \
            Rules(client(23), rules), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, mail, 3, 0.5)
        for n in (22, 24):
            a.go(n, mail, 10, 1.2)
    expect(len(p.connections(server='10.1.4.21', server_port=113)) == 3, 'no ident query')
    expect(p.connections(server='10.1.4.22', outcome='refused'), 'no refused ident query')
    return p


@scene('D9', 'a greeting that comes after 5 s, to all clients of that server', 4,
       [Finding('late-banner', '203.0.113.11:25', 'medium', hosts=(21, 22, 23), timer=5)])
def d9():
    servers = {**WEB, (SERVER4, 25): greets_again(0.02), (OTHER4, 25): greets_again(5)}
    with Serve(WAN, servers), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, mail, 3, 0.4, (OTHER4, 25))
            a.go(n, mail, 10, 1.1, (SERVER4, 25))
        a.go(24, visit, 10, 1.2)
    expect(p.summary['late_banners'] == 9 and p.summary['stalls'] == 0, p.summary)
    return p


@scene('D10', 'the first directory server is silent, the second is tried after 3 s', 4,
       [Finding('failover-chain', '10.200.7.10:389', 'high', hosts=(21, 22), timer=3)],
       [Finding('peer-unanswered', '10.200.7.10'), CUT])
def d10():
    def look_up(count):
        for _ in range(count):
            lab.try_connect('10.200.7.10', 389, 3)
            page(SERVER4, 389, None, b'bind')
            rest(0.6)

    with Serve(WAN, {**WEB, (SERVER4, 389): web}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, look_up, 5)
        for n in (21, 23, 24):
            a.go(n, visit, 12, 1.2)
    return p


@scene('D11', 'a host that is silent on all ports', 4, [Finding('peer-unanswered', '192.0.2.50', 'medium')])
def d11_host():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('192.0.2.50', port) for port in (22, 80, 443)], 4.2, 0.2)
        for n in (22, 23, 24):
            a.go(n, visit, 10, 1.1)
    return p


@scene('D11', 'one port of a host is filtered, its others answer', 4,
       [Finding('peer-unanswered', '203.0.113.10:8443', 'medium', says='other ports|port filter|filtered')])
def d11_port():
    rules = 'chain i { type filter hook input priority 0; tcp dport 8443 drop }'
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(SERVER4, 8443)] * 3, 4.2, 0.2)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 10, 1.1)
    return p


@scene('D11', 'one port is filtered for all hosts', 4,
       [Finding('peer-unanswered', ':445', 'medium', says='port 445')])
def d11_ports():
    rules = 'chain i { type filter hook input priority 0; tcp dport 445 drop }'
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, attempts, [(SERVER4, 445), (OTHER4, 445), (THIRD4, 445)], 4.2, 0.2)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 10, 1.1)
    return p


@scene('D12', 'a router beyond says that a host is unreachable', 4,
       [Finding('peer-unreachable', '198.18.5.5:80', 'medium', says='198.51.100.2')])
def d12_beyond():
    sysctl(WAN, 'net.ipv4.ip_forward=1')
    ip(WAN, 'route add unreachable 198.18.0.0/15')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('198.18.5.5', 80)], 2, 1.2, 4)
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    c = p.connections(server='198.18.5.5')
    expect(c and all(x['icmp'] and x['icmp']['from'] == '198.51.100.2' for x in c), 'no ICMP error', c)
    return p


@scene('D12', 'this gateway has an unreachable route to a network', 4,
       [Finding('peer-unreachable', '198.18.5.5:80', 'medium', says='this gateway')])
def d12_gateway():
    ip(GATEWAY, 'route add unreachable 198.18.0.0/15')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('198.18.5.5', 80)], 2, 1.2, 4)
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    expect(all(c['from_gateway'] for c in p.connections(server='198.18.5.5')), p.json)
    return p


@scene('D13', 'a server refuses: nothing listens on that port', 4,
       [Finding('peer-refused', '203.0.113.10:8080', 'medium')])
def d13_server():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(SERVER4, 8080)], 2, 0.8, 6)
        for n in (23, 24):
            a.go(n, visit, 6, 0.9)
    expect(len(p.connections(outcome='refused', from_gateway=False)) == 12, p.json)
    return p


@scene('D13', 'this gateway\'s own firewall refuses', 4,
       [Finding('peer-refused', '203.0.113.10:8080', 'medium', says='this gateway')])
def d13_gateway():
    rules = 'chain f { type filter hook forward priority 0; tcp dport 8080 reject with tcp reset }'
    with Serve(WAN, {**WEB, (SERVER4, 8080): web}), Rules(GATEWAY, rules), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(SERVER4, 8080)], 2, 0.8, 6)
        for n in (23, 24):
            a.go(n, visit, 6, 0.9)
    expect(len(p.connections(outcome='refused', from_gateway=True)) == 12, p.json)
    return p


@scene('D14', 'a tunnel goes down: its network now leaves by the default route, unheard', 4,
       [Finding('prefix-cut', '10.88.0.0/16', 'medium', hosts=(21, 22, 23), says='default route')],
       [Finding('peer-unanswered', '10.88.2.7')],
       [Finding('not-the-network')])
def d14():
    inner = [('10.88.1.5', 80), ('10.88.1.6', 445), ('10.88.2.7', 443)]
    for address, _ in inner:
        ip(WAN, 'address add %s/32 dev lo' % address)
    ip(GATEWAY, 'link add vpn0 type veth peer vpn0 netns ' + WAN)
    ip(GATEWAY, 'address add 172.16.0.1/30 dev vpn0')
    ip(GATEWAY, 'link set vpn0 up')
    ip(WAN, 'address add 172.16.0.2/30 dev vpn0')
    ip(WAN, 'link set vpn0 up')
    ip(GATEWAY, 'route add 10.88.0.0/16 via 172.16.0.2')
    rules = 'chain i { type filter hook prerouting priority 0; iifname eth0 ip daddr 10.88.0.0/16 drop }'

    with Serve(WAN, {**WEB, **{peer: web for peer in inner}}), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            lab.run(client(n), visit, 3, 0.3, None, inner)
        ip(GATEWAY, 'link del vpn0')
        for n in (21, 22, 23):
            a.go(n, attempts, inner, 4.2, 0.1)
        for n in (22, 24):
            a.go(n, visit, 10, 1.1)
    expect(len(p.connections(server='10.88.1.5', outcome='established')) == 3, 'the tunnel did not work')
    expect(len(p.connections(server='10.88.1.5', outcome='unanswered')) == 3, 'the tunnel still works')
    return p


# ---- both sides of the gateway ----

BOTH_SIDES = ('--iface', lab.WAN_IFACE)
FOLLOWED = ('--follow-peers',)
EATEN = 'chain f { type filter hook forward priority 0; %s drop }'
MASQUERADE = 'chain p { type nat hook postrouting priority 100; oifname "%s" masquerade }' % lab.WAN_IFACE


def eaten(arguments, rules, peers, where=GATEWAY, trying=(21, 22), timeout=3.5):
    with Serve(WAN, WEB), Rules(where, rules), Probe(*arguments) as p, Actors() as a:
        for n in trying:
            a.go(n, attempts, peers, timeout, 0.3, 2)
        for n in range(21, 25):
            a.go(n, visit, 6, 1.1)
    return p


@scene('D26', 'this gateway\'s own firewall drops a port without a word; both sides watched', 4,
       [Finding('dropped-in-gateway', '203.0.113.10:8080', 'high', hosts=(21, 22), says='nft list ruleset')])
def d26_both():
    return eaten(BOTH_SIDES, EATEN % 'tcp dport 8080', [(SERVER4, 8080)])


@scene('D26', 'the same, --follow-peers', 4,
       [Finding('dropped-in-gateway', '203.0.113.10:8080', 'high', hosts=(21, 22), says='came in by eth0|came in and left by no')])
def d26_follow():
    return eaten(FOLLOWED, EATEN % 'tcp dport 8080', [(SERVER4, 8080)])


@scene('D26', 'a port that it drops to every server, behind masquerading, is one finding', 4,
       [Finding('dropped-in-gateway', ':25', 'high', hosts=(21, 22), says='port 25, of 3 servers')])
def d26_port():
    return eaten(BOTH_SIDES, EATEN % 'tcp dport 25' + '\n' + MASQUERADE, [(SERVER4, 25), (OTHER4, 25), (THIRD4, 25)])


@scene('D26', 'it drops the SYNs of two hosts, those of the others pass', 4,
       [Finding('dropped-in-gateway', '203.0.113.11:80', 'high', hosts=(21, 22), says='got through')])
def d26_hosts():
    rules = EATEN % 'ip saddr { 10.1.4.21, 10.1.4.22 } ip daddr 203.0.113.11'
    with Serve(WAN, WEB), Rules(GATEWAY, rules), Probe(*BOTH_SIDES) as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(OTHER4, 80)], 3.5, 0.3, 2)
            a.go(n, visit, 6, 1.1, None, [(SERVER4, 80), (THIRD4, 80)])
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    return p


@scene('D26', 'a blackhole route of this gateway', 4,
       [Finding('dropped-in-gateway', '198.18.5.5:80', 'high', says='blackhole')])
def d26_blackhole():
    ip(GATEWAY, 'route add blackhole 198.18.0.0/15')
    return eaten(BOTH_SIDES, EATEN % 'tcp dport 9', [('198.18.5.5', 80)])


@scene('D26', 'no such thing: a firewall beyond the gateway drops that port', 4,
       [Finding('peer-unanswered', '203.0.113.10:8080', says='left this gateway by eth1')],
       never=[Finding('dropped-in-gateway')])
def d26_beyond():
    return eaten(BOTH_SIDES, 'chain i { type filter hook input priority 0; tcp dport 8080 drop }', [(SERVER4, 8080)], WAN)


@scene('D26', 'no such thing: the same, --follow-peers behind masquerading', 4,
       [Finding('peer-unanswered', '203.0.113.10:8080', says='left this gateway by eth1')],
       never=[Finding('dropped-in-gateway')])
def d26_beyond_follow():
    with Rules(WAN, 'chain i { type filter hook input priority 0; tcp dport 8080 drop }'):
        return eaten(FOLLOWED, MASQUERADE, [(SERVER4, 8080)])


@scene('D26', 'no such thing: the device of its route is not watched, so it is not said', 4,
       [Finding('peer-unanswered', '203.0.113.10:8080', says='was not checked')],
       never=[Finding('dropped-in-gateway')])
def d26_unwatched():
    ip(GATEWAY, 'link add side0 type veth peer name side1')
    ip(GATEWAY, 'link set side0 up')
    return eaten(('--iface', 'side0'), EATEN % 'tcp dport 8080', [(SERVER4, 8080)])


@scene('D1', 'the story, watched on both sides of a masquerading gateway', 6, [HELPER], [DEAD, CUT])
def d1_both_sides():
    with Rules(GATEWAY, MASQUERADE):
        return story(BOTH_SIDES)


@scene('D15', 'an accept queue that overflows: the server accepts one in 1.5 s', 4,
       [Finding('accept-queue', '203.0.113.11:80', 'medium')],
       [Finding('slow-server|peer-unanswered', '203.0.113.11:80')])
def d15():
    """a slow line to the server's clients: several handshakes are on their way when the queue gets full"""
    def burst(count, after):
        time.sleep(after)
        sockets = []
        for _ in range(count):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex((OTHER4, 80))
            sockets.append(s)
        for s in sockets:
            if wait_for(s, select.POLLOUT, time.monotonic() + 3):
                try:
                    s.send(b'GET / HTTP/1.0\r\n\r\n')
                except OSError:
                    pass
        time.sleep(8)

    lab.sh(WAN, *'tc qdisc add dev eth0 root tbf rate 64kbit burst 200 limit 30000'.split())
    usual = {site: web for site in SITES if site != (OTHER4, 80)}
    with Serve(WAN, usual), Serve(WAN, {(OTHER4, 80): web}, backlog=10, accept_every=1.5), \
            Probe() as p, Actors() as a:
        a.go(21, burst, 9, 0)
        for n in (22, 23):
            a.go(n, burst, 8, 0.5)
        time.sleep(3)
        for n in (22, 24):
            a.go(n, visit, 5, 0.9, None, list(usual))
    queued = [c for c in p.connections(server=OTHER4) if c['synack_count'] > 1 and c['ack']]
    expect(len(queued) >= 3, 'no SYN-ACK was sent again after the ACK', p.connections(server=OTHER4))
    return p


@scene('D16', 'a SYN flood: 6 000 SYNs from 3 000 addresses at one server', 3,
       [Finding('syn-flood', '10.1.4.21:443', 'medium')], [Finding('peer-unanswered', '10.1.4.21:443')])
def d16():
    def flood():
        r = random.Random(16)
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for i in range(6000):
            source = '100.%d.%d.%d' % (64 + i % 4, i // 4 % 15, i // 60 % 50)
            packet = lab.frame((source, r.randrange(1024, 65536)), ('10.1.4.21', 443), 2, r.getrandbits(32), 0)[14:]
            s.sendto(packet, ('10.1.4.21', 0))
            if i % 100 == 99:
                time.sleep(0.1)

    with Serve(client(21), {('10.1.4.21', 443): web}), Serve(WAN, WEB), Probe() as p, Actors() as a:
        flooding = lab.fork(WAN, flood)
        visiting = lab.fork(WAN, visit, 8, 0.9, None, [('10.1.4.21', 443)])
        for n in (22, 23):
            a.go(n, visit, 8, 0.9)
        flooding()
        visiting()
    expect(len(p.connections(server='10.1.4.21')) > 5000, 'the flood did not pass')
    return p


@scene('D17', 'deferred accept (TCP_DEFER_ACCEPT) and an idle client: harmless', 4,
       [Finding('deferred-accept', '203.0.113.11:80')])
def d17():
    def idle(count):
        for _ in range(count):
            with connect(OTHER4, 80):
                time.sleep(3.5)

    usual = {site: web for site in SITES if site != (OTHER4, 80)}
    deferred = [(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)]
    with Serve(WAN, usual), Serve(WAN, {(OTHER4, 80): web}, options=deferred), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, idle, 3)
        for n in (23, 24):
            a.go(n, visit, 9, 1.1)
    again = [c for c in p.connections(server=OTHER4) if c['synack_count'] > 1]
    expect(len(again) >= 4, 'no SYN-ACK was sent again', p.connections(server=OTHER4))
    return p


def far_server(mtu):
    """One more network behind the wan, 192.0.2.0/24, whose link takes so much from this side; its server is .80."""
    far = os.environ['LAB_ID'] + '-far'
    subprocess.run(['ip', 'netns', 'add', far], check=True)
    ip(WAN, 'link add eth1 mtu %d type veth peer eth0 netns %s' % (mtu, far))
    ip(WAN, 'address add 192.0.2.1/24 dev eth1')
    ip(WAN, 'link set eth1 up')
    for command in ('link set lo up', 'link set eth0 mtu 1500', 'link set eth0 up',
                    'address add 192.0.2.80/24 dev eth0', 'route add default via 192.0.2.1'):
        ip(far, command)
    sysctl(WAN, 'net.ipv4.ip_forward=1')
    return far


NO_ICMP = 'chain o { type filter hook output priority 0; icmp type destination-unreachable drop }'
FAR = ('192.0.2.80', 80)


def upload(count, pause, size=1400, sites=(FAR,)):
    """Posts that may be lost on the way; nobody waits for ever."""
    for i in range(count):
        with connect(*sites[i % len(sites)]) as s:
            s.settimeout(4)
            try:
                s.sendall(b'POST / HTTP/1.0\r\n\r\n' + b'x' * size)
                s.recv(65536)
            except OSError:
                pass
        rest(pause)


@scene('D18', 'MTU black hole behind this gateway: large requests, ICMP dropped', 4,
       [Finding('mtu-black-hole', '192.0.2.80:80', 'medium', hosts=(21, 22, 23))],
       [Finding('slow-server', '192.0.2.80:80')], [Finding('not-the-network')])
def d18_request():
    far = far_server(1400)
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Rules(WAN, NO_ICMP), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, upload, 3, 0.3, 4000)
            a.go(n, visit, 8, 1.3, None, [FAR] + SITES)  # small requests pass
        a.go(24, visit, 10, 1.2)
    stuck = [c for c in p.connections(server=FAR[0]) if c['ack'] and not c['server_first']]
    expect(len(stuck) == 9, 'large requests were answered', stuck)
    return p


@scene('D18', 'MTU black hole before a client: large answers, no ICMP at all', 4,
       [Finding('mtu-black-hole', least='medium', hosts=(21,))],
       [Finding('lossy-client')], [Finding('not-the-network')])
def d18_answer():
    """a switch port with a smaller MTU: frames beyond it vanish there"""
    def large(s):
        s.recv(65536)
        s.sendall(b'x' * 9000)
        while s.recv(65536):
            pass

    def download(count, pause):
        for i in range(count):
            with connect(*SITES[i % 3]) as s:
                s.settimeout(4)
                try:
                    s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                    s.recv(65536)
                except OSError:
                    pass
            rest(pause)

    ip(SWITCH, 'link set c1 mtu 1400')
    ip(WAN, 'link set eth0 gso_max_segs 1')  # else the bridge lets aggregates pass
    with Serve(WAN, {site: large for site in SITES}), Probe() as p, Actors() as a:
        a.go(21, download, 4, 0.3)
        for n in (22, 23, 24):
            a.go(n, download, 12, 1.3)
    return p


@scene('D18', 'a smaller MTU, and ICMP says so: nothing is wrong', 4)
def d18_discovery():
    far = far_server(1400)
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, upload, 6, 0.5, 4000)
        a.go(24, visit, 6, 0.7)
    expect(all(c['server_first'] for c in p.connections(server=FAR[0])), 'no discovery', p.json)
    return p


@scene('D19 F12', 'answers return another way, past this gateway', 3,
       [Finding('one-direction|no-verdict', least='low', says='one direction|another way|elsewhere')],
       [], [Finding('not-the-network')])
def d19():
    ip(SWITCH, 'link add wan2 type veth peer eth2 netns ' + WAN)
    ip(SWITCH, 'link set wan2 master br0 up')
    ip(WAN, 'address add 10.1.4.2/24 dev eth2')
    ip(WAN, 'link set eth2 up')
    ip(WAN, 'route del 10.1.4.0/24 via 198.51.100.1')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit, 8, 0.6, None, SITES[:3])
    c = p.connections()
    expect(len(c) == 24 and not any(x['synack'] for x in c) and all(x['client_first'] for x in c), c)
    return p


@scene('D20', 'a port is used again that the server still holds: challenge ACK', 3,
       [Finding('port-reuse', least='low', hosts=(21,))], [Finding('lossy-client|lossy-far-side')])
def d20():
    """the client vanished without a word, as by a crash or a NAT that forgot"""
    def first(port):
        s = socket.socket()
        s.bind(('', port))
        s.connect((SERVER4, 80))
        s.sendall(b'GET')
        s.recv(100)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()

    ports = (40001, 40002, 40003, 40004)
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        with Rules(client(21), 'chain o { type filter hook output priority 0; tcp flags rst drop }'):
            for port in ports:
                lab.run(client(21), first, port)
        time.sleep(2.5)
        for port in ports:
            a.go(21, lab.browse, SERVER4, 80, 0, b'GET', port)
        for n in (22, 23):
            a.go(n, visit, 6, 0.9)
    reused = [c for c in p.connections(client='10.1.4.21') if c['client_port'] in ports and c['syn_count'] > 1]
    expect(len(reused) == 4, 'the ports were free', p.connections(client='10.1.4.21'))
    return p


@scene('D21', 'a server that takes 2 to 4 s for its answers, to everybody', 5,
       [Finding('slow-server', '203.0.113.11:80', 'medium')])
def d21():
    with Serve(WAN, {**WEB, (OTHER4, 80): slow_words(21, 2, 4)}), Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, visit, 4, 0.3, None, [(OTHER4, 80)])
        for n in (21, 22, 25):
            a.go(n, visit, 10, 1.1, None, [SITES[0], SITES[1], SITES[3]])
    return p


def patient(pages, pause, sites=None):
    """Visits over a bad line: what fails is tried no more."""
    sites = sites or SITES
    for i in range(pages):
        try:
            page(*sites[i % len(sites)], timeout=3)
        except OSError:
            pass
        rest(pause)


def loss(devices, percent):
    return '\n'.join('chain c%d { type filter hook %s device %s priority 0; numgen random mod 100 < %d drop }'
                     % (i, hook, device, percent) for i, (hook, device) in enumerate(devices))


@scene('D22', 'one client\'s line loses a quarter of its packets', 4,
       [Finding('lossy-client', least='medium', hosts=(21,))], [], [Finding('not-the-network')])
def d22():
    with Serve(WAN, WEB), Rules(SWITCH, loss([('ingress', 'c1'), ('egress', 'c1')], 25), 'netdev'), \
            Probe() as p, Actors() as a:
        for _ in range(8):
            a.go(21, patient, 12, 0.3)
        for n in (22, 23, 24):
            a.go(n, visit, 40, 0.4)
    return p


@scene('D22', 'the provider\'s line loses a quarter of all packets', 4,
       [Finding('lossy-far-side', least='medium')],
       [Finding('peer-unanswered', most='low'), Finding('peer-unreachable', most='medium')],
       [Finding('not-the-network|lossy-client')])
def d22_far():
    with Serve(WAN, WEB), Rules(WAN, loss([('ingress', 'eth0'), ('egress', 'eth0')], 25), 'netdev'), \
            Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, patient, 12, 0.3)
            a.go(n, patient, 12, 0.3)
    return p


def delay(a, b, seconds):
    """Carries frames between two devices, late. With their virtio header, or check sums would be left unfinished."""
    sockets = []
    for device in (a, b):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        s.bind((device, 3))
        sockets.append(s)
    other = dict(zip(sockets, reversed(sockets)))
    due = []
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, s, data = due.pop(0)
            s.send(data)
        ready, _, _ = select.select(sockets, [], [], max(0.0, due[0][0] - now) if due else None)
        for s in ready:
            data, address = s.recvfrom(70000)
            if address[2] != socket.PACKET_OUTGOING:
                due.append((time.monotonic() + seconds, other[s], data))


class Delay(Background):
    """Puts so many seconds, each way, between client 21 and the switch."""

    def __init__(self, seconds):
        for command in ('link set c1 nomaster', 'link add late type veth peer late2', 'link set late up',
                        'link set late2 master br0 up'):
            ip(SWITCH, command)
        super().__init__(SWITCH, delay, 'c1', 'late', seconds)


@scene('D22', 'one client\'s line has a round trip of 0.6 s', 4,
       [Finding('slow-access', hosts=(21,))], [], [Finding('not-the-network')])
def slow_access():
    with Serve(WAN, WEB), Delay(0.3), Probe() as p, Actors() as a:
        a.go(21, visit, 8, 0.2)
        for n in (22, 23, 24):
            a.go(n, visit, 10, 1.1)
    trips = sorted(c['ack'] - c['synack'] for c in p.connections(client='10.1.4.21'))
    expect(trips and trips[0] >= 0.6 * SECOND, 'no delay', trips)
    return p


def proxy(s):
    """A forward proxy: GET http://address/ ..."""
    request = s.recv(65536)
    m = re.match(rb'GET http://([0-9.]+)/', request)
    if m:
        with socket.create_connection((m[1].decode(), 80)) as origin:
            origin.sendall(b'GET / HTTP/1.0\r\n\r\n')
            s.sendall(origin.recv(65536))
    while s.recv(65536):
        pass


PROXY = (OTHER4, 3128)


@scene('D24', 'all go through one explicit proxy; half of them have the helper', 6, [HELPER], [DEAD, CUT])
def d24():
    def surf(pages, pause, hold=None):
        for i in range(pages):
            page(*PROXY, hold, b'GET http://%s/ HTTP/1.0\r\n\r\n' % SITES[i % 3][0].encode())
            rest(pause)

    with Serve(WAN, {**WEB, PROXY: proxy}), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, surf, 3, 0.3, fail_open(5.0))
        for n in (22, 24, 26):
            a.go(n, surf, 12, 1.1)
    return p


@scene('D25', 'a helper that holds connect() itself for 4 s', 4,
       [Finding('held-before-connect', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=4)], [DEAD, CUT])
def d25():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 4, 0.7, None, None, 0.4 * (n - 20), fail_open(4.0))
        for n in (22, 24):
            a.go(n, visit, 14, 1.2)
    return p


@scene('D1 D9 D13', 'several causes at once: helper, late greeting, refusal, a lossy line', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=5),
        Finding('late-banner', '203.0.113.11:25', 'medium', hosts=(22, 24, 25)),
        Finding('peer-refused', '203.0.113.10:8080', 'medium'), Finding('lossy-client', hosts=(26,))],
       [DEAD, CUT], [Finding('not-the-network')])
def several():
    with Serve(WAN, {**WEB, (OTHER4, 25): greets_again(4)}), \
            Rules(SWITCH, loss([('ingress', 'c6'), ('egress', 'c6')], 25), 'netdev'), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 4, 0.3, fail_open(5.0))
        for n in (22, 24, 25):
            a.go(n, mail, 4, 0.5, (OTHER4, 25))
            a.go(n, visit, 16, 1.1)
        for n in (22, 23):
            a.go(n, attempts, [(SERVER4, 8080)], 2, 0.9, 5)
        for _ in range(6):
            a.go(26, patient, 14, 0.5)
    return p


# ---- F: nobody is accused wrongly ----

@scene('F1', 'connections that never carry a byte: closed after a while, or open to the end', 4)
def f1():
    def spare(count, seconds):
        sockets = [connect(*SITES[i % len(SITES)]) for i in range(count)]
        time.sleep(seconds)
        for s in sockets:
            s.close()

    with Serve(WAN, WEB), Probe() as p:
        waits = [lab.fork(client(n), spare, 4, 30) for n in (21, 22)]
        with Actors() as a:
            a.go(21, spare, 3, 5)
            a.go(21, visit, 8, 0.9)
            for n in (23, 24):
                a.go(n, visit, 8, 0.9)
                a.go(n, spare, 3, 4)
        p.stop()
        for wait in waits:
            os.kill(wait.pid, signal.SIGKILL)
    expect(p.summary['unused'] == 9 and p.summary['undecided'] >= 6 and not p.summary['stalls'], p.summary)
    return p


def client_hello():
    """What TLS says first."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname='www.example.com')
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


@scene('F2', 'late requests on port 80, of several clients, nothing else: low at most', 4,
       may=[Finding('timer-unexplained', most='low')])
def f2():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 4, 0.4, thinking(n, 2.1, 4.5))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
    return p


@scene('F2', 'a late ClientHello, always 5 s, and nothing else: a timer, no culprit', 4,
       [Finding('timer-unexplained', least='medium', most='medium', hosts=(21, 22), timer=5)])
def f2_tls():
    sites = [(SERVER4, 443), (OTHER4, 443), (THIRD4, 443)]
    hello = client_hello()

    def surf(pages, pause, hold):
        for i in range(pages):
            page(*sites[i % 3], hold and (lambda: time.sleep(hold)), hello)
            rest(pause)

    with Serve(WAN, {site: web for site in sites}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 3, 0.3, 5.0)
        for n in (23, 24):
            a.go(n, surf, 12, 1.1, None)
    return p


@scene('F3', 'spare sockets used late while their siblings are at work', 4, may=[DEAD, CUT])
def f3():
    def surf(rounds, seed):
        r = random.Random(seed)
        for i in range(rounds):
            site = SITES[i % len(SITES)]
            with connect(*site) as spare:
                for _ in range(3):
                    page(*site)
                    time.sleep(r.uniform(0.6, 1.2))
                spare.sendall(b'GET / HTTP/1.0\r\n\r\n')
                spare.recv(100)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 5, n)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 14)
        for n in (23, 24):
            a.go(n, visit, 10, 1.1)
    expect(len(waits(p, 21, 22)) == 10, 'spare sockets', waits(p, 21, 22))
    return p


@scene('F4', 'one late request in ten of each client, telemetry in vain beside', 4, may=[DEAD, CUT])
def f4():
    def surf(seed):
        r = random.Random(seed)
        for i in range(20):
            page(*SITES[i % len(SITES)], (lambda: time.sleep(r.uniform(1.5, 3))) if i % 10 == 5 else None)
            time.sleep(r.uniform(0.3, 0.7))

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, surf, n)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 15, 3.0, 0.4 * (n - 20))
        a.go(24, visit, 10, 1.1)
    expect(len(waits(p, 21, 22, 23)) == 6, 'late requests', waits(p, 21, 22, 23))
    return p


@scene('F3 F4 F6', 'Chromium with its spare sockets, pages read for 2 to 5 s, telemetry in vain', 4,
       may=[DEAD, CUT, Finding('peer-refused', ':443')])
def chromium():
    """what a browser opens ahead of need is no stall, whoever fails beside it"""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sites = ['203.0.113.10', '203.0.113.11', '174.143.213.184']
        links = ''.join('<link rel=preconnect href=http://%s/>' % s for s in sites)
        images = ''.join('<img src=http://%s/dot%d.svg?>' % (s, i) for s in sites for i in range(3))
        reading = 'setTimeout(function () { location = "http://" + %s[Math.floor(Math.random() * 3)] + "/?" + ' \
            'Math.random() }, 2000 + 3000 * Math.random())' % sites
        html = '<!DOCTYPE html><title>A page</title>%s%s<p>Read me.<script>%s</script>' % (links, images, reading)
        os.chmod(folder, 0o755)
        with open(folder + '/index.html', 'w') as f:
            f.write(html)
        with Background(WAN, nginx, folder, sites), Probe() as p:
            with Background(client(21), browser, folder, sites), Actors() as a:
                a.go(21, telemetry, ANTIVIRUS, 5.0, 30)
                a.go(22, telemetry, ANTIVIRUS, 7.0, 30)
                a.go(23, visit, 20, 1.1, None, SITES[:3])
                a.go(24, visit, 20, 1.2, None, SITES[:3])
            p.stop()
        mine = p.connections(client='10.1.4.21')
        pages = [c for c in mine if c['server_port'] == 80]
        expect(len(pages) >= 4, 'Chromium did not browse', mine)
        expect(waits(p, 21) or p.summary['unused'] or p.summary['undecided'], 'no spare sockets', pages)
    return p


def nginx(folder, sites):
    with open(folder + '/nginx.conf', 'w') as f:
        f.write('''daemon off; pid %(folder)s/nginx.pid; error_log stderr; user nobody nogroup; events {}
            http { access_log off; client_body_temp_path %(folder)s/b; proxy_temp_path %(folder)s/p;
            fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
            default_type text/html; root %(folder)s; keepalive_timeout 3;
            server { %(listen)s location / { add_header Cache-Control no-store; }
            location ~ svg { add_header Cache-Control no-store; default_type image/svg+xml;
            return 200 "<svg xmlns='http://www.w3.org/2000/svg'/>"; } } }'''
                % dict(folder=folder, listen=' '.join('listen %s:80;' % s for s in sites)))
    os.execvp('nginx', ['nginx', '-e', 'stderr', '-c', folder + '/nginx.conf'])


def browser(folder, sites):
    out = os.open(folder + '/chromium.log', os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.execvp('chromium', ['chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                           '--no-first-run', '--no-proxy-server', '--user-data-dir=%s/profile' % folder,
                           '--remote-debugging-port=0', 'http://%s/' % sites[0]])


@scene('F5', 'pools: connections opened ahead, closed unused after just 10 s', 4)
def f5():
    def pool(rounds):
        for _ in range(rounds):
            sockets = [connect(*SITES[i % len(SITES)]) for i in range(4)]
            page(*SITES[0])
            time.sleep(10)
            for s in sockets:
                s.close()

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, pool, 2)
        for n in (23, 24):
            a.go(n, visit, 16, 1.1)
    return p


@scene('F5', 'thinking time of 1 to 7 s beside telemetry every 5 s to a dead server', 5, may=[DEAD, CUT])
def f5_telemetry():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit, 6, 0.3, thinking(n, 1, 7))
            a.go(n, telemetry, ANTIVIRUS, 5.0, 27, 3.0, 0.9 * (n - 20))
        for n in (24, 25):
            a.go(n, visit, 20, 1.2)
    expect(len(waits(p, 21, 22, 23)) >= 15 and len(p.connections(server=DEAD4)) >= 12, 'not enough', p.connections())
    return p


@scene('F5', 'the same, telemetry every 9 s that hangs for 7 s, on all hosts', 4, may=[DEAD, CUT])
def f5_hanging():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 6, 0.3, thinking(n + 50, 1, 6))
        for n in (23, 24):
            a.go(n, visit, 20, 1.1)
        for n in (21, 22, 23, 24):
            a.go(n, telemetry, ANTIVIRUS, 9.0, 27, 7.0, 0.7 * (n - 20))
    expect(len(waits(p, 21, 22)) >= 10 and len(p.connections(server=DEAD4)) >= 8, 'not enough', waits(p, 21, 22))
    return p


@scene('F6', 'spare sockets taken into use one by one, telemetry in vain beside', 4, may=[DEAD, CUT])
def f6():
    def surf(rounds, seed):
        r = random.Random(seed)
        for _ in range(rounds):
            sockets = [connect(*site) for site in SITES]
            for s in sockets:
                time.sleep(r.uniform(0.4, 1.8))
                s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                s.recv(100)
                s.close()

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 4, n)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 18, 3.0, 0.5 * (n - 20))
        for n in (23, 24):
            a.go(n, visit, 14, 1.1)
    expect(len(waits(p, 21, 22)) >= 20, 'no spare sockets', waits(p, 21, 22))
    return p


@scene('F7', 'a dead server tried in the middle of waits that it does not explain', 4,
       may=[DEAD, CUT, Finding('timer-unexplained')])
def f7():
    """the waits are equal, the attempts begin 1 to 2.5 s into them: no lock, no culprit"""
    def surf(seed):
        r = random.Random(seed)
        for i in range(4):
            with connect(*SITES[i % len(SITES)]) as s:
                end = time.monotonic() + 4
                time.sleep(r.uniform(1.0, 2.5))
                ask(ANTIVIRUS, 1.2)
                time.sleep(end - time.monotonic())
                s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                s.recv(100)
            rest(0.5)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, n)
        for n in (23, 24):
            a.go(n, visit, 14, 1.1)
    return p


@scene('F7', 'two hosts that scan for dead addresses while their users think', 4,
       may=[Finding('peer-unanswered'), Finding('prefix-cut')])
def f7_scan():
    """among many dead peers some attempt begins with each wait: none of them is what it waits for"""
    def scan(seconds, first):
        end = time.monotonic() + seconds
        for i in range(first, first + 250):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(('10.200.7.%d' % i, 6881))
            sockets.append(s)
            if len(sockets) > 40:
                sockets.pop(0).close()
            time.sleep(max(0.0, min(0.09, end - time.monotonic())))

    sockets = []
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 6, 0.3, thinking(n + 70, 1.5, 5))
            a.go(n, scan, 20, 1)
        for n in (23, 24):
            a.go(n, visit, 16, 1.1)
    expect(len(waits(p, 21, 22)) >= 12, waits(p, 21, 22))
    expect(len(p.of('finding')) <= 10, 'a scan drowns the report in', len(p.of('finding')), 'findings')
    return p


@scene('F8', 'the server greets at once, the user types for 4 s', 3, may=[DEAD, CUT])
def f8():
    with Serve(WAN, {**WEB, (SERVER4, 25): greets_again(0.01)}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, mail, 3, 0.5, (SERVER4, 25), 4.0)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 14)
        a.go(23, visit, 12, 1.1)
    expect(p.summary['stalls'] == 0 and p.summary['late_banners'] == 0, p.summary)
    return p


@scene('F9', 'health checks: open and close every second, no data', 3)
def f9():
    def check(count):
        for i in range(count):
            connect(*SITES[i % 2]).close()
            time.sleep(0.5)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, check, 24)
        a.go(23, visit, 10, 1.1)
    expect(p.summary['unused'] == 48, p.summary)
    return p


def web_socket(s):
    """Answers at once, is then silent until there is something to say, as a web socket; a long poll waits first."""
    request = s.recv(65536)
    if b'poll' in request:
        time.sleep(8)
    s.sendall(b'HTTP/1.1 101 Switching Protocols\r\n\r\n')
    while s.recv(65536):
        time.sleep(4)
        s.sendall(b'news')


@scene('F10', 'idle web sockets and long polls', 4, may=[Finding('slow-server', '203.0.113.10:80', most='low')])
def f10():
    def chat():
        with connect(SERVER4, 80) as s:
            s.sendall(b'GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n')
            s.recv(100)
            for _ in range(3):
                time.sleep(3)
                s.sendall(b'anything?')
                s.recv(100)

    def poll():
        page(SERVER4, 80, None, b'GET /poll HTTP/1.1\r\n\r\n')
        page(SERVER4, 80, None, b'GET /poll HTTP/1.1\r\n\r\n')

    with Serve(WAN, {**WEB, (SERVER4, 80): web_socket}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, chat)
        a.go(21, poll)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 12, 1.1)
    return p


@scene('F11', 'keep-alive probes, Fast Open, ports used again, connections from before the start', 4)
def f11():
    fast_open = 23  # TCP_FASTOPEN

    def kept_alive():
        with connect(SERVER4, 80) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
            time.sleep(8)

    def fast(count):
        for _ in range(count):
            with socket.socket() as s:
                s.sendto(b'GET / HTTP/1.0\r\n\r\n', socket.MSG_FASTOPEN, (OTHER4, 80))
                s.recv(100)
            time.sleep(0.4)

    def again(port):
        for _ in range(6):
            lab.browse(THIRD4, 80, 0, b'GET', port)
            time.sleep(1.1)  # time-wait of the same port is taken over after 1 s

    def old():
        with connect(SERVER4, 80) as s:
            time.sleep(3)
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
            s.recv(100)
            time.sleep(2)

    sysctl(WAN, 'net.ipv4.tcp_fastopen=3')
    for n in (21, 22):
        sysctl(client(n), 'net.ipv4.tcp_fastopen=1', 'net.ipv4.tcp_tw_reuse=1')
    usual = {site: web for site in SITES if site != (OTHER4, 80)}
    with Serve(WAN, usual), \
            Serve(WAN, {(OTHER4, 80): web}, options=[(socket.IPPROTO_TCP, fast_open, 16)]):
        before = [lab.fork(client(n), old) for n in (21, 22, 23)]
        time.sleep(0.5)
        with Probe() as p, Actors() as a:
            for n in (21, 22):
                a.go(n, kept_alive)
                a.go(n, fast, 12)
                a.go(n, again, 41000 + n)
            for n in (23, 24):
                a.go(n, visit, 6, 1.1)
            for wait in before:
                wait()
    quick = [c for c in p.connections(server=OTHER4) if c['wait'] is not None and c['wait'] <= 0]
    expect(len(quick) >= 10, 'no data in SYNs', p.connections(server=OTHER4))
    expect(p.summary['already_open'] >= 1 and len(p.connections(client_port=41021)) == 6, p.summary)
    return p


@scene('F12', 'the outer side of a NAT, where conntrack tells the clients apart', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 22))], may=[DEAD, CUT])
def f12_outer():
    """where it does not, there is no verdict: test_untold of test_nat.py"""
    rules = 'chain n { type nat hook postrouting priority 100; oifname "%s" masquerade }' % lab.WAN_IFACE
    with Serve(WAN, WEB), Rules(GATEWAY, rules), Probe(iface=lab.WAN_IFACE) as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 2, 0.3, fail_open(5.0), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 9, 1.1, None, SITES[:3])
    return p


@scene('F12', 'more than 0.1 % of the records are lost: no verdict', 4, [Finding('no-verdict', says='lost')],
       may=[DEAD, CUT, Finding('peer-refused|syn-flood'), Finding('waits-for-peer', '10.200.7.9:5274', most='low')])
def f12_lost():
    """the probe does not get to run for a while, and a storm passes meanwhile"""
    def storm(count):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for i in range(count):
            here, there = ('10.1.4.24', 1024 + i), (SERVER4, 4000)
            s.sendto(lab.frame(here, there, 2, i, 0)[14:], (SERVER4, 0))

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.3, fail_open(5.0))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
        time.sleep(2)
        p.process.send_signal(signal.SIGSTOP)
        lab.run(client(24), storm, 25000)
        p.process.send_signal(signal.SIGCONT)
    expect(p.summary['lost']['sum'] > 0.001 * p.summary['connections'], p.summary)
    return p


@scene('F13', 'waits of 1.1 to 1.9 s, locked to nothing: not notable', 4)
def f13():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 5, 0.4, thinking(n, 1.1, 1.9))
        for n in (23, 24):
            a.go(n, visit, 9, 1.1)
    expect(p.summary['stalls'] == 10, p.summary)
    return p


def some_locked(count):
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, count, 0.5, fail_open(5.0))
        for n in (22, 23, 24):
            a.go(n, visit, 9, 1.2)
    return p


@scene('F14', 'two locked waits, no more: medium', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'medium', 'medium', hosts=(21,))], [DEAD, CUT])
def f14_two():
    return some_locked(2)


@scene('F14', 'a single locked wait: a coincidence that accuses nobody', 4, [], [DEAD, CUT])
def f14_one():
    return some_locked(1)


@scene('F', 'one wait of one client, plain HTTP, nothing fails: nobody can tell', 4)
def undecidable():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, 1, 0, lambda: time.sleep(5))
        for n in (22, 23, 24):
            a.go(n, visit, 6, 0.9)
    expect(p.summary['stalls'] == 1, p.summary)
    return p


@scene('F', '--client cuts the comparison group away, and says so', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'medium', hosts=(21,), others=(), timer=5)], [DEAD, CUT],
       says=['no comparison group'])
def narrowed_clients():
    p = story(('--client', '10.1.4.21'), with_helper=(21, 23), without=(22, 24))
    expect(all(f['p_value'] is None for f in p.of('finding')), 'a p without a group')
    return p


@scene('F', '--port leaves attempts to other peers unseen, and says so', 4, may=[Finding('timer-unexplained')],
       says=['leaves out what'])
def narrowed_ports():
    return story(('--port', '80'), with_helper=(21, 23), without=(22, 24))


@scene('F', 'waits without a cause on the wire, all round trips well: not the network', 4,
       [Finding('not-the-network')])
def not_the_network():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 5, 0.3, thinking(n, 2.1, 3.9))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
    return p


# ---- the runs and the table ----

def play(name):
    """In a lab: one scene; what came of it goes to standard output as JSON."""
    s = next(s for s in SCENES if s.name == name)
    out = {'found': [], 'wrong': [], 'text': '', 'json': []}
    try:
        p = s.stage()
        out['found'] = [show(f) for f in p.of('finding')]
        out['wrong'] = s.judge(p.of('finding'), p.text)
        if p.status:
            out['wrong'].append('the probe ended with status %d: %s' % (p.status, p.errors))
        out['text'], out['json'] = p.text, p.json
    except AssertionError as e:
        out['wrong'] = ['the scene: %s' % e]
    except BaseException:
        out['wrong'] = ['not staged: ' + traceback.format_exc()]
    print(json.dumps(out))


def perform(s, keep):
    began = time.monotonic()
    r = subprocess.run([os.path.join(lab.ROOT, 'scripts', 'lab'), '--clients', str(s.clients), '--', sys.executable,
                        os.path.abspath(__file__), '--play', s.name], capture_output=True, text=True)
    try:
        out = json.loads(r.stdout)
    except ValueError:
        out = {'found': [], 'wrong': ['no result, status %d: %s%s' % (r.returncode, r.stdout, r.stderr)]}
    out['errors'], out['seconds'] = r.stderr, time.monotonic() - began
    if keep:
        with open(os.path.join(keep, s.name + '.json'), 'w') as f:
            f.writelines(json.dumps(line) + '\n' for line in out.pop('json', []))
        with open(os.path.join(keep, s.name + '.txt'), 'w') as f:
            f.write(out.get('text', '') + out['errors'])
    return out


def wrap(text, width):
    lines = ['']
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append('')
        lines[-1] += (' ' if lines[-1] else '') + word
    return lines


COLUMNS = (8, 40, 36, 44)


def print_row(mark, cells):
    columns = [sum((wrap(line, width) for line in cell), []) for cell, width in zip(cells, COLUMNS)]
    for i in range(max(map(len, columns))):
        row = (column[i] if i < len(column) else '' for column in columns)
        print(('%-5s ' % (mark if i == 0 else '') +
               '  '.join('%-*s' % (width, text) for width, text in zip(COLUMNS, row))).rstrip())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--jobs', type=int, default=8, help='scenes at a time')
    parser.add_argument('--keep', metavar='FOLDER', help='leave the reports of all scenes there')
    parser.add_argument('--play', help=argparse.SUPPRESS)
    parser.add_argument('scenes', nargs='*', metavar='SCENE', help='by function name or row; default all')
    o = parser.parse_args()
    if o.play:
        return play(o.play)
    wanted = [s for s in SCENES if not o.scenes or s.name in o.scenes or set(s.row.split()) & set(o.scenes)]
    if not wanted:
        parser.error('no such scene; there are: ' + ' '.join(s.name for s in SCENES))
    if o.keep:
        os.makedirs(o.keep, exist_ok=True)
    failed = 0
    print_row('', [['ROW'], ['SCENE'], ['EXPECTED'], ['FOUND']])
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for s, out in zip(wanted, pool.map(lambda s: perform(s, o.keep), wanted)):
            failed += bool(out['wrong'])
            found = out['found'] or ['nothing']
            if len(found) > 8:
                found[7:] = ['and %d more' % (len(found) - 7)]
            print_row('FAIL' if out['wrong'] else 'ok', [[s.row], [s.title], s.expected, found])
            for line in out['wrong'][:8]:
                print('      * ' + line.strip().replace('\n', '\n        ')[-1500:])
            sys.stdout.flush()
    print('scenes: %d passed, %d failed' % (len(wanted) - failed, failed))
    return failed != 0


if __name__ == '__main__':
    sys.exit(main())
