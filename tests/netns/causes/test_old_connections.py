"""Connections that were open before the run, and that are reset in it: by a server that lost them, by this gateway.

What closes in the ordinary way, by RST or with RSTs in its wake, must not be listed.
"""
import contextlib
import multiprocessing
import socket
import struct
import time

from causes import Finding, cause
from netns import GATEWAY, SERVER4, WAN, Probe, Rules, Serve
from probe import expect
from workload import THIRD4, Actors, connect, web

TCP_REPAIR = 19
REQUEST = b'GET / HTTP/1.0\r\n\r\n'
REJECTED = 'chain f { type filter hook forward priority 0; tcp dport 80 tcp flags & (syn | ack) == ack reject with tcp reset }'
RESET = Finding('old-connections-reset', SERVER4 + ':80')


class Office:
    """Clients that opened connections before the run; in the run they use each of them again."""

    def __init__(self, clients, each, server=(SERVER4, 80)):
        self.opened, self.used = multiprocessing.Semaphore(0), multiprocessing.Event()
        self.actors = Actors()
        for n in clients:
            self.actors.go(n, self.work, each, server)
        for _ in clients:
            expect(self.opened.acquire(timeout=30), 'a client did not open its connections')

    def work(self, each, server):
        sockets = [connect(*server) for _ in range(each)]
        for s in sockets:
            s.sendall(REQUEST)
            s.recv(65536)
        self.opened.release()
        self.used.wait(60)
        for s in sockets:
            try:
                s.sendall(REQUEST)
                s.recv(65536)
                s.sendall(REQUEST)
            except OSError:
                pass
            s.close()

    def __enter__(self):
        self.actors.__enter__()
        return self

    def __exit__(self, *error):
        self.used.set()
        self.actors.__exit__(*error)


def reset_count(p):
    """Returns the number of connections in the headline of the finding."""
    return [int(f['text'].split()[0]) for f in p.of('finding') if f['kind'] == 'old-connections-reset']


@cause('issue 23', 'a server has lost 32 connections of 4 clients: it resets each when it is used', 4, [RESET],
       text=['32 connections of about [34] hosts', 'from the side of the server', 'restarted or failed over'])
def test_server_lost_them():
    lost = multiprocessing.Event()

    def loses(s):
        s.recv(65536)
        s.sendall(b'ok')
        lost.wait(60)
        s.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)  # closes without a FIN, like a loss of power

    with Serve(WAN, {(SERVER4, 80): loses, (THIRD4, 80): web}):
        office = Office((21, 22, 23, 24), 8)
        with Probe() as p, office:
            lost.set()
            time.sleep(0.5)
    expect(reset_count(p) == [32], reset_count(p))
    return p


@cause('issue 23', 'this gateway rejects the segments of 32 connections that it has forgotten', 4, [RESET],
       text=['32 connections of about [34] hosts', 'by this gateway', 'nft list ruleset'])
def test_gateway_rejects():
    with Serve(WAN, {(SERVER4, 80): web}):
        office = Office((21, 22, 23, 24), 8)
        with Probe() as p, Rules(GATEWAY, REJECTED), office:
            pass
    expect(reset_count(p) == [32], reset_count(p))
    return p


@cause('issue 23', 'the server is killed: it closes by FIN, and answers what comes later by RST', 4,
       never=[Finding('old-connections-reset')])
def test_killed():
    with contextlib.ExitStack() as first:
        first.enter_context(Serve(WAN, {(SERVER4, 80): web}))
        office = Office((21, 22, 23, 24), 8)
        with Probe() as p, office:
            first.close()
            with Serve(WAN, {(SERVER4, 80): web}):
                time.sleep(0.5)
                office.used.set()
                time.sleep(1)
    return p


@cause('issue 23', 'clients end served connections by RST, and so does a server; few of them are old', 4,
       never=[Finding('old-connections-reset')])
def test_ordinary_resets():
    abort = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))

    def aborts(s):
        s.recv(65536)
        s.sendall(b'ok')
        s.recv(65536)
        s.setsockopt(*abort)

    def aborted():
        for server in 15 * [(SERVER4, 80), (THIRD4, 80)]:
            with connect(*server) as s:
                s.sendall(REQUEST)
                s.recv(65536)
                if server == (SERVER4, 80):
                    s.setsockopt(*abort)
                else:
                    s.sendall(REQUEST)
                    try:
                        s.recv(65536)
                    except OSError:
                        pass

    with Serve(WAN, {(SERVER4, 80): web, (THIRD4, 80): aborts}):
        office = Office((21, 22, 23, 24), 6, (THIRD4, 80))
        with Probe() as p, office, Actors() as a:
            for n in (21, 22, 23, 24):
                a.go(n, aborted)
    expect(len(p.connections(outcome='established')) == 4 * 30, 'the connections')
    return p
