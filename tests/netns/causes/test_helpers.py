"""A helper on some hosts delays requests or connects until its own server answers: who waits, and for which peer."""
import re
import select
import socket
import time

from causes import CUT, DEAD, HELPER, Finding, cause
from netns import CLIENT4, DEAD4, DEAD6, SERVER4, WAN, Probe, Rules, Serve
from probe import SECOND, expect
from workload import (ANTIVIRUS, OTHER4, SITES, SWITCH, WEB, Actors, ask, attempts, client, connect, fail_open,
                      greets_again, ip, loss, mail, page, patient, rest, slow_answers, speaking_from, story, telemetry,
                      visit, wait_for, web)


@cause('D1', 'a helper fails open after 5 s; half of the hosts have it', 6, [HELPER], [DEAD, CUT])
def test_d1():
    return story()


@cause('D1', 'the same, SYNs at 0 1 3 7 s (tcp_syn_linear_timeouts 0)', 6, [HELPER], [DEAD, CUT])
def test_d1_classic():
    p = story(classic=True)
    for c in p.connections(server=DEAD4):
        gaps = [round((t - c['syn']) / SECOND) for t in c['syn_times']]
        expect(gaps == [0, 1, 3], 'not the classic times', gaps)
    return p


@cause('D1', 'a helper that treats its dead server as dead for 5 s, and then tries again', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), others=(22, 24), timer=5)], [DEAD, CUT])
def test_d1_cache():
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


@cause('D1', 'one attempt of the helper delays six connections', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), others=(22, 24), timer=5)], [DEAD, CUT])
def test_d1_gate():
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
        expect(not wait_for(helper, select.POLLOUT, end), 'the helper got an answer')
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


@cause('D1', 'the guilty helper, and telemetry to another dead server', 6, [HELPER],
       [DEAD, Finding('peer-unanswered', '10.200.7.66'), CUT])
def test_d1_decoy():
    """the telemetry of all hosts fails all the time, also while the helper of some hosts delays requests"""
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 4, 0.4, fail_open(5.0), None, 0.3 * (n - 20))
        for n in (22, 24, 26):
            a.go(n, visit, 14, 1.4, None, None, 0.1 * (n - 20))
        for n in range(21, 27):
            a.go(n, telemetry, ('10.200.7.66', 443), 5.7, 20, 3.0, 0.37 * (n - 20))
    return p


@cause('D1', 'two helpers of two vendors, both servers down, one of them with an IPv6 address', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=5),
        Finding('waits-for-peer', '[2001:db8:dead::9]:443', 'high', hosts=(22, 24), timer=3.5)],
       [DEAD, CUT, Finding('peer-unanswered', '2001:db8:dead::9')])
def test_d1_two():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 3, 0.3, fail_open(5.0))
        for n in (22, 24):
            a.go(n, visit, 4, 0.5, fail_open(3.5, (DEAD6, 443)))
        for n in (25, 26):
            a.go(n, visit, 12, 1.2)
    return p


@cause('D1', 'the same behind a router of the office: six hosts with one MAC', 1,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(121, 123, 125), others=(122, 124, 126), timer=5)],
       [DEAD, CUT])
def test_d1_router():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in range(121, 127):
            ip(client(21), 'address add %s/32 dev eth0' % CLIENT4 % n)
            if n % 2:
                a.go(21, speaking_from, CLIENT4 % n, visit, 3, 0.2, fail_open(5.0), SITES[:3])
            else:
                a.go(21, speaking_from, CLIENT4 % n, visit, 12, 1.1, None, SITES[:3])
    return p


@cause('D1', 'the helper\'s server comes back after a while, and the waits end', 4,
       [Finding('waits-for-peer', '203.0.113.11:5274', 'high', hosts=(21, 23), others=(22, 24), timer=4)],
       [Finding('peer-unanswered', '203.0.113.11:5274')])
def test_d1_back():
    with Serve(WAN, {**WEB, (OTHER4, 5274): web}), Probe() as p, Actors() as a:
        with Rules(WAN, 'chain i { type filter hook input priority 0; tcp dport 5274 tcp flags syn drop }'):
            for n in (21, 23):
                a.go(n, visit, 12, 0.7, fail_open(4.0, (OTHER4, 5274)))
            for n in (22, 24):
                a.go(n, visit, 16, 1.1)
            time.sleep(13.5)
    expect(p.connections(server=OTHER4, server_port=5274, outcome='established'), 'the server did not come back')
    return p


FILTER = (OTHER4, 4433)


@cause('D2', 'a filter server that answers after 2.1 to 2.9 s', 6,
       [Finding('slow-helper', '203.0.113.11:4433', 'high', hosts=(21, 23, 25), others=(22, 24, 26))],
       [Finding('slow-server', '203.0.113.11:4433')])
def test_d2():
    with Serve(WAN, {**WEB, FILTER: slow_answers(1, 2.1, 2.9)}), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 5, 0.4, lambda: ask(FILTER, 10, b'http://example.com/ ?\r\n'))
        for n in (22, 24, 26):
            a.go(n, visit, 12, 1.1)
    return p


@cause('D2', 'a filter server that is reached only by the third SYN', 4,
       [Finding('slow-helper', '203.0.113.11:4433', 'high', hosts=(21, 23), others=(22, 24))],
       [Finding('slow-server|lossy-far-side|peer-unanswered', '203.0.113.11:4433')])
def test_d2_connect():
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


@cause('D2', 'the helper\'s server is an unused address of this gateway\'s own network', 4,
       [Finding('waits-for-peer|slow-helper', '198.51.100.77:5274', 'high', hosts=(21, 23), others=(22, 24)),
        Finding('peer-unreachable|waits-for-peer|slow-helper', '198.51.100.77', text='this gateway')])
def test_d2_neighbour():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, 4, 0.4, fail_open(9.0, ('198.51.100.77', 5274)))
        a.go(23, visit, 4, 0.4, fail_open(9.0, ('198.51.100.77', 5274)), None, 1.5)
        for n in (22, 24):
            a.go(n, visit, 10, 1.2)
    gone = p.connections(server='198.51.100.77')
    expect(gone and all(c['outcome'] == 'unreachable' and c['from_gateway'] for c in gone), 'no ICMP error', gone)
    return p


def proxy(s):
    """A forward proxy for requests such as GET http://address/."""
    request = s.recv(65536)
    m = re.match(rb'GET http://([0-9.]+)/', request)
    if m:
        with socket.create_connection((m[1].decode(), 80)) as origin:
            origin.sendall(b'GET / HTTP/1.0\r\n\r\n')
            s.sendall(origin.recv(65536))
    while s.recv(65536):
        pass


PROXY = (OTHER4, 3128)


@cause('D24', 'all clients use one explicit proxy; half of them have the helper', 6, [HELPER], [DEAD, CUT])
def test_d24():
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


@cause('D25', 'a helper that delays connect() itself for 4 s', 4,
       [Finding('held-before-connect', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=4)], [DEAD, CUT])
def test_d25():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 4, 0.7, None, None, 0.4 * (n - 20), fail_open(4.0))
        for n in (22, 24):
            a.go(n, visit, 14, 1.2)
    return p


@cause('D1 D9 D13', 'several causes at once: helper, late greeting, refusal, a lossy line', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=5),
        Finding('late-banner', '203.0.113.11:25', 'medium', hosts=(22, 24, 25)),
        Finding('peer-refused', '203.0.113.10:8080', 'medium'), Finding('lossy-client', hosts=(26,))],
       [DEAD, CUT], [Finding('not-the-network')])
def test_several():
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
