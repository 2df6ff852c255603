"""Sends a million SYNs from random sources, and checks that real connections are measured meanwhile.

Real clients open connections before, during and after the flood, and log their own observations. Each connection
must have its complete record, within the bounds of the client's own clock. Other clients try a peer that never
answers, and each of their SYNs must be reported.
"""
import json
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time

import netns
from netns import CLIENTS, DEAD4, GATEWAY, SERVER4, WAN

SYNS = 1000000
PORT, DEAD_PORT, FLOOD_PORT = 8081, 5275, 5274
BEFORE, AFTER = 1.5, 2.0  # seconds
WORKERS = 6  # of each real client

TRAFGEN = '''{ eth(da=02:00:0a:01:04:01, sa=02:00:0a:01:04:18), ipv4(saddr=drnd(), daddr=%s, ttl=64),
tcp(sp=drnd(), dp=%d, seq=drnd(), syn) }
''' % (DEAD4, FLOOD_PORT)

COUNTER = '''table inet bench {
    chain seen {
        type filter hook prerouting priority raw
        ip daddr %s tcp dport %d counter
    }
}
''' % (DEAD4, FLOOD_PORT)


def browse_until(end_file):
    """Opens connections until the file is gone. Returns [(port, before, connected, asked, answered)], monotonic ns."""
    done = []

    def work(seed):
        dice = random.Random(seed)
        while os.path.exists(end_file):
            with socket.socket() as s:
                s.settimeout(20)
                before = time.monotonic_ns()
                try:
                    s.connect((SERVER4, PORT))
                    connected, port = time.monotonic_ns(), s.getsockname()[1]
                    time.sleep(dice.random() * 0.05)
                    asked = time.monotonic_ns()
                    s.sendall(b'request')
                    s.recv(100)
                except OSError:
                    continue
                done.append((port, before, connected, asked, time.monotonic_ns()))
            time.sleep(0.05)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(WORKERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return done


def try_in_vain(seconds):
    """Tries to connect to a silent peer. Returns the local ports."""
    sockets = []
    for _ in range(20):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((DEAD4, DEAD_PORT))
        sockets.append(s)
    time.sleep(seconds)
    return [s.getsockname()[1] for s in sockets]


def is_exact(record, seen):
    """Reports whether a record is complete and agrees with the client's own observation."""
    _, before, connected, asked, answered = seen
    times = [record[k] for k in ('syn', 'synack', 'ack', 'client_first', 'server_first')]
    if record['outcome'] != 'established' or None in times or times != sorted(times):
        return False
    if connected - before < 900 * 10 ** 6 and record['syn_count'] != 1:
        return False
    return (record['synack'] - record['syn'] <= connected - before and
            record['client_first'] - record['syn'] <= answered - before and
            record['client_first'] - record['syn'] >= asked - connected and
            record['answer'] <= answered - asked)


def trafgen(client):
    with tempfile.NamedTemporaryFile('w', suffix='.cfg') as f:
        f.write(TRAFGEN)
        f.flush()
        subprocess.run(['nsenter', '--net=/run/netns/' + client, 'trafgen', '-i', f.name, '-o', 'eth0', '-n', str(SYNS),
                        '-P', '1'], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(running):
    netns.sh(GATEWAY, 'nft', '-f', '-', text=COUNTER)
    going = tempfile.NamedTemporaryFile(delete=False)
    with netns.Serve(WAN, {(SERVER4, PORT): netns.answers}), running() as p:
        real = [netns.fork(c, browse_until, going.name) for c in CLIENTS[:2]]
        time.sleep(BEFORE)
        vain = netns.fork(CLIENTS[0], try_in_vain, 4.5)
        began = time.monotonic_ns()
        trafgen(CLIENTS[3])
        ended = time.monotonic_ns()
        vain_ports = vain()
        time.sleep(AFTER)
        os.unlink(going.name)
        seen = {(netns.CLIENT4 % (21 + i), s[0]): s for i, wait in enumerate(real) for s in wait()}
        time.sleep(0.3)
        memory = p.memory_mib()
        os.kill(p.process.pid, signal.SIGINT)
        stopped = time.monotonic()
        p.process.stdout.read()
        p.process.wait(60)
        answered_in = time.monotonic() - stopped
        records, in_vain, flood_records = {}, {}, 0
        with open(p.json_file) as f:
            for line in f:
                if '"server_port":%d,' % FLOOD_PORT in line:
                    flood_records += line.startswith('{"type":"connection"')
                elif line.startswith('{"type":"connection"'):
                    o = json.loads(line)
                    (in_vain if o['server_port'] == DEAD_PORT else records)[(o['client'], o['client_port'])] = o
                elif line.startswith('{"type":"summary"'):
                    summary = json.loads(line)
    counters = json.loads(netns.sh(GATEWAY, 'nft', '-j', 'list', 'table', 'inet', 'bench'))
    sent = [e['counter']['packets'] for r in counters['nftables'] if 'rule' in r for e in r['rule']['expr']
            if 'counter' in e][0]
    netns.sh(GATEWAY, 'nft', 'delete', 'table', 'inet', 'bench')

    during = {k: s for k, s in seen.items() if s[4] > began and s[1] < ended}
    after = {k: s for k, s in seen.items() if s[1] >= ended}

    def share(of):
        return sum(k in records and is_exact(records[k], s) for k, s in of.items()) / max(1, len(of))
    lost = summary['lost']
    dropped = lost['map_full'] + lost['ring_full'] + lost['evicted']
    whole = [o for o in in_vain.values() if o['client_port'] in vain_ports and o['outcome'] == 'unanswered' and
             o['syn_count'] >= 3]
    return {'flood_measured': share(during), 'flood_after': share(after), 'flood_connections': len(during),
            'flood_connections_after': len(after), 'flood_in_vain': len(whole) / len(vain_ports),
            'flood_syns': sent, 'flood_per_second': sent / ((ended - began) / 1e9),
            'flood_records': flood_records, 'flood_lost': lost,
            'flood_uncounted': sent - flood_records - dropped - summary['late_syn_copies'],
            'flood_user_mib': memory, 'flood_end_seconds': answered_in}


def rows(f, row):
    row('A FLOOD of %d SYNs, %.0f/s' % (f['flood_syns'], f['flood_per_second']), '', 'goal')
    row('    real connections during it, measured exactly',
        '%.2f %% of %d' % (100 * f['flood_measured'], f['flood_connections']), '99 %')
    row('    after it', '%.2f %% of %d' % (100 * f['flood_after'], f['flood_connections_after']), '100 %')
    row('    attempts at a silent peer, with all their SYNs', '%.0f %%' % (100 * f['flood_in_vain']), '')
    row('    of the flood: records', '%d' % f['flood_records'])
    for reason in ('evicted', 'map_full', 'ring_full'):
        row('                  counted as lost, ' + reason, '%d' % f['flood_lost'][reason])
    row('                  not counted', '%d' % f['flood_uncounted'], '0')
    row('    memory of the process; from Ctrl-C to its end',
        '%.0f MiB; %.1f s' % (f['flood_user_mib'], f['flood_end_seconds']))
