"""Everyday traffic that resembles a stall or a failure, and must not lead to an accusation."""
import os
import random
import signal
import socket
import ssl
import tempfile
import time

import netns
from causes import CUT, DEAD, Finding, cause
from netns import DEAD4, SERVER4, WAN, Background, Probe, Serve
from probe import expect
from workload import (ANTIVIRUS, OTHER4, SITES, THIRD4, WEB, Actors, ask, client, connect, greets_again, mail, page,
                      rest, sysctl, telemetry, thinking, visit, waits, web)


@cause('F1', 'connections without any data: closed after a while, or open to the end', 4)
def test_f1():
    def spare(count, seconds):
        sockets = [connect(*SITES[i % len(SITES)]) for i in range(count)]
        time.sleep(seconds)
        for s in sockets:
            s.close()

    with Serve(WAN, WEB), Probe() as p:
        waits = [netns.fork(client(n), spare, 4, 30) for n in (21, 22)]
        with Actors() as a:
            a.go(21, spare, 3, 5)
            a.go(21, visit, 8, 0.9)
            for n in (23, 24):
                a.go(n, visit, 8, 0.9)
                a.go(n, spare, 3, 4)
        p.stop()
        for wait in waits:
            os.kill(wait.pid, signal.SIGKILL)
    expect(p.summary['unused'] == 9 and p.summary['undecided'] >= 6 and not p.summary['stalls'], p.summary)
    return p


def client_hello():
    """Returns a TLS ClientHello."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname='www.example.com')
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


@cause('F2', 'late requests on port 80 of several clients, nothing else: low at most', 4,
       may=[Finding('timer-unexplained', most='low')])
def test_f2():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 4, 0.4, thinking(n, 2.1, 4.5))
        for n in (23, 24):
            a.go(n, visit, 12, 1.1)
    return p


@cause('F2', 'a ClientHello that is always 5 s late, nothing else: a timer without a culprit', 4,
       [Finding('timer-unexplained', least='medium', most='medium', hosts=(21, 22), timer=5)])
def test_f2_tls():
    sites = [(SERVER4, 443), (OTHER4, 443), (THIRD4, 443)]
    hello = client_hello()

    def surf(pages, pause, hold):
        for i in range(pages):
            page(*sites[i % 3], hold and (lambda: time.sleep(hold)), hello)
            rest(pause)

    with Serve(WAN, {site: web for site in sites}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 3, 0.3, 5.0)
        for n in (23, 24):
            a.go(n, surf, 12, 1.1, None)
    return p


@cause('F3', 'spare sockets used late while the other sockets are in use', 4, may=[DEAD, CUT])
def test_f3():
    def surf(rounds, seed):
        r = random.Random(seed)
        for i in range(rounds):
            site = SITES[i % len(SITES)]
            with connect(*site) as spare:
                for _ in range(3):
                    page(*site)
                    time.sleep(r.uniform(0.6, 1.2))
                spare.sendall(b'GET / HTTP/1.0\r\n\r\n')
                spare.recv(100)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 5, n)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 14)
        for n in (23, 24):
            a.go(n, visit, 10, 1.1)
    expect(len(waits(p, 21, 22)) == 10, 'spare sockets', waits(p, 21, 22))
    return p


@cause('F4', 'one request in ten of each client is late, telemetry to a dead server', 4, may=[DEAD, CUT])
def test_f4():
    def surf(seed):
        r = random.Random(seed)
        for i in range(20):
            page(*SITES[i % len(SITES)], (lambda: time.sleep(r.uniform(1.5, 3))) if i % 10 == 5 else None)
            time.sleep(r.uniform(0.3, 0.7))

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, surf, n)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 15, 3.0, 0.4 * (n - 20))
        a.go(24, visit, 10, 1.1)
    expect(len(waits(p, 21, 22, 23)) == 6, 'late requests', waits(p, 21, 22, 23))
    return p


@cause('F3 F4 F6', 'Chromium with its spare sockets, pages read for 2 to 5 s, telemetry to a dead server', 4,
       may=[DEAD, CUT, Finding('peer-refused', ':443'),
            Finding('resolver-unanswered')])  # the browser asks this machine's resolver, which is out of reach here
def test_chromium():
    """connections that a browser opens in advance are no stalls, even while others fail"""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        sites = ['203.0.113.10', '203.0.113.11', '174.143.213.184']
        links = ''.join('<link rel=preconnect href=http://%s/>' % s for s in sites)
        images = ''.join('<img src=http://%s/dot%d.svg?>' % (s, i) for s in sites for i in range(3))
        reading = 'setTimeout(function () { location = "http://" + %s[Math.floor(Math.random() * 3)] + "/?" + ' \
            'Math.random() }, 2000 + 3000 * Math.random())' % sites
        html = '<!DOCTYPE html><title>A page</title>%s%s<p>Read me.<script>%s</script>' % (links, images, reading)
        os.chmod(folder, 0o755)
        with open(folder + '/index.html', 'w') as f:
            f.write(html)
        with Background(WAN, nginx, folder, sites), Probe() as p:
            with Background(client(21), browser, folder, sites), Actors() as a:
                a.go(21, telemetry, ANTIVIRUS, 5.0, 30)
                a.go(22, telemetry, ANTIVIRUS, 7.0, 30)
                a.go(23, visit, 20, 1.1, None, SITES[:3])
                a.go(24, visit, 20, 1.2, None, SITES[:3])
            p.stop()
        mine = p.connections(client='10.1.4.21')
        pages = [c for c in mine if c['server_port'] == 80]
        expect(len(pages) >= 4, 'Chromium did not browse', mine)
        expect(waits(p, 21) or p.summary['unused'] or p.summary['undecided'], 'no spare sockets', pages)
    return p


def nginx(folder, sites):
    with open(folder + '/nginx.conf', 'w') as f:
        f.write('''daemon off; pid %(folder)s/nginx.pid; error_log stderr; user nobody nogroup; events {}
            http { access_log off; client_body_temp_path %(folder)s/b; proxy_temp_path %(folder)s/p;
            fastcgi_temp_path %(folder)s/f; uwsgi_temp_path %(folder)s/u; scgi_temp_path %(folder)s/s;
            default_type text/html; root %(folder)s; keepalive_timeout 3;
            server { %(listen)s location / { add_header Cache-Control no-store; }
            location ~ svg { add_header Cache-Control no-store; default_type image/svg+xml;
            return 200 "<svg xmlns='http://www.w3.org/2000/svg'/>"; } } }'''
                % dict(folder=folder, listen=' '.join('listen %s:80;' % s for s in sites)))
    os.execvp('nginx', ['nginx', '-e', 'stderr', '-c', folder + '/nginx.conf'])


def browser(folder, sites):
    out = os.open(folder + '/chromium.log', os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.execvp('chromium', ['chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
                           '--no-first-run', '--no-proxy-server', '--user-data-dir=%s/profile' % folder,
                           '--remote-debugging-port=0', 'http://%s/' % sites[0]])


@cause('F5', 'pools: connections opened in advance, closed unused after just 10 s', 4)
def test_f5():
    def pool(rounds):
        for _ in range(rounds):
            sockets = [connect(*SITES[i % len(SITES)]) for i in range(4)]
            page(*SITES[0])
            time.sleep(10)
            for s in sockets:
                s.close()

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, pool, 2)
        for n in (23, 24):
            a.go(n, visit, 16, 1.1)
    return p


@cause('F5', 'thinking time of 1 to 7 s, telemetry every 5 s to a dead server', 5, may=[DEAD, CUT])
def test_f5_telemetry():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit, 6, 0.3, thinking(n, 1, 7))
            a.go(n, telemetry, ANTIVIRUS, 5.0, 27, 3.0, 0.9 * (n - 20))
        for n in (24, 25):
            a.go(n, visit, 20, 1.2)
    expect(len(waits(p, 21, 22, 23)) >= 15 and len(p.connections(server=DEAD4)) >= 12, 'not enough', p.connections())
    return p


@cause('F5', 'the same, telemetry every 9 s that hangs for 7 s, on all hosts', 4, may=[DEAD, CUT])
def test_f5_hanging():
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 6, 0.3, thinking(n + 50, 1, 6))
        for n in (23, 24):
            a.go(n, visit, 20, 1.1)
        for n in (21, 22, 23, 24):
            a.go(n, telemetry, ANTIVIRUS, 9.0, 27, 7.0, 0.7 * (n - 20))
    expect(len(waits(p, 21, 22)) >= 10 and len(p.connections(server=DEAD4)) >= 8, 'not enough', waits(p, 21, 22))
    return p


@cause('F6', 'spare sockets put into use one after another, telemetry to a dead server', 4, may=[DEAD, CUT])
def test_f6():
    def surf(rounds, seed):
        r = random.Random(seed)
        for _ in range(rounds):
            sockets = [connect(*site) for site in SITES]
            for s in sockets:
                time.sleep(r.uniform(0.4, 1.8))
                s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                s.recv(100)
                s.close()

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, 4, n)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 18, 3.0, 0.5 * (n - 20))
        for n in (23, 24):
            a.go(n, visit, 14, 1.1)
    expect(len(waits(p, 21, 22)) >= 20, 'no spare sockets', waits(p, 21, 22))
    return p


@cause('F7', 'attempts to a dead server in the middle of waits that they do not explain', 4,
       may=[DEAD, CUT, Finding('timer-unexplained')])
def test_f7():
    """the waits are equal, the attempts begin 1 to 2.5 s into them: no coincidence, no culprit"""
    def surf(seed):
        r = random.Random(seed)
        for i in range(4):
            with connect(*SITES[i % len(SITES)]) as s:
                end = time.monotonic() + 4
                time.sleep(r.uniform(1.0, 2.5))
                ask(ANTIVIRUS, 1.2)
                time.sleep(end - time.monotonic())
                s.sendall(b'GET / HTTP/1.0\r\n\r\n')
                s.recv(100)
            rest(0.5)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, surf, n)
        for n in (23, 24):
            a.go(n, visit, 14, 1.1)
    return p


@cause('F7', 'two hosts that scan dead addresses while their users think', 4,
       may=[Finding('peer-unanswered'), Finding('prefix-cut')])
def test_f7_scan():
    """with many dead peers, some attempt begins with each wait, but no wait depends on it"""
    def scan(seconds, first):
        end = time.monotonic() + seconds
        for i in range(first, first + 250):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(('10.200.7.%d' % i, 6881))
            sockets.append(s)
            if len(sockets) > 40:
                sockets.pop(0).close()
            time.sleep(max(0.0, min(0.09, end - time.monotonic())))

    sockets = []
    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit, 6, 0.3, thinking(n + 70, 1.5, 5))
            a.go(n, scan, 20, 1)
        for n in (23, 24):
            a.go(n, visit, 16, 1.1)
    expect(len(waits(p, 21, 22)) >= 12, waits(p, 21, 22))
    expect(len(p.of('finding')) <= 10, 'the scan floods the report with findings', len(p.of('finding')), 'findings')
    return p


@cause('F8', 'the server greets at once, the user types for 4 s', 3, may=[DEAD, CUT])
def test_f8():
    with Serve(WAN, {**WEB, (SERVER4, 25): greets_again(0.01)}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, mail, 3, 0.5, (SERVER4, 25), 4.0)
            a.go(n, telemetry, ANTIVIRUS, 5.0, 14)
        a.go(23, visit, 12, 1.1)
    expect(p.summary['stalls'] == 0 and p.summary['late_banners'] == 0, p.summary)
    return p


@cause('F9', 'health checks: a connection without data every second', 3)
def test_f9():
    def check(count):
        for i in range(count):
            connect(*SITES[i % 2]).close()
            time.sleep(0.5)

    with Serve(WAN, WEB), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, check, 24)
        a.go(23, visit, 10, 1.1)
    expect(p.summary['unused'] == 48, p.summary)
    return p


def web_socket(s):
    """Answers at once and is then silent, as a web socket; a long poll waits before its answer."""
    request = s.recv(65536)
    if b'poll' in request:
        time.sleep(8)
    s.sendall(b'HTTP/1.1 101 Switching Protocols\r\n\r\n')
    while s.recv(65536):
        time.sleep(4)
        s.sendall(b'news')


@cause('F10', 'idle web sockets and long polls', 4, may=[Finding('slow-server', '203.0.113.10:80', most='low')])
def test_f10():
    def chat():
        with connect(SERVER4, 80) as s:
            s.sendall(b'GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n')
            s.recv(100)
            for _ in range(3):
                time.sleep(3)
                s.sendall(b'anything?')
                s.recv(100)

    def poll():
        page(SERVER4, 80, None, b'GET /poll HTTP/1.1\r\n\r\n')
        page(SERVER4, 80, None, b'GET /poll HTTP/1.1\r\n\r\n')

    with Serve(WAN, {**WEB, (SERVER4, 80): web_socket}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, chat)
        a.go(21, poll)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 12, 1.1)
    return p


@cause('F11', 'keep-alive probes, Fast Open, reused ports, connections from before the start', 4)
def test_f11():
    fast_open = 23  # TCP_FASTOPEN

    def kept_alive():
        with connect(SERVER4, 80) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
            time.sleep(8)

    def fast(count):
        for _ in range(count):
            with socket.socket() as s:
                s.sendto(b'GET / HTTP/1.0\r\n\r\n', socket.MSG_FASTOPEN, (OTHER4, 80))
                s.recv(100)
            time.sleep(0.4)

    def again(port):
        for _ in range(6):
            netns.browse(THIRD4, 80, 0, b'GET', port)
            time.sleep(1.1)  # after 1 s the same port may replace its time-wait state

    def old():
        with connect(SERVER4, 80) as s:
            time.sleep(3)
            s.sendall(b'GET / HTTP/1.0\r\n\r\n')
            s.recv(100)
            time.sleep(2)

    sysctl(WAN, 'net.ipv4.tcp_fastopen=3')
    for n in (21, 22):
        sysctl(client(n), 'net.ipv4.tcp_fastopen=1', 'net.ipv4.tcp_tw_reuse=1')
    usual = {site: web for site in SITES if site != (OTHER4, 80)}
    with Serve(WAN, usual), \
            Serve(WAN, {(OTHER4, 80): web}, options=[(socket.IPPROTO_TCP, fast_open, 16)]):
        before = [netns.fork(client(n), old) for n in (21, 22, 23)]
        time.sleep(0.5)
        with Probe() as p, Actors() as a:
            for n in (21, 22):
                a.go(n, kept_alive)
                a.go(n, fast, 12)
                a.go(n, again, 41000 + n)
            for n in (23, 24):
                a.go(n, visit, 6, 1.1)
            for wait in before:
                wait()
    quick = [c for c in p.connections(server=OTHER4) if c['wait'] is not None and c['wait'] <= 0]
    expect(len(quick) >= 10, 'no data in SYNs', p.connections(server=OTHER4))
    expect(p.summary['already_open'] >= 1 and len(p.connections(client_port=41021)) == 6, p.summary)
    return p
