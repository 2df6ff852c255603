"""Servers that are slow, overloaded or flooded, or that wait for their client."""
import random
import socket
import struct
import time

import captures
import netns
from causes import Finding, cause
from netns import SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from workload import OTHER4, SITES, WEB, Actors, burst, client, connect, greets_again, mail, slow_answers, visit, web


def asks_ident(s):
    """Like sendmail: the greeting is sent after an answer from the client's port 113, or after 5 s."""
    with socket.socket() as back:
        back.settimeout(5)
        back.bind((s.getsockname()[0], 0))
        try:
            back.connect((s.getpeername()[0], 113))
        except OSError:
            pass


@cause('D8', 'a mail server asks port 113 of its clients, which two of them drop', 4,
       [Finding('ident', least='high', hosts=(21, 23))],
       [Finding('late-banner', '203.0.113.10:25'), Finding('peer-unanswered', '10.1.4.21'),
        Finding('peer-unanswered', '10.1.4.23'), Finding('peer-refused', '10.1.4.22'),
        Finding('peer-refused', '10.1.4.24'), Finding('peer-unanswered|peer-refused', ':113')])
def test_d8():
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


@cause('D9', 'a greeting that arrives after 5 s, for all clients of that server', 4,
       [Finding('late-banner', '203.0.113.11:25', 'medium', hosts=(21, 22, 23), timer=5)])
def test_d9():
    servers = {**WEB, (SERVER4, 25): greets_again(0.02), (OTHER4, 25): greets_again(5)}
    with Serve(WAN, servers), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, mail, 3, 0.4, (OTHER4, 25))
            a.go(n, mail, 10, 1.1, (SERVER4, 25))
        a.go(24, visit, 10, 1.2)
    expect(p.summary['late_banners'] == 9 and p.summary['stalls'] == 0, p.summary)
    return p


@cause('D15', 'an accept queue that overflows: the server accepts one connection in 1.5 s', 4,
       [Finding('accept-queue', '203.0.113.11:80', 'medium')],
       [Finding('slow-server|peer-unanswered', '203.0.113.11:80')])
def test_d15():
    """the line to the server's clients is slow: several handshakes are in flight when the queue fills up"""
    netns.sh(WAN, *'tc qdisc add dev eth0 root tbf rate 64kbit burst 200 limit 30000'.split())
    usual = {site: web for site in SITES if site != (OTHER4, 80)}
    with Serve(WAN, usual), Serve(WAN, {(OTHER4, 80): web}, backlog=10, accept_every=1.5), \
            Probe() as p, Actors() as a:
        a.go(21, burst, 9, (OTHER4, 80))
        for n in (22, 23):
            a.go(n, burst, 8, (OTHER4, 80), 0.5)
        time.sleep(3)
        for n in (22, 24):
            a.go(n, visit, 5, 0.9, None, list(usual))
    queued = [c for c in p.connections(server=OTHER4) if c['synack_count'] > 1 and c['ack']]
    expect(len(queued) >= 3, 'no SYN-ACK was repeated after the ACK', p.connections(server=OTHER4))
    return p


@cause('D16', 'a SYN flood: 6 000 SYNs from 3 000 addresses at one server', 3,
       [Finding('syn-flood', '10.1.4.21:443', 'medium')], [Finding('peer-unanswered', '10.1.4.21:443')])
def test_d16():
    def flood():
        r = random.Random(16)
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for i in range(6000):
            source = '100.%d.%d.%d' % (64 + i % 4, i // 4 % 15, i // 60 % 50)
            packet = captures.frame((source, r.randrange(1024, 65536)), ('10.1.4.21', 443), 2, r.getrandbits(32), 0)[14:]
            s.sendto(packet, ('10.1.4.21', 0))
            if i % 100 == 99:
                time.sleep(0.1)

    with Serve(client(21), {('10.1.4.21', 443): web}), Serve(WAN, WEB), Probe() as p, Actors() as a:
        flooding = netns.fork(WAN, flood)
        visiting = netns.fork(WAN, visit, 8, 0.9, None, [('10.1.4.21', 443)])
        for n in (22, 23):
            a.go(n, visit, 8, 0.9)
        flooding()
        visiting()
    expect(len(p.connections(server='10.1.4.21')) > 5000, 'the flood did not pass')
    return p


@cause('D17', 'deferred accept (TCP_DEFER_ACCEPT) and an idle client: harmless', 4,
       [Finding('deferred-accept', '203.0.113.11:80')])
def test_d17():
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
    expect(len(again) >= 4, 'no SYN-ACK was repeated', p.connections(server=OTHER4))
    return p


@cause('D20', 'a client reuses a port that the server still holds: challenge ACK', 3,
       [Finding('port-reuse', least='low', hosts=(21,))], [Finding('lossy-client|lossy-far-side')])
def test_d20():
    """the client vanished without a FIN, as after a crash or a lost NAT entry"""
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
                netns.run(client(21), first, port)
        time.sleep(2.5)
        for port in ports:
            a.go(21, netns.browse, SERVER4, 80, 0, b'GET', port)
        for n in (22, 23):
            a.go(n, visit, 6, 0.9)
    reused = [c for c in p.connections(client='10.1.4.21') if c['client_port'] in ports and c['syn_count'] > 1]
    expect(len(reused) == 4, 'the ports were free', p.connections(client='10.1.4.21'))
    return p


@cause('D21', 'a server that needs 2 to 4 s for its answers to every client', 5,
       [Finding('slow-server', '203.0.113.11:80', 'medium')])
def test_d21():
    with Serve(WAN, {**WEB, (OTHER4, 80): slow_answers(21, 2, 4)}), Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, visit, 4, 0.3, None, [(OTHER4, 80)])
        for n in (21, 22, 25):
            a.go(n, visit, 10, 1.1, None, [SITES[0], SITES[1], SITES[3]])
    return p
