"""The gateway's route to a peer, compared with ip(8) while routes, rules and neighbours change.

If this fails, a finding blames a server for an effect of this host's routes, or this host without a reason.
"""
import contextlib
import json
import os
import subprocess
import time
from types import SimpleNamespace

import pytest

import netns
from netns import GATEWAY, LAN_IFACE, WAN, WAN_IFACE, require_lab
from probe import ROOT, expect

require_lab(clients=3)

ASK = os.path.join(ROOT, 'build', 'test-route')

IP4 = SimpleNamespace(
    option='-4', client='10.1.4.21', neighbour='10.1.4.22', absent='10.1.4.99', own='198.51.100.1', lan='10.1.4.0/24',
    hop='198.51.100.2', hop2='198.51.100.3', peer='10.200.7.9', net='10.200.7.0/24', half='10.200.7.0/25',
    everything='0.0.0.0/0', bits=32, tunnel='192.0.2.1/30', forwarding='net.ipv4.ip_forward', foreign='9.9.9.9')
IP6 = SimpleNamespace(
    option='-6', client='fd00:1:4::21', neighbour='fd00:1:4::22', absent='fd00:1:4::99', own='2001:db8:51::1',
    lan='fd00:1:4::/64', hop='2001:db8:51::2', hop2='2001:db8:51::3', peer='2001:db8:dead::9', net='2001:db8:dead::/48',
    half='2001:db8:dead::/64', everything='::/0', bits=128, tunnel='2001:db8:7::1/64',
    forwarding='net.ipv6.conf.all.forwarding', foreign='2001:db8:9::9')
BOTH = (IP4, IP6)

TYPES = {'blackhole': 'Invalid argument', 'unreachable': 'No route to host', 'prohibit': 'Permission denied'}


def gw(*command, check=True):
    return netns.sh(GATEWAY, *command, check=check)


def ip(f, line, check=True):
    return gw('ip', f.option, *line.split(), check=check)


@contextlib.contextmanager
def with_ip(f, *lines):
    """Adds entries by ip(8) for the time of a with block, and deletes them in reverse order."""
    done = []
    try:
        for line in lines:
            ip(f, line)
            done.append(line)
        yield
    finally:
        for line in reversed(done):
            if ' add ' in line:
                line = line.replace(' add ', ' del ', 1)
                if line.startswith(('link', 'nexthop')):
                    line = ' '.join(line.split()[:4 if line.startswith('nexthop') else 3])
                # The removal of a device has already removed its entries.
                ip(f, line, check=False)


@contextlib.contextmanager
def without_ip(f, line):
    ip(f, line.replace(' add ', ' del ', 1))
    try:
        yield
    finally:
        ip(f, line)


@contextlib.contextmanager
def sysctl(**settings):
    """Changes settings, with _ for the dots in their names."""
    name, value = settings.popitem()
    name = name.replace('__', '.')
    before = gw('sysctl', '-n', name).strip()
    gw('sysctl', '-qw', '%s=%s' % (name, value))
    try:
        yield
    finally:
        gw('sysctl', '-qw', '%s=%s' % (name, before))


def ask(destination, source, iface=LAN_IFACE):
    r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, ASK, destination, source or '-', iface or '-'],
                       capture_output=True, text=True)
    expect(r.returncode == 0, r.stdout, r.stderr)
    return r.stdout.strip()


def ip_route_get(f, destination, source, iface, match=True):
    """Returns the JSON object of ip route get, or the kernel's error as text."""
    r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, 'ip', f.option, '-j', 'route', 'get'] +
                       ['fibmatch'] * match +
                       [destination, 'from', source, 'iif', iface, 'ipproto', '6'], capture_output=True, text=True)
    if r.returncode:
        return r.stderr.strip().rsplit(': ', 1)[1]
    return json.loads(r.stdout)[0]


def agreed(f, destination, source=None, iface=LAN_IFACE):
    """Returns the result of gateway_route(), after checking that ip(8) gives the same."""
    source = source or f.client
    result, other = ask(destination, source, iface), ip_route_get(f, destination, source, iface)
    words = result.split()
    if isinstance(other, str):
        expect(other == dict(TYPES, none='Network is unreachable').get(words[0]), result, other)
        return result
    expect(words[0] in ('found', 'local'), result, other)
    prefix = {'default': f.everything}.get(other['dst'], other['dst'])
    expect(words[1] == (prefix if '/' in prefix else '%s/%d' % (prefix, f.bits)), result, other)
    table = {'main': 254, 'local': 255}.get(other.get('table', 'main'), other.get('table'))
    expect(words[0] == 'local' or words[3] == str(table), result, other)
    if words[0] == 'found':
        other = ip_route_get(f, destination, source, iface, match=False)
        hop = other.get('gateway') or other.get('via', {}).get('host')
        expect(('via ' + hop if hop else 'table %s dev' % table) in result, result, other)
        expect('dev %s ' % other['dev'] in result, result, other)
    return result


def found(f, prefix, table=254, via=None, dev=WAN_IFACE, state='up', neighbour='unknown'):
    return 'found %s table %d%s dev %s %s neighbour %s' % (prefix, table, ' via ' + via if via else '', dev, state,
                                                           neighbour)


def same(result, wanted, *what):
    expect(result == wanted, *what, result, 'instead of', wanted)


@pytest.fixture(scope='module', autouse=True)
def no_neighbours():
    forget_neighbours()


def forget_neighbours():
    """Removes neighbour entries of earlier tests."""
    for dev in (LAN_IFACE, WAN_IFACE):
        for f in BOTH:
            ip(f, 'neighbour flush dev %s nud all' % dev, check=False)


def default(f, **also):
    return found(f, f.everything, via=f.hop, **also)


def test_removed_route():
    """a peer's route is reported with prefix and next hop; after its removal the default route is"""
    for f in BOTH:
        with with_ip(f, 'route add %s via %s' % (f.net, f.hop2)):
            same(agreed(f, f.peer), found(f, f.net, via=f.hop2))
            with with_ip(f, 'route add %s via %s' % (f.half, f.hop)):
                same(agreed(f, f.peer), found(f, f.half, via=f.hop), 'the longest prefix')
        same(agreed(f, f.peer), default(f))


def test_no_route():
    """without a default route and a specific one, a peer has no route"""
    for f in BOTH:
        with without_ip(f, 'route add default via %s' % f.hop):
            same(agreed(f, f.peer), 'none')


def test_rejecting():
    """blackhole, unreachable and prohibit routes are distinguished, with their prefix, for both families"""
    for f in BOTH:
        for kind in TYPES:
            with with_ip(f, 'route add %s %s' % (kind, f.net)):
                same(agreed(f, f.peer), '%s %s table 254' % (kind, f.net))
                same(ask(f.peer, f.client, None), '%s %s table 254' % (kind, f.net), 'without interface')
                same(ask(f.peer, None, None), '%s %s table 254' % (kind, f.net), 'nor source')
                with with_ip(f, 'route add %s %s' % (kind, f.half)):
                    same(agreed(f, f.peer), '%s %s table 254' % (kind, f.half))
                with with_ip(f, 'route add %s %s table 100' % (kind, f.half)):
                    same(agreed(f, f.peer), kind, 'two tables have such a route: it is not reported which')
        same(agreed(f, f.peer), default(f))


def test_rules():
    """policy rules by source and by input interface select the table; a rejecting rule is not reported as a route"""
    for f in BOTH:
        table = 'route add %s via %s table 100' % (f.net, f.hop2)
        with with_ip(f, 'rule add from %s lookup 100' % f.client, table):
            ruled = found(f, f.net, table=100, via=f.hop2)
            same(agreed(f, f.peer), ruled)
            same(ask(f.peer, f.client, None), ruled, 'the source determines the interface')
            same(agreed(f, f.peer, f.neighbour), default(f), 'not for others')
        with with_ip(f, 'rule add iif %s lookup 100' % LAN_IFACE, table):
            same(agreed(f, f.peer), ruled)
            same(agreed(f, f.peer, f.hop, WAN_IFACE), default(f))
        for kind in TYPES:
            with with_ip(f, 'rule add from %s lookup 100' % f.client, 'route add %s %s table 100' % (kind, f.net)):
                same(agreed(f, f.peer), '%s %s table 100' % (kind, f.net))
            with with_ip(f, 'rule add from %s %s' % (f.client, kind)):
                # for such a rule the kernel reports the same as without a route (net/ipv4/fib_rules.c)
                same(agreed(f, f.peer), ('none' if kind == 'unreachable' else kind))


def test_unsure():
    """with rules for marks or ports, the result states that the real route may differ"""
    for f in BOTH:
        for selector in ('fwmark 7', 'ipproto 6 dport 443'):
            with with_ip(f, 'rule add %s lookup 100' % selector):
                same(agreed(f, f.peer), default(f) + ' unsure')
        same(agreed(f, f.peer), default(f))


def test_device():
    """a route whose device has lost its carrier is reported as such; setting a device down removes its routes"""
    for f in BOTH:
        with with_ip(f, 'link add vpn0 type veth peer name vpn1', 'link set vpn1 up', 'link set vpn0 up',
                     'address add %s dev vpn0%s' % (f.tunnel, ' nodad' if f is IP6 else ''),
                     'route add %s dev vpn0' % f.net):
            end = time.monotonic() + 60
            while agreed(f, f.peer) != found(f, f.net, dev='vpn0'):
                expect(time.monotonic() < end, 'comes up', agreed(f, f.peer))
                time.sleep(0.1)
            ip(f, 'link set vpn1 down')
            same(agreed(f, f.peer), found(f, f.net, dev='vpn0', state='down'))
            ip(f, 'link set vpn0 down')
            same(agreed(f, f.peer), default(f))
        same(agreed(f, f.peer), default(f))


def test_tunnel():
    """a tunnel, whose operational state is always unknown, counts as up"""
    for f in BOTH:
        with with_ip(f, 'link add vpn0 type vxlan id 7 dstport 4789', 'link set vpn0 up', 'route add %s dev vpn0' % f.net):
            state = json.loads(gw('ip', '-j', 'link', 'show', 'vpn0'))[0]['operstate']
            expect(state == 'UNKNOWN', 'the precondition of this test', state)
            same(agreed(f, f.peer), found(f, f.net, dev='vpn0'))


def test_multipath():
    """among several next hops, the result is the one that the kernel selects for this source and destination"""
    for f in BOTH:
        hops = {found(f, f.net, via=hop) for hop in (f.hop, f.hop2)}
        with with_ip(f, 'route add %s nexthop via %s nexthop via %s' % (f.net, f.hop, f.hop2)):
            result = set()
            for i in range(10, 90):  # a hash distributes them to both next hops
                result.add(agreed(f, f.peer[:-1] + str(i)))
                if result == hops:
                    break
        expect(result == hops, result)


def test_next_hops():
    """next hops of the other family, and next hop objects without their old form, are followed"""
    with with_ip(IP4, 'route add %s via inet6 %s dev %s' % (IP4.net, IP6.hop2, WAN_IFACE)):
        same(agreed(IP4, IP4.peer), found(IP4, IP4.net, via=IP6.hop2))
    with sysctl(net__ipv4__nexthop_compat_mode=0):
        for f in BOTH:
            with with_ip(f, 'nexthop add id 9 via %s dev %s' % (f.hop2, WAN_IFACE), 'route add %s nhid 9' % f.net):
                same(agreed(f, f.peer), found(f, f.net, via=f.hop2))
            with with_ip(f, 'nexthop add id 9 blackhole', 'route add %s nhid 9' % f.net):
                expect(ask(f.peer, f.client).startswith('blackhole'), ask(f.peer, f.client))


def test_local():
    """this host's own addresses are local, as destination and as source; a connected network has no next hop"""
    for f in BOTH:
        expect(agreed(f, f.own).startswith('local %s/%d' % (f.own, f.bits)), agreed(f, f.own))
        same(ask(f.peer, f.own), default(f), 'packets that the host sends itself')
        with with_ip(f, 'rule add from %s lookup 100' % f.own, 'route add %s via %s table 100' % (f.net, f.hop2)):
            same(ask(f.peer, f.own), found(f, f.net, table=100, via=f.hop2))
        same(agreed(f, f.client, f.hop, WAN_IFACE), found(f, f.lan, dev=LAN_IFACE))


def test_refused_source():
    """a source that fails the reverse path filter on the interface does not make its destination a blackhole"""
    with sysctl(**{'net__ipv4__conf__%s__rp_filter' % LAN_IFACE: 1}):
        expect(ip_route_get(IP4, IP4.peer, IP4.foreign, LAN_IFACE) == 'Invalid argument' or
               ip_route_get(IP4, IP4.peer, IP4.foreign, LAN_IFACE) == 'Invalid cross-device link', 'the kernel refuses it')
        same(ask(IP4.peer, IP4.foreign), default(IP4))
        with with_ip(IP4, 'route add blackhole %s' % IP4.net):
            same(ask(IP4.peer, IP4.foreign), 'blackhole %s table 254' % IP4.net)
    for source in ('0.0.0.0', '224.0.0.1', '255.255.255.255'):
        same(ask(IP4.peer, source), default(IP4), source)
    for f in BOTH:
        same(ask(f.peer, f.client, 'gone0'), default(f), 'an interface that is gone')


def test_not_forwarded():
    """with forwarding off no route is blamed: the peer is reached otherwise, or forwarding is the fault"""
    for f in BOTH:
        with sysctl(**{f.forwarding.replace('.', '__'): 0}):
            same(ask(f.peer, f.client), 'not-forwarded')
            expect(ask(f.own, f.client).startswith('local'), ask(f.own, f.client))
            expect(ask(f.peer, f.own).startswith('found'), 'packets that the host sends itself', ask(f.peer, f.own))
        same(ask(f.peer, f.client), default(f))


def test_neighbour():
    """an unused address of a connected network, and an unreachable next hop, are reported as such"""
    for f in BOTH:
        question = f.absent, f.hop, WAN_IFACE
        forget_neighbours()
        same(agreed(f, *question), found(f, f.lan, dev=LAN_IFACE))
        # a real attempt through the gateway, from the other side
        attempt = netns.fork(WAN, netns.try_connect, f.absent, 80, 20)
        result, end = ask(*question), time.monotonic() + 60
        while result != found(f, f.lan, dev=LAN_IFACE, neighbour='failed'):
            expect(result.endswith(('neighbour unknown', 'neighbour incomplete')), result)
            expect(time.monotonic() < end, 'becomes failed', result)
            time.sleep(0.05)
            result = ask(*question)
        attempt()
        for state, word in (('failed', 'failed'), ('incomplete', 'incomplete'), ('stale', 'reachable'),
                            ('permanent', 'reachable')):
            ip(f, 'neighbour replace %s lladdr 02:00:00:00:00:02 dev %s nud %s' % (f.hop, WAN_IFACE, state))
            same(agreed(f, f.peer), default(f, neighbour=word), state)
        forget_neighbours()
