"""Every kind of connection opening by real TCP stacks, as recorded by the probe on their gateway."""
import os
import signal
import socket
import subprocess
import tempfile
import time

import captures
import netns
import schema
from netns import CLIENTS, DEAD4, DEAD6, GATEWAY, SERVER4, SERVER6, WAN, WEB, Probe, Rules, Serve, one, require_lab
from probe import PROBE, SECOND, expect
from veth import C, S, SYN, VethPair, conversation

require_lab(clients=4)

A, B = CLIENTS[0], CLIENTS[1]
A4, A6 = netns.CLIENT4 % 21, netns.CLIENT6 % 21


def test_established():
    """an ordinary connection is recorded in full, over IPv4 and IPv6"""
    with Serve(WAN, WEB), Probe() as p:
        for server in (SERVER4, SERVER6):
            netns.run(A, netns.browse, server, 80)
        p.stop()
        for server, client in ((SERVER4, A4), (SERVER6, A6)):
            c = one(p.connections(server=server), server)
            expect(c['outcome'] == 'established' and c['settled_by'] == 'payload', c)
            expect(c['client'] == client and c['server_port'] == 80, c)
            times = [c[k] for k in ('syn', 'synack', 'ack', 'client_first', 'server_first')]
            expect(times == sorted(times) and times[0] > 0, 'times out of order', times)
            expect(c['syn_count'] == 1 and c['synack_count'] == 1 and not c['syn_copies'], c)
            expect(c['wait'] == c['client_first'] - c['ack'] and c['answer'] > 0, c)
            expect(c['client_mac'] == '02:00:0a:01:04:15', 'MAC of .21', c['client_mac'])
        expect(p.status == 0 and p.summary['lost']['sum'] == 0, p.summary)
        expect(p.summary['state'] == 'fine' and '2 of 2 connects were served' in p.text, p.text)


def test_refused():
    """a closed port is refused by the server, not by the gateway"""
    with Probe() as p:
        for server in (SERVER4, SERVER6):
            expect(netns.run(A, netns.try_connect, server, 81, 5) == 'ConnectionRefusedError', 'not refused')
        p.stop()
        for server in (SERVER4, SERVER6):
            c = one(p.connections(server=server), server)
            expect(c['outcome'] == 'refused' and c['rst_from'] == 'server' and not c['from_gateway'], c)
        expect(one(p.of('peer', server=SERVER4), 'peer')['refused'] == 1, p.json)
        expect('refused (RST) by the server' in p.text, p.text)


def test_refused_by_gateway():
    """the gateway's own firewall is blamed for its RST and its ICMP error, not the server"""
    rules = '''chain f { type filter hook forward priority 0;
        tcp dport 82 reject with tcp reset
        tcp dport 83 reject with icmpx type admin-prohibited }'''
    with Serve(WAN, WEB), Rules(GATEWAY, rules), Probe() as p:
        for server in (SERVER4, SERVER6):
            netns.run(A, netns.try_connect, server, 82, 5)
            netns.run(A, netns.try_connect, server, 83, 2)
        p.stop()
        for server in (SERVER4, SERVER6):
            rst = one(p.connections(server=server, server_port=82), 'RST')
            expect(rst['outcome'] == 'refused' and rst['from_gateway'], rst)
            icmp = one(p.connections(server=server, server_port=83), 'ICMP')
            expect(icmp['outcome'] == 'unreachable' and icmp['from_gateway'], icmp)
        expect(one(p.connections(server=SERVER4, server_port=83), 'ICMP')['icmp']['code'] == 13, p.json)
        expect('administratively prohibited, reported by this gateway' in p.text, p.text)
        expect('this gateway refuses connections to' in p.text, p.text)


def test_unreachable():
    """an ICMP error from beyond the gateway is reported in words, with its sender"""
    rules = '''chain i { type filter hook input priority 0;
        tcp dport 84 reject with icmpx type host-unreachable }'''
    with Rules(WAN, rules), Probe() as p:
        for server in (SERVER4, SERVER6):
            netns.run(A, netns.try_connect, server, 84, 2)
        p.stop()
        c = one(p.connections(server=SERVER4), SERVER4)
        expect(c['outcome'] == 'unreachable' and not c['from_gateway'], c)
        expect(c['icmp']['type'] == 3 and c['icmp']['code'] == 1 and c['icmp']['from'] == SERVER4, c)
        c = one(p.connections(server=SERVER6), SERVER6)
        expect(c['outcome'] == 'unreachable' and c['icmp']['type'] == 1, c)
        expect('host unreachable' in p.text, p.text)


def test_unanswered():
    """a silent peer is reported once, during the run, with the times of its SYNs"""
    with Probe() as p:
        waits = [netns.fork(ns, netns.try_connect, dead, 5274, 4.5) for ns in (A, B) for dead in (DEAD4, DEAD6)]
        expect(p.printed('no answer', 10), 'no message was printed:', p.lines)
        for wait in waits:
            wait()
        p.stop()
        for dead in (DEAD4, DEAD6):
            tries = p.connections(server=dead)
            expect(len(tries) == 2, tries)
            for c in tries:
                expect(c['outcome'] == 'unanswered' and c['syn_count'] >= 3, c)
                gap = c['syn_times'][1] - c['syn_times'][0]
                expect(gap > 0.9 * SECOND, 'first SYN gap', gap)
            peer = one(p.of('peer', server=dead), 'peer')
            expect(peer['unanswered'] == 2 and peer['client_count'] == 2 and peer['answered'] == 0, peer)
            expect(sum(dead in line and 'no answer:' in line for line in p.lines) == 1, 'not exactly one line', p.text)


def syn_only(address, port):
    """Sends a SYN whose SYN-ACK this host does not answer: the kernel has no such socket, and its RST is dropped."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect((address, port))
    local = probe.getsockname()[0]
    s.sendto(captures.frame((local, 40000), (address, port), 2, 12345, 0)[34:], (address, 0))


def test_half_open():
    """a SYN-ACK without the client's ACK gives the outcome half open, neither established nor unanswered"""
    rules = 'chain o { type filter hook output priority 0; tcp flags rst drop }'
    with Serve(WAN, WEB), Rules(A, rules), Probe() as p:
        netns.run(A, syn_only, SERVER4, 80)
        time.sleep(1.2)
        p.stop()
        c = one(p.connections(server=SERVER4), SERVER4)
        expect(c['outcome'] == 'half_open' and c['ack'] is None and c['synack'] is not None, c)


def test_stall():
    """a client that delays its request stalls for exactly that long, and is reported live; its neighbour is not"""
    with Serve(WAN, WEB), Probe() as p:
        for server in (SERVER4, SERVER6):
            netns.run(A, netns.browse, server, 80, 1.5)
            netns.run(B, netns.browse, server, 80)
        expect(p.printed('stall '), p.lines)
        p.stop()
        stalls = p.of('stall')
        expect(len(stalls) == 2 and {s['client'] for s in stalls} == {A4, A6}, stalls)
        for s in stalls:
            expect(s['ended'] and s['wait'] >= 1.5 * SECOND, s)
        stalled = [h for h in p.of('host') if h['stalls']]
        expect(len(stalled) == 1 and stalled[0]['addresses'] == [A4, A6], 'one host with two addresses', stalled)
        expect(stalled[0]['stalls'] == 2 and p.summary['hosts'] == 2, p.summary)


def test_threshold():
    """--stall sets the shortest wait that counts as a stall"""
    with Serve(WAN, WEB), Probe('--stall', '0.2') as p:
        netns.run(A, netns.browse, SERVER4, 80, 0.4)
        p.stop()
        expect(len(p.of('stall')) == 1, p.json)


def test_waiting():
    """an ongoing stall is visible, and undecided at the end; a spare socket that closes is neither"""
    def hold(seconds):
        with socket.create_connection((SERVER4, 80)):
            time.sleep(seconds)

    with Serve(WAN, WEB), Probe() as p:
        spare = netns.fork(B, hold, 2)
        held = netns.fork(A, hold, 8)
        expect(p.printed('so far'), p.lines)
        spare()
        p.stop()
        held()
        waiting = p.of('stall')
        expect(len(waiting) == 1 and not waiting[0]['ended'] and waiting[0]['client'] == A4, waiting)
        expect(p.summary['stalls'] == 0 and p.summary['undecided'] == 1 and p.summary['unused'] == 1, p.summary)
        expect('STILL WAITING' in p.text, p.text)


def test_banner():
    """a late greeting is attributed to the server, never reported as a client's stall"""
    with Serve(WAN, {(SERVER4, 25): netns.greets(1.5), (SERVER6, 25): netns.greets(1.5)}), Probe() as p:
        for server in (SERVER4, SERVER6):
            netns.run(A, greeted, server)
        p.stop()
        for server in (SERVER4, SERVER6):
            c = one(p.connections(server=server), server)
            expect(c['banner'] >= 1.5 * SECOND and c['wait'] is None, c)
        expect(p.summary['stalls'] == 0 and p.summary['late_banners'] == 2, p.summary)
        expect('late greeting' in p.text, p.text)


def greeted(server):
    with socket.create_connection((server, 25)) as s:
        s.recv(100)
        s.sendall(b'EHLO\r\n')


def test_taken_back():
    """a report about a silent peer is visibly withdrawn when the peer answers after all"""
    rules = 'chain i { type filter hook input priority 0; tcp dport 80 tcp flags syn drop }'
    with Serve(WAN, WEB), Probe() as p:
        with Rules(WAN, rules):
            late = netns.fork(A, netns.browse, SERVER4, 80)
            expect(p.printed('no answer'), p.lines)
        expect(p.printed('answers after all'), p.lines)
        late()
        p.stop()
        c = one(p.connections(server=SERVER4), SERVER4)
        expect(c['outcome'] == 'established' and c['syn_count'] >= 3, c)
        expect(not p.of('peer'), 'the peer stays accused', p.of('peer'))


def test_helper_over_other_family():
    """a host that stalls over IPv6 while its helper uses IPv4 is one host"""
    with Serve(WAN, WEB), Probe() as p:
        helper = netns.fork(A, netns.try_connect, DEAD4, 5274, 2)
        netns.run(A, netns.browse, SERVER6, 80, 2)
        helper()
        p.stop()
        host = one(p.of('host'), 'host')
        expect(host['stalls'] == 1 and set(host['addresses']) == {A4, A6}, host)
        expect(host['connections'] == 2, host)


def test_large_frames():
    """the first payload is found in frames of many kilobytes as the stack makes them"""
    with Serve(WAN, WEB), Probe() as p:
        netns.run(A, netns.browse, SERVER4, 80, 0, b'x' * 60000)
        p.stop()
        c = one(p.connections(server=SERVER4), SERVER4)
        expect(c['settled_by'] == 'payload' and c['client_first'] >= c['ack'], c)


def test_nonlinear():
    """headers outside the skb's linear part are found, as in injected frames larger than a page"""
    with VethPair() as w:
        w.send(*conversation(b'x' * 9000))
        w.probe.stop()
        c = one(w.probe.connections(), 'conversation')
        expect(c['outcome'] == 'established' and c['settled_by'] == 'payload', c)
        expect(w.probe.summary['lost']['sum'] == 0, w.probe.summary)


def test_vlan():
    """a tag in metadata (ingress) and in the frame (egress) is the same VLAN; two VLANs never mix"""
    with VethPair() as w:
        w.send(*conversation(vlans=(7,)), *conversation(vlans=(8,)), *conversation(vlans=(9, 10)))
        w.probe.stop()
        got = {tuple(c['vlans']): c for c in w.probe.connections()}
        expect(set(got) == {(7,), (8,), (9, 10)}, got)
        for c in got.values():
            expect(c['settled_by'] == 'payload' and c['synack'] is not None, c)


def test_span():
    """on a SPAN port, with all packets as ingress and twice, the client is still the sender of the SYN"""
    with VethPair() as w:
        w.send(*[('far', data) for _, data in conversation() for _ in range(2)])
        w.probe.stop()
        c = one(w.probe.connections(), 'conversation')
        expect(c['client'] == C[0] and c['syn_count'] == 1 and c['syn_copies'] == 1, c)
        expect(c['synack_count'] == 1 and c['synack_copies'] == 1 and c['settled_by'] == 'payload', c)


def test_interface_goes():
    """if its interface disappears, the run ends with the reason, the report, and status 1"""
    with VethPair() as w:
        w.send(*conversation())
        w.probe.settle()
        netns.sh(w.name, 'ip', 'link', 'del', 'near')
        w.probe.process.wait(10)
        w.probe.stop()
        expect(w.probe.status == 1 and 'near went away' in w.probe.errors, w.probe.status, w.probe.errors)
        expect(len(w.probe.connections()) == 1 and 'near went away' in w.probe.summary['cut'], w.probe.json)


def test_stopped():
    """signals that only stop and continue the probe lose no record at the end of a run"""
    count = 5000
    with VethPair() as w:
        syns = [('far', captures.frame(('10.1.%d.%d' % (i >> 8, i & 255), 4000), S, SYN, i, 0)) for i in range(count)]
        w.send(*syns)
        w.probe.settle()
        process = w.probe.process
        process.send_signal(signal.SIGINT)
        while process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.0002)
        w.probe.stop()
        expect(w.probe.status == 0, w.probe.status, w.probe.errors)
        got, lost = len(w.probe.connections()), w.probe.summary['lost']['sum']
        expect(got == count and lost == 0, got, 'records', lost, 'lost')


def test_tun():
    """a device without an Ethernet header is recognised by its type"""
    name = 'probetun%d' % os.getpid()

    def go():
        import fcntl
        import struct
        tun = os.open('/dev/net/tun', os.O_RDWR)
        fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'tun0', 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        subprocess.run('ip addr add 10.9.0.1/24 dev tun0 && ip link set tun0 up', shell=True, check=True)
        with Probe(namespace=name, iface='tun0') as p:
            os.write(tun, captures.frame(('10.9.0.2', 5000), ('10.9.0.1', 80), SYN, 1, 0)[14:])
            time.sleep(0.3)
            p.stop()
            return p.json

    subprocess.run(['ip', 'netns', 'add', name], check=True)
    try:
        got = netns.run(name, go)
    finally:
        subprocess.run(['ip', 'netns', 'del', name], check=True)
    c = [o for o in got if o['type'] == 'connection']
    expect(len(c) == 1 and c[0]['client'] == '10.9.0.2' and c[0]['client_mac'] is None, got)
    # No process listens there: the host's own RST leaves through the tunnel.
    expect(c[0]['outcome'] == 'refused' and c[0]['from_gateway'], c)


def many(address, count):
    for _ in range(count):
        netns.browse(address, 80)


def test_ten_thousand():
    """10 000 consecutive connections give exactly 10 000 records, and none is lost"""
    with Serve(WAN, WEB), Probe() as p:
        waits = [netns.fork(ns, many, server, 2500) for ns in (A, B) for server in (SERVER4, SERVER6)]
        for wait in waits:
            wait()
        p.stop()
        expect(len(p.connections()) == 10000 and p.summary['established'] == 10000, p.summary)
        expect(p.summary['lost']['sum'] == 0 and len(p.connections(settled_by='payload')) == 10000, p.summary)


def at_once(address, count):
    """Opens count connections before the first of them sends data."""
    sockets = []
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((address, 80))
        sockets.append(s)
    for s in sockets:
        s.setblocking(True)
        s.settimeout(30)
        s.sendall(b'GET')
    for s in sockets:
        s.recv(100)
        s.close()


def test_thousand_at_once():
    """1 000 concurrent connections give exactly 1 000 records, and none is lost"""
    with Serve(WAN, WEB), Probe() as p:
        waits = [netns.fork(ns, at_once, SERVER4, 500) for ns in (A, B)]
        for wait in waits:
            wait()
        p.stop()
        expect(len(p.connections()) == 1000 and p.summary['established'] == 1000, p.summary)
        expect(p.summary['lost']['sum'] == 0, p.summary)


def test_narrow():
    """--client, --server and --port leave out the rest, and report how much"""
    with Serve(WAN, WEB), Probe('--client', '10.1.4.21', '--server', '203.0.113.0/24', '--port', '80,90-99') as p:
        netns.run(A, netns.browse, SERVER4, 80)
        netns.run(B, netns.browse, SERVER4, 80)
        netns.run(A, netns.browse, SERVER6, 80)
        netns.run(A, netns.try_connect, SERVER4, 81, 1)
        netns.run(A, netns.try_connect, SERVER4, 95, 1)
        p.stop()
        got = sorted((c['client'], c['server_port']) for c in p.connections())
        expect(got == [(A4, 80), (A4, 95)], got)
        expect(p.summary['narrowed'] == 3 and p.summary['already_open'] == 0, p.summary)


def test_exclude():
    """an exclusion leaves out one host and one service, also of IPv6, and nothing else"""
    with Serve(WAN, WEB), Probe('--client', '!10.1.4.22', '--server', '!::/0', '--port', '!http', '--port', '!81-94') as p:
        netns.run(A, netns.browse, SERVER4, 80)
        netns.run(A, netns.browse, SERVER6, 80)
        for client in A, B:
            netns.run(client, netns.try_connect, SERVER4, 95, 1)
            netns.run(client, netns.try_connect, SERVER4, 94, 1)
            netns.run(client, netns.try_connect, SERVER6, 95, 1)
        p.stop()
        got = [(c['client'], c['server_port']) for c in p.connections()]
        expect(got == [(A4, 95)] and p.summary['narrowed'] == 7, got, p.summary)


def test_already_open():
    """connections from before the start are counted when they close, and not judged"""
    open_read, open_write = os.pipe()
    watched_read, watched_write = os.pipe()

    def old():
        s = socket.create_connection((SERVER4, 80))
        os.write(open_write, b'.')
        os.read(watched_read, 1)
        s.sendall(b'GET')
        s.recv(100)
        s.close()

    with Serve(WAN, WEB):
        open_before = netns.fork(A, old)
        os.read(open_read, 1)
        with Probe() as p:
            os.write(watched_write, b'.')
            open_before()
            p.stop()
            expect(not p.connections() and p.summary['already_open'] == 1, p.json)


def test_udp():
    """the share of bytes in UDP, on QUIC's port and on that of DNS, is reported; what is no DNS there is counted"""
    def send(port):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(10):
            s.sendto(b'x' * 1000, (DEAD4, port))

    with Probe() as p:
        for port in (443, 53, 4500):
            netns.run(A, send, port)
        p.stop()
        carried = p.summary['bytes']
        expect(carried['udp_443'] == carried['udp_dns'] == carried['udp_other'] == 10 * 1042, p.summary)
        expect(carried['all'] >= 30 * 1042, p.summary)
        expect(p.summary['names']['packets']['not_dns'] == 10, p.summary)


def test_ends():
    """Ctrl-C, SIGTERM and --duration end a run with its report and status 0, and leave nothing behind"""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the probe would ignore it, too
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with Probe() as p:
            p.stop(how)
            expect(p.status == 0 and p.json[-1]['type'] == 'summary' and 'NOT MEASURED' in p.text, p.text)
    signal.signal(signal.SIGHUP, before)
    with Probe('--duration', '0.5') as p:
        p.process.wait(10)
        p.stop()
        expect(p.status == 0 and p.summary['duration'] >= SECOND / 2, p.summary)
    left = netns.sh(GATEWAY, 'tc', 'filter', 'show', 'dev', 'eth0', 'ingress', check=False)
    expect('probe' not in left, left)


def test_beside():
    """two probes on one interface report the same"""
    with Serve(WAN, WEB), Probe() as p, Probe() as q:
        netns.run(A, netns.browse, SERVER4, 80)
        p.stop()
        q.stop()
        expect(len(p.connections()) == len(q.connections()) == 1, p.json, q.json)


def test_json_alone():
    """--json on standard output prints nothing but JSON lines there"""
    r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', 'eth0', '-d', '0.3', '--json'],
                       capture_output=True, text=True)
    lines = schema.load(r.stdout)
    expect(r.returncode == 0 and len(lines) == 2, r)


def test_output_files():
    """a typo destroys no file, a file gets no foreign output, and a run without any working output stops"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'out.json')
        with open(path, 'w') as f:
            f.write('yesterday\n')
        subprocess.run([PROBE, '-i', 'eth77', '--force', '--json=' + path], stderr=subprocess.DEVNULL)
        with open(path) as f:
            expect(f.read() == 'yesterday\n', 'a wrong name has destroyed the file')
        inside = ['nsenter', '--net=/run/netns/' + GATEWAY]
        p = subprocess.Popen(inside + ['sh', '-c', '"$0" -i eth0 --force --json=%s >&-' % path, PROBE],
                             stderr=subprocess.PIPE, text=True)
        p.stderr.readline()
        netns.run(A, netns.try_connect, SERVER4, 81, 5)
        time.sleep(0.3)
        subprocess.run(inside + ['pkill', '-INT', '-P', str(p.pid), 'probe'], check=False)
        p.send_signal(signal.SIGINT)
        p.wait(20)
        with open(path) as f:
            lines = schema.load(f)
        expect(len(lines) >= 3, lines)
        r = subprocess.run(inside + [PROBE, '-i', 'eth0', '-d', '30', '--json=/dev/full'], capture_output=True,
                           text=True, timeout=20)
        expect(r.returncode == 1 and 'could not write all of the report to /dev/full' in r.stderr, r)


def test_errors():
    """wrong arguments and missing capabilities give a clear message and a status that is not 0"""
    def probe(*arguments, prefix=()):
        r = subprocess.run([*prefix, PROBE, *arguments], capture_output=True, text=True)
        return r.returncode, r.stderr

    for arguments, words in ((('-i', 'eth77'), 'eth77: no such interface (there are: lo'),):
        status, errors = probe(*arguments)
        expect(status == 1 and words in errors, status, errors)
    for arguments, words in (((), 'nothing to watch'), (('-i', 'lo', '-d', 'x'), 'not a number of seconds'),
                             (('-i', 'lo', '-s', '-1'), 'not a number of seconds'),
                             (('-i', 'lo', '--client', '10.1.4.0/33'), 'not an address or network'),
                             (('-i', 'lo', '--server', 'fe80::/129'), 'not an address or network'),
                             (('-i', 'lo', '--client', '10.1.4.'), 'not an address or network'),
                             (('-i', 'lo', '--port', '80,'), 'not a list of ports'),
                             (('-i', 'lo', '--port', '70000'), 'not a list of ports'),
                             (('-i', 'lo', '--port', '0'), 'not a list of ports'),
                             (('-i', 'lo', 'eth0'), 'unexpected argument'),
                             (('-i', 'lo', '--frobnicate'), 'unrecognized option')):
        status, errors = probe(*arguments)
        expect(status == 2 and words in errors, arguments, status, errors)
    with tempfile.TemporaryDirectory() as folder:
        status, errors = probe('-i', 'lo', '-d', '0.2', '--json=' + folder)
        expect(status == 1 and 'cannot write' in errors, status, errors)
        status, errors = probe('-r', folder + '/nothing')
        expect(status == 1 and 'cannot read' in errors, status, errors)
        # copy it to a folder where another user may run it
        os.chmod(folder, 0o755)
        copy = folder + '/probe'
        subprocess.run(['cp', PROBE, copy], check=True)
        r = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', copy, '-i', 'lo', '-d', '1'],
                           capture_output=True, text=True)
        expect(r.returncode == 1 and 'run it as root (sudo), or: setcap cap_bpf,cap_net_admin,cap_perfmon+ep' in r.stderr, r)


def test_time_stamps():
    """time stamps agree with tcpdump's on the same interface"""
    with tempfile.TemporaryDirectory() as folder, Serve(WAN, WEB):
        dump = os.path.join(folder, 'dump.pcap')
        tcpdump = subprocess.Popen(
            ['nsenter', '--net=/run/netns/' + GATEWAY, 'tcpdump', '-i', 'eth0', '--immediate-mode', '-U', '-Z', 'root',
             '--time-stamp-precision=nano', '-s', '128', '-w', dump, 'tcp'], stderr=subprocess.PIPE, text=True)
        while 'listening on' not in tcpdump.stderr.readline():
            pass
        with Probe() as p:
            netns.run(A, many, SERVER4, 300)
            netns.run(A, many, SERVER6, 300)
            p.stop()
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.wait()
        capture = subprocess.run([PROBE, '--read', dump, '--json'], capture_output=True, text=True, check=True)
        compare_with_dump(p, capture.stdout)


def compare_with_dump(p, text):
    beside = schema.load(text)
    live = {(c['client'], c['client_port'], c['syn_count']): c for c in p.connections()}
    start = {'live': wall(p.json[0]['start']), 'dump': wall(beside[0]['start'])}
    differences = {'syn': [], 'synack': [], 'ack': [], 'client_first': []}
    matched = 0
    for c in beside:
        if c['type'] != 'connection':
            continue
        mine = live.get((c['client'], c['client_port'], c['syn_count']))
        expect(mine and mine['outcome'] == c['outcome'], 'not recorded live:', c, mine)
        matched += 1
        for name, values in differences.items():
            values.append(start['live'] + mine[name] - start['dump'] - c[name])
    expect(matched == len(live) == 600, matched, len(live))
    print('      time stamps, probe - tcpdump, of %d connections (µs):' % matched)
    for name, values in differences.items():
        values.sort()
        at = lambda share: values[min(len(values) - 1, int(share * len(values)))] / 1000
        print('      %-13s p1 %8.2f   p50 %8.2f   p99 %8.2f   max %8.2f' % (name, at(0.01), at(0.5), at(0.99), at(1)))
        # Both hooks see a packet within its way through this host; other packets are 100 times further away.
        expect(abs(at(0.5)) < 1000, 'the time stamps belong to different packets')


def wall(rfc3339):
    import calendar
    seconds, _, fraction = rfc3339.rstrip('Z').partition('.')
    return calendar.timegm(time.strptime(seconds, '%Y-%m-%dT%H:%M:%S')) * SECOND + int(fraction)
