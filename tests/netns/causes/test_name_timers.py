"""The real resolvers with a silent server: how long each waits, and the report of it; and the harmless ones."""
import contextlib
import os
import tempfile

from causes import Finding, cause
from dns_clients import MACOS, WINDOWS_TWO, by, cares, glibc, musl, musl_program, resolv_conf, sites, surf, using
from dns_server import AAAA, NameServers, of_type, silent, well, where
from netns import WAN, Background, Probe, Serve
from probe import SECOND, expect
from resolvers import STUB, dnsmasq, systemd_resolved, unbound
from workload import WEB, Actors, client, ip

ONE, TWO = '203.0.113.53', '203.0.113.54'
BOTH = [ONE, TWO]
DEAD_FIRST = {ONE: silent, TWO: well}


def between(least, most, *waits):
    expect(waits and all(least <= w <= most for w in waits), 'waits of', waits, 'not from', least, 'to', most)


@cause('N1', 'the first resolver is silent: c-ares, Windows and macOS, each with its own timer', 6,
       [Finding('resolver-unanswered', ONE, 'high', hosts=(21, 22, 23, 24))], [], [Finding('not-the-network')])
def test_timers():
    with Serve(WAN, WEB), NameServers(WAN, DEAD_FIRST), Probe() as p, Actors() as a:
        a.go(21, using, BOTH, surf, sites(21, 3), 0.4, cares)
        for n in (22, 23):
            a.go(n, surf, sites(n, 5), 0.8, by(WINDOWS_TWO, BOTH))
        a.go(24, surf, sites(24, 3), 0.8, by(MACOS, BOTH))
        for n in (25, 26):
            a.go(n, using, [TWO], surf, sites(n, 12), 1.2)
    between(4.9, 6, *a.results[21][0])
    between(1, 1.5, *a.results[22][0] + a.results[23][0])
    between(3, 3.5, *a.results[24][0])
    return p


@cause('N1', 'the first resolver is silent: systemd-resolved waits 5 s once, and then avoids it', 5,
       [Finding('resolver-unanswered', ONE, 'low')], [], [Finding('not-the-network')])
def test_systemd_resolved():
    with Serve(WAN, WEB), NameServers(WAN, DEAD_FIRST), systemd_resolved(client(21), BOTH), \
            systemd_resolved(client(22), BOTH), systemd_resolved(client(23), BOTH), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, using, [STUB], surf, sites(n, 8), 0.7)
        for n in (24, 25):
            a.go(n, using, [TWO], surf, sites(n, 10), 1.1)
    for n in (21, 22, 23):
        between(4.9, 6, a.results[n][0][0])
        between(0, 0.5, *a.results[n][0][1:])
    return p


@contextlib.contextmanager
def learnt(n):
    """Lets the host's unbound learn which server answers. It draws one until then: the first question may take 2 s."""
    with Actors() as a:
        a.go(n, using, ['127.0.0.1'], glibc, 'first.example.com')
    yield


@cause('N1', 'the first resolver is silent: musl asks all at the same time, dnsmasq too, unbound has learnt it', 6,
       [], [Finding('resolver-unanswered', ONE, most='medium')], [])
def test_asked_in_parallel():
    """nobody waits for a second"""
    with tempfile.TemporaryDirectory() as folder, Serve(WAN, WEB), NameServers(WAN, DEAD_FIRST), \
            dnsmasq(client(23), '127.0.0.1', '--server=' + ONE, '--server=' + TWO, '--cache-size=0'), \
            unbound(client(24), '127.0.0.1', BOTH), learnt(24), Probe() as p, Actors() as a:
        program = musl_program(folder)
        for n in (21, 22):
            a.go(n, using, BOTH, musl, program, sites(n, 12), 0.8)
        for n in (23, 24):
            a.go(n, using, ['127.0.0.1'], surf, sites(n, 12), 0.8)
        for n in (25, 26):
            a.go(n, using, [TWO], surf, sites(n, 12), 0.9)
    for n in (21, 22, 23, 24):
        between(0, 0.99, *a.results[n][0])
    expect(not p.summary['ledger']['late'] and not p.summary['ledger']['failed'], p.summary['ledger'])
    return p


@cause('N3', 'questions for AAAA are dropped: musl gives up after 5 s, and no connect follows', 5,
       [Finding('type-unanswered', ONE, 'medium', hosts=(21, 22, 23))], [],
       [Finding('not-the-network|resolver-unanswered|zone-unanswered')], text=['AAAA'])
def test_musl_type_dropped():
    with tempfile.TemporaryDirectory() as folder, Serve(WAN, WEB), \
            NameServers(WAN, {ONE: where(of_type(AAAA), silent), TWO: well}), Probe() as p, Actors() as a:
        program = musl_program(folder)
        for n in (21, 22, 23):
            a.go(n, using, [ONE], musl, program, sites(n, 3), 0.4)
        for n in (24, 25):
            a.go(n, using, [TWO], surf, sites(n, 12), 1.2)
    return p


def browser(folder, name, resolvers):
    """Chromium opens one page; what it says goes to a file."""
    resolv_conf(resolvers)
    out = os.open(folder + '/chromium.log', os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.execvp('chromium', ['chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                           '--no-first-run', '--no-proxy-server', '--disable-background-networking',
                           '--disable-component-update', '--user-data-dir=%s/profile' % folder,
                           '--remote-debugging-port=0', 'http://%s/' % name])


@cause('N3', 'questions for AAAA are dropped: Chromium sends its request after 15 to 18 s', 4,
       [Finding('type-unanswered', ONE, 'medium', hosts=(21, 22))], [Finding('peer-refused', ':443')],
       [Finding('not-the-network|resolver-unanswered')], text=['AAAA'])
def test_chromium_type_dropped():
    """it asks for AAAA only with a global IPv6 address"""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Serve(WAN, WEB), \
            NameServers(WAN, {ONE: where(of_type(AAAA), silent), TWO: well}), Probe() as p:
        os.chmod(folder, 0o755)
        for n in (21, 22):
            ip(client(n), 'address add 2001:db8:4::%d/64 dev eth0 nodad' % n)
            os.mkdir('%s/%d' % (folder, n))
        with Background(client(21), browser, folder + '/21', 'www1.example.com', [ONE]), \
                Background(client(22), browser, folder + '/22', 'www2.example.com', [ONE]), Actors() as a:
            for n in (23, 24):
                a.go(n, using, [TWO], surf, sites(n, 24), 1.2)
        p.stop()
    pages = [c for c in p.connections() if c['client'] in ('10.1.4.21', '10.1.4.22') and c['server_port'] == 80]
    first = [min((c['syn'], c['name_wait']) for c in pages if c['client'] == '10.1.4.%d' % n)[1] for n in (21, 22)]
    between(15, 21, *[wait / SECOND for wait in first if wait])
    return p
