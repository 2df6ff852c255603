"""The probe on every kind of link layer: real devices where the kernel supports them, otherwise injected frames.

tests/kernels/run_netns runs this file under kernels that have the other devices. If this fails, a gateway whose
devices are not plain Ethernet reports nothing, or confuses its users.
"""
import contextlib
import os
import socket
import struct
import subprocess
import tempfile
import time

import netns
from netns import Probe, Serve, not_here, one, require_lab, sh
from probe import expect, wait_for
from veth import C, S, VethPair, conversation

require_lab(clients=2)

SERVER, SERVER6 = '203.0.113.10', 'fd02::2'


class Net:
    """Namespaces client c, gateway g and wan w; eth0 links c to g, eth1 links g to w."""

    def __init__(self, *lines):
        self.lines = lines

    def __enter__(self):
        self.c, self.g, self.w = ('%s-links-%s' % (os.environ['LAB_ID'], part) for part in 'cgw')
        self.stack = contextlib.ExitStack()
        try:
            for name in (self.c, self.g, self.w):
                subprocess.run(['ip', 'netns', 'add', name], check=True)
                self.stack.callback(subprocess.run, ['ip', 'netns', 'del', name], check=True)
            sh(self.g, 'sh', '-c', 'cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding')
            # otherwise eth0 answers ARP for mac0's address as well, and the faster answer gets the packets
            sh(self.g, 'sh', '-c', 'echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore')
            for name in (self.c, self.g, self.w):
                sh(name, 'sh', '-c', 'cd /proc/sys/net; for i in all default; do echo 0 >ipv4/conf/$i/rp_filter; done')
            self.ip('''g link add eth0 type veth peer name eth0 netns {c}
                g link add eth1 type veth peer name eth0 netns {w}
                g link set eth0 up
                c link set eth0 up
                g link set eth1 up
                w link set lo up
                w link set eth0 up
                g addr add 198.51.100.1/24 dev eth1
                g addr add fd02::1/64 dev eth1 nodad
                w addr add 198.51.100.2/24 dev eth0
                w addr add fd02::2/64 dev eth0 nodad
                w addr add 203.0.113.10/32 dev lo
                g route add 203.0.113.10 via 198.51.100.2
                w route add default via 198.51.100.1
                w route add default via fd02::1''')
            self.ip(*self.lines)
        except BaseException:
            self.stack.close()
            raise
        return self

    def ip(self, *texts):
        for line in '\n'.join(texts).splitlines():
            if not line.strip():
                continue
            where, *words = line.format(c=self.c, g=self.g, w=self.w).split()
            try:
                sh(getattr(self, where), 'ip', *words)
            except subprocess.CalledProcessError as e:
                if 'Unknown device type' in e.output or 'Operation not supported' in e.output:
                    not_here(line.strip())
                raise AssertionError(line + ': ' + e.output) from e

    def probe(self, iface):
        return Probe(namespace=self.g, iface=iface)

    def reach(self, address=SERVER, namespace=None, of=None):
        """Waits until the path works: ports, tunnels and neighbours need some time."""
        with Serve(of or self.w, {(address, 99): netns.answers}):
            wait_for(lambda: netns.run(namespace or self.c, netns.try_connect, address, 99, 1) == 'ok', 'a way to ' + address)

    def browse(self, address=SERVER, count=1, request=b'GET', of=None):
        with Serve(of or self.w, {(address, 80): netns.answers}):
            for _ in range(count):
                netns.run(self.c, netns.browse, address, 80, 0.0, request)

    def __exit__(self, *_):
        self.stack.close()


def is_whole(p, count, vlans=(), mac=True, client=None, server=SERVER):
    """Checks that p saw count connections to the server, each once and from SYN to answer, without losses."""
    got = p.connections(server_port=80, server=server)
    expect(len(got) == count, p.command, 'saw', len(got), 'of', count, got, p.text)
    for c in got:
        times = [c[k] for k in ('syn', 'synack', 'ack', 'client_first', 'server_first')]
        expect(None not in times and times == sorted(times) and c['settled_by'] == 'payload', p.command, c)
        expect(c['vlans'] == list(vlans), p.command, 'VLANs', c['vlans'])
        expect(client is None or c['client'] == client, p.command, c)
        expect((c['client_mac'] is not None) == mac, p.command, c)
    expect(p.summary['lost']['sum'] == 0 and not p.summary['not_understood']['malformed'], p.summary)


def watched(net, *ifaces, **how):
    """Makes one or more connections, watched on these interfaces of the gateway. Returns the ended probes."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(net.probe(iface)) for iface in ifaces]
        net.browse(**how)
        for p in probes:
            p.stop()
    return probes


# ---- tags ----

def test_vlan():
    """802.1Q: the trunk shows the VLAN id, the VLAN's own device does not, also with frames beyond the MTU"""
    with Net('''g link add link eth0 name eth0.7 type vlan id 7
            c link add link eth0 name eth0.7 type vlan id 7
            g link set eth0.7 up
            c link set eth0.7 up
            g addr add 10.7.0.1/24 dev eth0.7
            c addr add 10.7.0.21/24 dev eth0.7
            c route add default via 10.7.0.1''') as net:
        net.reach()
        trunk, vlan = watched(net, 'eth0', 'eth0.7', request=b'x' * 60000)
        is_whole(trunk, 1, (7,), client='10.7.0.21')
        is_whole(vlan, 1, client='10.7.0.21')


def test_qinq():
    """802.1ad around 802.1Q: both ids on the trunk, the inner id on the middle device, none on the innermost"""
    with Net('''g link add link eth0 name s7 type vlan proto 802.1ad id 7
            c link add link eth0 name s7 type vlan proto 802.1ad id 7
            g link set s7 up
            c link set s7 up
            g link add link s7 name q9 type vlan id 9
            c link add link s7 name q9 type vlan id 9
            g link set q9 up
            c link set q9 up
            g addr add 10.7.0.1/24 dev q9
            c addr add 10.7.0.21/24 dev q9
            c route add default via 10.7.0.1''') as net:
        net.reach()
        trunk, outer, inner = watched(net, 'eth0', 's7', 'q9')
        is_whole(trunk, 1, (7, 9))
        is_whole(outer, 1, (9,))
        is_whole(inner, 1)


def mirrored(vlans, answered):
    """Returns the frames of a conversation, each in all these VLANs; those not in answered carry only the SYN."""
    steps = zip(*[conversation(vlans=v) for v in vlans])
    return [('far', data) for n, step in enumerate(steps) for v, (_, data) in zip(vlans, step) if not n or v in answered]


def test_copies():
    """a SYN in three VLANs, or tagged and untagged, is one connection of one host, whichever of them saw the answer"""
    for vlans in ((), (10,), (20,)), ((10,), (10, 7)), ((30,), (20,), ()):
        for answered in vlans, vlans[:1], vlans[-1:]:
            with VethPair() as w:
                w.send(*mirrored(vlans, answered))
                w.probe.stop()
                is_whole(w.probe, 1, vlans[0], client=C[0], server=S[0])
                p = w.probe
                expect(len(p.connections()) == p.summary['connections'] == len(p.of('host')) == 1, p.connections())
                expect(p.summary['joined'] == len(vlans) - 1 and not p.summary['ambiguous'], p.summary)


def test_host_in_vlans():
    """a machine that opens connections in three VLANs with one MAC and one address is one host"""
    with VethPair() as w:
        for n, vlan in enumerate((10, 20, 30)):
            w.send(*[(end, other_isn(data, n)) for end, data in conversation(vlans=(vlan,))])
        w.probe.stop()
        expect({tuple(c['vlans']) for c in w.probe.connections()} == {(10,), (20,), (30,)}, w.probe.connections())
        host = one(w.probe.of('host'), 'the machine')
        expect(host['connections'] == 3 and host['addresses'] == [C[0]], host)


def other_isn(data, n):
    """Adds n to the numbers of both sides in a frame with one tag."""
    tcp = 14 + 4 + 20
    seq, ack = struct.unpack('>II', data[tcp + 4:tcp + 12])
    return data[:tcp + 4] + struct.pack('>II', seq + n, ack + n if ack else 0) + data[tcp + 12:]


def tag_offload(net, iface, on):
    """Sets whether the device keeps VLAN tags in metadata or in the frame."""
    subprocess.run(['nsenter', '--net=/run/netns/' + net.g, 'ethtool', '-K', iface, 'rxvlan', on, 'txvlan', on],
                   check=True, stdout=subprocess.DEVNULL)


def test_same_addresses():
    """equal private addresses and ports in two VLANs are two users in every report, wherever the tag is"""
    lines = ''
    for vlan in (7, 8):
        lines += '''g link add link eth0 name v{0} type vlan id {0}
            c link add link eth0 name v{0} type vlan id {0}
            g link add vrf{0} type vrf table {0}
            g link set vrf{0} up
            g link set v{0} master vrf{0}
            g link set v{0} up
            c link add vrf{0} type vrf table {0}
            c link set vrf{0} up
            c link set v{0} master vrf{0}
            c link set v{0} up
            c link set v{0} address 02:00:00:00:00:0{0}
            g addr add 10.7.0.1/24 dev v{0}
            c addr add 10.7.0.21/24 dev v{0}
        '''.format(vlan).replace('{', '{{').replace('}', '}}')

    def browse_in(vrf, think):
        s = socket.socket()
        with s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.settimeout(20)
            s.bind(('', 5151))
            s.connect(('10.7.0.1', 80))
            time.sleep(think)
            s.sendall(b'GET')
            s.recv(100)

    def serve_in(vrfs):
        for vrf in vrfs:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf)
            s.bind(('10.7.0.1', 80))
            s.listen(5)
            if os.fork() == 0:
                while True:
                    netns.answers(s.accept()[0])
        time.sleep(1000)

    with Net(lines) as net:
        for on in ('on', 'off'):
            tag_offload(net, 'eth0', on)
            with netns.Background(net.g, serve_in, (b'vrf7', b'vrf8')), net.probe('eth0') as p:
                wait_for(lambda: netns.sh(net.g, 'ss', '-ltnH').count('10.7.0.1') == 2, 'two servers')
                slow = netns.fork(net.c, browse_in, b'vrf7', 2)
                netns.run(net.c, browse_in, b'vrf8', 0)
                slow()
                p.stop()
                got = {tuple(c['vlans']): c for c in p.connections(server_port=80)}
                expect(set(got) == {(7,), (8,)}, on, got)
                expect(got[7,]['wait'] >= 2 * netns.SECOND > got[8,]['wait'], 'only one of them waited', got)
                expect([s['vlans'] for s in p.of('stall')] == [[7]], p.of('stall'))
                expect({tuple(h['vlans']): h['stalls'] for h in p.of('host')} == {(7,): 1, (8,): 0}, p.of('host'))
                expect('10.7.0.21:5151 vlan 7' in p.text, 'the line of the stall', p.text)


# ---- devices without an Ethernet header ----

def tunnel(kind, outer, inner, more='', v6=()):
    """Returns the commands for both ends of a tunnel between c and g over eth0."""
    a, b = outer
    text = ''
    for where, local, remote, own in (('g', a, b, inner[0]), ('c', b, a, inner[1])):
        text += '%s addr add %s dev eth0%s\n' % (where, local + ('/64' if ':' in local else '/24'),
                                                 ' nodad' if ':' in local else '')
        text += '%s link add t0 type %s local %s remote %s %s\n' % (where, kind, local, remote, more)
        text += '%s link set t0 up\n' % where
        text += '%s addr add %s dev t0%s\n' % (where, own, ' nodad' if ':' in own else '')
    via = inner[0].split('/')[0]
    return text + 'c route add default %s' % ('via ' + via)


V4, V6 = ('10.1.4.1', '10.1.4.21'), ('fd01::1', 'fd01::21')
IN4, IN6 = ('10.8.0.1/24', '10.8.0.21/24'), ('fd08::1/64', 'fd08::21/64')


def is_bare(kind, outer, inner, **more):
    server = SERVER6 if ':' in inner[0] else SERVER
    with Net(tunnel(kind, outer, inner, **more)) as net:
        net.reach(server)
        device, below = watched(net, 't0', 'eth0', address=server, count=2)
        expect('(ip, ' in device.errors, device.errors)
        is_whole(device, 2, mac=False, server=server)
        # On the interface below, the tunnel is only counted as another protocol.
        expect(not below.connections(server_port=80) and below.summary['not_understood']['ip_other'] > 10, below.json)


def test_ipip():
    """an IPIP device shows the connections, without Ethernet headers; the interface below shows another protocol"""
    is_bare('ipip', V4, IN4)


def test_gre():
    """a GRE device shows the connections"""
    is_bare('gre', V4, IN4)


def test_sit():
    """an IPv6-in-IPv4 device (sit) shows the connections"""
    is_bare('sit', V4, IN6)


def test_ip6tnl():
    """an IPv4-in-IPv6 device (ip6tnl) shows the connections"""
    is_bare('ip6tnl', V6, IN4, more='mode any')


def test_ip6gre():
    """a GRE-over-IPv6 device shows the connections"""
    is_bare('ip6gre', V6, IN4)


def test_wireguard():
    """WireGuard's device shows the connections; on the interface below, the probe reports that it sees only UDP"""
    text = ''
    for where, own in (('g', '10.1.4.1'), ('c', '10.1.4.21')):
        text += '%s addr add %s/24 dev eth0\n%s link add wg0 type wireguard\n' % (where, own, where)
    with Net(text) as net:
        keys = {}
        for name in (net.g, net.c):
            private = subprocess.run(['wg', 'genkey'], stdout=subprocess.PIPE, text=True, check=True).stdout
            keys[name] = private, subprocess.run(['wg', 'pubkey'], input=private, stdout=subprocess.PIPE, text=True,
                                                 check=True).stdout.strip()
        for own, other, peer in ((net.g, net.c, '10.1.4.21'), (net.c, net.g, '10.1.4.1')):
            with tempfile.NamedTemporaryFile('w') as f:
                f.write(keys[own][0])
                f.flush()
                sh(own, 'wg', 'set', 'wg0', 'listen-port', '51820', 'private-key', f.name, 'peer', keys[other][1],
                   'endpoint', peer + ':51820', 'allowed-ips', '0.0.0.0/0')
        net.ip('''g link set wg0 up
            c link set wg0 up
            g addr add 10.8.0.1/24 dev wg0
            c addr add 10.8.0.21/24 dev wg0
            c route add default via 10.8.0.1''')
        net.reach()
        with net.probe('wg0') as device, net.probe('eth0') as below:
            net.browse(count=5)
            wait_for(lambda: 'all is UDP. If it is a tunnel (WireGuard' in below.errors, 'a message below')
            device.stop()
            below.stop()
        expect('(ip, ' in device.errors, device.errors)
        is_whole(device, 5, mac=False)
        expect(not below.connections(), below.json)


# ---- bridges, bonds, containers ----

def test_bridge():
    """a bridge, one of its ports, and a container's veth behind it each show every connection once"""
    with Net('''g link add br0 type bridge
            g link set br0 up
            g link set eth0 master br0
            g addr add 10.1.4.1/24 dev br0
            c addr add 10.1.4.21/24 dev eth0
            c route add default via 10.1.4.1''') as net:
        net.reach()
        with Probe(namespace=net.c, iface='eth0') as container:
            bridge, port = watched(net, 'br0', 'eth0', count=2)
            container.stop()
            for p in (bridge, port):
                is_whole(p, 2, client='10.1.4.21')
            is_whole(container, 2, client='10.1.4.21', mac=False)


def test_macvlan():
    """a macvlan device and the one below it each show every connection once"""
    with Net('''g link add link eth0 name mac0 type macvlan mode bridge
            g link set mac0 up
            g addr add 10.1.4.1/24 dev mac0
            c addr add 10.1.4.21/24 dev eth0
            c route add default via 10.1.4.1''') as net:
        net.reach()
        own, below = watched(net, 'mac0', 'eth0', count=2)
        is_whole(own, 2, client='10.1.4.21')
        is_whole(below, 2, client='10.1.4.21')


def test_bond():
    """a bond shows all connections; on a member, which sees only a part, the probe advises to watch the bond"""
    text = ''
    for where, names in (('g', ('eth0', 'm2')), ('c', ('eth0', 'm2'))):
        if where == 'g':
            text += 'g link add m2 type veth peer name m2 netns {c}\n'
        text += '%s link add bond0 type bond mode balance-rr miimon 50\n' % where
        for name in names:
            text += '%s link set %s down\n%s link set %s master bond0\n' % (where, name, where, name)
        text += '%s link set bond0 up\n' % where
    text += '''g addr add 10.1.4.1/24 dev bond0
        c addr add 10.1.4.21/24 dev bond0
        c route add default via 10.1.4.1'''
    with Net(text) as net:
        net.reach()
        bond, member = watched(net, 'bond0', 'eth0', count=6)
        is_whole(bond, 6)
        expect('member of the bond bond0' not in bond.errors, bond.errors)
        expect('eth0 is a member of the bond bond0' in member.errors and 'Watch bond0' in member.errors, member.errors)


def test_vrf():
    """an interface in a VRF and the VRF's own device show the connections"""
    with Net('''g link add vrf0 type vrf table 10
            g link set vrf0 up
            g link set eth0 master vrf0
            g link set eth1 master vrf0
            g addr add 10.1.4.1/24 dev eth0
            g route add 203.0.113.10 via 198.51.100.2 vrf vrf0
            c addr add 10.1.4.21/24 dev eth0
            c route add default via 10.1.4.1''') as net:
        net.reach()
        p, = watched(net, 'eth0', count=2)
        is_whole(p, 2, client='10.1.4.21')


# ---- large frames ----

def test_big_tcp():
    """BIG TCP: frames of more than 64 KiB, with the length in a jumbo option (RFC 2675), from and to the stack"""
    with Net('''g addr add fd01::1/64 dev eth0 nodad
            c addr add fd01::21/64 dev eth0 nodad
            c route add default via fd01::1''') as net:
        for where, iface in (('c', 'eth0'), ('g', 'eth0'), ('g', 'eth1'), ('w', 'eth0')):
            try:
                net.ip('%s link set %s gso_max_size 180000 gro_max_size 180000' % (where, iface))
            except AssertionError:
                not_here('BIG TCP')
        net.reach(SERVER6)
        lan, wan = watched(net, 'eth0', 'eth1', address=SERVER6, count=2, request=b'x' * 3000000)
        is_whole(lan, 2, client='fd01::21', server=SERVER6)
        is_whole(wan, 2, client='fd01::21', server=SERVER6, mac=False)


# ---- frames that no device here makes ----

def wrapped(data, ethertype, header, cut=14):
    """Returns the frame with another header between its addresses and its IP packet."""
    return data[:12] + struct.pack('>H', ethertype) + header + data[cut:]


def pppoe(data):
    return wrapped(data, 0x8864, struct.pack('>BBHHH', 0x11, 0, 0x2a, len(data) - 14 + 2, 0x21))


def mpls(data):
    return wrapped(data, 0x8847, struct.pack('>II', 100 << 12 | 64, 200 << 12 | 0x100 | 64))


def snap(data):
    return wrapped(data, len(data) - 14 + 8, b'\xaa\xaa\3\0\0\0\x08\0')


def qinq_pppoe(data):
    return wrapped(data, 0x88a8, struct.pack('>HHHH', 7, 0x8100, 9, 0x8864) + pppoe(data)[14:22])


def ip_options(data):
    """Adds the option record route (RFC 791 3.1), which occurs only in tests, to each packet."""
    ip = bytearray(data[14:34])
    ip[0] = 0x48
    ip[2:4] = struct.pack('>H', len(data) - 14 + 12)
    ip[10:12] = b'\0\0'
    ip += b'\x07\x0b\x04' + b'\0' * 9
    ip[10:12] = struct.pack('>H', netns.checksum(bytes(ip)))
    return data[:14] + bytes(ip) + data[34:]


def first_fragment(data):
    """Sets the flag for more fragments; the ports are in this first one."""
    return data[:20] + b'\x20\0' + data[22:]


def test_wrapped():
    """PPPoE, MPLS, SNAP, PPPoE in QinQ, IPv4 options, first fragments: the probe finds the connection and its VLANs"""
    for wrap, vlans in ((pppoe, ()), (mpls, ()), (snap, ()), (qinq_pppoe, (7, 9)), (ip_options, ()), (first_fragment, ())):
        with VethPair() as w:
            w.send(*[(end, wrap(data)) for end, data in conversation()])
            w.probe.stop()
            c = one(w.probe.connections(), wrap.__name__)
            expect(c['client'] == C[0] and c['server'] == S[0] and c['vlans'] == list(vlans), wrap.__name__, c)
            expect(c['settled_by'] == 'payload' and c['wait'] is not None, wrap.__name__, c)


# ---- frames that the probe cannot parse ----

def plain(ethertype, payload=b'\0' * 46):
    return b'\x01\x80\xc2\0\0\x0e\x02\0\0\0\0\x01' + struct.pack('>H', ethertype) + payload


def udp(size, port=51820, payload=b''):
    size, payload = size + len(payload), payload + b'\0' * size
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 28 + size, 1, 0, 64, 17, 0, socket.inet_aton(C[0]), socket.inet_aton(S[0]))
    return plain(0x0800, ip + struct.pack('>HHHH', 51820, port, 8 + size, 0) + payload)


def esp():
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 100, 1, 0, 64, 50, 0, socket.inet_aton(C[0]), socket.inet_aton(S[0]))
    return plain(0x0800, ip + b'\0' * 80)


STRANGE = (
    ('PPPoE discovery', [plain(0x8863)], 'ethertype 0x8863 (PPPoE discovery). no PPPoE session is up'),
    ('MACsec', [plain(0x88e5)], '(MACsec). what it carries is encrypted: watch the macsec device'),
    ('IPX', [plain(0x8137)], 'all that is here is IPX'),
    ('LACP', [plain(0x8809)], 'the idle member of a bond'),
    ('spanning tree', [plain(38, b'\x42\x42\3' + b'\0' * 43), plain(39, b'\x42\x42\3' + b'\0' * 43)],
     'ethertype 0x0004 (802.2 LLC'),
    ('an ethertype without a name', [plain(0x1234)], 'ethertype 0x1234. is this the interface'),
    ('ESP', [esp()], 'tunnels such as ESP'),
    ('UDP', [udp(500)], 'all is UDP. If it is a tunnel'),
)


def test_not_understood():
    """if the probe can parse nothing, it reports the protocol and a remedy within seconds, and again at the end"""
    with contextlib.ExitStack() as stack:
        wires = []
        for i, (name, frames, words) in enumerate(STRANGE):
            w = VethPair()
            w.name += '-%d' % i
            wires.append((stack.enter_context(w), name, frames, words))

        def all_said():
            for w, _, frames, _ in wires:
                if 'passed yet' not in w.probe.errors:
                    w.send(*[('far', f) for f in frames] * 10)
            return all('passed yet' in w.probe.errors for w, *_ in wires)
        wait_for(all_said, 'a message for each interface')
        for w, name, _, words in wires:
            w.probe.stop()
            expect(w.probe.errors.count('passed yet') == 1, 'exactly one message', name, w.probe.errors)
            expect(words in w.probe.of('notice')[0]['text'], name, w.probe.of('notice'))
            report = ' '.join(w.probe.text.split())
            expect('nothing can be said: no new connection was seen' in report and words in report, name, w.probe.text)


def test_dns_is_no_tunnel():
    """where only DNS passes, no message sends the user to a tunnel that does not exist"""
    question = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + b'\3www\7example\0\0\1\0\1'
    with VethPair() as w:
        def said():
            w.send(*[('far', udp(0, 53, question))] * 10)
            return 'passed yet' in w.probe.errors
        wait_for(said, 'a message')
        expect('packets of DNS among it' in w.probe.errors and 'tunnel' not in w.probe.errors, w.probe.errors)


def test_counted():
    """frames that the probe cannot parse are counted by ethertype, in text by name, and in JSON"""
    with VethPair() as w:
        w.send(*conversation(), *[('far', plain(0x88cc))] * 3, ('near', plain(0x88e5)), ('far', plain(0x1234)),
               ('far', plain(38, b'\x42\x42\3' + b'\0' * 43)))
        w.probe.stop()
        want = {'0x88cc': 3, '0x88e5': 1, '0x1234': 1, '0x0004': 1}
        expect(w.probe.summary['not_understood']['ethertypes'] == want, w.probe.summary)
        for line in ('3 packets of ethertype 0x88cc (LLDP)', '1 packet of ethertype 0x88e5 (MACsec)',
                     '1 packet of ethertype 0x1234\n', '1 packet of ethertype 0x0004 (802.2 LLC'):
            expect(line in w.probe.text, line, w.probe.text)


def test_not_strange():
    """an interface that is idle, or that carried a connection, gets no such message"""
    with VethPair() as idle:
        idle.send(*[('far', plain(0x88cc))] * 5)
        time.sleep(6)  # longer than the probe needs for the message
        idle.send(*conversation(), *[('far', plain(0x88cc))] * 100)
        time.sleep(6)
        idle.probe.stop()
        expect('passed yet' not in idle.probe.errors and not idle.probe.of('notice'), idle.probe.errors)
