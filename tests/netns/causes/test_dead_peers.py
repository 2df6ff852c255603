"""Peers that do not answer, refuse or cannot be reached, and the fallback to others: failover, broken IPv6."""
import random
import socket
import struct
import subprocess
import time

import netns
from causes import CUT, Finding, cause
from netns import GATEWAY, SERVER4, SERVER6, WAN, Probe, Rules, Serve
from probe import expect
from workload import OTHER4, OTHER6, SITES, THIRD4, WEB, Actors, attempts, client, ip, page, rest, sysctl, visit, web


def dual_stack(pages, pause, patience):
    """Runs curl with IPv4 and IPv6 addresses of two names; `patience` is how long it tries IPv6 before IPv4."""
    for i in range(pages):
        name, v6, v4 = (('a.test', SERVER6, SERVER4), ('b.test', OTHER6, OTHER4))[i % 2]
        subprocess.run(['curl', '--disable', '--noproxy', '*', '--silent', '--output', '/dev/null', '--max-time', '9',
                        '--resolve', '%s:80:[%s],%s' % (name, v6, v4), '--happy-eyeballs-timeout-ms',
                        str(int(patience * 1000)), 'http://%s/' % name], check=True)
        rest(pause)


V6_DROPPED = 'chain i { type filter hook input priority 0; ip6 daddr 2001:db8:80::/48 tcp dport 80 drop }'
V6_DEAD = Finding('peer-unanswered|prefix-cut', '2001:db8:80::/48')


@cause('D5', 'IPv6 is dropped on its way, curl takes IPv4 after 1.6 s', 4,
       [Finding('broken-ipv6', least='medium', hosts=(21, 22, 23))], [V6_DEAD])
def test_d5():
    with Serve(WAN, WEB), Rules(WAN, V6_DROPPED), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, dual_stack, 6, 0.4, 1.6)
        a.go(24, visit, 10, 1.1, None, SITES[:3])
    expect(len(p.connections(server=SERVER4, outcome='established')) >= 9, 'no IPv4 after IPv6')
    return p


@cause('D5', 'the same with 0.2 s: no user notices it', 4, [], [V6_DEAD, Finding('broken-ipv6', most='medium')])
def test_d5_harmless():
    with Serve(WAN, WEB), Rules(WAN, V6_DROPPED), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, dual_stack, 8, 0.7, 0.2)
        a.go(24, visit, 10, 0.9, None, SITES[:3])
    return p


@cause('D5', 'IPv6 is dropped; one host tries it for 2 s, four use IPv4 after 0.2 s: the one is found', 5,
       [Finding('broken-ipv6', least='medium', hosts=(21,), timer=2)], [V6_DEAD])
def test_d5_one_host():
    """browsers of the others do not notice that IPv6 is broken; the program of one host does"""
    with Serve(WAN, WEB), Rules(WAN, V6_DROPPED), Probe() as p, Actors() as a:
        a.go(21, dual_stack, 4, 0.4, 2)
        for n in (22, 23, 24, 25):
            a.go(n, dual_stack, 9, 0.8, 0.2)
    return p


REFUSED6, LIVE4 = (SERVER6, 8081), (SERVER4, 8081)


def refused_like_windows(address, port):
    """Sends a SYN again after each RST, 0.5 s apart, as Windows does, and gives up after 2 s."""
    began = time.monotonic()
    source, isn = random.randrange(40000, 60000), random.getrandbits(32)
    syn = struct.pack('>HHIIBBHHH', source, port, isn, 0, 0x50, 2, 65535, 0, 0)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP) as s:
        s.setsockopt(socket.IPPROTO_IPV6, 7, 16)  # IPV6_CHECKSUM, the offset of the checksum
        for i in range(4):
            time.sleep(max(0.0, began + 0.5 * i - time.monotonic()))
            s.sendto(syn, (address, 0))
    time.sleep(max(0.0, began + 2 - time.monotonic()))


@cause('D5 F18', 'IPv6 is refused: two hosts try it four times in 2 s, two take IPv4 at once', 4,
       [Finding('broken-ipv6', least='medium', hosts=(21, 23), timer=2)],
       [Finding('peer-refused', SERVER6)], absent=['nobody waits'])
def test_d5_refused():
    def fetch(pages, pause, refused):
        for _ in range(pages):
            refused(*REFUSED6)
            page(*LIVE4)
            rest(pause)

    with Serve(WAN, {**WEB, LIVE4: web}), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, fetch, 4, 0.4, refused_like_windows)
        for n in (22, 24):
            a.go(n, fetch, 9, 1.0, lambda address, port: netns.try_connect(address, port, 3))
    refused = p.connections(server=SERVER6, client='fd00:1:4::21')
    expect(refused and all(c['outcome'] == 'refused' for c in refused), 'not refused', refused)
    return p


@cause('D5', 'IPv6 is refused, and IPv4 follows at once: it costs nothing', 4, [], [Finding('peer-refused', SERVER6)])
def test_d5_refused_harmless():
    def fetch(pages, pause):
        for _ in range(pages):
            netns.try_connect(*REFUSED6, 3)
            page(*LIVE4)
            rest(pause)

    with Serve(WAN, {**WEB, LIVE4: web}), Probe() as p, Actors() as a:
        for n in (21, 22, 23, 24):
            a.go(n, fetch, 7, 1.0)
    return p


@cause('D10', 'the first directory server is silent, the second is tried after 3 s', 4,
       [Finding('failover-chain', '10.200.7.10:389', 'high', hosts=(21, 22), timer=3)],
       [Finding('peer-unanswered', '10.200.7.10'), CUT])
def test_d10():
    def look_up(count):
        for _ in range(count):
            netns.try_connect('10.200.7.10', 389, 3)
            page(SERVER4, 389, None, b'bind')
            rest(0.6)

    with Serve(WAN, {**WEB, (SERVER4, 389): web}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, look_up, 5)
        for n in (21, 23, 24):
            a.go(n, visit, 12, 1.2)
    return p


@cause('D11', 'a host that is silent on all ports', 4, [Finding('peer-unanswered', '192.0.2.50', 'medium')])
def test_d11_host():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('192.0.2.50', port) for port in (22, 80, 443)], 4.2, 0.2)
        for n in (22, 23, 24):
            a.go(n, visit, 10, 1.1)
    return p


@cause('D11', 'one port of a host is filtered, its others answer', 4,
       [Finding('peer-unanswered', '203.0.113.10:8443', 'medium', text='other ports|port filter|filtered')])
def test_d11_port():
    rules = 'chain i { type filter hook input priority 0; tcp dport 8443 drop }'
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(SERVER4, 8443)] * 3, 4.2, 0.2)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 10, 1.1)
    return p


@cause('D11', 'one port is filtered for all hosts', 4,
       [Finding('peer-unanswered', ':445', 'medium', text='port 445')])
def test_d11_ports():
    rules = 'chain i { type filter hook input priority 0; tcp dport 445 drop }'
    with Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, attempts, [(SERVER4, 445), (OTHER4, 445), (THIRD4, 445)], 4.2, 0.2)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 10, 1.1)
    return p


@cause('D12', 'a router beyond the gateway reports that a host is unreachable', 4,
       [Finding('peer-unreachable', '198.18.5.5:80', 'medium', text='198.51.100.2')])
def test_d12_beyond():
    sysctl(WAN, 'net.ipv4.ip_forward=1')
    ip(WAN, 'route add unreachable 198.18.0.0/15')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('198.18.5.5', 80)], 2, 1.2, 4)
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    c = p.connections(server='198.18.5.5')
    expect(c and all(x['icmp'] and x['icmp']['from'] == '198.51.100.2' for x in c), 'no ICMP error', c)
    return p


@cause('D12', 'this gateway has an unreachable route to a network', 4,
       [Finding('peer-unreachable', '198.18.5.5:80', 'medium', text='this gateway')])
def test_d12_gateway():
    ip(GATEWAY, 'route add unreachable 198.18.0.0/15')
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [('198.18.5.5', 80)], 2, 1.2, 4)
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    expect(all(c['from_gateway'] for c in p.connections(server='198.18.5.5')), p.json)
    return p


@cause('D13', 'a server refuses: nothing listens on that port', 4,
       [Finding('peer-refused', '203.0.113.10:8080', 'medium')])
def test_d13_server():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(SERVER4, 8080)], 2, 0.8, 6)
        for n in (23, 24):
            a.go(n, visit, 6, 0.9)
    expect(len(p.connections(outcome='refused', from_gateway=False)) == 12, p.json)
    return p


@cause('D13', 'this gateway\'s own firewall refuses', 4,
       [Finding('peer-refused', '203.0.113.10:8080', 'medium', text='this gateway')])
def test_d13_gateway():
    rules = 'chain f { type filter hook forward priority 0; tcp dport 8080 reject with tcp reset }'
    with Serve(WAN, {**WEB, (SERVER4, 8080): web}), Rules(GATEWAY, rules), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(SERVER4, 8080)], 2, 0.8, 6)
        for n in (23, 24):
            a.go(n, visit, 6, 0.9)
    expect(len(p.connections(outcome='refused', from_gateway=True)) == 12, p.json)
    return p


@cause('D14', 'a tunnel goes down: the default route takes its network, without an answer', 4,
       [Finding('prefix-cut', '10.88.0.0/16', 'medium', hosts=(21, 22, 23), text='default route')],
       [Finding('peer-unanswered', '10.88.2.7')],
       [Finding('not-the-network')])
def test_d14():
    inner = [('10.88.1.5', 80), ('10.88.1.6', 445), ('10.88.2.7', 443)]
    for address, _ in inner:
        ip(WAN, 'address add %s/32 dev lo' % address)
    ip(GATEWAY, 'link add vpn0 type veth peer vpn0 netns ' + WAN)
    ip(GATEWAY, 'address add 172.16.0.1/30 dev vpn0')
    ip(GATEWAY, 'link set vpn0 up')
    ip(WAN, 'address add 172.16.0.2/30 dev vpn0')
    ip(WAN, 'link set vpn0 up')
    ip(GATEWAY, 'route add 10.88.0.0/16 via 172.16.0.2')
    rules = 'chain i { type filter hook prerouting priority 0; iifname eth0 ip daddr 10.88.0.0/16 drop }'

    with Serve(WAN, {**WEB, **{peer: web for peer in inner}}), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            netns.run(client(n), visit, 3, 0.3, None, inner)
        ip(GATEWAY, 'link del vpn0')
        for n in (21, 22, 23):
            a.go(n, attempts, inner, 4.2, 0.1)
        for n in (22, 24):
            a.go(n, visit, 10, 1.1)
    expect(len(p.connections(server='10.88.1.5', outcome='established')) == 3, 'the tunnel did not work')
    expect(len(p.connections(server='10.88.1.5', outcome='unanswered')) == 3, 'the tunnel still works')
    return p
