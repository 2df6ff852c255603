"""Openings that fail or are late after the handshake: requests, greetings and answers, and who ends the connection.

Beside each server that is accused, the other servers and the hosts that reach it must not be.
"""
import itertools
import os
import socket
import ssl
import struct
import subprocess
import tempfile
import time

import netns
from causes import Finding, cause, fails, late
from netns import GATEWAY, SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from routers import FarHost, far_host, join
from workload import (OTHER4, SITES, THIRD4, WEB, Actors, burst, connect, greets_again, ip, mail, patient, rest, sysctl,
                      visit, web)

FAR = ('192.0.2.80', 80)
SITES4 = SITES[:3]
HEALTHY = [(SERVER4, 80), (THIRD4, 80)]
PATH_IS_WELL = [Finding('not-the-network')]


# ---- the handshake is acknowledged by nobody, or by a device that is not the server ----

@cause('request-lost', 'a stateful router sees only the way there, and drops the ACK as invalid', 4,
       [Finding('request-lost', '192.0.2.80:80', hosts=(21, 22, 23))],
       never=[Finding('not-the-network|mtu-black-hole|slow-server'), Finding('accept-queue', most='low')],
       check=fails('answer', 'not_acked', 6))
def test_asymmetric_route():
    """the server's answers come back by a link of its own, so the router never sees a SYN-ACK"""
    far = far_host()
    join(GATEWAY, far, '10.9.9')
    ip(far, 'route add 10.1.4.0/24 via 10.9.9.1')
    rules = 'chain f { type filter hook forward priority 0; ct state invalid drop }'
    with Serve(far, {FAR: web}), Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 2, 0.2, [FAR], 4.2)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 8, 1.1, None, SITES4)
    return p


SYNPROXY = '''chain p { type filter hook prerouting priority raw
    ip daddr 192.0.2.80 tcp flags & (syn | ack) == syn notrack
}
chain f { type filter hook forward priority 0
    ip daddr 192.0.2.80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
    ct state invalid drop
}'''


def behind_syn_proxy(proxy):
    """The host behind the proxy is switched off: its router has no neighbour."""
    far = far_host()
    ip(far, 'link set to-wan down')
    sysctl(proxy, 'net.netfilter.nf_conntrack_tcp_loose=0')
    with Serve(WAN, WEB), Rules(proxy, SYNPROXY), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 2, 0.2, [FAR], 4.2)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 8, 1.1, None, SITES4)
    return p


@cause('syn-proxy', 'a SYN proxy beyond the gateway answers for a server that is off', 4,
       [Finding('syn-proxy', '192.0.2.80:80', hosts=(21, 22, 23))],
       never=[Finding('not-the-network|slow-server|no-answer|accept-queue|request-lost|mtu-black-hole')])
def test_syn_proxy():
    return behind_syn_proxy(WAN)


@cause('syn-proxy', 'this gateway is the SYN proxy, and the server is off', 4,
       [Finding('syn-proxy', '192.0.2.80:80', hosts=(21, 22, 23))],
       never=[Finding('not-the-network|slow-server|no-answer|accept-queue|request-lost|mtu-black-hole')])
def test_syn_proxy_here():
    return behind_syn_proxy(GATEWAY)


@cause('accept-queue', 'a server process is stopped, and its queue of two connections is full', 4,
       [Finding('accept-queue', '203.0.113.11:80', hosts=(21, 22, 23))],
       [Finding('no-answer|peer-unanswered', '203.0.113.11:80')], PATH_IS_WELL + [Finding('request-lost|syn-proxy')])
def test_stopped_process():
    """the kernel completes handshakes until the queue is full, and others of the burst are in flight then"""
    netns.sh(WAN, *'tc qdisc add dev eth0 root tbf rate 32kbit burst 200 limit 30000'.split())
    usual = {site: web for site in HEALTHY}
    with Serve(WAN, usual), Serve(WAN, {(OTHER4, 80): web}, backlog=2, accept_every=1000), Probe() as p, Actors() as a:
        a.go(21, burst, 8, (OTHER4, 80), 0, 5)
        time.sleep(2)
        for n in (22, 23):
            a.go(n, patient, 1, 0, [(OTHER4, 80)], 5)
        for n in (22, 23, 24):
            a.go(n, visit, 5, 1.0, None, HEALTHY)
    return p


# ---- the server closes, or never speaks ----

def ask_resolver(s):
    """Like tcp wrappers: looks the client's name up at a resolver that does not answer, and then refuses the client."""
    udp = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*udp) as dead, socket.socket(*udp) as q:
        dead.bind(('127.0.0.1', 0))
        q.settimeout(3)
        try:
            q.sendto(struct.pack('>6H', 1, 0x100, 1, 0, 0, 0), dead.getsockname())
            q.recv(512)
        except OSError:
            pass


def await_greeting(count, server, timeout, pause=0.3):
    """Waits for a greeting that does not come."""
    for _ in range(count):
        with connect(*server) as s:
            s.settimeout(timeout)
            try:
                s.recv(100)
            except OSError:
                pass
        rest(pause)


@cause('server-closes', 'tcp wrappers: a server looks the client up for 3 s, and closes without a greeting', 4,
       [Finding('server-closes', '203.0.113.11:21', 'medium', hosts=(21, 22, 23), text='3.0')],
       check=fails('hold|greeting', 'server_closed', 6))
def test_tcp_wrappers():
    servers = {**WEB, (OTHER4, 21): ask_resolver, (SERVER4, 21): greets_again(0.01)}
    with Serve(WAN, servers), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, await_greeting, 2, (OTHER4, 21), 6)
        for n in (22, 23, 24):
            a.go(n, mail, 6, 1.0, (SERVER4, 21))
            a.go(n, visit, 6, 1.0)
    return p


@cause('server-closes', 'a server closes each connection at once', 4,
       [Finding('server-closes', '203.0.113.11:8080', 'medium', hosts=(21, 22, 23))],
       check=fails('hold', 'server_closed', 9))
def test_closes_at_once():
    with Serve(WAN, {**WEB, (OTHER4, 8080): lambda s: None}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, await_greeting, 3, (OTHER4, 8080), 6)
        for n in (21, 22, 23, 24):
            a.go(n, visit, 6, 0.9)
    return p


def until(count, well, ill):
    """Returns a server behaviour that changes after this many connections."""
    numbers = itertools.count()
    return lambda s: (well if next(numbers) < count else ill)(s)


def silent(s):
    """Takes what comes, as a process that hangs in a lock does."""
    while s.recv(65536):
        pass


@cause('no-greeting', 'a mail server greets 12 times, and then accepts and stays silent', 4,
       [Finding('no-greeting', '203.0.113.11:25', 'medium', hosts=(21, 22, 23), text='since')],
       check=fails('greeting', 'never', 6))
def test_hangs_before_greeting():
    server = until(12, greets_again(0.02), silent)
    with Serve(WAN, {**WEB, (OTHER4, 25): server, (SERVER4, 25): greets_again(0.02)}), Probe() as p:
        with Actors() as a:
            for n in (21, 22, 23):
                a.go(n, mail, 4, 0.4, (OTHER4, 25))
        with Actors() as a:
            for n in (21, 22, 23):
                a.go(n, await_greeting, 2, (OTHER4, 25), 3.3)
            for n in (22, 23, 24):
                a.go(n, mail, 6, 1.0, (SERVER4, 25))
    return p


@cause('no-answer', 'a web server answers 12 times, and then takes requests and never answers', 4,
       [Finding('no-answer', '203.0.113.11:80', 'medium', hosts=(21, 22, 23), text='since')],
       [], [Finding('slow-server|peer-unanswered')], check=fails('answer', 'never', 6))
def test_stops_answering():
    with Serve(WAN, {**WEB, (OTHER4, 80): until(12, web, silent)}), Probe() as p:
        with Actors() as a:
            for n in (21, 22, 23):
                a.go(n, visit, 4, 0.4, None, [(OTHER4, 80)])
        with Actors() as a:
            for n in (21, 22, 23):
                a.go(n, patient, 2, 0.3, [(OTHER4, 80)], 3.3)
            for n in (22, 23, 24):
                a.go(n, visit, 6, 1.0, None, HEALTHY)
    return p


# ---- resets after the request ----

RESETTER = '''chain f { type filter hook forward priority 0
    ip daddr 192.0.2.80 tcp dport 443 ip length > 60 reject with tcp reset
}'''


@cause('reset-after-request', 'a filter near the gateway resets the connections to a far server at the request', 4,
       [Finding('reset-after-request', '192.0.2.80:443', 'medium', hosts=(21, 22, 23), text='nearer')],
       never=[Finding('server-closes|slow-server|peer-refused')], check=fails('answer', 'server_reset', 9))
def test_filter_resets():
    """the RST comes in less than the round trip of the server, which is 60 ms"""
    line = FarHost(0.03)
    with line, Serve(line.host, {FAR: web, (FAR[0], 443): web}), Serve(WAN, WEB), Rules(WAN, RESETTER), Probe() as p, \
            Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 3, 0.3, [(FAR[0], 443)], 4)
        for n in (22, 23, 24):
            a.go(n, visit, 6, 0.8, None, [FAR] + SITES4)
    return p


def resets(s):
    s.recv(65536)
    time.sleep(0.01)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))


@cause('reset-after-request', 'a server resets connections when it has read the request', 4,
       [Finding('reset-after-request', '203.0.113.11:8080', 'medium', hosts=(21, 22, 23))],
       never=[Finding('server-closes|slow-server|peer-refused')], absent=['somebody nearer'],
       check=fails('answer', 'server_reset', 9))
def test_server_resets():
    with Serve(WAN, {**WEB, (OTHER4, 8080): resets}), Probe() as p, Actors() as a:
        for n in (21, 22, 23):
            a.go(n, patient, 3, 0.3, [(OTHER4, 8080)], 4)
        for n in (22, 23, 24):
            a.go(n, visit, 6, 0.8)
    return p


# ---- TLS ----

def tls_server(need_name=False):
    """Returns a server behaviour with a certificate of its own. need_name refuses clients that name no server."""
    def check(s, name, context):
        return None if name else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        cert, key = os.path.join(folder, 'cert'), os.path.join(folder, 'key')
        make = 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test'
        subprocess.run(make.split() + ['-out', cert, '-keyout', key], check=True, stderr=subprocess.DEVNULL)
        context.load_cert_chain(cert, key)
    if need_name:
        context.sni_callback = check

    def behaviour(s):
        with context.wrap_socket(s, server_side=True) as t:
            web(t)
    return behaviour


def visit_tls(count, pause, sites, name='www.example', protocols=(), timeout=4):
    """Opens pages by HTTPS. Many protocols to choose from (ALPN) make a ClientHello large."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    for i in range(count):
        try:
            with connect(*sites[i % len(sites)], timeout) as s, context.wrap_socket(s, server_hostname=name) as t:
                t.sendall(b'GET / HTTP/1.0\r\n\r\n')
                t.recv(65536)
        except OSError:
            pass
        rest(pause)


INSPECTED = (FAR[0], 443)
MANY = ['protocol-%d-%s' % (n, 'x' * 40) for n in range(35)]


def post(count, pause, size):
    for _ in range(count):
        with connect(*FAR) as s:
            s.sendall(b'POST / HTTP/1.0\r\n\r\n' + b'x' * size)
            expect(s.recv(65536), 'no answer to a large request')
        rest(pause)


@cause('large-hello', 'an inspecting firewall drops a ClientHello that does not fit one segment', 5,
       [Finding('large-hello', '192.0.2.80:443', hosts=(21, 22, 23))],
       [Finding('mtu-black-hole', most='low')], [Finding('not-the-network|no-answer|request-lost|slow-server')],
       check=fails('answer', 'too_large|not_acked', 6))
def test_large_hello():
    """smaller ones pass, and so do large requests of another protocol: it is not the MTU"""
    far = far_host()
    record = '@ih,0,8 0x16 @ih,24,16'  # a TLS handshake, and its length
    rules = 'chain f { type filter hook forward priority 0; tcp dport 443 %s > 1400 drop }' % record
    with Serve(far, {FAR: web, INSPECTED: tls_server()}), Serve(WAN, WEB), Rules(WAN, rules), Probe() as p, \
            Actors() as a:
        for n in (21, 22, 23):
            a.go(n, visit_tls, 2, 0.2, [INSPECTED], 'www.example', MANY)
        for n in (22, 23, 24, 25):
            a.go(n, visit_tls, 6, 0.9, [INSPECTED])
            a.go(n, post, 6, 0.9, 4000)
    return p


@cause('refused-in-answer', 'a TLS server refuses clients that name no server', 5,
       [Finding('refused-in-answer', '203.0.113.11:443', hosts=(21, 22))],
       never=[Finding('slow-server|no-answer|peer-refused|server-closes|reset-after-request')],
       check=fails('answer', 'alert', 8))
def test_no_server_name():
    with Serve(WAN, {**WEB, (OTHER4, 443): tls_server(need_name=True)}), Probe() as p, Actors() as a:
        for n in (21, 22):
            a.go(n, visit_tls, 4, 0.4, [(OTHER4, 443)], None)
        for n in (23, 24, 25):
            a.go(n, visit_tls, 6, 0.9, [(OTHER4, 443)])
        for n in (21, 23, 24):
            a.go(n, visit, 6, 0.9)
    return p


@cause('first-visit-slow', 'an inspecting firewall looks at each new TLS server for 2 s, and knows it then', 5,
       [Finding('first-visit-slow', text='2.0')],
       never=[Finding('slow-server', least='medium'), Finding('not-the-network|waits-for-peer|accept-queue|no-answer')],
       check=late('answer', 8))
def test_inspects_first_visit():
    """the firewall answers TLS in place of a whole network"""
    inspected = [('198.18.0.%d' % n, 443) for n in range(1, 9)]
    known, serve = set(), tls_server()

    def inspect(s):
        address = s.getsockname()[0]
        if address not in known:
            time.sleep(2)
            known.add(address)
        serve(s)

    ip(WAN, 'route add local 198.18.0.0/24 dev lo')
    with Serve(WAN, {**WEB, ('0.0.0.0', 443): inspect}), Probe() as p, Actors() as a:
        for k in range(4):
            sites = inspected[2 * k:] + inspected[:2 * k]  # each host is the first one at two of them
            a.go(21 + k, visit_tls, 8, 0.4, sites)
        for n in (22, 23, 25):
            a.go(n, visit, 6, 1.0)
    return p
