"""How sure a finding may be: NAT, lost records, few observations, a selection that hides the comparison group."""
import signal
import socket
import time

import captures
import netns
from causes import CUT, DEAD, Finding, cause
from netns import GATEWAY, SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from workload import SITES, WEB, Actors, client, fail_open, story, thinking, visit


@cause('F12', 'the outer side of a NAT, where conntrack tells the clients apart', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 22))], may=[DEAD, CUT])
def test_f12_outer():
    """where it does not, there is no verdict: test_untold of test_nat.py"""
    rules = 'chain n { type nat hook postrouting priority 100; oifname "%s" masquerade }' % netns.WAN_IFACE
    with Serve(WAN, WEB), Rules(GATEWAY, rules), Probe(iface=netns.WAN_IFACE) as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 2, 0.3, fail_open(5.0), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 9, 1.1, None, SITES[:3])
    return p


@cause('F12', 'more than 0.1 % of the records are lost: no verdict', 4, [Finding('no-verdict', says='lost')],
       may=[DEAD, CUT, Finding('peer-refused|syn-flood'), Finding('waits-for-peer', '10.200.7.9:5274', most='low')])
def test_f12_lost():
    """the probe does not get to run for a while, and a storm passes meanwhile"""
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


@cause('F13', 'waits of 1.1 to 1.9 s, locked to nothing: not notable', 4)
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


@cause('F14', 'two locked waits, no more: medium', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'medium', 'medium', hosts=(21,))], [DEAD, CUT])
def test_f14_two():
    return some_locked(2)


@cause('F14', 'a single locked wait: a coincidence that accuses nobody', 4, [], [DEAD, CUT])
def test_f14_one():
    return some_locked(1)


@cause('F', 'one wait of one client, plain HTTP, nothing fails: nobody can tell', 4)
def test_undecidable():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, visit, 1, 0, lambda: time.sleep(5))
        for n in (22, 23, 24):
            a.go(n, visit, 6, 0.9)
    expect(p.summary['stalls'] == 1, p.summary)
    return p


@cause('F', '--client cuts the comparison group away, and says so', 4,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'medium', hosts=(21,), others=(), timer=5)], [DEAD, CUT],
       says=['no comparison group'])
def test_narrowed_clients():
    p = story(('--client', '10.1.4.21'), with_helper=(21, 23), without=(22, 24))
    expect(all(f['p_value'] is None for f in p.of('finding')), 'a p without a group')
    return p


@cause('F', '--port leaves attempts to other peers unseen, and says so', 4, may=[Finding('timer-unexplained')],
       says=['leaves out what'])
def test_narrowed_ports():
    return story(('--port', '80'), with_helper=(21, 23), without=(22, 24))


@cause('F', 'waits without a cause on the wire, all round trips well: not the network', 4,
       [Finding('not-the-network')])
def test_not_the_network():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 5, 0.3, thinking(n, 2.1, 3.9))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
    return p
