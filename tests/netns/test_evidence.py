"""--write on a live gateway, compared with a tcpdump on the same interface and with the report."""
import fcntl
import os
import signal
import struct
import subprocess
import tempfile
import time

import captures
import netns
import schema
from netns import CLIENTS, DEAD4, GATEWAY, LAN_IFACE, SERVER4, SERVER6, WAN, WEB, Probe, Rules, Serve, require_lab
from probe import PROBE, SECOND, expect
from veth import C, S, SYN, VethPair

require_lab(clients=4)

A, B = CLIENTS[0], CLIENTS[1]


class Tcpdump:
    """tcpdump on the probe's interface, from the start of the with block to stop()."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.process = subprocess.Popen(
            ['nsenter', '--net=/run/netns/' + GATEWAY, 'tcpdump', '-i', LAN_IFACE, '--immediate-mode', '-U', '-Z', 'root',
             '--time-stamp-precision=nano', '-s', '256', '-w', self.path, 'tcp or icmp or icmp6'],
            stderr=subprocess.PIPE, text=True)
        while 'listening on' not in self.process.stderr.readline():
            pass
        return self

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def packets_of(path):
    """Yields (ns since 1970, bytes) of the probe's pcapng or of tcpdump's pcap, both in host byte order."""
    with open(path, 'rb') as f:
        data = f.read()
    if data[:4] == b'\x0a\x0d\x0d\x0a':
        at = 0
        while at < len(data):
            kind, size = struct.unpack_from('II', data, at)
            if kind == 6:
                _, high, low, length, _ = struct.unpack_from('IIIII', data, at + 8)
                yield high << 32 | low, data[at + 28:at + 28 + length]
            at += size
        return
    at = 24
    while at + 16 <= len(data):
        seconds, ns, length, _ = struct.unpack_from('IIII', data, at)
        yield seconds * SECOND + ns, data[at + 16:at + 16 + length]
        at += 16 + length


def read(path):
    text = subprocess.run([PROBE, '--read', path, '--json'], capture_output=True, text=True, check=True).stdout
    return schema.load(text)


def identity(c):
    return c['client'], c['client_port'], c['server'], c['server_port']


def test_beside_tcpdump():
    """the evidence of a live run has the packets of the wire, and a concurrent tcpdump gives the same findings"""
    rules = '''chain i { type filter hook input priority 0;
        tcp dport 84 reject with icmpx type host-unreachable }'''
    keys = ('outcome', 'syn_count', 'synack_count', 'rst_from', 'fin_from')
    with tempfile.TemporaryDirectory() as folder, Serve(WAN, WEB), Rules(WAN, rules):
        dump, evidence = os.path.join(folder, 'dump.pcap'), os.path.join(folder, 'evidence.pcapng')
        with Tcpdump(dump) as tcpdump, Probe('--write', evidence) as p:
            waits = [netns.fork(A, netns.try_connect, DEAD4, 5274, 3.5), netns.fork(A, netns.browse, SERVER4, 80, 1.5)]
            for server in (SERVER4, SERVER6):
                netns.run(B, netns.browse, server, 80)
                netns.run(B, netns.browse, server, 80, 1.2)
                netns.run(B, netns.try_connect, server, 81, 5)
                netns.run(B, netns.try_connect, server, 84, 2)
            for wait in waits:
                wait()
            p.stop()
            tcpdump.stop()
        live = {identity(c): c for c in p.connections()}
        dumped = read(dump)
        beside = {identity(c): c for c in dumped if c['type'] == 'connection'}
        # kind, peer and confidence of each finding; only the gateway knows its route to the peer
        accused = [sorted((f['kind'], f['peer']['address'], f['peer']['port'], f['confidence'], f['hosts_hurt'])
                          for f in objects if f['type'] == 'finding' and f['peer']) for objects in (p.json, dumped)]
        expect(len(accused[0]) >= 5 and accused[0] == accused[1], *accused)
        expect(len(live) == 10 and set(live) == set(beside), sorted(live), sorted(beside))
        for who, c in live.items():
            expect(all(c[k] == beside[who][k] for k in keys), c, beside[who])
            for k in ('synack', 'ack', 'client_first', 'server_first', 'rst'):
                expect((c[k] is None) == (beside[who][k] is None), k, c, beside[who])
                if c[k] is not None:  # at most the time of a packet's way through this host under load
                    differ = (c[k] - c['syn']) - (beside[who][k] - beside[who]['syn'])
                    expect(abs(differ) < SECOND // 10, k, differ)

        # The evidence leaves out the two good connections. All times of the others are in it, to the nanosecond.
        shown = {identity(c): c for c in read(evidence) if c['type'] == 'connection'}
        matter = {who: c for who, c in live.items() if (c['wait'] or 0) >= SECOND or c['outcome'] != 'established'}
        expect(len(matter) == 8 and set(shown) == set(matter), sorted(shown), sorted(matter))
        for who, c in matter.items():
            for k in ('synack', 'ack', 'client_first', 'server_first', 'rst'):
                expect((c[k] or c['syn']) - c['syn'] == (shown[who][k] or shown[who]['syn']) - shown[who]['syn'], k, c)
            expect([t - c['syn'] for t in c['syn_times']] == [t - shown[who]['syn'] for t in shown[who]['syn_times']], c)

        wire = {}
        for at, data in packets_of(dump):
            wire.setdefault(data[:54], []).append((at, data))
        count = 0
        for at, data in packets_of(evidence):
            match = [t for t, d in wire.get(data[:54], ()) if d.startswith(data)]
            expect(match, 'not on the wire:', data.hex())
            expect(min(abs(t - at) for t in match) < SECOND // 10, at, match)
            count += 1
        expect(count >= 8 * 2, count)
        expect('%d packets written to %s' % (count, evidence) in p.errors, p.errors)
        expect(p.summary['lost']['sum'] == 0, p.summary)


def test_vlan():
    """a VLAN tag that the kernel removed from the frame is in its original position"""
    with tempfile.TemporaryDirectory() as folder, VethPair('--write', folder + '/evidence.pcapng') as w:
        for ip_id in (1, 3):
            w.send(*[('far', captures.frame(C, S, SYN, 100, 0, vlans=vlans, ip_id=ip_id)) for vlans in ((7,), (9, 10))])
            time.sleep(1.7)
        w.probe.stop()
        got = [data for _, data in packets_of(folder + '/evidence.pcapng')]
        want = [captures.frame(C, S, SYN, 100, 0, vlans=v, ip_id=i) for i in (1, 3) for v in ((7,), (9, 10))]
        for frame in want:
            expect(frame in got, frame.hex(), [g.hex() for g in got])


def test_tun():
    """packets of a device without a link header are written with their type and direction"""
    name = 'probetun%d' % os.getpid()
    syn = captures.frame(('10.9.0.2', 5000), ('10.9.0.1', 80), SYN, 1, 0)[14:]

    def go(path):
        tun = os.open('/dev/net/tun', os.O_RDWR)
        fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'tun0', 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        subprocess.run('ip addr add 10.9.0.1/24 dev tun0 && ip link set tun0 up', shell=True, check=True)
        with Probe('--write', path, namespace=name, iface='tun0') as p:
            os.write(tun, syn)
            time.sleep(0.3)
            p.stop()

    subprocess.run(['ip', 'netns', 'add', name], check=True)
    with tempfile.TemporaryDirectory() as folder:
        path = folder + '/evidence.pcapng'
        try:
            netns.run(name, go, path)
        finally:
            subprocess.run(['ip', 'netns', 'del', name], check=True)
        packets = [data for _, data in packets_of(path)]
        expect(len(packets) == 2 and packets[0] == syn, [p.hex() for p in packets])
        fields = ['-e', 'frame.comment', '-e', 'frame.packet_flags_direction', '-e', 'frame.interface_name']
        rows = subprocess.run(['tshark', '-r', path, '-T', 'fields', '-E', 'separator=|'] + fields, capture_output=True,
                              text=True, check=True).stdout.splitlines()
        expect(rows[0].endswith('|0x00000001|tun0') and rows[1].endswith('|0x00000002|tun0'), rows)
        expect(rows[1].startswith('refused by this gateway itself, not by the server'), rows)


def many(address, count):
    for _ in range(count):
        netns.browse(address, 80)


def test_thousands():
    """thousands of consecutive connections lose no packet, and only problems leave packets in the file"""
    with tempfile.TemporaryDirectory() as folder, Serve(WAN, WEB), \
            Probe('--write', folder + '/evidence.pcapng') as p:
        waits = [netns.fork(ns, many, server, 500) for ns in (A, B) for server in (SERVER4, SERVER6)]
        for wait in waits:
            wait()
        p.stop()
        expect(len(p.connections(settled_by='payload')) == 2000 and p.summary['lost']['sum'] == 0, p.summary)
        slow = sum((c['wait'] or 0) >= SECOND or (c['banner'] or 0) >= SECOND for c in p.connections())
        expect(slow or not list(packets_of(folder + '/evidence.pcapng')), 'packets of connections without a problem')


TESTS = [test_beside_tcpdump, test_vlan, test_tun, test_thousands]
