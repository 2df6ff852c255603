"""Openings that fail or are late before the handshake is complete, each with the device that is the cause.

Beside each server that is accused, the other servers and the hosts that reach it must not be.
"""
import socket
import subprocess
import threading
import time

import netns
from causes import Finding, cause, fails, late
from netns import GATEWAY, SERVER4, WAN, Background, Probe, Rules, Serve
from probe import expect
from routers import far_host, forwards, join, namespace, offload_off
from workload import OTHER4, SITES, THIRD4, WEB, Actors, client, ip, patient, rest, sysctl, visit, web

PATH_IS_WELL = [Finding('not-the-network')]
FAR = ('192.0.2.80', 80)
SITES4 = SITES[:3]
HEALTHY = [(SERVER4, 80), (THIRD4, 80)]


# ---- the SYN-ACK passes, and the client does not finish the handshake ----

INPUT = 'chain i { type filter hook input priority 0; %s }'


def in_vain(rules, hosts=(21, 22), server=(OTHER4, 80)):
    """Applies rules in these hosts, which try the server in vain, while others use it."""
    with Serve(WAN, WEB), Rules(client(hosts[0]), rules), Rules(client(hosts[1]), rules), Probe() as p, Actors() as a:
        for n in hosts:
            a.go(n, patient, 2, 0.2, [server], 4.2)
            a.go(n, visit, 7, 1.1, None, HEALTHY)
        for n in (23, 24):
            a.go(n, visit, 8, 1.1, None, SITES4)
    return p


@cause('handshake-unfinished', 'the firewalls of two hosts drop the SYN-ACKs of one server', 4,
       [Finding('handshake-unfinished', '203.0.113.11:80', hosts=(21, 22), text='SYN')], never=PATH_IS_WELL,
       text=['2 other hosts finish the handshake with this server'], check=fails('finish', 'syn_again', 4))
def test_synack_dropped_by_host():
    return in_vain(INPUT % 'ip saddr 203.0.113.11 tcp sport 80 drop')


@cause('handshake-unfinished', 'the firewalls of two hosts reject the SYN-ACKs of one server by RST', 4,
       [Finding('handshake-unfinished', '203.0.113.11:80', hosts=(21, 22), text='reset')], never=PATH_IS_WELL,
       check=fails('finish', 'client_reset', 4))
def test_synack_reset_by_host():
    return in_vain(INPUT % 'ip saddr 203.0.113.11 tcp sport 80 reject with tcp reset')


@cause('handshake-unfinished', 'a router beyond the gateway breaks the checksums of one port on the way back', 4,
       [Finding('handshake-unfinished', '192.0.2.80:9000', hosts=(21, 22, 23))], never=PATH_IS_WELL,
       check=fails('finish', 'syn_again', 6))
def test_checksum():
    far = far_host()
    offload_off(far, 'to-wan')
    rules = 'chain f { type filter hook forward priority 0; tcp sport 9000 tcp checksum set 0xbad }'
    with Serve(far, {FAR: web, (FAR[0], 9000): web}), Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 2, 0.2, [(FAR[0], 9000)], 4.2)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.1, None, [FAR] + SITES4)
    return p


# ---- another address answers ----

VIRTUAL = ('203.0.113.50', 80)


@cause('answered-elsewhere', 'hairpin: the gateway translates to a server in the LAN, which answers directly', 4,
       [Finding('answered-elsewhere', '203.0.113.50:80', hosts=(21, 22), text='10.1.4.24')], never=PATH_IS_WELL,
       check=fails('connect', 'answered_elsewhere|silent', 4))
def test_hairpin():
    """the SYN-ACK does not pass here; the same SYN does, once more, on its way to 10.1.4.24"""
    sysctl(GATEWAY, 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.eth0.send_redirects=0')
    rules = '''chain p { type nat hook prerouting priority -100
    ip daddr 203.0.113.50 tcp dport 80 dnat ip to 10.1.4.24
}'''
    with Serve(client(24), {('10.1.4.24', 80): web}), Serve(WAN, WEB), Rules(GATEWAY, rules), Probe() as p, \
            Actors() as a:
        for n in (21, 22):
            a.go(n, patient, 2, 0.2, [VIRTUAL], 4.2)
        for n in (22, 23):
            a.go(n, visit, 8, 1.1, None, SITES4)
    return p


@cause('answered-elsewhere', 'a load balancer passes SYNs on, and the server answers from its own address', 4,
       [Finding('answered-elsewhere', '203.0.113.50:80', hosts=(21, 22, 23), text='192.0.2.80')], never=PATH_IS_WELL,
       check=fails('connect', 'answered_elsewhere', 6))
def test_direct_server_return():
    """direct server return without the virtual address on the server"""
    far = far_host()
    rules = '''chain p { type filter hook prerouting priority raw
    ip daddr 203.0.113.50 tcp dport 80 ip daddr set 192.0.2.80 notrack
}'''
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 2, 0.2, [VIRTUAL], 4.2)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.1, None, [FAR] + SITES4)
    return p


# ---- SYNs that are lost, and not by chance ----

FIRST_TWO = '''set once { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 1m; }
set twice { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 1m; }
chain i { type filter hook input priority 0
    ip daddr 203.0.113.11 tcp dport 80 tcp flags & (syn | ack) == syn jump again
}
chain again {
    ip saddr . tcp sport @twice accept
    ip saddr . tcp sport @once add @twice { ip saddr . tcp sport } drop
    add @once { ip saddr . tcp sport } drop
}'''


@cause('slow-connect', 'a protection against SYN floods takes only the third SYN for one server', 4,
       [Finding('slow-connect', '203.0.113.11:80', hosts=(21, 22, 23))],
       never=[Finding('not-the-network|lossy-far-side|syn-filtered')], check=late('connect', 9))
def test_third_syn():
    with Serve(WAN, WEB), Rules(WAN, FIRST_TWO), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 3, 0.3, [(OTHER4, 80)], 8)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.1, None, HEALTHY)
    return p


@cause('some-paths-fail', 'equal-cost routes to one network, and the next hop of one of them is dead', 4,
       [Finding('some-paths-fail', '192.0.2.80:80', hosts=(21, 22, 23))],
       never=[Finding('not-the-network|lossy-far-side|peer-unanswered')], check=fails('connect', 'silent', 8))
def test_dead_next_hop():
    """the router hashes ports: a four-tuple keeps its path, and a new source port may take the other one"""
    far, dead = namespace('far'), namespace('dead')
    forwards()
    # Policy 1 would take the hash of the sender's socket, which changes with each retransmission, from the packet.
    sysctl(WAN, 'net.ipv4.fib_multipath_hash_policy=3', 'net.ipv4.fib_multipath_hash_fields=0x37')
    for name, network in ((far, '10.9.1'), (dead, '10.9.2')):
        join(WAN, name, network)
    sysctl(dead, 'net.ipv4.ip_forward=0')
    ip(far, 'address add 192.0.2.80/32 dev lo')
    ip(far, 'route add default via 10.9.1.1')
    ip(WAN, 'route add 192.0.2.0/24 nexthop via 10.9.1.2 nexthop via 10.9.2.2')
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            for _ in range(6):
                a.go(n, patient, 4, 0.2, [FAR], 3.6)
            a.go(n, visit, 8, 1.1, None, SITES4)
        a.go(24, visit, 8, 1.1, None, SITES4)
    served = len([c for c in p.connections(server=FAR[0]) if c['server_first']])
    expect(served >= 8, served, 'connects took the living path')
    return p


def install_late(seconds):
    """Acts as the agent of a network overlay: adds a route to each new address, this long after its first packet."""
    known = set()

    def install(address):
        time.sleep(seconds)
        subprocess.run(['ip', 'route', 'add', address, 'via', '198.51.100.1'], check=True)

    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x800)) as s:
        s.bind(('eth0', 0x800))
        while True:
            address = socket.inet_ntoa(s.recv(2000)[12:16])
            if address.startswith('10.1.4.') and address not in known:
                known.add(address)
                threading.Thread(target=install, args=(address,), daemon=True).start()


@cause('first-syn-lost', 'routes to new hosts are installed 0.3 s after their first packet', 12,
       [Finding('first-syn-lost', hosts=range(21, 33))],
       never=[Finding('not-the-network|lossy-far-side|lossy-client|syn-filtered|peer-unanswered|slow-connect')],
       check=late('connect', 12))
def test_routes_come_late():
    """the hosts appear one after the other: it is no outage"""
    ip(WAN, 'route replace blackhole 10.1.4.0/24')
    with Serve(WAN, WEB), Background(WAN, install_late, 0.3), Probe() as p, Actors() as a:
        time.sleep(0.5)
        for n in range(21, 33):
            a.go(n, visit, 6, 0.5, None, SITES4[n % 3:] + SITES4[:n % 3], 0.6 * (n - 21))
    return p


ECN_FILTER = '''chain p { type filter hook prerouting priority raw
    tcp flags & (syn | ecn | cwr) == (syn | ecn | cwr) drop
}'''


@cause('syn-filtered', 'three hosts ask for ECN, and a filter drops such SYNs', 7,
       [Finding('syn-filtered', hosts=(21, 22, 23), text='ECN')],
       never=[Finding('not-the-network|lossy-far-side|lossy-client|peer-unanswered')], check=late('connect', 15))
def test_ecn():
    """Linux repeats the SYN without ECN, so each connection of these hosts opens 1 s late"""
    for n in (21, 22, 23):
        sysctl(client(n), 'net.ipv4.tcp_ecn=1')
    with Serve(WAN, WEB), Rules(WAN, ECN_FILTER), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit, 5, 0.5, None, SITES4)
        for n in (24, 25, 26, 27):
            a.go(n, visit, 8, 1.0, None, SITES4)
    return p


def visit_fast(pages, pause, sites):
    """Opens pages with TCP Fast Open: the first SYN asks for a cookie, and its repetition does not."""
    for i in range(pages):
        with socket.socket() as s:
            s.sendto(b'GET / HTTP/1.0\r\n\r\n', socket.MSG_FASTOPEN, sites[i % len(sites)])
            expect(s.recv(65536), 'no answer')
        rest(pause)


@cause('syn-filtered', 'three hosts use Fast Open, and a firewall drops SYNs with its option', 7,
       [Finding('syn-filtered', hosts=(21, 22, 23), text='Fast Open')],
       never=[Finding('not-the-network|lossy-far-side|lossy-client|peer-unanswered')], check=late('connect', 15))
def test_fast_open():
    rules = 'chain p { type filter hook prerouting priority raw; tcp option 34 exists drop }'
    for n in (21, 22, 23):
        sysctl(client(n), 'net.ipv4.tcp_fastopen=1', 'net.ipv4.tcp_fastopen_blackhole_timeout_sec=0')
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit_fast, 5, 0.5, SITES4)
        for n in (24, 25, 26, 27):
            a.go(n, visit, 8, 1.0, None, SITES4)
    return p


HELD = '''set closed { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic,timeout; timeout 30s; }
chain p { type filter hook prerouting priority raw
    tcp flags & (syn | ack) == syn ip saddr . tcp sport . ip daddr . tcp dport @closed drop
    tcp flags & fin == fin update @closed { ip saddr . tcp sport . ip daddr . tcp dport } counter
}'''


@cause('port-reuse', 'a firewall holds closed connections for 30 s and drops SYNs on their ports', 4,
       [Finding('port-reuse', hosts=(21, 22))],
       never=[Finding('not-the-network|lossy-far-side|lossy-client|peer-unanswered')],
       check=fails('connect', 'silent', 8))
def test_held_by_firewall():
    """two hosts have programs with fixed ports; the server closes first, so that the client may use the port again"""
    def closes_first(s):
        s.recv(65536)
        s.sendall(b'ok')

    def use_twice(port, after):
        time.sleep(after)
        netns.browse(*site, port_from=port)
        time.sleep(1.5)
        with socket.socket() as s:
            s.settimeout(4.2)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('', port))
            expect(s.connect_ex(site) != 0, 'the firewall let the SYN pass')

    site = (OTHER4, 80)
    with Serve(WAN, {**WEB, site: closes_first}), Rules(WAN, HELD), Probe() as p, Actors() as a:
        for n in (21, 22):
            for k in range(4):
                a.go(n, use_twice, 40000 + k, 1.3 * k)
            a.go(n, visit, 8, 0.9, None, [site])
        for n in (23, 24):
            a.go(n, visit, 8, 0.9, None, SITES4)
    return p
