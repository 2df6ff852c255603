"""The path: MTU black holes, asymmetric routes, loss and delay on one client's line or on the provider's."""
import os
import subprocess

from causes import Finding, cause
from netns import WAN, Background, Probe, Rules, Serve
from probe import SECOND, expect
from routers import delay
from workload import SITES, SWITCH, WEB, Actors, connect, ip, loss, patient, rest, sysctl, visit, web


def far_server(mtu):
    """Adds a network behind the wan, 192.0.2.0/24, with this MTU towards it; its server is .80."""
    far = os.environ['LAB_ID'] + '-far'
    subprocess.run(['ip', 'netns', 'add', far], check=True)
    ip(WAN, 'link add eth1 mtu %d type veth peer eth0 netns %s' % (mtu, far))
    ip(WAN, 'address add 192.0.2.1/24 dev eth1')
    ip(WAN, 'link set eth1 up')
    for command in ('link set lo up', 'link set eth0 mtu 1500', 'link set eth0 up',
                    'address add 192.0.2.80/24 dev eth0', 'route add default via 192.0.2.1'):
        ip(far, command)
    sysctl(WAN, 'net.ipv4.ip_forward=1')
    return far


NO_ICMP = 'chain o { type filter hook output priority 0; icmp type destination-unreachable drop }'
FAR = ('192.0.2.80', 80)


def upload(count, pause, size=1400, sites=(FAR,)):
    """Sends posts that may be lost on the way, with a timeout."""
    for i in range(count):
        with connect(*sites[i % len(sites)]) as s:
            s.settimeout(4)
            try:
                s.sendall(b'POST / HTTP/1.0\r\n\r\n' + b'x' * size)
                s.recv(65536)
            except OSError:
                pass
        rest(pause)


@cause('D18', 'MTU black hole behind this gateway: large requests, ICMP dropped', 4,
       [Finding('mtu-black-hole', '192.0.2.80:80', 'medium', hosts=(21, 22, 23))],
       [Finding('slow-server', '192.0.2.80:80')], [Finding('not-the-network')])
def test_d18_request():
    far = far_server(1400)
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Rules(WAN, NO_ICMP), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, upload, 3, 0.3, 4000)
            a.go(n, visit, 8, 1.3, None, [FAR] + SITES)  # small requests pass
        a.go(24, visit, 10, 1.2)
    stuck = [c for c in p.connections(server=FAR[0]) if c['ack'] and not c['server_first']]
    expect(len(stuck) == 9, 'large requests were answered', stuck)
    return p


@cause('D18', 'MTU black hole before a client: large answers, no ICMP at all', 4,
       [Finding('mtu-black-hole', least='medium', hosts=(21,))],
       [Finding('lossy-client')], [Finding('not-the-network')])
def test_d18_answer():
    """a switch port with a smaller MTU silently drops larger frames"""
    def large(s):
        s.recv(65536)
        s.sendall(b'x' * 9000)
        while s.recv(65536):
            pass

    def download(count, pause):
        for i in range(count):
            with connect(*SITES[i % 3]) as s:
                s.settimeout(4)
                try:
                    s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                    s.recv(65536)
                except OSError:
                    pass
            rest(pause)

    ip(SWITCH, 'link set c1 mtu 1400')
    ip(WAN, 'link set eth0 gso_max_segs 1')  # otherwise the bridge forwards aggregates
    with Serve(WAN, {site: large for site in SITES}), Probe() as p, Actors() as a:
        a.go(21, download, 4, 0.3)
        for n in (22, 23, 24):
            a.go(n, download, 12, 1.3)
    return p


@cause('D18', 'a smaller MTU, reported by ICMP: no problem', 4)
def test_d18_discovery():
    far = far_server(1400)
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, upload, 6, 0.5, 4000)
        a.go(24, visit, 6, 0.7)
    expect(all(c['server_first'] for c in p.connections(server=FAR[0])), 'no discovery', p.json)
    return p


@cause('D19 F12', 'answers return by another route, not through this gateway', 3,
       [Finding('one-direction|no-verdict', least='low', text='one direction|no SYN-ACK was captured')],
       [], [Finding('not-the-network')])
def test_d19():
    ip(SWITCH, 'link add wan2 type veth peer eth2 netns ' + WAN)
    ip(SWITCH, 'link set wan2 master br0 up')
    ip(WAN, 'address add 10.1.4.2/24 dev eth2')
    ip(WAN, 'link set eth2 up')
    ip(WAN, 'route del 10.1.4.0/24 via 198.51.100.1')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit, 8, 0.6, None, SITES[:3])
    c = p.connections()
    expect(len(c) == 24 and not any(x['synack'] for x in c) and all(x['client_first'] for x in c), c)
    return p


@cause('D22', 'one client\'s line loses a quarter of its packets', 4,
       [Finding('lossy-client', least='medium', hosts=(21,))], [], [Finding('not-the-network')])
def test_d22():
    with Serve(WAN, WEB), Rules(SWITCH, loss([('ingress', 'c1'), ('egress', 'c1')], 25), 'netdev'), \
            Probe() as p, Actors() as a:
        for _ in range(8):
            a.go(21, patient, 12, 0.3)
        for n in (22, 23, 24):
            a.go(n, visit, 40, 0.4)
    return p


@cause('D22', 'the provider\'s line loses a quarter of all packets', 4,
       [Finding('lossy-far-side', least='medium')],
       [Finding('peer-unanswered', most='low'), Finding('peer-unreachable', most='medium')],
       [Finding('not-the-network|lossy-client')])
def test_d22_far():
    with Serve(WAN, WEB), Rules(WAN, loss([('ingress', 'eth0'), ('egress', 'eth0')], 25), 'netdev'), \
            Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, patient, 12, 0.3)
            a.go(n, patient, 12, 0.3)
    return p


class Delay(Background):
    """Delays packets between client 21 and the switch by this many seconds in each direction."""

    def __init__(self, seconds):
        for command in ('link set c1 nomaster', 'link add late type veth peer late2', 'link set late up',
                        'link set late2 master br0 up'):
            ip(SWITCH, command)
        super().__init__(SWITCH, delay, 'c1', 'late', seconds)


@cause('D22', 'one client\'s line has a round trip of 0.6 s', 4,
       [Finding('slow-access', hosts=(21,))], [], [Finding('not-the-network')])
def test_slow_access():
    with Serve(WAN, WEB), Delay(0.3), Probe() as p, Actors() as a:
        a.go(21, visit, 8, 0.2)
        for n in (22, 23, 24):
            a.go(n, visit, 10, 1.1)
    trips = sorted(c['ack'] - c['synack'] for c in p.connections(client='10.1.4.21'))
    expect(trips and trips[0] >= 0.6 * SECOND, 'no delay', trips)
    return p
