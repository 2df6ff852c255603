"""A chain of attempts may fill a wait: again at the same server, at several in turn, or refused ones.

Beside each true chain is a neighbour: the same attempts by a program that nobody waits for.
"""
import itertools
import random
import threading
import time

import netns
from causes import DEAD, DEAD_NETWORK, Finding, accusers, cause, named, show
from netns import SERVER4, WAN, Probe, Serve
from probe import SECOND, expect
from workload import (ANTIVIRUS, OTHER4, SITES, WEB, Actors, ask, connect, fail_open, new_socket, page, rest, telemetry,
                      visit, waits, web)

TOO_SELDOM = ['too seldom', 'too rare', 'no packet shows', 'that they wait for']
DEAD_SERVERS = [('10.200.7.%d' % n, 5274) for n in (9, 10, 11)]


def in_turn(peers, seconds):
    """Returns the hold() of a helper that tries these servers one after another, each for this many seconds."""
    def hold():
        for peer in peers:
            expect(not ask(peer, seconds), 'a dead server answers')
    return hold


THINKS = {21: (1.7, 3.9, 2.6), 22: (4.4, 2.15, 3.3)}  # no two are alike: no timer


def beside(attempts, *thinks):
    """Returns a hold() during which the user thinks. A program begins its attempts meanwhile, and delays nothing."""
    left = list(thinks)

    def hold():
        threading.Thread(target=attempts, daemon=True).start()
        time.sleep(left.pop(0))
    return hold


def reports(peers, seconds, pause, end):
    """Acts as a service that tries these dead servers in turn, rests, and tries them again."""
    end += time.monotonic()
    while time.monotonic() + len(peers) * seconds < end:
        for peer in peers:
            ask(peer, seconds)
        rest(pause)


# ---- attempts within one wait ----

@cause('D1 F17', 'a helper tries its dead server twice in each wait, for 1.6 s each', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23, 25), others=(22, 24, 26), timer=3.2)],
       [DEAD_NETWORK], absent=TOO_SELDOM)
def test_twice():
    """beside it, a service of two other hosts tries another dead server twice, and nobody waits for that"""
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 3, 0.3, in_turn([ANTIVIRUS] * 2, 1.6), SITES[:3], 0.1 * (n - 20))
        for n in (22, 24, 26):
            a.go(n, visit, 9, 1.1)
        for n in (22, 24):
            a.go(n, reports, [('10.200.7.66', 443)] * 2, 1.6, 0.5, 11)
    return p


@cause('F5 F17', 'a program tries its dead server twice as each page starts, and the users think', 4, [], [DEAD_NETWORK])
def test_twice_innocent():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.2, beside(in_turn([ANTIVIRUS] * 2, 1.6), *THINKS[n]), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 8, 1.1)
    expect(len(waits(p, 21, 22)) == 6, waits(p, 21, 22))
    return p


def names_all(*peers):
    """Returns a check that the findings of high confidence, and no others, name all these dead servers."""
    def check(p):
        found = accusers(p, '10.200.7.0/24')
        doubted = [show(f) for f in found if f['confidence'] != 'high']
        expect(not doubted, 'not high:', *doubted)
        missing = {'%s:%d' % peer for peer in peers} - set().union(*[named(f) for f in found])
        expect(not missing, 'not named:', *sorted(missing))
    return check


@cause('D1 F17', 'a helper tries two dead servers one after the other, for 1.8 s each', 6,
       [Finding('waits-for-peer', '10.200.7.0/24', 'high', hosts=(21, 23, 25), others=(22, 24, 26), timer=3.6)],
       [DEAD_NETWORK], absent=TOO_SELDOM, check=names_all(*DEAD_SERVERS[:2]))
def test_two_servers():
    """both servers are named: with one of them alive, the wait would be 1.8 s"""
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit, 3, 0.3, in_turn(DEAD_SERVERS[:2], 1.8), SITES[:3], 0.1 * (n - 20))
        for n in (22, 24, 26):
            a.go(n, visit, 10, 1.1)
    return p


@cause('F5 F17', 'a program tries two dead servers in turn as each page starts, and the users think', 4, [],
       [DEAD_NETWORK])
def test_two_servers_innocent():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.2, beside(in_turn(DEAD_SERVERS[:2], 1.6), *THINKS[n]), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 8, 1.1)
    expect(len(waits(p, 21, 22)) == 6, waits(p, 21, 22))
    return p


# ---- refusals ----

REFUSING = (OTHER4, 5274)


def refused_until(seconds, pause):
    """Returns the hold() of a helper whose server refuses: it tries again and again, until its timer ends."""
    def hold():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            expect(netns.try_connect(*REFUSING, 1) == 'ConnectionRefusedError', 'not refused')
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
    return hold


@cause('D1 F17 F18', 'a helper whose server refuses tries it every 0.4 s, and fails open after 3 s', 4,
       [Finding('waits-for-peer', '203.0.113.11:5274', 'high', hosts=(21, 23), others=(22, 24), timer=3)],
       [Finding('peer-refused', '203.0.113.11:5274')], absent=TOO_SELDOM + ['nobody waits'])
def test_refused():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 3, 0.3, refused_until(3, 0.4), SITES[:3], 0.1 * (n - 20))
        for n in (22, 24):
            a.go(n, visit, 8, 1.1)
    return p


@cause('F5 F18', 'a program tries a server that refuses for 2 s as each page starts, and the users think', 4, [],
       [Finding('peer-refused', '203.0.113.11:5274')])
def test_refused_innocent():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.2, beside(refused_until(2, 0.4), *THINKS[n]), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 8, 1.1)
    expect(len(waits(p, 21, 22)) == 6, waits(p, 21, 22))
    return p


# ---- fail-over: the whole time until a live server is used ----

def loses(seconds):
    """Returns a check that no finding about fail-over names the time of one attempt as the time that hosts lose."""
    def check(p):
        for f in accusers(p, '10.200.7.0/24'):
            expect(f['timer'] and abs(f['timer'] / SECOND - seconds) < 0.3, show(f), 'names', f['timer'], 'ns, not',
                   seconds, 's')
    return check


@cause('D10 F17', 'three dead directory servers, 1.8 s each, before the live one: 5.4 s', 4,
       [Finding('failover-chain|held-before-connect', '10.200.7.0/24', 'medium', hosts=(21, 22, 23), timer=5.4)],
       [DEAD_NETWORK], check=loses(5.4))
def test_failover_three():
    def look_up(count):
        for _ in range(count):
            for address, _ in DEAD_SERVERS:
                netns.try_connect(address, 389, 1.8)
            page(SERVER4, 389, None, b'bind')
            rest(0.4)

    with Serve(WAN, {**WEB, (SERVER4, 389): web}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, look_up, 2)
        for n in (21, 23, 24):
            a.go(n, visit, 9, 1.2)
    return p


@cause('D10 F17', 'a dead proxy is tried twice, 1.8 s each, before the live one is used: 3.6 s', 4,
       [Finding('failover-chain|held-before-connect', '10.200.7.9:8080', 'medium', hosts=(21, 22), timer=3.6)],
       [DEAD_NETWORK], check=loses(3.6))
def test_failover_proxy():
    """after the first attempt the live proxy is opened and closed, and then the dead one is tried again"""
    def surf(count):
        for _ in range(count):
            netns.try_connect('10.200.7.9', 8080, 1.8)
            connect(OTHER4, 8080).close()
            netns.try_connect('10.200.7.9', 8080, 1.8)
            page(OTHER4, 8080)
            rest(0.4)

    with Serve(WAN, {**WEB, (OTHER4, 8080): web}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 3)
        for n in (23, 24):
            a.go(n, visit, 9, 1.2)
    return p


@cause('F17', 'a service tries three dead servers in turn, and the users of its hosts browse as they like', 4, [],
       [DEAD_NETWORK])
def test_failover_innocent():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, reports, [(address, 389) for address, _ in DEAD_SERVERS], 1.2, 0.6, 11)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 9, 1.2)
    return p


# ---- several addresses of one name, and several helpers ----

@cause('D1 F24', 'three dead addresses of one name, another one in each wait: all are guilty', 6,
       [Finding('waits-for-peer', '10.200.7.0/24', 'high', timer=2.5)], [DEAD_NETWORK],
       check=names_all(*DEAD_SERVERS))
def test_round_robin():
    def visit_next(pages, turn):
        for i in range(pages):
            page(*SITES[i % 3], fail_open(2.5, DEAD_SERVERS[(turn + i) % 3]))
            rest(0.3)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23, 25):
            a.go(n, visit_next, 4, n // 2)
        for n in (22, 24, 26):
            a.go(n, visit, 10, 1.1)
    return p


@cause('F5 F24', 'a program tries another of three dead addresses as each page starts, and the users think', 4, [],
       [DEAD_NETWORK])
def test_round_robin_innocent():
    def next_one(turn):
        peers = itertools.cycle(DEAD_SERVERS[turn % 3:] + DEAD_SERVERS[:turn % 3])
        return lambda: ask(next(peers), 2.5)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 3, 0.2, beside(next_one(n), *THINKS[n]), SITES[:3])
        for n in (23, 24):
            a.go(n, visit, 8, 1.1)
    expect(len(waits(p, 21, 22)) == 6, waits(p, 21, 22))
    return p


@cause('D1 F23', 'other hosts wait as long for a reason that is not visible, and never try the peer', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', hosts=(21, 23), timer=3)],
       [DEAD, Finding('timer-unexplained')])
def test_others_wait():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 23):
            a.go(n, visit, 3, 0.3, fail_open(3.0), SITES[:3], 0.1 * (n - 20))
        for n in (25, 26):
            a.go(n, visit, 3, 0.3, lambda: time.sleep(3), SITES[:3], 0.1 * (n - 20))
        for n in (22, 24):
            a.go(n, visit, 8, 1.1)
    expect(len(waits(p, 25, 26)) == 6, 'the others do not wait', waits(p, 25, 26))
    return p


def starts_with_dead(pages, pause, hold, peer=ANTIVIRUS):
    """Opens pages; a program tries a dead server for 3 s as each of them starts, and only hold() delays the page."""
    left = []
    for i in range(pages):
        s = new_socket(peer[0])
        s.setblocking(False)
        left.append((time.monotonic() + 3, s))
        page(*SITES[i % 3], lambda: (s.connect_ex(peer), hold()))
        rest(pause)
        while left and left[0][0] < time.monotonic():
            left.pop(0)[1].close()
    for _, s in left:
        s.close()


@cause('F23', 'five hosts try a dead server with each page and do not wait; one has a timer of its own', 6, [],
       [DEAD, Finding('timer-unexplained'), Finding('waits-for-peer', '10.200.7.9:5274', most='low')])
def test_others_do_not_wait():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        a.go(21, starts_with_dead, 3, 0.3, lambda: time.sleep(2.9))
        for n in (22, 23, 24, 25, 26):
            a.go(n, starts_with_dead, 7, 1.2, lambda: None)
    expect(len(waits(p, 21)) == 3, waits(p, 21))
    return p


OTHER_HELPER = ('10.200.7.20', 8443)


@cause('D1', 'two helpers; one host has both, and two hosts have one of them: each is guilty', 6,
       [Finding('waits-for-peer', '10.200.7.9:5274', 'high', timer=2.5),
        Finding('waits-for-peer', '10.200.7.20:8443', 'high', timer=2.5)],
       [DEAD_NETWORK], absent=['cannot distinguish', 'told apart'])
def test_overlapping():
    def both():
        sockets = [new_socket(peer[0]) for peer in (ANTIVIRUS, OTHER_HELPER)]
        for s, peer in zip(sockets, (ANTIVIRUS, OTHER_HELPER)):
            s.setblocking(False)
            s.connect_ex(peer)
        time.sleep(2.5)
        for s in sockets:
            s.close()

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n, hold in ((21, both), (22, fail_open(2.5)), (23, fail_open(2.5, OTHER_HELPER))):
            a.go(n, visit, 4, 0.3, hold, SITES[:3], 0.1 * (n - 20))
        for n in (24, 25, 26):
            a.go(n, visit, 8, 1.1)
    return p


# ---- waits that lie before the SYN ----

@cause('F16', 'a program gives up a dead server after 1.5 s, and opens a page 4 s after it began', 4, [], [DEAD])
def test_given_up():
    """the SYN at 2 s did not come: nobody waited for that server at 4 s"""
    def surf(count):
        for i in range(count):
            began = time.monotonic()
            ask(ANTIVIRUS, 1.5)
            time.sleep(max(0.0, began + 4 - time.monotonic()))
            page(*SITES[i % 3])
            rest(0.6)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 3)
        for n in (23, 24):
            a.go(n, visit, 9, 1.2)
    tried = p.connections(server=ANTIVIRUS[0])
    expect(len(tried) == 6 and all(c['syn_count'] == 2 for c in tried), 'the attempts last longer', tried)
    return p


@cause('F5', 'pages begin 2.83 to 2.97 s after an attempt of 3 s: such a spread is no timer', 4, [],
       [DEAD, Finding('held-before-connect|failover-chain', '10.200.7.9:5274', most='low')])
def test_no_timer():
    def surf(count, seed):
        dice = random.Random(seed)
        for i in range(count):
            s = new_socket(ANTIVIRUS[0])
            s.setblocking(False)
            s.connect_ex(ANTIVIRUS)
            time.sleep(2.9 + dice.uniform(-0.07, 0.07))
            page(*SITES[i % 3])
            time.sleep(0.1)
            s.close()
            rest(0.4)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 3, n)
        for n in (23, 24):
            a.go(n, visit, 9, 1.2)
    return p


def every(period, count, function, *arguments):
    """Calls a function at a fixed period."""
    began = time.monotonic()
    for i in range(count):
        time.sleep(max(0.0, began + i * period - time.monotonic()))
        function(*arguments)


@cause('F5', 'a status page is fetched every 2 s, and a dead server is tried every 2 s: no chain', 4, [],
       [Finding('peer-unanswered', '10.200.7.66'),
        Finding('failover-chain|held-before-connect', '10.200.7.66', most='low')])
def test_rhythm():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, every, 2, 6, page, OTHER4, 80)
            a.go(n, telemetry, ('10.200.7.66', 80), 2.0, 12, 1.8, 0.61)
        for n in (23, 24):
            a.go(n, visit, 9, 1.2)
    return p
