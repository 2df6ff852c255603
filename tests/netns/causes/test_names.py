"""Names that are not resolved, or late: the resolver, the type, the zone, DNS over TCP, and helpers that ask by DNS."""
import contextlib
import socket
import time

import netns
from causes import Finding, cause
from dns_clients import WINDOWS_ONE, Schedule, by, follow, glibc, resolv_conf, sites, surf, using
from dns_server import AAAA, A, NameServers, cut, fails, late, of_type, silent, under, well, where
from netns import DEAD4, SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from resolvers import dnsmasq
from routers import swallow
from workload import WEB, Actors, client, greets_again, ip, mail, sysctl

ONE, TWO = '203.0.113.53', '203.0.113.54'
NAMES = 'resolver-unanswered|resolver-slow|type-unanswered|zone-unanswered|dns-tcp-blocked|dns-answers-lost'


def about(seconds, *waits):
    """Fails unless each wait for a name is this long: the real resolver has other timers than the scene assumes."""
    expect(waits and all(abs(w - seconds) < 0.3 + 0.05 * seconds for w in waits), 'waits of', waits, 'not', seconds)


@cause('N1', 'the first resolver is silent: glibc asks the next one after 5 s, each time', 6,
       [Finding('resolver-unanswered', ONE, 'high', hosts=(21, 22, 23), timer=5)], [], [Finding('not-the-network')],
       text=['5.0'])
def test_first_resolver_dead():
    with Serve(WAN, WEB), NameServers(WAN, {ONE: silent, TWO: well}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE, TWO], surf, sites(n, 3), 0.4)
        for n in (24, 25, 26):
            a.go(n, using, [TWO], surf, sites(n, 12), 1.2)
    about(5, *[w for n in (21, 22, 23) for w in a.results[n][0]])
    return p


@cause('N1', 'the only resolver is behind a tunnel that is cut: no name is resolved', 4,
       [Finding('resolver-unanswered', '10.200.7.53', 'high', hosts=(21, 22))], [Finding('peer-unanswered', DEAD4)],
       [Finding('not-the-network')])
def test_only_resolver_dead():
    """nothing follows the lookups, so that no connect is late"""
    with Serve(WAN, WEB), NameServers(WAN, {TWO: well}), Probe() as p, Actors() as a:
        a.go(21, using, ['10.200.7.53'], surf, sites(21, 2), 0.4)
        a.go(22, surf, sites(22, 2), 0.4, by(WINDOWS_ONE, ['10.200.7.53']))
        for n in (23, 24):
            a.go(n, using, [TWO], surf, sites(n, 14), 1.2)
    about(10, *a.results[21][0] + a.results[22][0])
    return p


@cause('N3', 'questions for AAAA are dropped: glibc asks four times, and connects after 15 s', 5,
       [Finding('type-unanswered', ONE, 'high', hosts=(21, 22, 23))], [],
       [Finding('not-the-network|resolver-unanswered|zone-unanswered')], text=['AAAA'])
def test_type_dropped():
    """programs that ask for A alone do not wait, and neither do those that have another resolver"""
    def only_a(names, pause):
        return surf(names, pause, lambda name: [socket.gethostbyname(name)])

    with Serve(WAN, WEB), NameServers(WAN, {ONE: where(of_type(AAAA), silent), TWO: well}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE], surf, sites(n, 2), 0.4)
        a.go(24, using, [ONE], only_a, sites(24, 14), 1.4)
        a.go(25, using, [TWO], surf, sites(25, 14), 1.4)
    about(15, *[a.results[n][0][0] for n in (21, 22, 23)])
    return p


@cause('N2', 'a zone gets no answer: its forwarder is behind a tunnel that is cut (dnsmasq)', 6,
       [Finding('zone-unanswered', None, 'high', hosts=(21, 22, 23))], [],
       [Finding('not-the-network|resolver-unanswered|type-unanswered')], text=['corp.example'])
def test_zone_silent():
    ip(WAN, 'address add %s/32 dev lo' % ONE)
    swallow(WAN, '10.200.7.53')
    options = ['--server=/corp.example/10.200.7.53', '--address=/example.com/' + SERVER4]
    with Serve(WAN, WEB), dnsmasq(WAN, ONE, *options), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, using, [ONE], surf, sites(n, 2, 'corp.example') + sites(n, 3), 0.3)
        a.go(23, surf, sites(23, 2, 'corp.example') + sites(23, 3), 0.3, by(WINDOWS_ONE, [ONE]))
        for n in (24, 25, 26):
            a.go(n, using, [ONE], surf, sites(n, 16), 1.3)
    about(10, *[w for n in (21, 22, 23) for w in a.results[n][0][:2]])
    return p


@cause('N2', 'names of a zone fail: the resolver gives up after 4 s, and says so', 5,
       [Finding('zone-unanswered|resolver-slow', None, 'medium')], [], [Finding('not-the-network|resolver-unanswered')],
       text=['partner.example'])
def test_zone_fails_late():
    behaviour = where(under('partner.example'), late(4, fails))
    with Serve(WAN, WEB), NameServers(WAN, {ONE: behaviour}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE], surf, sites(n, 2, 'partner.example') + sites(n, 4), 0.3)
        for n in (24, 25):
            a.go(n, using, [ONE], surf, sites(n, 16), 1.3)
    about(8, *[w for n in (21, 22, 23) for w in a.results[n][0][:2]])
    return p


@cause('N4', 'a resolver whose first forwarder is dead answers after 3 s what it has not in its cache', 6,
       [Finding('resolver-slow', ONE, 'medium', timer=3)], [], [Finding('not-the-network|resolver-unanswered')])
def test_forwarder_late():
    known = under('intranet.example')
    with Serve(WAN, WEB), NameServers(WAN, {ONE: where(known, well, late(3.0))}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, using, [ONE], surf, sites(n, 4), 0.4)
        a.go(23, surf, sites(23, 4), 0.4, by(WINDOWS_ONE, [ONE]))
        for n in (24, 25, 26):
            a.go(n, using, [ONE], surf, sites(n, 12, 'intranet.example'), 1.2)
    about(3, *[w for n in (21, 22, 23) for w in a.results[n][0]])
    return p


@cause('N5', 'answers that are cut (TC), and TCP 53 is dropped', 5,
       [Finding('dns-tcp-blocked', ONE, 'medium', hosts=(21, 22, 23))],
       [Finding('peer-unanswered|waits-for-peer', ONE + ':53')],
       [Finding('not-the-network|resolver-unanswered|zone-unanswered')])
def test_tcp_blocked():
    """glibc waits for its connect, which the system gives up after two minutes; here after 3 s"""
    rules = 'chain i { type filter hook input priority 0; ip daddr %s tcp dport 53 drop }' % ONE
    for n in (21, 22, 23):
        sysctl(client(n), 'net.ipv4.tcp_syn_retries=2')
    with Serve(WAN, WEB), NameServers(WAN, {ONE: where(under('big.example'), cut)}), Rules(WAN, rules), \
            Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE], surf, ['large%d.big.example' % n] + sites(n, 6), 0.4)
        for n in (24, 25):
            a.go(n, using, [ONE], surf, sites(n, 12), 1.2)
    syns = p.connections(server=ONE, server_port=53)
    expect(len(syns) >= 3 and all(c['outcome'] == 'unanswered' for c in syns), 'no connect to TCP 53', syns)
    return p


@cause('N6', 'one of two questions of one port is lost now and then, as by the conntrack race', 5,
       [], [Finding('dns-answers-lost', ONE)], [Finding('resolver-unanswered|type-unanswered|zone-unanswered|resolver-slow')])
def test_race():
    """glibc repeats both from the same port with the same ids after 5 s, and is answered at once"""
    unlucky = ['www5-21.example.com', 'www9-22.example.com', 'www2-23.example.com', 'www7-24.example.com']
    lost = where(lambda q: q.name in unlucky and q.kind == AAAA and q.nth == 1, silent)
    with Serve(WAN, WEB), NameServers(WAN, {ONE: lost}), Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24, 25):
            a.go(n, using, [ONE], surf, sites(n, 16), 0.5)
    about(5, a.results[21][0][5], a.results[23][0][2])
    return p


def asks_first(zone, resolver, seconds):
    """Returns the hold() of a helper: it asks for the fingerprint of what opens a connection, as a name of its vendor's
    zone, and lets the request pass after the answer or after this time.
    """
    schedule = Schedule(WINDOWS_ONE.tries, seconds, fresh=False)
    return lambda: follow(schedule, [resolver], 'a%d.%s' % (time.monotonic_ns(), zone), [A])


@cause('N7 D4', 'a scanner asks its vendor by DNS, whose zone gets no answer, and holds each request for 5 s', 6,
       [Finding('waits-for-peer', None, 'medium', hosts=(21, 22, 23), timer=5)], [Finding('zone-unanswered')],
       [Finding('not-the-network|resolver-unanswered')], text=['rep.vendor.example'])
def test_reputation_zone():
    zone = 'rep.vendor.example'
    with Serve(WAN, WEB), NameServers(WAN, {ONE: where(under(zone), silent)}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE], surf, sites(n, 4), 0.4, glibc, 0.13 * (n - 20), asks_first(zone, ONE, 5.0))
        for n in (24, 25, 26):
            a.go(n, using, [ONE], surf, sites(n, 14), 1.3)
    return p


@cause('N7 D9', 'a mail server greets after it has asked for the name of its client, in vain', 4,
       [Finding('late-banner|waits-for-peer', None, 'low'), ], [Finding(NAMES)], [Finding('not-the-network|ident|slow-server')])
def test_reverse_name():
    """the resolver of the mail server is on the LAN, so that its questions pass here; it knows half of the clients"""
    resolver = '10.1.4.24'

    def asks_name(s):
        with contextlib.suppress(socket.gaierror):
            socket.getnameinfo((s.getpeername()[0], 0), 0)

    class Mail(Serve):
        def start(self):
            resolv_conf([resolver], 'options attempts:1')
            super().start()

    knows = where(lambda q: q.name.startswith(('21.', '22.')), silent)
    with NameServers(client(24), {resolver: knows}), Mail(WAN, {**WEB, (SERVER4, 25): greets_again(0, asks_name)}), \
            Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, mail, 2, 0.4)
        a.go(23, mail, 12, 1.5)
    late_greetings = [c for c in p.connections(server=SERVER4, server_port=25)
                      if c['server_first'] and c['server_first'] - c['ack'] > 4 * 10 ** 9]
    expect(len(late_greetings) >= 4, 'only', len(late_greetings), 'greetings are late')
    return p


@cause('N1', 'the gateway is the resolver of its clients, and what it asks itself is silent (both sides watched)', 4,
       [Finding('resolver-unanswered|resolver-slow', None, 'low')], [Finding(NAMES)], [Finding('not-the-network')],
       text=[ONE])
def test_own_resolver():
    """dnsmasq with --strict-order asks the next one only when its client asks again"""
    with Serve(WAN, WEB), NameServers(WAN, {ONE: silent, TWO: well}), \
            dnsmasq(netns.GATEWAY, '10.1.4.1', '--strict-order', '--cache-size=0', '--server=' + ONE, '--server=' + TWO), \
            Probe('--iface', netns.WAN_IFACE) as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, ['10.1.4.1'], surf, sites(n, 4), 0.4)
        a.go(24, using, [TWO], surf, sites(24, 14), 1.2)
    return p
