"""The moment of Ctrl-C, and peers that die and come back: neither hides a culprit, nor makes one."""
import contextlib
import time

from causes import CUT, DEAD, Finding, accusers, cause, show
from netns import WAN, Background, Probe, Rules, Serve
from probe import expect
from workload import (ANTIVIRUS, OTHER4, SITES, WEB, Actors, ask, client, fail_open, new_socket, rest, thinking, visit,
                      waits, web)


def office(hold, duration):
    """Runs the demo's office, and ends the probe after this many seconds, in the middle of waits."""
    with Serve(WAN, WEB), Probe('-d', str(duration)) as p, contextlib.ExitStack() as running:
        for n in range(21, 33):
            after = 0.1 + 0.08 * (n - 21)
            what = (9, 0.2, hold(n), SITES[:3], after) if n % 2 else (30, 1.0, None, SITES[:3], after)
            running.enter_context(Background(client(n), visit, *what))
        expect(p.process.wait(60) == 0, 'the probe failed')
    expect(p.summary['undecided'], 'no wait is cut', p.summary)
    return p


DEMO = Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=range(21, 33, 2), others=range(22, 33, 2), timer=5)


def is_first(p):
    first = p.of('finding')[0]
    expect(first['kind'] == 'waits-for-peer', 'the first finding is', show(first))


@cause('D1 F15', 'the demo, ended after 9 s: six waits have ended, and six go on', 12, [DEMO], [DEAD, CUT],
       check=is_first)
def test_cut_at_9():
    return office(lambda n: fail_open(5.0), 9)


@cause('D1 F15', 'the demo, ended after 13 s: twelve waits have ended, and six go on', 12, [DEMO], [DEAD, CUT],
       check=is_first)
def test_cut_at_13():
    return office(lambda n: fail_open(5.0), 13)


@cause('F15', 'a program tries a dead server as each page starts, users think for 2 to 6 s, ended after 8 s', 12, [],
       [DEAD, CUT, Finding('waits-for-peer', '10.200.7.9:5274', most='low')])
def test_cut_innocent():
    def starts(n):
        think, left = thinking(n, 2, 6), []

        def hold():
            s = new_socket(ANTIVIRUS[0])
            s.setblocking(False)
            s.connect_ex(ANTIVIRUS)
            left.append(s)  # its connect() goes on after the page
            think()
        return hold
    return office(starts, 8)


HELPED = (OTHER4, 5274)
SYN_DROPPED = 'chain i { type filter hook input priority 0; tcp dport 5274 tcp flags & (syn | ack) == syn drop }'


def has_when(p):
    for f in accusers(p):
        expect(any(line['label'] == 'when' for line in f['evidence']), 'no "when" in', show(f), f['evidence'])


@cause('D1', 'a helper\'s server dies and comes back: since when, and until when', 6,
       [Finding('waits-for-peer', '203.0.113.11:5274', 'high', hosts=(21, 23, 25), others=(22, 24, 26))],
       [Finding('peer-unanswered', '203.0.113.11:5274')], [Finding('stalls-unexplained')],
       absent=['not visible', 'too seldom', 'too rare'], check=has_when)
def test_back():
    """the last waits end when the server answers a repeated SYN: they are explained as well"""
    with Serve(WAN, {**WEB, HELPED: web}), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 7, 0.5, lambda: ask(HELPED, 2.5, b'?\r\n'), SITES[:3], 0.3 * (n - 20))
        for n in (22, 24, 26):
            a.go(n, visit, 10, 1.1)
        time.sleep(1.5)
        with Rules(WAN, SYN_DROPPED):
            time.sleep(8)
    late = [c for c in p.connections(server=OTHER4, server_port=5274, outcome='established') if c['syn_count'] > 1]
    expect(late, 'the server did not come back during a wait')
    return p


@cause('F5', 'a server of telemetry dies and comes back, users think for 1.5 to 5 s', 4, [],
       [Finding('peer-unanswered', '203.0.113.11:5274')])
def test_back_innocent():
    def reports(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ask(HELPED, 2.5, b'?\r\n')
            rest(0.7)

    with Serve(WAN, {**WEB, HELPED: web}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.2, thinking(n + 60, 1.5, 5))
        for n in (21, 22, 23):
            a.go(n, reports, 10)
        for n in (23, 24):
            a.go(n, visit, 9, 1.1)
        time.sleep(1)
        with Rules(WAN, SYN_DROPPED):
            time.sleep(7)
    return p


@cause('F22', 'equal waits that coincide with no attempt: only TCP was searched for their cause', 4, [],
       [Finding('timer-unexplained')], text=['in TCP'], absent=['no packet shows', 'on the wire'])
def test_only_tcp():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.2, lambda: time.sleep(2.5), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 6, 1.1)
    expect(len(waits(p, 21, 22)) == 6, waits(p, 21, 22))
    return p
