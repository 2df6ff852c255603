"""What looks like an opening that fails, and is none: health checks, one-way protocols, spare sockets, mere loss."""
import socket
import struct
import time

import netns
from causes import Finding, cause, rows
from netns import SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from workload import OTHER4, SITES, WEB, Actors, client, connect, patient, rest, sysctl, visit, web

SITES4 = SITES[:3]
RESET_AT_CLOSE = struct.pack('ii', 1, 0)


def check_health(count, pause, sites):
    """Acts as HAProxy's checks: without a delayed ACK, the RST is the client's answer to the SYN-ACK."""
    for i in range(count):
        with socket.socket() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            s.settimeout(3)
            s.connect(sites[i % len(sites)])
        time.sleep(pause)


@cause('F', 'a load balancer checks three servers: SYN, SYN-ACK, RST; another one connects and closes', 4)
def test_health_checks():
    def connect_and_close(count, pause):
        for i in range(count):
            connect(*SITES4[i % 3]).close()
            time.sleep(pause)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, check_health, 24, 0.3, SITES4)
        a.go(22, connect_and_close, 24, 0.3)
        for n in (23, 24):
            a.go(n, visit, 7, 1.0)
    expect(not p.summary['ledger']['failed'], rows(p))
    return p


def swallow(s):
    while s.recv(65536):
        pass


@cause('F', 'syslog, printing and a mirror of metrics: clients send, and expect no answer', 4)
def test_one_way():
    def send(server, count, pause):
        for _ in range(2):
            with connect(*server) as s:
                for _ in range(count):
                    s.sendall(b'<13>something happened\n' * 4)
                    time.sleep(pause)

    servers = {(OTHER4, port): swallow for port in (514, 9100, 2003)}
    with Serve(WAN, {**WEB, **servers}), Probe() as p, Actors() as a:
        for n, server in zip((21, 22, 23), servers):
            a.go(n, send, server, 10, 0.35)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 7, 1.0)
    expect(not p.summary['ledger']['failed'], rows(p))
    return p


@cause('F', 'browsers open spare sockets, and the server closes them after 2.5 s', 4)
def test_spare_sockets():
    """each page is served by another connection to the same server"""
    def closes_idle(s):
        s.settimeout(2.5)
        web(s)

    def browse(count, pause, site):
        for _ in range(count):
            with connect(*site) as spare, connect(*site) as used:
                used.sendall(b'GET / HTTP/1.0\r\n\r\n')
                used.recv(65536)
                spare.settimeout(6)
                expect(spare.recv(1) == b'', 'the server sent something')
            rest(pause)

    with Serve(WAN, {**WEB, (OTHER4, 80): closes_idle}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, browse, 3, 0.2, (OTHER4, 80))
        for n in (23, 24):
            a.go(n, visit, 7, 1.0, None, SITES4)
    expect(not p.summary['ledger']['failed'], rows(p))
    return p


PATTERNS = 'first-syn-lost|syn-filtered|slow-connect|some-paths-fail|port-reuse|handshake-unfinished|request-lost'


@cause('F', 'one SYN in six is lost behind the gateway, whoever sends it: no pattern', 12,
       [Finding('lossy-far-side')], [Finding(PATTERNS, most='low')], [Finding('not-the-network')])
def test_mere_loss():
    """three hosts ask for ECN, all are new, and one server has more visitors than the others"""
    rules = '''chain p { type filter hook prerouting priority raw
    tcp flags & (syn | ack) == syn numgen random mod 6 == 0 drop
}'''
    for n in (21, 22, 23):
        sysctl(client(n), 'net.ipv4.tcp_ecn=1')
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in range(21, 33):
            a.go(n, patient, 14, 0.4, SITES4 + [(OTHER4, 80)], 7)
    expect(len([c for c in p.connections() if c['syn_count'] > 1]) >= 10, 'too little loss', rows(p))
    return p


@cause('F', 'programs use the same source ports again and again, and all is well', 4)
def test_ports_reused_well():
    """the server closes first, so that no port of the client waits for late segments"""
    def closes_first(s):
        s.recv(65536)
        s.sendall(b'ok')

    def fixed(port, count):
        for _ in range(count):
            netns.browse(OTHER4, 80, port_from=port)
            time.sleep(0.8)

    with Serve(WAN, {**WEB, (OTHER4, 80): closes_first}), Probe() as p, Actors() as a:
        for n in (21, 22):
            for k in range(3):
                a.go(n, fixed, 40000 + k, 8)
        for n in (22, 23, 24):
            a.go(n, visit, 7, 1.0)
    expect(not p.summary['ledger']['failed'], rows(p))
    return p


@cause('F', 'a host is refused for a moment while its server restarts, and others meet it before and after', 4,
       [], [Finding('peer-refused', '203.0.113.11:80')], [Finding('peer-unanswered|prefix-cut|syn-filtered')])
def test_restart():
    usual = {site: web for site in SITES if site != (OTHER4, 80)}
    with Serve(WAN, usual), Probe() as p, Actors() as a:
        with Serve(WAN, {(OTHER4, 80): web}):
            for n in (21, 22, 23, 24):
                netns.run(client(n), visit, 2, 0.1, None, [(OTHER4, 80)])
        for n in (21, 22):
            expect(netns.run(client(n), netns.try_connect, OTHER4, 80, 2) == 'ConnectionRefusedError', 'not refused')
        with Serve(WAN, {(OTHER4, 80): web}):
            for n in (21, 22, 23, 24):
                netns.run(client(n), visit, 3, 0.3)
    expect(len(p.connections(outcome='refused')) == 2, rows(p))
    return p
