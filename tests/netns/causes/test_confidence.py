"""The confidence of findings: NAT, lost records, few observations, a filter that hides the comparison group."""
import signal
import socket
import time

import captures
import netns
from causes import CUT, DEAD, Finding, cause
from netns import GATEWAY, SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from workload import SITES, WEB, Actors, client, fail_open, story, thinking, visit


@cause('F12', 'the outer side of a NAT, where conntrack identifies the clients', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 22))], may=[DEAD, CUT])
def test_f12_outer():
    """test_no_conntrack() of test_nat.py covers the case without conntrack, which gives no verdict."""
    rules = 'chain n { type nat hook postrouting priority 100; oifname "%s" masquerade }' % netns.WAN_IFACE
    with Serve(WAN, WEB), Rules(GATEWAY, rules), Probe(iface=netns.WAN_IFACE) as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 2, 0.3, fail_open(5.0), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 9, 1.1, None, SITES[:3])
    return p


@cause('F12', 'more than 0.1 % of the records are lost: no verdict', 4, [Finding('no-verdict', text='lost')],
       may=[DEAD, CUT, Finding('peer-refused|syn-flood'), Finding('waits-for-peer', '10.200.7.9:5274', most='low')])
def test_f12_lost():
    """the probe is stopped for a while, and a storm of SYNs passes meanwhile"""
    def storm(count):
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for i in range(count):
            here, there = ('10.1.4.24', 1024 + i), (SERVER4, 4000)
            s.sendto(captures.frame(here, there, 2, i, 0)[14:], (SERVER4, 0))

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.3, fail_open(5.0))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
        time.sleep(2)
        p.process.send_signal(signal.SIGSTOP)
        netns.run(client(24), storm, 25000)
        p.process.send_signal(signal.SIGCONT)
    expect(p.summary['lost']['sum'] > 0.001 * p.summary['connections'], p.summary)
    return p


@cause('F13', 'waits of 1.1 to 1.9 s that coincide with no attempt: not notable', 4)
def test_f13():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 5, 0.4, thinking(n, 1.1, 1.9))
        for n in (23, 24):
            a.go(n, visit, 9, 1.1)
    expect(p.summary['stalls'] == 10, p.summary)
    return p


def some_locked(count):
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, count, 0.5, fail_open(5.0))
        for n in (22, 23, 24):
            a.go(n, visit, 9, 1.2)
    return p


@cause('F14', 'only two waits that coincide with attempts: at most medium confidence', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'low', 'medium', hosts=(21,))], [DEAD, CUT])
def test_f14_two():
    """on a loaded machine the waits differ by so much that chance explains two of them"""
    return some_locked(2)


@cause('F14', 'a single wait that coincides with an attempt: no peer is accused', 4, [], [DEAD, CUT])
def test_f14_one():
    return some_locked(1)


@cause('F', 'one wait of one client, plain HTTP, no failure: the cause stays unknown', 4)
def test_undecidable():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, 1, 0, lambda: time.sleep(5))
        for n in (22, 23, 24):
            a.go(n, visit, 6, 0.9)
    expect(p.summary['stalls'] == 1, p.summary)
    return p


@cause('F', '--client leaves out the comparison group, and the finding states it', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'medium', hosts=(21,), others=(), timer=5)], [DEAD, CUT],
       text=['no comparison group'])
def test_narrowed_clients():
    p = story(('--client', '10.1.4.21'), with_helper=(21, 23), without=(22, 24))
    expect(all(f['p_value'] is None for f in p.of('finding')), 'a p without a group')
    return p


@cause('F', '--port leaves out attempts to other peers: the finding states it', 4, may=[Finding('timer-unexplained')],
       text=['leaves out what'])
def test_narrowed_ports():
    return story(('--port', '80'), with_helper=(21, 23), without=(22, 24))


@cause('F', 'waits without a visible cause, all round trips short: not the network', 4,
       [Finding('not-the-network')])
def test_not_the_network():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 5, 0.3, thinking(n, 2.1, 3.9))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
    return p
