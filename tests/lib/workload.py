"""The clients and servers of an office: they browse, wait for a helper, report in vain, send mail."""
import collections
import os
import random
import select
import signal
import socket
import time

import netns
from netns import CLIENT4, CLIENT6, CLIENTS, DEAD4, SERVER4, SERVER6, WAN, Probe, Serve
from probe import SECOND, expect

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


def client(number):
    return CLIENTS[number - 21]


class Actors:
    """Runs functions in clients at the same time. The end of the with block waits for them; results has what each
    client's functions returned.
    """

    def __init__(self):
        self.waits, self.results = [], collections.defaultdict(list)

    def __enter__(self):
        return self

    def go(self, number, function, *arguments):
        self.waits.append((number, netns.fork(client(number), function, *arguments)))

    def __exit__(self, kind, *_):
        for number, wait in self.waits:
            if kind:
                os.kill(wait.pid, signal.SIGKILL)
                os.waitpid(wait.pid, 0)
            else:
                self.results[number].append(wait())


source = None  # the source address, if the host has several


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
    """Makes one connection with one request. hold() runs between the handshake and the request."""
    with connect(address, port, timeout) as s:
        if hold:
            hold()
        s.sendall(request)
        s.recv(65536)


def rest(pause):
    """Sleeps a random time around pause, since people have no period."""
    time.sleep(pause * random.Random(time.monotonic_ns()).uniform(0.5, 1.5))


def visit(pages, pause=0.3, hold=None, sites=None, after=0.0, before=None):
    """Opens page after page, site after site. before() runs before each connection."""
    sites = sites or SITES
    time.sleep(after)
    for i in range(pages):
        if before:
            before()
        page(*sites[i % len(sites)], hold)
        rest(pause)


def ask(peer, timeout, request=None):
    """Acts as a helper: connects to its server, waits for an answer if it sends a request, gives up after a time."""
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


def burst(count, site, after=0.0, patience=8):
    """Makes connections at the same time, and sends a request on each that opens."""
    time.sleep(after)
    sockets = [new_socket(site[0]) for _ in range(count)]
    for s in sockets:
        s.setblocking(False)
        s.connect_ex(site)
    for s in sockets:
        if wait_for(s, select.POLLOUT, time.monotonic() + 3):
            try:
                s.send(b'GET / HTTP/1.0\r\n\r\n')
            except OSError:
                pass
    time.sleep(patience)


def fail_open(seconds, peer=ANTIVIRUS):
    """Returns the hold() of the demo's helper: it waits for its server's answer, at most for this many seconds."""
    return lambda: ask(peer, seconds)


def thinking(seed, shortest, longest):
    """Returns a hold() of random length, which no timer determines."""
    r = random.Random(seed)
    return lambda: time.sleep(r.uniform(shortest, longest))


def telemetry(peer, every, seconds, timeout=3.0, after=0.0):
    """Acts as a service that tries to report to its server all the time, in vain."""
    end = time.monotonic() + seconds
    time.sleep(after)
    while time.monotonic() + timeout < end:
        began = time.monotonic()
        ask(peer, timeout)
        time.sleep(max(0.0, began + every - time.monotonic()))


def attempts(peers, timeout, pause=0.0, rounds=1):
    """Tries to connect to the peers one after another, in vain."""
    for _ in range(rounds):
        for peer in peers:
            netns.try_connect(*peer, timeout)
            time.sleep(pause)


def waits(p, *numbers):
    """Returns the waits of these clients' requests in seconds, where at least one second."""
    return sorted(c['wait'] / SECOND for c in p.connections()
                  if c['client'] in [CLIENT4 % n for n in numbers] + [CLIENT6 % n for n in numbers]
                  and c['wait'] and c['wait'] >= SECOND)


def sysctl(namespace, *settings):
    netns.sh(namespace, 'sysctl', '-qw', *settings)


def ip(namespace, command):
    netns.sh(namespace, 'ip', *command.split())


def story(p_arguments=(), seconds=5.0, classic=False, with_helper=(21, 23, 25), without=(22, 24, 26), peer=ANTIVIRUS):
    for n in with_helper if classic else ():
        sysctl(client(n), 'net.ipv4.tcp_syn_linear_timeouts=0')
    with Serve(WAN, WEB), Probe(*p_arguments) as p, Actors() as a:
        for n in with_helper:
            a.go(n, visit, 3, 0.2, fail_open(seconds, peer), None, 0.07 * (n - 20))
        for n in without:
            a.go(n, visit, 10, 1.1, None, None, 0.05 * (n - 20))
    return p


def slow_answers(seed, shortest, longest):
    """Returns a server behaviour that takes a random time for each answer."""
    def behaviour(s):
        s.recv(65536)
        time.sleep(random.Random(seed * 7919 + s.getpeername()[1]).uniform(shortest, longest))
        s.sendall(b'well\r\n')
        while s.recv(65536):
            pass
    return behaviour


def mail(count, pause, server=(SERVER4, 25), type_after=0.0):
    """Acts as a mail client: waits for the greeting, then sends its command."""
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


def patient(pages, pause, sites=None, timeout=3):
    """Visits sites over a lossy line; a failed connection is not repeated."""
    sites = sites or SITES
    for i in range(pages):
        try:
            page(*sites[i % len(sites)], timeout=timeout)
        except OSError:
            pass
        rest(pause)


def loss(devices, percent):
    return '\n'.join('chain c%d { type filter hook %s device %s priority 0; numgen random mod 100 < %d drop }'
                     % (i, hook, device, percent) for i, (hook, device) in enumerate(devices))
