"""Lookups that fail, are slow or are repeated, and make nobody wait; and names that are not seen here."""
import socket
import time

from causes import Finding, cause, rows
from dns_clients import WINDOWS_ONE, follow, glibc, sites, surf, using
from dns_server import (AAAA, HTTPS, PTR, A, NameServers, no_such_name, of_type, question,
                        silent, spoofed, under, well, where)
from netns import WAN, Probe, Serve
from probe import expect
from workload import OTHER4, SITES, WEB, Actors, connect, ip, page, rest, sysctl

ONE, TWO = '203.0.113.53', '203.0.113.54'


def all_prompt(p):
    expect(not p.summary['ledger']['failed'] and not p.summary['ledger']['late'], rows(p))


@cause('F DNS', 'the first resolver\'s port is closed: the system goes on at once', 4, check=all_prompt)
def test_port_closed():
    ip(WAN, 'address add %s/32 dev lo' % ONE)
    sysctl(WAN, 'net.ipv4.icmp_ratelimit=0')
    with Serve(WAN, WEB), NameServers(WAN, {TWO: well}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, using, [ONE, TWO], surf, sites(n, 12), 0.6)
        for n in (23, 24):
            a.go(n, using, [TWO], surf, sites(n, 12), 0.6)
    expect(max(a.results[21][0]) < 0.5, a.results)
    return p


@cause('F DNS', 'one question of many is lost, and repeated after 5 s', 6, [], [], [])
def test_one_lost():
    lost = where(lambda q: q.name == 'www4-22.example.com' and q.nth == 1, silent)
    with Serve(WAN, WEB), NameServers(WAN, {ONE: lost}), Probe() as p, Actors() as a:
        for n in range(21, 27):
            a.go(n, using, [ONE], surf, sites(n, 12), 0.5)
    expect(a.results[22][0][4] > 4.9, 'no question was lost', a.results[22])
    return p


@cause('F DNS', 'negative answers: a search list with ndots 5, and names that do not exist', 5, check=all_prompt)
def test_negative():
    exists = where(lambda q: q.name.endswith('.example.com') and q.name.count('.') == 2, well, no_such_name)
    search = 'search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5'

    def canaries(count):
        for k in range(count):
            for name in ('mask.icloud.com', 'use-application-dns.net', 'wpad.corp.example', 'printer%d.local' % k):
                follow(WINDOWS_ONE, [ONE], name, (A, AAAA, HTTPS))
            rest(0.8)

    with Serve(WAN, WEB), NameServers(WAN, {ONE: exists}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, lambda names: using([ONE], surf, names, 0.6, options=search), sites(n, 10))
        for n in (24, 25):
            a.go(n, canaries, 8)
            a.go(n, using, [ONE], surf, sites(n, 10), 0.7)
    expect(max(a.results[21][0]) < 0.5, a.results)
    return p


@cause('F DNS', 'questions that nobody waits for get no answer: log daemons ask for PTR, browsers for type 65', 5,
       [], [Finding('type-unanswered|zone-unanswered', most='medium')], [Finding('resolver-unanswered')], check=all_prompt)
def test_nobody_waits():
    def logs(count):
        for k in range(count):
            follow(WINDOWS_ONE, [ONE], '%d.7.200.10.in-addr.arpa' % k, (PTR,))

    def browse(names):
        for name in names:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(question(name, HTTPS, 77), (ONE, 53))
                page(glibc(name)[0], 80)
            rest(0.7)

    with Serve(WAN, WEB), NameServers(WAN, {ONE: where(of_type(PTR, HTTPS), silent)}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE], browse, sites(n, 15))
        a.go(21, logs, 1)
        a.go(22, logs, 1)
        for n in (24, 25):
            a.go(n, using, [ONE], surf, sites(n, 15), 0.7)
    return p


@cause('F DNS', 'somebody guesses ids: false answers before and after the right ones', 4, check=all_prompt)
def test_spoofed():
    with Serve(WAN, WEB), NameServers(WAN, {ONE: spoofed}), Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, using, [ONE], surf, sites(n, 14), 0.5)
    expect(len(p.connections(server='10.66.66.66')) == 0, 'a false answer was believed')
    return p


@cause('F DNS', 'most hosts resolve by HTTPS: one long connection each, and addresses that no answer names', 6,
       check=all_prompt)
def test_doh():
    """the connection to the resolver is idle between questions, and is used by nobody else"""
    def by_https(pages):
        with connect(OTHER4, 443) as resolver:
            for k in range(pages):
                resolver.sendall(b'\x17\x03\x03\x00\x40' + b'x' * 64)
                resolver.recv(65536)
                page(*SITES[k % 3])
                rest(0.8)

    def https(s):
        while s.recv(65536):
            s.sendall(b'\x17\x03\x03\x00\x40' + b'y' * 64)

    with Serve(WAN, {**WEB, (OTHER4, 443): https}), NameServers(WAN, {ONE: well}), Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, by_https, 12)
        for n in (25, 26):
            a.go(n, using, [ONE], surf, sites(n, 12), 0.8)
    return p


@cause('F DNS', 'names are resolved long before they are used (prefetch), some of them in vain', 5,
       [], [Finding('zone-unanswered', None, most='medium')], [Finding('resolver-unanswered')], check=all_prompt)
def test_prefetch():
    """a browser resolves the names of all links; those of an old site are not answered, and nobody follows them"""
    def prefetch(names, gone):
        addresses = [glibc(name)[0] for name in names]
        for k, address in enumerate(addresses):
            if k < 2:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(question(gone[k], A, 100 + k), (ONE, 53))
            time.sleep(0.9)
            page(address, 80)

    with Serve(WAN, WEB), NameServers(WAN, {ONE: where(under('old.example'), silent)}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [ONE], prefetch, sites(n, 12), sites(n, 2, 'old.example'))
        for n in (24, 25):
            a.go(n, using, [ONE], surf, sites(n, 12), 0.8)
    return p
