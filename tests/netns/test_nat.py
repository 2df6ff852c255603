"""The outer side of the gateway's NAT: the probe takes the inner clients from conntrack.

If this fails, a probe on the WAN side attributes all connections to one client.
"""
import os
import socket
import time

import pytest

import netns
from netns import (CLIENT4, CLIENTS, DEAD4, GATEWAY, SERVER4, SERVER6, WAN, WAN_IFACE, WEB, Probe, Rules, Serve, one,
                   require_lab)
from probe import expect, wait_for

require_lab(clients=6)

OUTER = '198.51.100.1'
MASQUERADE = 'chain n { type nat hook postrouting priority 100; oifname "%s" masquerade }' % WAN_IFACE


def outside(*arguments):
    return Probe(*arguments, iface=WAN_IFACE)


def sysctl(name, value):
    netns.sh(GATEWAY, 'sysctl', '-qw', '%s=%s' % (name, value))


def test_named():
    """each kind of outcome is recorded under the inner client, with the outer address and without a MAC"""
    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), Probe() as inside, outside() as p:
        for ns in CLIENTS[:2]:
            for server in (SERVER4, SERVER6):
                netns.run(ns, netns.browse, server, 80)
            netns.run(ns, netns.try_connect, SERVER4, 81, 5)  # refused: conntrack forgets it at once
            netns.run(ns, netns.try_connect, DEAD4, 5274, 0.3)
        inside.stop()
        p.stop()
        want = {(c['client'], c['client_port'], c['server'], c['server_port'], c['outcome']) for c in inside.connections()}
        got = {(c['client'], c['client_port'], c['server'], c['server_port'], c['outcome']) for c in p.connections()}
        expect(len(want) == 8 and got == want, 'the two sides differ', got ^ want)
        for c in p.connections():
            outer = '2001:db8:51::1' if ':' in c['client'] else OUTER
            expect(c['behind'] and c['behind']['address'] == outer and c['behind']['port'], c)
            expect(c['client_mac'] is None, c)
        expect(all(c['behind'] is None for c in inside.connections()), inside.connections())
        expect(p.summary['nat'] == {'known': True, 'behind': 8, 'own': 0, 'lost': 0}, p.summary['nat'])
        expect('eth1 is the outer side of this gateway\'s NAT' in p.errors, p.errors)
        expect('outer side' not in inside.errors and 'NAT  8 attempts came from behind' in p.text, p.text)


def other_port():
    """Two clients use one source port: the second one gets another outside."""
    return netns.browse(SERVER4, 80, port_from=5151)


def test_same_port():
    """two clients with the same source port are two clients, although NAT must change one of the ports"""
    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), outside() as p:
        for ns in CLIENTS[:2]:
            netns.run(ns, other_port)
        p.stop()
        got = {(c['client'], c['client_port']): c['behind'] for c in p.connections()}
        expect(set(got) == {(CLIENT4 % 21, 5151), (CLIENT4 % 22, 5151)}, got)
        expect(len({b['port'] for b in got.values()}) == 2, got)


def test_other_address():
    """translation to an address that is on no interface (a pool) is recognised as NAT"""
    rules = 'chain n { type nat hook postrouting priority 100; oifname "%s" snat ip to 192.0.2.7 }' % WAN_IFACE
    netns.sh(WAN, 'ip', 'route', 'add', '192.0.2.7', 'via', OUTER)
    try:
        with Serve(WAN, WEB), Rules(GATEWAY, rules), outside() as p:
            netns.run(CLIENTS[0], netns.browse, SERVER4, 80)
            p.stop()
            c = one(p.connections(), 'browse')
            expect(c['client'] == CLIENT4 % 21 and c['behind']['address'] == '192.0.2.7', c)
    finally:
        netns.sh(WAN, 'ip', 'route', 'del', '192.0.2.7')


def test_own():
    """connections of the gateway itself are reported as its own, beside those of its clients"""
    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), outside() as p:
        netns.run(CLIENTS[0], netns.browse, SERVER4, 80)
        netns.run(GATEWAY, netns.browse, SERVER4, 80)
        p.stop()
        got = {c['client']: c['behind'] for c in p.connections()}
        expect(set(got) == {CLIENT4 % 21, OUTER} and got[OUTER] is None, got)
        expect(p.summary['nat']['own'] == 1 and not [f for f in p.of('finding') if f['kind'] == 'no-verdict'], p.json)


def held(seconds):
    """Delays like the antivirus of the demo: each connection waits for its server, which does not answer."""
    for _ in range(3):
        for server in (SERVER4, '203.0.113.11'):
            s = socket.create_connection((server, 80))
            dead = socket.socket()
            dead.setblocking(False)
            dead.connect_ex((DEAD4, 5274))
            time.sleep(seconds)
            dead.close()
            s.sendall(b'GET')
            s.recv(100)
            s.close()
        time.sleep(0.7)


def prompt():
    for _ in range(6):
        netns.browse(SERVER4, 80)
        time.sleep(1)


def test_story():
    """three of six clients wait for a dead peer: outside, names, cohort and comparison equal those of the inside"""
    web = dict(WEB)
    web['203.0.113.11', 80] = netns.answers
    with Serve(WAN, web), Rules(GATEWAY, MASQUERADE), Probe() as inside, outside() as p:
        waits = [netns.fork(ns, held, 3.2) for ns in CLIENTS[:3]] + [netns.fork(ns, prompt) for ns in CLIENTS[3:]]
        expect(p.printed('stall 3.2'), p.lines)
        for wait in waits:
            wait()
        inside.stop()
        p.stop()
        for probe in (inside, p):
            finding = next(f for f in probe.of('finding') if f['kind'] == 'waits-for-peer')
            expect(finding['peer']['address'] == DEAD4 and finding['peer']['port'] == 5274, finding)
            expect(finding['affected'] == [CLIENT4 % i for i in (21, 22, 23)], finding)
            expect(finding['unaffected'] == [CLIENT4 % i for i in (24, 25, 26)], finding)
            expect(finding['confidence'] == 'high', finding)
        live = [line for line in p.lines if 'stall 3.2' in line]
        expect(live and all(line.split()[1].startswith('10.1.4.') for line in live), live)
        stall = p.of('stall')[0]
        expect(stall['behind']['address'] == OUTER, stall)


def test_no_conntrack():
    """without data from conntrack, the probe reports the reason and the inner interface, and gives no verdict"""
    before = int(netns.sh(GATEWAY, 'cat', '/proc/sys/net/netfilter/nf_conntrack_events'))
    sysctl('net.netfilter.nf_conntrack_events', 0)
    try:
        with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), outside() as p:
            for _ in range(4):
                netns.run(CLIENTS[0], netns.browse, SERVER4, 80)
            wait_for(lambda: 'cannot be distinguished' in p.errors, 'the message about the outer side')
            p.stop()
            expect('nf_conntrack_events is 0' in p.errors and 'Watch eth0 (10.1.4.1)' in p.errors, p.errors)
            expect(all(c['client'] == OUTER and c['behind'] is None for c in p.connections()), p.json)
            f = one([f for f in p.of('finding') if f['kind'] == 'no-verdict'], 'no-verdict')
            expect('outer side of a NAT' in f['text'], f)
            report = ' '.join(p.text.split())
            expect('watch eth0 (10.1.4.1)' in report and 'nf_conntrack_events is 0' in report, p.text)
    finally:
        sysctl('net.netfilter.nf_conntrack_events', before)


def test_no_rights():
    """the clients are known without any capability: the probe drops all before the first packet"""
    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), outside() as p:
        with open('/proc/%d/status' % p.process.pid) as f:
            rights = [line.split()[1] for line in f if line.startswith('CapPrm')]
        if os.path.exists('/sys/module/nf_flow_table') or os.path.exists('/proc/net/stat/nf_flowtable'):
            pytest.skip('nf_flow_table is loaded: the probe keeps a capability for flowtables')
        if 'tcx' not in p.errors:
            pytest.skip('this kernel has no TCX: the removal of a clsact hook needs a capability')
        expect(int(rights[0], 16) == 0, rights)
        netns.run(CLIENTS[0], netns.browse, SERVER4, 80)
        p.stop()
        expect(one(p.connections(), 'browse')['client'] == CLIENT4 % 21, p.json)


def test_evidence():
    """--write finds the packets of a stall outside, although they have another address"""
    path = os.path.join('/tmp', 'probenat%d.pcapng' % os.getpid())
    try:
        with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), outside('--write', path) as p:
            netns.run(CLIENTS[0], netns.browse, SERVER4, 80, 1.3)
            p.stop()
            with open(path, 'rb') as f:
                data = f.read()
            expect(b'of silence end here: first client byte' in data, len(data), 'bytes')
    finally:
        if os.path.exists(path):
            os.unlink(path)


def many(count):
    for _ in range(count):
        netns.browse(SERVER4, 80)


def test_many():
    """each of thousands of short connections gets its client, and none is missed"""
    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), outside() as p:
        for wait in [netns.fork(ns, many, 600) for ns in CLIENTS[:4]]:
            wait()
        p.stop()
        per = {}
        for c in p.connections():
            expect(c['behind'], c)
            per[c['client']] = per.get(c['client'], 0) + 1
        expect(per == {CLIENT4 % i: 600 for i in (21, 22, 23, 24)}, per)
        expect(p.summary['nat']['lost'] == 0, p.summary['nat'])


def test_left_alone():
    """on the inner side the probe stops reading conntrack after 1000 attempts, to save its cost"""
    def sockets_of(pid):
        text = netns.sh(GATEWAY, 'cat', '/proc/%d/net/netlink' % pid)
        return sum(line.split()[1] == '12' and line.split()[3] == '00000001' for line in text.splitlines()[1:])

    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), Probe() as p:
        expect(sockets_of(p.process.pid) == 1, 'the probe must listen to new connections at first')
        for wait in [netns.fork(ns, many, 300) for ns in CLIENTS[:4]]:
            wait()
        wait_for(lambda: sockets_of(p.process.pid) == 0, 'the end of listening')
        p.stop()
        expect(len(p.connections()) == 1200 and all(c['behind'] is None for c in p.connections()), p.summary)
