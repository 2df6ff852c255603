"""Packets that this gateway drops and counts itself, and losses elsewhere for which it must not be blamed."""
import socket
import struct
import subprocess
import time

import netns
from causes import Finding, cause
from netns import CLIENT4, GATEWAY, SERVER4, WAN, Background, Probe, Rules, Serve
from probe import expect
from workload import OTHER4, SITES, WEB, Actors, attempts, client, loss, rest, visit

NARROW = 'tbf rate 300kbit burst 2000 limit 2000'  # a line that bulk traffic overloads


def tc(namespace, command):
    netns.sh(namespace, 'tc', *command.split())


def bulk(seconds, bits, size, server=SERVER4):
    """Sends datagrams at a steady rate to a port where nobody listens. It catches up after a delay."""
    due = time.monotonic()
    end = due + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setblocking(False)
        while due < end:
            try:
                s.sendto(b'x' * size, (server, 9))
            except OSError:
                pass
            due += (size + 42) * 8 / bits
            time.sleep(max(0.0, due - time.monotonic()))


def try_page(address, port, timeout=6):
    try:
        with socket.create_connection((address, port), timeout) as s:
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
            s.recv(65536)
    except OSError:
        pass


def browse(pages, pause, sites):
    for i in range(pages):
        try_page(*sites[i % len(sites)])
        rest(pause)


def browsing(count, pages, pause, sites, *arguments):
    with Serve(WAN, WEB), Probe(*arguments) as p, Actors() as a:
        for n in range(21, 21 + count):
            a.go(n, browse, pages, pause, sites)
    return p


def grew(p):
    drops = p.of('summary')[0]['gateway_drops']
    return {(g['counter'], g['interface']) for g in drops['grew']}


V4_SITES = [site for site in SITES if '.' in site[0]]


@cause('D27', 'the queue of the uplink is too short for its traffic: the user learns that it is the gateway itself', 4,
       [Finding('gateway-drops', least='medium', text='queueing discipline tbf of eth1')],
       [Finding('slow-server|lossy-client|request-lost|no-answer')], [Finding('lossy-far-side')],
       check=lambda p: expect(('qdisc_drops', 'eth1') in grew(p), 'the summary lacks the counter', grew(p)))
def test_d27_qdisc():
    tc(GATEWAY, 'qdisc add dev eth1 root ' + NARROW)
    with Background(client(24), bulk, 90, 500000, 60):  # as small as SYNs, so both have the same chance
        return browsing(3, 14, 0.4, V4_SITES)


@cause('D27', 'the queue towards the clients is too short: the answers are lost on this gateway', 4,
       [Finding('gateway-drops', least='medium', text='queueing discipline tbf of eth0')],
       [Finding('slow-server|lossy-client|request-lost|no-answer|accept-queue')], [Finding('lossy-far-side')])
def test_d27_qdisc_lan():
    tc(GATEWAY, 'qdisc add dev eth0 root ' + NARROW)
    with Background(WAN, bulk, 90, 500000, 60, CLIENT4 % 24):
        return browsing(3, 14, 0.4, V4_SITES)


# ---- a table of conntrack that is full ----

def attribute(kind, payload, nested=False):
    length = 4 + len(payload)
    return struct.pack('=HH', length, kind | (0x8000 if nested else 0)) + payload + bytes(-length % 4)


def tuple_of(kind, source, destination, ports):
    address = attribute(1, attribute(1, source) + attribute(2, destination), True)
    protocol = attribute(2, attribute(1, b'\x11') + attribute(2, struct.pack('!H', ports[0])) +
                         attribute(3, struct.pack('!H', ports[1])), True)
    return attribute(kind, address + protocol, True)


def entry(number):
    """Returns a ctnetlink message that creates a tracked UDP flow, assured, so that nothing evicts it."""
    source, destination = struct.pack('!I', 0x0a000000 + number // 60000), socket.inet_aton('192.0.2.1')
    port = 1024 + number % 60000
    body = struct.pack('=BBH', socket.AF_INET, 0, 0) + \
        tuple_of(1, source, destination, (port, 5000)) + tuple_of(2, destination, source, (5000, port)) + \
        attribute(3, struct.pack('!I', 0x0e)) + attribute(7, struct.pack('!I', 600))
    return struct.pack('=IHHII', 16 + len(body), 1 << 8, 0x401, number, 0) + body


def fill_table(begin, end):
    """Adds these entries to the table of this namespace. The kernel refuses some: hash chains have a maximum length."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
        s.bind((0, 0))
        for first in range(begin, end, 500):
            s.send(b''.join(entry(number) for number in range(first, min(first + 500, end))))


def flush_table():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as s:
        s.bind((0, 0))
        s.send(struct.pack('=IHHIIBBH', 20, 1 << 8 | 2, 5, 1, 0, socket.AF_INET, 0, 0))
        s.recv(4096)  # the acknowledgement: all entries are gone


def number_in(namespace, name):
    return int(subprocess.run(['nsenter', '--net=/run/netns/' + namespace, 'cat', '/proc/sys/net/netfilter/' + name],
                              stdout=subprocess.PIPE, text=True, check=True).stdout)


TRACKED = 'chain f { type filter hook forward priority 0; ct state invalid counter drop }'


@cause('D27', 'the table of conntrack is full for a while: nobody gets out, and no server is to blame', 4,
       [Finding('gateway-drops', least='medium', text='dropped by conntrack')],
       never=[Finding('peer-unanswered|prefix-cut|lossy-far-side|dropped-in-gateway')],
       check=lambda p: expect(('conntrack_drop', None) in grew(p), 'the summary lacks the counter', grew(p)))
def test_d27_conntrack():
    with Rules(GATEWAY, TRACKED), Serve(WAN, WEB), Probe() as p:
        with Actors() as a:
            for n in range(21, 25):
                a.go(n, visit, 4, 0.2, None, V4_SITES)
        room = number_in(GATEWAY, 'nf_conntrack_max')
        # the limit belongs to the whole host, the count to this namespace
        for more in range(10):
            if number_in(GATEWAY, 'nf_conntrack_count') >= room:
                break
            begin = more * (room + 1000)
            netns.fork(GATEWAY, fill_table, begin, begin + room + 1000)()
        expect(number_in(GATEWAY, 'nf_conntrack_count') >= room, 'the table is not full', room)
        with Actors() as a:
            for n in range(21, 25):
                a.go(n, attempts, [V4_SITES[n % 3]], 2.5 + 0.4 * (n - 20), 0.3)
        netns.fork(GATEWAY, flush_table)()
        with Actors() as a:
            for n in range(21, 25):
                a.go(n, visit, 4, 0.2, None, V4_SITES)
    return p


# ---- neighbours: losses elsewhere ----

@cause('D27', 'the far side loses packets; no counter of this gateway grows, and the report says so', 4,
       [Finding('lossy-far-side', text='did not grow')], [Finding('peer-unanswered|slow-server|lossy-client|request-lost')],
       [Finding('gateway-drops')], text=['drop counters of this gateway .* did not grow'])
def test_d27_far_side():
    with Rules(WAN, loss([('ingress', 'eth0')], 30), 'netdev'):
        return browsing(4, 12, 0.3, V4_SITES)


@cause('D27', 'a server beyond is dead, and the queue of the uplink drops bulk traffic: the queue is not the reason', 4,
       [Finding('peer-unanswered', '203.0.113.11:8080')], [Finding('slow-server|lossy-client|lossy-far-side|request-lost')],
       [Finding('gateway-drops')])
def test_d27_dead_beside():
    tc(GATEWAY, 'qdisc add dev eth1 root tbf rate 1mbit burst 2000 limit 3500')  # room for SYNs beside two datagrams
    with Rules(WAN, 'chain i { type filter hook input priority 0; tcp dport 8080 drop }'), \
            Background(client(24), bulk, 60, 2000000, 1400), Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, attempts, [(OTHER4, 8080)], 3.5, 0.3, 3)
        a.go(22, attempts, [(OTHER4, 8080)], 3.5, 0.3, 3)
        for n in range(21, 24):
            a.go(n, browse, 10, 1.0, V4_SITES)
    expect(('qdisc_drops', 'eth1') in grew(p), 'the queue dropped nothing', grew(p))
    return p
