"""One connection on two interfaces of the gateway gives one record, and drops between them are found.

Compared with tcpdump on both interfaces: a packet on two interfaces counts once, and no packet is invented.
"""
import collections
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import captures
import netns
from foreign_program import Foreign
from netns import (CLIENT4, CLIENTS, DEAD4, DEAD6, GATEWAY, LAN_IFACE, SERVER4, SERVER6, WAN, WAN_IFACE, WEB, Background,
                   Probe, Rules, Serve, one, require_lab)
from probe import PROBE, expect, wait_for
from workload import ANTIVIRUS, Actors, fail_open, visit

require_lab(clients=4)

A, B = CLIENTS[0], CLIENTS[1]
BOTH = (LAN_IFACE, WAN_IFACE)


class Sides(Probe):
    """The real probe on several interfaces."""

    def __init__(self, *arguments, ifaces=BOTH, namespace=None):
        more = [word for iface in ifaces[1:] for word in ('--iface', iface)]
        super().__init__(*more, *arguments, iface=ifaces[0], namespace=namespace)


def finding(p, kind, address=None):
    return [f for f in p.of('finding') if f['kind'] == kind and (not address or f['peer']['address'] == address)]


def is_split(c):
    """Checks that the times of both sides are in the order of a packet's way."""
    far = c['far']
    expect(c['syn'] <= far['syn'] <= far['synack'] <= c['synack'] <= c['client_first'] <= far['client_first'], c)
    expect(far['syn_crossing'] == far['syn'] - c['syn'] and far['synack_crossing'] == c['synack'] - far['synack'], c)
    expect(c['server_round_trip'] == far['synack'] - far['syn'], 'the round trip includes the gateway', c)


def whole(p, connections):
    """Checks that each connection occurs once in every sum of the report."""
    s = p.summary
    expect(s['connections'] == len(p.connections()) == connections, connections, 'connections gave', len(p.connections()), s)
    expect(s['lost']['sum'] == 0 and s['ambiguous'] == 0, s)
    expect(sum(h['connections'] for h in p.of('host')) == connections, 'hosts count', p.of('host'))


def test_forward():
    """a connection seen on LAN and WAN gives one record, over IPv4 and IPv6, with the gateway's own delay"""
    with Serve(WAN, WEB), Sides() as p:
        for server in (SERVER4, SERVER6):
            for client in (A, B):
                netns.run(client, netns.browse, server, 80)
        p.stop()
        whole(p, 4)
        for c in p.connections():
            expect(c['iface'] == LAN_IFACE and c['far']['iface'] == c['left_by'] == WAN_IFACE, c)
            expect(c['client_mac'].startswith('02:00:0a:01:04'), "the client's MAC", c)
            is_split(c)
        expect(p.summary['joined'] == 4 and p.summary['percentiles']['syn_crossing']['count'] == 4, p.summary)
        expect('the gateway adds to a SYN' in p.text and 'on eth0, eth1' in p.text, p.text)
        expect(not finding(p, 'dropped-in-gateway'), p.text)


def knock():
    """Opens a connection every few milliseconds, and closes it at once."""
    while True:
        with socket.socket() as s:
            s.setblocking(False)
            s.connect_ex((SERVER4, 80))
            time.sleep(0.002)


def test_start():
    """a SYN while the hooks are being attached or detached, seen on one side only or without its answer, leads to no conclusion"""
    with Serve(WAN, WEB), Background(A, knock):
        for ifaces in (BOTH, BOTH[::-1]):
            with Sides(ifaces=ifaces) as p:
                time.sleep(1)
                p.stop()
            expect(p.summary['joined'] > 10, 'precondition: connections on both sides', p.summary)
            expect(not any(c['stayed'] for c in p.connections()), [c for c in p.connections() if c['stayed']])
            expect(not finding(p, 'dropped-in-gateway') and not finding(p, 'one-direction'), p.text)
            for peer in p.of('peer', server=SERVER4):
                expect(not peer['stayed'] and not peer['swallowed'] and not peer['one_syn'], peer)


MASQUERADE = 'chain p { type nat hook postrouting priority 100; oifname "%s" masquerade }' % WAN_IFACE
DNAT = '''chain d { type nat hook prerouting priority -100; ip daddr 203.0.113.77 tcp dport 8080 dnat ip to %s:80
    ip6 daddr 2001:db8:80::77 tcp dport 8080 dnat ip6 to [%s]:80 }''' % (SERVER4, SERVER6)


def test_nat():
    """behind masquerading, DNAT, and both at once, a connection gives one record, with the inner client"""
    for rules, server4, server6, port in ((MASQUERADE, SERVER4, SERVER6, 80),
                                          (DNAT, '203.0.113.77', '2001:db8:80::77', 8080),
                                          (MASQUERADE + '\n' + DNAT, '203.0.113.77', '2001:db8:80::77', 8080)):
        with Serve(WAN, WEB), Rules(GATEWAY, rules), Sides() as p:
            for client in (A, B):
                for server in (server4, server6):
                    netns.run(client, netns.browse, server, port)
            p.stop()
            whole(p, 4)
            for c in p.connections():
                far = c['far']
                expect(c['server'] in (server4, server6) and c['server_port'] == port, c)
                expect(far['server'] in (SERVER4, SERVER6) and far['server_port'] == 80, c)
                if rules is not DNAT:
                    expect(far['client'] in ('198.51.100.1', '2001:db8:51::1'), c)
                is_split(c)
            expect({h['host'] for h in p.of('host')} == {CLIENT4 % 21, CLIENT4 % 22}, 'hosts', p.of('host'))


def test_nat_silent():
    """an unanswered attempt gives one record behind NAT as well, and is reported to have left the gateway"""
    with Rules(GATEWAY, MASQUERADE), Sides() as p:
        waits = [netns.fork(ns, netns.try_connect, dead, 5274, 4.5) for ns in (A, B) for dead in (DEAD4, DEAD6)]
        expect(p.printed('no answer', 10), p.lines)
        for wait in waits:
            wait()
        p.stop()
        whole(p, 4)
        for dead in (DEAD4, DEAD6):
            peer = one(p.of('peer', server=dead), dead)
            expect(peer['left'] == 2 and not peer['stayed'], peer)
        expect(sum('no answer:' in line for line in p.lines) == 2, 'one message for each peer, from one side', p.lines)
        expect('left this gateway by %s' % WAN_IFACE in ' '.join(p.text.split()), p.text)
        expect(not finding(p, 'dropped-in-gateway'), p.text)


DROP = 'chain f { type filter hook forward priority 0; tcp dport 99 drop }'


def try_both(port=99, seconds=4.5, clients=CLIENTS[:3]):
    waits = [netns.fork(ns, netns.try_connect, server, port, seconds) for ns in clients for server in (SERVER4, SERVER6)]
    for wait in waits:
        wait()


def test_dropped():
    """drops by this gateway's firewall are blamed on the gateway, not on the server; drops beyond it are not"""
    for arguments, ifaces in (((), BOTH), (('--follow-peers',), (LAN_IFACE,)),
                              (('--follow-peers', '--hook', 'clsact'), (LAN_IFACE,))):
        beyond = Rules(WAN, 'chain i { type filter hook input priority 0; tcp dport 98 drop }')
        with Serve(WAN, WEB), Rules(GATEWAY, DROP), beyond, Sides(*arguments, ifaces=ifaces) as p:
            for server in (SERVER4, SERVER6):
                netns.run(A, netns.browse, server, 80)
            other = threading.Thread(target=try_both, args=(98,))
            other.start()
            try_both()
            other.join()
            p.stop()
            whole(p, 14)
            for server in (SERVER4, SERVER6):
                f = one(finding(p, 'dropped-in-gateway', server), server)
                # With --follow-peers, the probe knows only of failing attempts' SYNs that they crossed.
                expect(f['confidence'] == 'high' and f['peer']['port'] == 99 and f['affected_count'] == 3, f)
                f = one(finding(p, 'peer-unanswered', server), 'the silent port')
                expect(f['peer']['port'] == 98 and 'left this gateway' in str(f['evidence']), f)
        filters = netns.sh(GATEWAY, 'tc', 'filter', 'show', 'dev', WAN_IFACE, 'egress')
        expect('clsact' not in netns.sh(GATEWAY, 'tc', 'qdisc') and not filters.strip(), 'left behind', filters)


def test_dropped_before_connect():
    """if stalled clients wait for a peer that this gateway cuts off, the finding states it"""
    with Serve(WAN, WEB), Rules(GATEWAY, 'chain f { type filter hook forward priority 0; tcp dport 5274 drop }'), \
            Sides() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 3, 0.2, fail_open(2.5, ANTIVIRUS), [(SERVER4, 80), (SERVER6, 80)], 0.07 * (n - 20))
        for n in (22, 24):
            a.go(n, visit, 8, 0.5, None, [(SERVER4, 80), (SERVER6, 80)])
    f = one(finding(p, 'waits-for-peer'), 'the story')
    expect('cut off by this gateway itself' in f['text'] and 'this gateway drops them' in str(f['evidence']), f)


def test_reject():
    """a connection that the gateway rejects, or reports as unreachable, is not reported as dropped"""
    rules = '''chain f { type filter hook forward priority 0; tcp dport 82 reject with tcp reset
        tcp dport 83 reject with icmpx type admin-prohibited }'''
    with Rules(GATEWAY, rules), Sides() as p:
        for server in (SERVER4, SERVER6):
            netns.run(A, netns.try_connect, server, 82, 5)
            netns.run(A, netns.try_connect, server, 83, 3.5)
        p.stop()
        expect(all(c['from_gateway'] for c in p.connections()), p.connections())
        expect(not finding(p, 'dropped-in-gateway') and finding(p, 'peer-refused'), p.text)


def test_no_neighbour():
    """an unused address beyond the gateway is not a drop: its neighbour is requested in vain"""
    quiet = 'chain o { type filter hook output priority 0; icmp type destination-unreachable drop }'
    with Rules(GATEWAY, quiet), Sides() as p:
        waits = [netns.fork(ns, netns.try_connect, '198.51.100.99', 80, 4.5) for ns in (A, B)]
        for wait in waits:
            wait()
        p.stop()
        expect(not finding(p, 'dropped-in-gateway'), p.text)
        expect('no neighbour has that address' in ' '.join(p.text.split()), p.text)


def join_group(device):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    request = socket.inet_pton(socket.AF_INET6, 'ff02::4242') + struct.pack('@i', socket.if_nametoindex(device))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    time.sleep(0.3)  # the report is sent at once, and again


def test_other_device():
    """if NAT may have sent a SYN out by a device that is not watched, the finding states that doubt"""
    netns.sh(GATEWAY, 'ip', 'link', 'add', 'dmz0', 'type', 'veth', 'peer', 'name', 'dmz1')
    try:
        for command in ('link set dmz0 up', 'link set dmz1 up', 'address add 192.168.9.1/24 dev dmz0',
                        'neighbour add 192.168.9.9 lladdr 02:00:00:00:00:09 dev dmz0'):
            netns.sh(GATEWAY, 'ip', *command.split())
        rules = 'chain d { type nat hook prerouting priority -100; ip daddr 203.0.113.77 dnat ip to 192.168.9.9 }'
        with Serve(WAN, WEB), Rules(GATEWAY, rules), Sides() as p, Sides('--follow-peers') as q:
            netns.run(A, netns.browse, SERVER4, 80)
            netns.run(GATEWAY, join_group, 'dmz0')  # its report has a hop-by-hop header (RFC 3810)
            waits = [netns.fork(ns, netns.try_connect, '203.0.113.77', 80, 4.5) for ns in CLIENTS[:3]]
            for wait in waits:
                wait()
            p.stop()
            q.stop()
        f = one(finding(p, 'dropped-in-gateway'), 'dmz0')
        expect(f['confidence'] != 'high' and 'dmz0, which is not watched' in str(f['evidence']), f)
        # A probe that follows all devices knows that the SYNs left.
        expect(not finding(q, 'dropped-in-gateway'), q.text)
        expect(one(q.of('peer', server='203.0.113.77'), 'DNAT')['left'] == 3, q.of('peer'))
    finally:
        netns.sh(GATEWAY, 'ip', 'link', 'del', 'dmz0')


def test_ipsec():
    """if an IPsec policy may have taken a SYN, the finding states that doubt, and has low confidence"""
    for way in ('out', 'fwd'):
        netns.sh(GATEWAY, 'ip', 'xfrm', 'policy', 'add', 'src', '10.1.4.0/24', 'dst', '10.200.7.0/24', 'dir', way, 'tmpl', 'src',
               '198.51.100.1', 'dst', '198.51.100.2', 'proto', 'esp', 'mode', 'tunnel')
    try:
        with Serve(WAN, WEB), Sides() as p:
            netns.run(A, netns.browse, SERVER4, 80)
            waits = [netns.fork(ns, netns.try_connect, DEAD4, 5274, 4.5) for ns in CLIENTS[:3]]
            for wait in waits:
                wait()
            p.stop()
        found = finding(p, 'dropped-in-gateway')
        expect(all(f['confidence'] == 'low' and 'IPsec' in str(f['evidence']) for f in found), found)
        expect(p.of('peer', server=DEAD4)[0]['stayed'] == 3, 'precondition: the SYNs did not leave', p.of('peer'))
    finally:
        netns.sh(GATEWAY, 'ip', 'xfrm', 'policy', 'flush')


def flooded(iface):
    """Sends SYNs of a neighbour to another router on the LAN, which the switch floods to all its ports."""
    import socket
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((iface, 0))
    for second in range(5):
        for port in (81, 82, 83):
            data = captures.frame((CLIENT4 % 21, 40000 + port), (SERVER4, port), 2, 1000 + port, 0, ip_id=second + 1)
            s.send(b'\x02\0\0\0\0\x77' + b'\x02\0\x0a\x01\x04\x15' + data[12:])
        time.sleep(1)


def test_flooded():
    """SYNs for another router, which this gateway only receives by flooding, are not reported as dropped by it"""
    for arguments, ifaces in (((), BOTH), (('--follow-peers',), (LAN_IFACE,))):
        with Serve(WAN, WEB), Sides(*arguments, ifaces=ifaces) as p:
            netns.run(A, netns.browse, SERVER4, 80)
            netns.run(A, flooded, 'eth0')
            p.stop()
        silent = p.connections(outcome='unanswered')
        expect(len(silent) == 3 and not any(c['stayed'] or c['left_by'] for c in silent), silent)
        expect(not finding(p, 'dropped-in-gateway'), p.text)


def test_narrowed():
    """with --port, which NAT may change, no drop is reported"""
    with Serve(WAN, WEB), Rules(GATEWAY, DNAT), Sides('--port', '8080,99') as p:
        netns.run(A, netns.browse, '203.0.113.77', 8080)
        try_both(clients=CLIENTS[:1])
        p.stop()
        expect(not finding(p, 'dropped-in-gateway'), p.text)


def third_way(up):
    """Adds or removes a second path from the WAN to the gateway, dmz, on which answers return."""
    if not up:
        netns.sh(GATEWAY, 'ip', 'link', 'del', 'eth2')
        return
    netns.sh(GATEWAY, 'ip', 'link', 'add', 'eth2', 'type', 'veth', 'peer', 'name', 'eth2', 'netns', WAN)
    for ns, address in ((GATEWAY, '192.168.7.1/24'), (WAN, '192.168.7.2/24')):
        netns.sh(ns, 'ip', 'link', 'set', 'eth2', 'up')
        netns.sh(ns, 'ip', 'address', 'add', address, 'dev', 'eth2')
    netns.sh(WAN, 'ip', 'route', 'replace', '10.1.4.0/24', 'via', '192.168.7.1')


def test_asymmetric():
    """a connection whose SYN leaves by one interface and is answered on another gives one record, with any watched"""
    third_way(True)
    try:
        for ifaces in ((LAN_IFACE, WAN_IFACE), (LAN_IFACE, 'eth2'), (LAN_IFACE, WAN_IFACE, 'eth2')):
            with Serve(WAN, WEB), Sides(ifaces=ifaces) as p:
                for client in (A, B):
                    netns.run(client, netns.browse, SERVER4, 80)
                p.stop()
                whole(p, 2)
                for c in p.connections():
                    expect(c['iface'] == LAN_IFACE and c['outcome'] == 'established' and c['synack'], c)
                    expect((c['far'] is not None) == (WAN_IFACE in ifaces), c)
                expect(not finding(p, 'dropped-in-gateway'), p.text)
        # If the gateway drops such answers, the finding states that they had returned.
        answers = 'chain f { type filter hook prerouting priority -300; iifname "%s" tcp flags & (syn|ack) == (syn|ack) drop }'
        with Serve(WAN, WEB), Rules(GATEWAY, answers % WAN_IFACE), Sides() as p:
            netns.sh(WAN, 'ip', 'route', 'replace', '10.1.4.0/24', 'via', '198.51.100.1')
            waits = [netns.fork(ns, netns.try_connect, SERVER4, 80, 4.5) for ns in CLIENTS[:3]]
            for wait in waits:
                wait()
            p.stop()
        f = one(finding(p, 'dropped-in-gateway'), 'answers')
        expect('drops the SYN-ACKs from' in f['text'] and f['confidence'] == 'high', f)
    finally:
        netns.sh(WAN, 'ip', 'route', 'replace', '10.1.4.0/24', 'via', '198.51.100.1')
        third_way(False)


class OneArm:
    """A gateway with one interface: it reaches the servers through a router on the LAN."""

    def __enter__(self):
        # client 4 forwards to a WAN of its own
        self.router = CLIENTS[3]
        netns.sh(self.router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0')
        netns.sh(self.router, 'ip', 'address', 'add', '203.0.113.90/32', 'dev', 'lo')
        netns.sh(GATEWAY, 'ip', 'route', 'add', '203.0.113.90/32', 'via', CLIENT4 % 24)
        netns.sh(GATEWAY, 'sysctl', '-qw', 'net.ipv4.conf.all.send_redirects=0', 'net.ipv4.conf.%s.send_redirects=0' % LAN_IFACE)
        # answers return through the gateway
        for n in (21, 22):
            netns.sh(self.router, 'ip', 'route', 'add', CLIENT4 % n, 'via', '10.1.4.1')
        return self

    def __exit__(self, *_):
        netns.sh(GATEWAY, 'ip', 'route', 'del', '203.0.113.90/32')
        netns.sh(self.router, 'ip', 'address', 'del', '203.0.113.90/32', 'dev', 'lo')
        for n in (21, 22):
            netns.sh(self.router, 'ip', 'route', 'del', CLIENT4 % n)


def test_one_armed():
    """on a one-armed gateway, with and without NAT, each connection gives one record, of its inner client"""
    nat = 'chain p { type nat hook postrouting priority 100; ip daddr 203.0.113.90 masquerade }'
    with OneArm() as arm, Serve(arm.router, {('203.0.113.90', 80): netns.answers}):
        for rules in (None, nat):
            with (Rules(GATEWAY, rules) if rules else Serve(arm.router, {})), Probe() as p:
                for client in (A, B):
                    netns.run(client, netns.browse, '203.0.113.90', 80)
                p.stop()
                whole(p, 2)
                expect({c['client'] for c in p.connections()} == {CLIENT4 % 21, CLIENT4 % 22}, p.connections())
                for c in p.connections():
                    expect(c['outcome'] == 'established' and c['syn_count'] == 1, c)
                    if rules:
                        is_split(c)
                        expect(c['far']['client'] == '10.1.4.1', c)
                    else:
                        expect(c['syn_copies'] == 1, 'passed twice', c)


def test_vlans():
    """a router on a stick shows each connection in two VLANs of one trunk: it gives one record"""
    netns.sh(GATEWAY, 'ip', 'link', 'add', 'trunk0', 'type', 'veth', 'peer', 'name', 'trunk1')
    try:
        for name in ('trunk0', 'trunk1'):
            netns.sh(GATEWAY, 'ip', 'link', 'set', name, 'up')
        with Probe(iface='trunk0') as p:
            netns.run(GATEWAY, on_a_stick)
            p.stop()
        whole(p, 1)
        c = p.connections()[0]
        expect(c['vlans'] == [10] and c['far']['vlans'] == [20] and c['outcome'] == 'established', c)
    finally:
        netns.sh(GATEWAY, 'ip', 'link', 'del', 'trunk0')


def on_a_stick():
    """The router receives from the other end of the pair; what it transmits is sent on this end."""
    import socket
    near, far = ('10.1.10.5', 40001), ('10.1.20.6', 80)
    steps = [(near, far, 2, 7000, 0, b''), (far, near, 0x12, 9000, 7001, b''), (near, far, 0x10, 7001, 9001, b''),
             (near, far, 0x18, 7001, 9001, b'GET'), (far, near, 0x18, 9001, 7004, b'answer')]
    inside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    inside.bind(('trunk0', 0))
    outside = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    outside.bind(('trunk1', 0))
    for i, (source, destination, flags, seq, ack, payload) in enumerate(steps):
        comes, goes = (10, 20) if source == near else (20, 10)
        for s, vlan in ((outside, comes), (inside, goes)):
            s.send(captures.frame(source, destination, flags, seq, ack, payload, vlans=(vlan,), ip_id=i + 1))
            time.sleep(0.002)


def test_bridge():
    """a bridge's port, the bridge itself and the WAN side show one connection, which gives one record"""
    netns.sh(GATEWAY, 'ip', 'link', 'add', 'br9', 'type', 'bridge', 'mcast_snooping', '0')
    try:
        netns.sh(GATEWAY, 'ip', 'link', 'set', 'br9', 'up')
        netns.sh(GATEWAY, 'ip', 'link', 'set', LAN_IFACE, 'master', 'br9')
        netns.sh(GATEWAY, 'ip', 'address', 'del', '10.1.4.1/24', 'dev', LAN_IFACE)
        netns.sh(GATEWAY, 'ip', 'address', 'add', '10.1.4.1/24', 'dev', 'br9')
        for ns in (A, B):
            netns.sh(ns, 'ip', 'neighbour', 'flush', 'all')
        with Serve(WAN, WEB), Sides(ifaces=(LAN_IFACE, 'br9', WAN_IFACE)) as p:
            for client in (A, B):
                netns.run(client, netns.browse, SERVER4, 80)
            p.stop()
            whole(p, 2)
            expect(p.summary['joined'] == 4, p.summary)
    finally:
        netns.sh(GATEWAY, 'ip', 'link', 'del', 'br9')
        netns.sh(GATEWAY, 'ip', 'address', 'add', '10.1.4.1/24', 'dev', LAN_IFACE)
        for ns in (A, B):
            netns.sh(ns, 'ip', 'neighbour', 'flush', 'all')


class Tcpdump:
    """Every SYN on an interface of the gateway, as the kernel's own packet socket sees it."""

    def __init__(self, iface):
        self.iface = iface

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        os.chmod(self.folder.name, 0o777)
        self.file = os.path.join(self.folder.name, 'syns.pcap')
        self.process = subprocess.Popen(
            ['nsenter', '--net=/run/netns/' + GATEWAY, 'tcpdump', '-i', self.iface, '-nn', '-U', '-B', '16384', '-s', '96',
             '-w', self.file, 'tcp[13] & 0x12 = 2'], stderr=subprocess.PIPE, text=True)
        while 'listening' not in self.process.stderr.readline():
            expect(self.process.poll() is None, 'tcpdump ended')
        return self

    def stop(self):
        time.sleep(0.5)
        self.process.send_signal(signal.SIGINT)
        errors = self.process.communicate()[1]
        expect('0 packets dropped by kernel' in errors, errors)
        text = subprocess.run(['tcpdump', '-nn', '-S', '-r', self.file], capture_output=True, text=True).stdout
        self.syns = collections.Counter(re.findall(r'IP (\S+) > (\S+): .*?seq (\d+)', text))

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()


def storm(count):
    for _ in range(count):
        netns.browse(SERVER4, 80)


def test_load():
    """thousands of concurrent connections through NAT give one record each: as many as tcpdump counts on either side"""
    each = 700
    with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), Sides('--quiet') as p, Tcpdump(LAN_IFACE) as near, \
            Tcpdump(WAN_IFACE) as far:
        waits = [netns.fork(ns, storm, each) for ns in CLIENTS for _ in range(2)]
        for wait in waits:
            wait()
        p.stop()
        near.stop()
        far.stop()
        connections = p.connections()
        count = 2 * each * len(CLIENTS)
        expect(len(near.syns) == len(far.syns) == count, len(near.syns), len(far.syns))
        whole(p, count)
        expect(p.summary['joined'] == count and all(c['far'] for c in connections), p.summary['joined'])
        seen = {('%s.%d' % (c['client'], c['client_port']), '%s.%d' % (c['server'], c['server_port'])) for c in connections}
        expect(seen == {(a, b) for a, b, _ in near.syns}, 'other connections than on the LAN side')
        seen = {('%s.%d' % (c['far']['client'], c['far']['client_port']), '%s.80' % c['far']['server']) for c in connections}
        expect(seen == {(a, b) for a, b, _ in far.syns}, 'other connections than on the WAN side')
        # The times would reveal a record joined to that of another connection.
        expect(all(c['syn'] <= c['far']['syn'] <= c['far']['synack'] <= c['synack'] for c in connections), 'times cross')


def test_write():
    """the evidence contains the packets of both sides, each under its interface"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        file = os.path.join(folder, 'evidence.pcapng')
        with Serve(WAN, WEB), Rules(GATEWAY, MASQUERADE), Sides('--write', file) as p:
            netns.run(A, netns.browse, SERVER4, 80, 1.5)
            netns.run(B, netns.browse, SERVER4, 80)
            p.stop()
        rows = subprocess.run(['tshark', '-r', file, '-T', 'fields', '-e', 'frame.interface_name', '-e', 'ip.src', '-e',
                               'tcp.flags.str', '-e', 'frame.comment'], capture_output=True, text=True).stdout
        lines = [line.split('\t') for line in rows.splitlines()]
        by_iface = collections.Counter(line[0] for line in lines)
        expect(by_iface[LAN_IFACE] == by_iface[WAN_IFACE] >= 4, by_iface, rows)
        expect(any(line[0] == WAN_IFACE and line[1] == '198.51.100.1' for line in lines), rows)
        expect(sum('silence end here' in line[3] for line in lines) == 2, 'comments', rows)


def test_coming_and_going():
    """with --follow each interface may disappear and return; without it, the run ends when one disappears"""
    netns.sh(GATEWAY, 'ip', 'link', 'add', 'side0', 'type', 'veth', 'peer', 'name', 'side1')
    with Serve(WAN, WEB), Sides('--follow', ifaces=(LAN_IFACE, 'side0')) as p, Sides(ifaces=(LAN_IFACE, 'side0')) as q:
        netns.sh(GATEWAY, 'ip', 'link', 'del', 'side0')
        wait_for(lambda: 'side0 went away; waiting' in p.errors, 'the message that side0 went away')
        netns.run(A, netns.browse, SERVER4, 80)
        netns.sh(GATEWAY, 'ip', 'link', 'add', 'side0', 'type', 'veth', 'peer', 'name', 'side1')
        wait_for(lambda: 'side0 is back' in p.errors, 'the message that side0 is back')
        netns.run(B, netns.browse, SERVER4, 80)
        p.stop()
        expect(p.status == 0 and p.summary['connections'] == 2, p.summary)
        q.process.wait(20)
        q.stop()
        expect(q.status == 1 and 'side0 went away' in q.summary['cut'], q.summary)
    netns.sh(GATEWAY, 'ip', 'link', 'del', 'side0')


def test_blind():
    """among several interfaces, only the one whose packets do not reach the hook is named as blind"""
    with Serve(WAN, WEB), Sides('--hook', 'clsact') as p:
        netns.run(A, netns.browse, SERVER4, 80)
        with Foreign(GATEWAY, WAN_IFACE, 'egress', 1, 'end'):
            end = time.monotonic() + 25
            while 'BLIND' not in p.errors and time.monotonic() < end:
                netns.run(A, netns.browse, SERVER4, 80)
            waits = [netns.fork(ns, netns.try_connect, DEAD4, 5274, 4.5) for ns in CLIENTS[:3]]
            for wait in waits:
                wait()
        p.stop()
    expect('BLIND to what %s sends' % WAN_IFACE in p.errors and 'BLIND to what %s' % LAN_IFACE not in p.errors, p.errors)
    blind = {i['name']: (i['blind_received'], i['blind_sent']) for i in p.summary['interfaces']}
    expect(blind[LAN_IFACE] == (0, 0) and blind[WAN_IFACE][1] > 0, blind)
    expect(not finding(p, 'dropped-in-gateway'), 'a blind hook has led to an accusation', p.text)


def refused(*arguments):
    r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE] + list(arguments), capture_output=True, text=True)
    return r.returncode, r.stderr + r.stdout


def test_wrong_usage():
    """an interface that is given twice, or that does not exist, is named in an error before anything is attached"""
    status, errors = refused('--iface', LAN_IFACE, '--iface', LAN_IFACE)
    expect(status == 2 and '%s is given twice' % LAN_IFACE in errors, status, errors)
    status, errors = refused('--iface', LAN_IFACE, '--iface', 'eth9')
    expect(status == 1 and 'eth9: no such interface (there are:' in errors, status, errors)
    status, errors = refused('--read', '/dev/null', '--follow-peers')
    expect(status == 2 and '--follow-peers' in errors, status, errors)
    status, errors = refused('--cleanup', '--iface', LAN_IFACE, '--iface', WAN_IFACE)
    expect(status == 0 and 'no leftovers found' in errors, status, errors)
