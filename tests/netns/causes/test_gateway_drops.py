"""Packets that this gateway drops, watched on both of its sides, and cases in which it must not be blamed."""
import netns
from causes import CUT, DEAD, HELPER, Finding, cause
from netns import GATEWAY, SERVER4, WAN, Probe, Rules, Serve
from workload import OTHER4, THIRD4, WEB, Actors, attempts, ip, story, visit

BOTH_SIDES = ('--iface', netns.WAN_IFACE)
FOLLOWED = ('--follow-peers',)
EATEN = 'chain f { type filter hook forward priority 0; %s drop }'
MASQUERADE = 'chain p { type nat hook postrouting priority 100; oifname "%s" masquerade }' % netns.WAN_IFACE


def eaten(arguments, rules, peers, where=GATEWAY, trying=(21, 22), timeout=3.5):
    with Serve(WAN, WEB), Rules(where, rules), Probe(*arguments) as p, Actors() as a:
        for n in trying:
            a.go(n, attempts, peers, timeout, 0.3, 2)
        for n in range(21, 25):
            a.go(n, visit, 6, 1.1)
    return p


@cause('D26', 'this gateway\'s own firewall silently drops a port; both sides are watched', 4,
       [Finding('dropped-in-gateway', '203.0.113.10:8080', 'high', hosts=(21, 22), text='nft list ruleset')])
def test_d26_both():
    return eaten(BOTH_SIDES, EATEN % 'tcp dport 8080', [(SERVER4, 8080)])


@cause('D26', 'the same, --follow-peers', 4,
       [Finding('dropped-in-gateway', '203.0.113.10:8080', 'high', hosts=(21, 22), text='came in by eth0|came in and left on no')])
def test_d26_follow():
    return eaten(FOLLOWED, EATEN % 'tcp dport 8080', [(SERVER4, 8080)])


@cause('D26', 'this gateway drops a port to every server, behind masquerading: one finding', 4,
       [Finding('dropped-in-gateway', ':25', 'high', hosts=(21, 22), text='port 25, of 3 servers')])
def test_d26_port():
    return eaten(BOTH_SIDES, EATEN % 'tcp dport 25' + '\n' + MASQUERADE, [(SERVER4, 25), (OTHER4, 25), (THIRD4, 25)])


@cause('D26', 'this gateway drops the SYNs of two hosts, those of the others pass', 4,
       [Finding('dropped-in-gateway', '203.0.113.11:80', 'high', hosts=(21, 22), text='got through')])
def test_d26_hosts():
    rules = EATEN % 'ip saddr { 10.1.4.21, 10.1.4.22 } ip daddr 203.0.113.11'
    with Serve(WAN, WEB), Rules(GATEWAY, rules), Probe(*BOTH_SIDES) as p, Actors() as a:
        for n in (21, 22):
            a.go(n, attempts, [(OTHER4, 80)], 3.5, 0.3, 2)
            a.go(n, visit, 6, 1.1, None, [(SERVER4, 80), (THIRD4, 80)])
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    return p


@cause('D26', 'a blackhole route of this gateway', 4,
       [Finding('dropped-in-gateway', '198.18.5.5:80', 'high', text='blackhole')])
def test_d26_blackhole():
    ip(GATEWAY, 'route add blackhole 198.18.0.0/15')
    return eaten(BOTH_SIDES, EATEN % 'tcp dport 9', [('198.18.5.5', 80)])


@cause('D26', 'not this gateway: a firewall beyond it drops that port', 4,
       [Finding('peer-unanswered', '203.0.113.10:8080', text='left this gateway by eth1')],
       never=[Finding('dropped-in-gateway')])
def test_d26_beyond():
    return eaten(BOTH_SIDES, 'chain i { type filter hook input priority 0; tcp dport 8080 drop }', [(SERVER4, 8080)], WAN)


@cause('D26', 'not this gateway: the same with --follow-peers behind masquerading', 4,
       [Finding('peer-unanswered', '203.0.113.10:8080', text='left this gateway by eth1')],
       never=[Finding('dropped-in-gateway')])
def test_d26_beyond_follow():
    with Rules(WAN, 'chain i { type filter hook input priority 0; tcp dport 8080 drop }'):
        return eaten(FOLLOWED, MASQUERADE, [(SERVER4, 8080)])


@cause('D26', 'no verdict: the device of the route is not watched', 4,
       [Finding('peer-unanswered', '203.0.113.10:8080', text='was not checked')],
       never=[Finding('dropped-in-gateway')])
def test_d26_unwatched():
    ip(GATEWAY, 'link add side0 type veth peer name side1')
    ip(GATEWAY, 'link set side0 up')
    return eaten(('--iface', 'side0'), EATEN % 'tcp dport 8080', [(SERVER4, 8080)])


@cause('D1', 'the standard scene, watched on both sides of a masquerading gateway', 6, [HELPER], [DEAD, CUT])
def test_d1_both_sides():
    with Rules(GATEWAY, MASQUERADE):
        return story(BOTH_SIDES)
