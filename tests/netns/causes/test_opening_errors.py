"""Openings that end by an RST, an ICMP error or an address conflict: who refuses whom, and by which device."""
import socket
import subprocess
import time

import netns
from causes import Finding, cause, fails, rows
from netns import GATEWAY, SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from routers import forwards, join, namespace
from workload import OTHER4, SITES, THIRD4, WEB, Actors, attempts, client, ip, patient, sysctl, visit

SITES4 = SITES[:3]
LOST = [('198.18.5.%d' % n, 80) for n in range(1, 6)]


# ---- refusals ----

@cause('peer-refused', 'a server\'s firewall refuses one host by RST, and serves the others', 5,
       [Finding('peer-refused', '203.0.113.11:80', hosts=(21,), text='10.1.4.21|only')],
       never=[Finding('not-the-network')], check=fails('connect', 'refused', 6))
def test_refuses_one_host():
    refused = 'ip saddr 10.1.4.21 ip daddr 203.0.113.11'
    rules = 'chain i { type filter hook input priority 0; %s reject with tcp reset }' % refused
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        a.go(21, attempts, [(OTHER4, 80)], 2, 0.9, 6)
        a.go(21, visit, 6, 1.1, None, [(SERVER4, 80), (THIRD4, 80)])
        for n in (22, 23, 24, 25):
            a.go(n, visit, 8, 0.8, None, SITES4)
    return p


@cause('peer-refused', 'hosts of the LAN refuse a monitor in the wan, and one firewall drops its SYNs', 5,
       [], [Finding('peer-refused'), Finding('peer-unanswered', '10.1.4.25')],
       [Finding('prefix-cut|not-the-network|dropped-in-gateway|one-direction')])
def test_lan_refuses():
    """a refusal is an answer: the LAN is not cut"""
    rules = 'chain i { type filter hook input priority 0; tcp dport 8400 drop }'
    watched = [('10.1.4.%d' % n, 8400) for n in (21, 22, 23, 24)]
    with Serve(WAN, WEB), Rules(client(25), rules), Probe() as p, Actors() as a:
        monitors = [netns.fork(WAN, attempts, watched, 2, 0.5, 4),
                    netns.fork(WAN, attempts, [('10.1.4.25', 8400)], 4.2, 0.2, 2)]
        for n in (21, 22, 23):
            a.go(n, visit, 8, 1.0)
        for monitor in monitors:
            monitor()
    expect(len(p.connections(outcome='refused')) == 16, 'not refused', rows(p))
    return p


# ---- ICMP errors ----

@cause('peer-unreachable', 'a router beyond has no route to one network, and a filter for another', 4,
       [Finding('peer-unreachable', '198.18.0.0/16', text='no route|unreachable'),
        Finding('peer-unreachable', '198.19.5.5:80', text='prohibited')],
       never=[Finding('not-the-network|prefix-cut|peer-unanswered')])
def test_prohibited():
    forwards()
    ip(WAN, 'route add unreachable 198.18.0.0/16')
    prohibited = 'ip daddr 198.19.0.0/16 reject with icmp type admin-prohibited'
    rules = 'chain f { type filter hook prerouting priority 0; %s }' % prohibited
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('198.18.5.5', 80)], 4.2, 0.6, 2)
            a.go(n, attempts, [('198.19.5.5', 80)], 4.2, 0.6, 2)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.0)
    for how in 'prohibited', 'no_route':
        expect(rows(p).get(('failed', 'connect', how), 0) >= 3, 'the ledger', rows(p))
    return p


@cause('peer-unreachable', 'this gateway has an unreachable route to a network of five servers: one finding', 4,
       [Finding('peer-unreachable', '198.18.0.0/15', text='this gateway')],
       never=[Finding('not-the-network|prefix-cut|peer-unanswered|dropped-in-gateway')],
       check=lambda p: expect(len(p.of('finding', problem=True)) == 1, 'several findings for one route'))
def test_unreachable_network():
    ip(GATEWAY, 'route add unreachable 198.18.0.0/15')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            for k in range(2):
                a.go(n, attempts, LOST[k::2], 3.4, 0.1)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.0)
    return p


# ---- routing loops ----

@cause('routing-loop', 'two routers behind the gateway send a network to each other', 4,
       [Finding('routing-loop', '198.18.0.0/15', hosts=(21, 22))],
       never=[Finding('not-the-network|prefix-cut|peer-unanswered|peer-unreachable')],
       check=fails('connect', 'time_exceeded', 4))
def test_loop_beyond():
    """one of them reports: time to live exceeded"""
    router = namespace('far')
    forwards()
    join(WAN, router, '10.9.1')
    ip(WAN, 'route add 198.18.0.0/15 via 10.9.1.2')
    ip(router, 'route add default via 10.9.1.1')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, LOST[:1], 4.2, 0.2, 2)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.0)
    return p


LOOPING = [Finding('routing-loop', '198.18.0.0/15', hosts=(21, 22))]
NO_LOOP = [Finding('not-the-network|prefix-cut|peer-unanswered|peer-unreachable|dropped-in-gateway')]


def loop(*arguments, iface):
    """The next router returns a network to this gateway. The same SYN passes 63 times, each time with a lower TTL."""
    forwards()
    ip(WAN, 'route add 198.18.0.0/15 via 198.51.100.1')
    sysctl(GATEWAY, 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.eth1.send_redirects=0')
    silent = 'chain o { type filter hook output priority 0; icmp type time-exceeded drop }'
    with Serve(WAN, WEB), Rules(WAN, silent), Rules(GATEWAY, silent), Probe(*arguments, iface=iface) as p, \
            Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, LOST[:1], 4.2, 0.2, 2)
        for n in (22, 23, 24):
            a.go(n, visit, 8, 1.0)
    failed = sum(n for key, n in rows(p).items() if key[0] == 'failed')
    expect(failed == 4, 'the ledger', rows(p))
    return p


@cause('routing-loop', 'the next router returns a network to this gateway, and ICMP errors are dropped', 4, LOOPING,
       never=NO_LOOP)
def test_loop_here():
    return loop(iface=netns.WAN_IFACE)


@cause('routing-loop', 'the same, watched on both sides', 4, LOOPING, never=NO_LOOP)
def test_loop_both_sides():
    return loop('--iface', netns.WAN_IFACE, iface=netns.LAN_IFACE)


# ---- one address, two hosts ----

@cause('duplicate-address', 'two hosts have the same IPv4 address', 5,
       [Finding('duplicate-address', text='02:00:0a:01:04:17.*02:00:0a:01:04:18|02:00:0a:01:04:18.*02:00:0a:01:04:17')],
       [Finding('handshake-unfinished|reset-after-request|no-answer|lossy-client', hosts=(23,))],
       [Finding('not-the-network|peer-refused|lossy-far-side|slow-server')])
def test_duplicate_address():
    """each of them asks for the gateway's MAC address now and then, and the gateway answers the last one that asked"""
    def ask_for_gateway(after, seconds):
        """Fills the ARP cache anew, as hosts do when an entry has expired."""
        time.sleep(after)
        for _ in range(seconds):
            subprocess.run(['ip', 'neigh', 'flush', 'dev', 'eth0'], check=True)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.sendto(b'', ('10.1.4.1', 9))
            time.sleep(2.4)

    ip(client(24), 'address flush dev eth0 scope global')
    ip(client(24), 'address add 10.1.4.23/24 dev eth0')
    ip(client(24), 'route add default via 10.1.4.1')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n, after in ((23, 0), (24, 1.2)):
            a.go(n, ask_for_gateway, after, 4)
            a.go(n, patient, 9, 0.3, SITES4, 2)
        for n in (21, 22, 25):
            a.go(n, visit, 8, 1.0)
    seen = {c['client_mac'] for c in p.connections(client='10.1.4.23')}
    expect(len(seen) == 2, 'one MAC address', seen)
    return p
