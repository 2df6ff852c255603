"""The probe beside other programs on the same hooks, during changes of its interface, and at its end.

Real devices and real processes, on both hooks where the hook makes a difference. If this fails, the probe disturbs a
gateway, misses packets without reporting it, or leaves filters behind.
"""
import contextlib
import ctypes
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

import captures
import netns
import schema
from foreign_program import Foreign
from netns import CLIENTS, GATEWAY, SERVER4, WAN, WEB, Probe, Serve, require_lab
from probe import PROBE, ROOT, SECOND, expect, wait_for
from veth import SYN, VethPair, conversation

require_lab(clients=2)

A = CLIENTS[0]
HOOKS = ('tcx', 'clsact')


def wait_for_message(probe, text):
    """Waits until the probe has printed text on its standard error."""
    wait_for(lambda: text in probe.errors, 'the words: ' + text)


def tc_state(namespace, iface):
    """Returns the output of tc for an interface's hooks, without ids and counters."""
    shown = ''.join(netns.sh(namespace, 'tc', *words, check=False) for words in (
        ('qdisc', 'show', 'dev', iface), ('filter', 'show', 'dev', iface, 'ingress'),
        ('filter', 'show', 'dev', iface, 'egress')))
    return re.sub(r'(\[|\bid )\d+', r'\1N', shown)


def programs_of(process):
    """Returns the ids of the BPF programs that a process has loaded; tc does not show TCX."""
    folder = '/proc/%d/fdinfo' % process.pid
    text = ''.join(open(os.path.join(folder, fd)).read() for fd in os.listdir(folder))
    ids = set(re.findall(r'^prog_id:\t(\d+)', text, re.M))
    expect(len(ids) >= 3, 'programs for both directions, and one that settles', text)
    return ids


def are_gone(programs):
    wait_for(lambda: not any(subprocess.run(['bpftool', 'prog', 'show', 'id', i], stdout=subprocess.DEVNULL,
                                            stderr=subprocess.DEVNULL).returncode == 0 for i in programs),
             'the end of BPF programs')


def packets(namespace, iface):
    """Returns the interface's own counters as (received, sent)."""
    text = netns.sh(namespace, 'cat', '/proc/net/dev')
    numbers = re.search(r'%s:(.*)' % iface, text).group(1).split()
    return int(numbers[1]), int(numbers[9])


def kill(probe):
    probe.process.kill()
    probe.process.wait(30)
    probe.status = probe.process.returncode
    for reader in probe.readers:
        reader.join()


# ---- hooks ----

def test_names_hook():
    """the first line of a run names the hook: TCX where available, and --hook selects either"""
    for arguments, hook in (((), 'tcx'), (('--hook', 'tcx'), 'tcx'), (('--hook=clsact',), 'clsact')):
        with Probe(*arguments) as p:
            p.stop()
            expect('watching eth0 (ethernet, %s)' % hook in p.errors, p.errors)
            expect(p.json[0]['hook'] == hook, p.json[0])


def test_neighbours():
    """foreign programs before and after the probe's see every packet, on both hooks, whenever they were attached"""
    for hook in HOOKS:
        for first in (True, False):
            with Serve(WAN, WEB):
                with contextlib.ExitStack() as stack:
                    probe = Probe('--hook', hook)
                    if not first:
                        stack.enter_context(probe)
                    others = {(direction, place): stack.enter_context(Foreign(GATEWAY, 'eth0', direction, place))
                              for direction in ('ingress', 'egress') for place in ('front', 'back', 1, 50000)}
                    if first:
                        stack.enter_context(probe)
                    before = {key: other.count() for key, other in others.items()}
                    for _ in range(20):
                        netns.run(A, netns.browse, SERVER4, 80)
                    seen = {key: other.count() - before[key] for key, other in others.items()}
                    probe.stop()
                    for key, count in seen.items():
                        # at least SYN, ACK, request and FIN, and as many packets in the other direction
                        expect(count >= 20 * 3, hook, key, 'counted only', count, seen)
                    got = probe.connections(outcome='established', settled_by='payload')
                    expect(len(got) == 20, hook, 'the probe saw', len(got))


def test_first_on_tcx():
    """on TCX the probe is in front: an earlier program that ends the chain hides no packet from it"""
    with Serve(WAN, WEB), Foreign(GATEWAY, 'eth0', 'ingress', 'front', 'end'), \
            Foreign(GATEWAY, 'eth0', 'egress', 'front', 'end'), Probe() as p:
        netns.run(A, netns.browse, SERVER4, 80)
        p.stop()
        expect(len(p.connections(settled_by='payload')) == 1, p.json)


def busy(probe, text):
    """Opens a connection. Returns whether the probe has printed text."""
    netns.run(A, netns.browse, SERVER4, 80)
    return text in probe.errors


def blind_in(hook, direction, place, names):
    other = 'sends' if direction == 'ingress' else 'receives'
    word = 'receives' if direction == 'ingress' else 'sends'
    with Serve(WAN, WEB), Probe('--hook', hook) as p:
        netns.run(A, netns.browse, SERVER4, 80)
        with Foreign(GATEWAY, 'eth0', direction, place, 'end') as foreign:
            wait_for(lambda: busy(p, 'BLIND'), 'the message that the probe is blind')
            expect(foreign.count() > 0, 'the foreign program counted nothing')
        wait_for(lambda: busy(p, 'sees again'), 'the message that the probe sees again')
        p.stop()
        line = next(line for line in p.errors.splitlines() if 'BLIND' in line)
        expect('BLIND to what eth0 %s' % word in line and hook + ' ' + direction in line, line)
        expect(names in line and 'Start probe' in line or 'start probe' in line, line)
        expect(other not in p.errors, 'the other direction was visible all the time', p.errors)
        blind = p.summary['blind']
        expect(blind['received' if direction == 'ingress' else 'sent'] > SECOND, blind)
        expect(blind['sent' if direction == 'ingress' else 'received'] == 0, blind)
        expect(p.of('notice') and p.of('notice')[0]['text'].startswith('BLIND'), p.of('notice'))
        expect('BLIND  for' in p.text and 'may wrongly appear silent' in ' '.join(p.text.split()), p.text)


def test_blind_on_clsact():
    """a tc filter in front that ends the chain blinds the probe, which reports its name and a remedy"""
    blind_in('clsact', 'ingress', 1, 'bpf foreign')
    blind_in('clsact', 'egress', 'back', 'TCX program')


def test_blind_on_tcx():
    """a TCX program in front that ends the chain blinds the probe, which reports it"""
    blind_in('tcx', 'ingress', 'front', 'bpftool net show dev eth0')
    blind_in('tcx', 'egress', 'front', 'bpftool net show dev eth0')


def send_udp(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(count):
        s.sendto(b'', (SERVER4, 9))


def test_blind_by_xdp():
    """an XDP program that takes packets before any hook is named as a possible cause of blindness"""
    for hook in HOOKS:
        netns.run(A, netns.try_connect, SERVER4, 81, 5)  # so that it knows the gateway's MAC
        with Probe('--hook', hook) as p, Foreign(GATEWAY, 'eth0', 'ingress', 'xdp', 'end'):
            def knock():
                netns.run(A, send_udp, 50)
                return 'BLIND' in p.errors
            wait_for(knock, 'the message that the probe is blind')
            p.stop()
            expect(re.search(r'BLIND to what eth0 receives.*XDP program \d+ runs before the hook', p.errors),
                   p.errors)


def test_filter_removed():
    """if another program removes the qdisc with the probe's filter, the probe reports exactly that"""
    with Serve(WAN, WEB), Probe('--hook', 'clsact') as p:
        netns.sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact')
        wait_for(lambda: busy(p, 'Another program removed the filter'), 'the message that the filter is gone')
        p.stop()
        expect(p.status == 0, p.errors)


def test_not_blind():
    """an interface that is idle or down is not reported as blindness"""
    with VethPair() as w:
        w.send(*conversation())
        netns.sh(w.name, 'ip', 'link', 'set', 'far', 'down')
        time.sleep(4)  # longer than the probe needs to report blindness
        bring_up(w.name, 'far', 'near')
        w.send(*conversation(b'again'))
        w.probe.stop()
        expect('BLIND' not in w.probe.errors and w.probe.summary['blind'] == {'received': 0, 'sent': 0},
               w.probe.errors)


def test_second_probe():
    """two probes work on one interface in any order of exit, and the last one on clsact removes the qdisc"""
    before = tc_state(GATEWAY, 'eth0')
    for hooks in (('tcx', 'tcx'), ('tcx', 'clsact'), ('clsact', 'tcx'), ('clsact', 'clsact')):
        for first_leaves in (0, 1):
            with Serve(WAN, WEB), Probe('--hook', hooks[0]) as p, Probe('--hook', hooks[1]) as q:
                netns.run(A, netns.browse, SERVER4, 80)
                leaver, stayer = (p, q) if first_leaves == 0 else (q, p)
                leaver.stop()
                netns.run(A, netns.browse, SERVER4, 80)
                stayer.stop()
                expect(len(leaver.connections()) == 1 and len(stayer.connections()) == 2, hooks, first_leaves,
                       leaver.json, stayer.json)
            expect(tc_state(GATEWAY, 'eth0') == before, hooks, 'left', tc_state(GATEWAY, 'eth0'))


def test_foreign_untouched():
    """foreign filters and qdiscs stay unchanged; clsact is removed only if the probe made it and nobody else uses it"""
    clean = tc_state(GATEWAY, 'eth0')
    # a foreign clsact without filters
    netns.sh(GATEWAY, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'clsact')
    theirs = tc_state(GATEWAY, 'eth0')
    with Probe('--hook', 'clsact') as p:
        p.stop()
    expect(tc_state(GATEWAY, 'eth0') == theirs, 'a foreign qdisc', tc_state(GATEWAY, 'eth0'))
    # a foreign clsact with a filter, also at the probe's priority
    for priority in (1, 0x7062):
        with Foreign(GATEWAY, 'eth0', 'ingress', priority):
            theirs = tc_state(GATEWAY, 'eth0')
            with Probe('--hook', 'clsact') as p:
                p.stop()
            expect(p.status == 0 and tc_state(GATEWAY, 'eth0') == theirs, 'a foreign filter',
                   tc_state(GATEWAY, 'eth0'))
            subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '--cleanup'], check=True,
                           stdout=subprocess.DEVNULL)
            expect(tc_state(GATEWAY, 'eth0') == theirs, '--cleanup', tc_state(GATEWAY, 'eth0'))
    netns.sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact')
    # the probe's clsact, which another program uses by the end of the run
    with contextlib.ExitStack() as stack:
        with Probe('--hook', 'clsact') as p:
            stack.enter_context(Foreign(GATEWAY, 'eth0', 'egress', 7))
            p.stop()
        left = tc_state(GATEWAY, 'eth0')
        expect('foreign' in left and 'probe' not in left, left)
    netns.sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact')
    # An ingress qdisc occupies the same handle and has no egress side.
    netns.sh(GATEWAY, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'ingress')
    theirs = tc_state(GATEWAY, 'eth0')
    r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', 'eth0', '--hook', 'clsact'],
                       capture_output=True, text=True)
    expect(r.returncode == 1 and 'an ingress qdisc in its place' in r.stderr, r)
    with Probe() as p:
        p.stop()
    expect(p.status == 0 and tc_state(GATEWAY, 'eth0') == theirs, tc_state(GATEWAY, 'eth0'))
    netns.sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'ingress')
    expect(tc_state(GATEWAY, 'eth0') == clean, tc_state(GATEWAY, 'eth0'))


# ---- the end of a run ----

def test_ways_to_end():
    """each way to end a run prints the report and leaves nothing behind, on both hooks, under load"""
    before = tc_state(GATEWAY, 'eth0')
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the probe would ignore it, too
    for hook in HOOKS:
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, None):
            with Serve(WAN, WEB), Probe('--hook', hook, *(['--duration=1'] if how is None else [])) as p:
                load = netns.fork(A, many, SERVER4, 300)
                programs = programs_of(p.process)
                wait_for(lambda: packets(GATEWAY, 'eth0')[0] > 0, 'load')
                if how is None:
                    p.process.wait(30)
                p.stop(how or signal.SIGINT)
                load()
                expect(p.status == 0 and p.summary['connections'] > 0 and 'NOT MEASURED' in p.text, hook, how, p.text)
            expect(tc_state(GATEWAY, 'eth0') == before, hook, how, 'left', tc_state(GATEWAY, 'eth0'))
            are_gone(programs)
    signal.signal(signal.SIGHUP, hangup)


def many(address, count):
    for _ in range(count):
        netns.browse(address, 80)


def start_raw(hook, **files):
    """Starts the probe with the given files, and does not wait for its first line."""
    json = files.pop('json', '/dev/null')
    return subprocess.Popen(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', 'eth0', '--hook', hook] +
                            (['--json=' + json] if json else []), env=dict(os.environ, LC_ALL='C.UTF-8'), **files)


def last_line(path):
    with open(path) as f:
        return (f.read().splitlines() or [''])[-1]


def lines_of(path):
    with open(path) as f:
        return schema.load(f)


def test_closed_terminal():
    """a run whose terminal is closed ends with complete files and leaves nothing behind"""
    before = tc_state(GATEWAY, 'eth0')
    for hook in HOOKS:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'out.json')
            master, slave = pty.openpty()

            def own_terminal():
                os.setsid()
                fcntl.ioctl(0, 0x540e, 0)  # TIOCSCTTY: this process gets the terminal's SIGHUP
            p = start_raw(hook, json=path, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
            os.close(slave)
            errors = b''
            while b'watching' not in errors:
                errors += os.read(master, 1000)
            os.close(master)
            p.wait(30)
            expect(p.returncode == 1, 'the status must show that the report could not be printed', p.returncode)
            expect(lines_of(path)[-1]['type'] == 'summary', last_line(path))
        expect(tc_state(GATEWAY, 'eth0') == before, hook, tc_state(GATEWAY, 'eth0'))


def test_nohup():
    """under nohup a run continues after its terminal is closed"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'out.json')
        p = start_raw('tcx', json=path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                      preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        expect('watching' in p.stderr.readline(), 'not started')
        p.send_signal(signal.SIGHUP)
        netns.run(A, netns.try_connect, SERVER4, 81, 5)
        wait_for(lambda: '"type":"connection"' in last_line(path), 'a record after SIGHUP')
        p.send_signal(signal.SIGTERM)
        expect(p.wait(30) == 0, p.returncode)
        expect(lines_of(path)[-1]['type'] == 'summary', last_line(path))
        p.stderr.close()


def test_closed_pipe():
    """a run whose pipe is closed ends at once, or with its file complete, silently, and leaves nothing behind"""
    before = tc_state(GATEWAY, 'eth0')
    for hook in HOOKS:
        with tempfile.TemporaryDirectory() as folder:
            for path in (None, os.path.join(folder, 'out.json')):
                p = start_raw(hook, json=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                expect('watching' in p.stderr.readline(), 'not started')
                p.stdout.close()
                if path:  # which is worth the run
                    time.sleep(1)
                    expect(p.poll() is None, 'the file was given up')
                    p.terminate()
                p.wait(30)
                expect(p.returncode == 0 and not p.stderr.read(), p.returncode)
                p.stderr.close()
            expect(lines_of(path)[-1]['type'] == 'summary', last_line(path))
        expect(tc_state(GATEWAY, 'eth0') == before, hook, tc_state(GATEWAY, 'eth0'))


def test_stuck_reader():
    """a reader that stops reading cannot block the end: a second signal abandons the output, nothing is left behind"""
    before = tc_state(GATEWAY, 'eth0')
    command = ['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', 'eth0', '--hook=clsact', '--json']
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    fcntl.fcntl(p.stdout, 1031, 4096)  # F_SETPIPE_SZ
    expect('watching' in p.stderr.readline(), 'not started')

    def is_stuck():
        netns.run(A, netns.try_connect, SERVER4, 81, 5)
        with open('/proc/%d/wchan' % p.pid) as f:
            return 'pipe_w' in f.read()
    try:
        wait_for(is_stuck, 'a full pipe')

        def is_gone():
            p.send_signal(signal.SIGTERM)
            return p.poll() is not None
        wait_for(is_gone, 'an end')
        expect(p.returncode == 1, p.returncode)
    finally:
        p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()
    expect(tc_state(GATEWAY, 'eth0') == before, tc_state(GATEWAY, 'eth0'))


def test_file_limit():
    """reaching the file size limit ends the run as a full disk does, and leaves nothing behind"""
    before = tc_state(GATEWAY, 'eth0')
    with tempfile.TemporaryDirectory() as folder:
        r = subprocess.Popen(
            ['nsenter', '--net=/run/netns/' + GATEWAY, 'prlimit', '--fsize=100', PROBE, '-i', 'eth0',
             '--hook=clsact', '--json=' + os.path.join(folder, 'out.json')],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        r.wait(30)
        errors = r.stderr.read()
        r.stderr.close()
        expect(r.returncode == 1 and 'could not write all of the report' in errors, r.returncode, errors)
    expect(tc_state(GATEWAY, 'eth0') == before, tc_state(GATEWAY, 'eth0'))


def test_killed():
    """SIGKILL under load: TCX leaves nothing; on clsact the next start removes leftovers, and no foreign filter"""
    before = tc_state(GATEWAY, 'eth0')
    for hook in HOOKS:
        with Serve(WAN, WEB):
            with Probe('--hook', hook) as p:
                load = netns.fork(A, many, SERVER4, 300)
                programs = programs_of(p.process)
                seen = packets(GATEWAY, 'eth0')[0]
                wait_for(lambda: packets(GATEWAY, 'eth0')[0] > seen + 100, 'load')
                kill(p)
                load()
            left = tc_state(GATEWAY, 'eth0')
            if hook == 'tcx':
                expect(left == before, 'TCX left', left)
                are_gone(programs)
                continue
            expect(left.count('direct-action') == 2, 'a killed run must leave its filters on clsact', left)
            # the same priority alone does not make a filter the probe's
            with Foreign(GATEWAY, 'eth0', 'ingress', 0x7062), Probe() as q:
                wait_for_message(q, 'removed 2 filters that a killed run had left on eth0')
                left = tc_state(GATEWAY, 'eth0')
                expect('probe_' not in left and 'foreign' in left, left)
                netns.run(A, netns.browse, SERVER4, 80)
                q.stop()
                expect(len(q.connections()) == 1, q.json)
            netns.sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact')


def cleanup(*arguments):
    return subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '--cleanup', *arguments],
                          capture_output=True, text=True)


def test_cleanup():
    """--cleanup removes filters and qdiscs of killed runs, and never those of a running probe"""
    before = tc_state(GATEWAY, 'eth0'), tc_state(GATEWAY, 'eth1')
    with Serve(WAN, WEB), Probe('--hook=clsact') as living:
        with Probe('--hook=clsact') as p, Probe('--hook=clsact', iface='eth1') as q:
            kill(p)
            kill(q)
        r = cleanup()
        expect(r.returncode == 0 and 'eth0: removed 2 filters' in r.stdout and
               'eth1: removed 2 filters that a killed run left, and the clsact qdisc' in r.stdout, r)
        expect(tc_state(GATEWAY, 'eth1') == before[1], tc_state(GATEWAY, 'eth1'))
        netns.run(A, netns.browse, SERVER4, 80)
        living.stop()
        expect(len(living.connections()) == 1, 'the running probe has lost its filters', living.json)
    expect((tc_state(GATEWAY, 'eth0'), tc_state(GATEWAY, 'eth1')) == before, tc_state(GATEWAY, 'eth0'))
    expect('no leftovers found' in cleanup().stdout, 'a second time')
    with Probe('--hook=clsact') as p:
        kill(p)
    expect('no leftovers found' in cleanup('--iface', 'eth1').stdout, 'the other interface')
    r = cleanup('--iface', 'eth0')
    expect(r.returncode == 0 and 'eth0: removed 2 filters' in r.stdout, r)
    expect(tc_state(GATEWAY, 'eth0') == before[0], tc_state(GATEWAY, 'eth0'))
    r = cleanup('--iface', 'eth7')
    expect(r.returncode == 1 and 'eth7: no such interface' in r.stderr, r)


def test_pid_namespace():
    """a running probe in another pid namespace, as in a container, keeps its filters: they are not leftovers"""
    def inside():
        return Probe('--hook=clsact')
    p = inside()
    p.command = ['unshare', '--pid', '--fork', '--kill-child'] + p.command
    with Serve(WAN, WEB), p:
        r = cleanup()
        expect(r.returncode == 0 and 'no leftovers found' in r.stdout, r)
        with inside() as q:
            netns.run(A, netns.browse, SERVER4, 80)
            q.stop()
        with open('/proc/%d/task/%d/children' % (p.process.pid, p.process.pid)) as f:
            os.kill(int(f.read()), signal.SIGINT)
        p.process.wait(30)
        p.stop()
        expect(len(p.connections()) == len(q.connections()) == 1, p.json, q.json)


# ---- changes of the interface ----

def bring_up(namespace, *ifaces):
    """Sets interfaces up, and waits until packets pass, which takes the kernel some time."""
    for iface in ifaces:
        netns.sh(namespace, 'ip', 'link', 'set', iface, 'up')
    for iface in ifaces:
        wait_for(lambda: ' UP ' in netns.sh(namespace, 'ip', '-br', 'link', 'show', 'dev', iface), iface + ' up')


def test_down_and_up():
    """the run reports that its interface went down and up again, and continues, on both hooks"""
    for hook in HOOKS:
        with VethPair('--hook', hook) as w:
            w.send(*conversation())
            netns.sh(w.name, 'ip', 'link', 'set', 'near', 'down')
            wait_for_message(w.probe, 'near is down')
            bring_up(w.name, 'near', 'far')
            wait_for_message(w.probe, 'near is up again')
            w.send(*other_conversation())
            w.probe.stop()
            expect(w.probe.status == 0 and len(w.probe.connections(settled_by='payload')) == 2, w.probe.json)
            expect([o['text'] for o in w.probe.of('notice')] == ['near is down', 'near is up again'], w.probe.json)


def other_conversation():
    return conversation(vlans=(9,))


def test_renamed():
    """the run reports a new name of its interface, and continues, on both hooks"""
    for hook in HOOKS:
        with VethPair('--hook', hook) as w:
            w.send(*conversation())
            for command in ('near down', 'near name lan7'):
                netns.sh(w.name, 'ip', 'link', 'set', *command.split())
            bring_up(w.name, 'lan7', 'far')
            wait_for_message(w.probe, 'near was renamed to lan7')
            wait_for_message(w.probe, 'lan7 is up again')
            frames = [('lan7' if end == 'near' else end, data) for end, data in other_conversation()]
            w.send(*frames)
            w.probe.stop()
            expect(w.probe.status == 0 and len(w.probe.connections(settled_by='payload')) == 2, w.probe.json)
            expect(w.probe.summary['bytes']['all'] > 0, 'bytes are counted under the new name', w.probe.summary)


def test_deleted():
    """deletion of the interface ends the run with the report, status 1 and the reason, on both hooks"""
    for hook in HOOKS:
        with VethPair('--hook', hook) as w:
            w.send(*conversation())
            w.probe.settle()
            netns.sh(w.name, 'ip', 'link', 'del', 'near')
            w.probe.process.wait(30)
            w.probe.stop()
            expect(w.probe.status == 1 and 'probe: near went away' in w.probe.errors, w.probe.errors)
            expect(len(w.probe.connections()) == 1 and w.probe.summary['cut'] == 'near went away', w.probe.json)
            expect('CUT SHORT  near went away' in w.probe.text, w.probe.text)


def make_again(w):
    netns.sh(w.name, *'ip link add near type veth peer name far'.split())
    bring_up(w.name, 'near', 'far')


def test_follow():
    """with --follow a run survives two deletions of its interface, on both hooks, and leaves nothing behind"""
    for hook in HOOKS:
        with VethPair('--hook', hook, '--follow') as w:
            clean = None
            w.send(*conversation())
            for tag in (8, 9):
                w.probe.errors = ''
                netns.sh(w.name, 'ip', 'link', 'del', 'near')
                wait_for_message(w.probe, 'near went away; waiting for it to come back')
                make_again(w)
                wait_for_message(w.probe, 'near is back (ethernet, %s)' % hook)
                w.send(*conversation(vlans=(tag,)))
            w.probe.stop()
            expect(w.probe.status == 0, w.probe.errors)
            got = {tuple(c['vlans']) for c in w.probe.connections(settled_by='payload')}
            expect(got == {(), (8,), (9,)}, got)
            clean = tc_state(w.name, 'near')
            expect('clsact' not in clean and 'probe' not in clean, clean)
            expect(w.probe.summary['bytes']['all'] >= 5 * 54, 'the bytes of the new one count', w.probe.summary)


def test_follow_other_type():
    """with --follow an interface may come back with another link layer (ppp0, tun0)"""
    with VethPair('--follow') as w:
        netns.sh(w.name, 'ip', 'link', 'del', 'near')
        wait_for_message(w.probe, 'waiting for it to come back')

        for command in ('tuntap add near mode tun', 'addr add 10.9.0.1/24 dev near', 'link set near up'):
            netns.sh(w.name, 'ip', *command.split())
        wait_for_message(w.probe, 'near is back (ip, tcx)')

        def packet():
            tun = os.open('/dev/net/tun', os.O_RDWR)
            fcntl.ioctl(tun, 0x400454ca, struct.pack('16sH', b'near', 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
            os.write(tun, captures.frame(('10.9.0.2', 5000), ('10.9.0.1', 80), SYN, 1, 0)[14:])
            # the host's own RST: all packets have passed
            os.read(tun, 2000)
        netns.run(w.name, packet)
        w.probe.stop()
        c = w.probe.connections()
        expect(len(c) == 1 and c[0]['outcome'] == 'refused' and c[0]['client_mac'] is None, w.probe.json)


def test_moved():
    """a move to another network namespace is reported as such; with --follow the interface may come back"""
    for hook in HOOKS:
        other = 'probemoved%d' % os.getpid()
        subprocess.run(['ip', 'netns', 'add', other], check=True)
        try:
            with VethPair('--hook', hook) as w:
                w.send(*conversation())
                netns.sh(w.name, 'ip', 'link', 'set', 'near', 'netns', other)
                w.probe.process.wait(30)
                w.probe.stop()
                expect(w.probe.status == 1 and 'near was moved to another network namespace' in w.probe.errors,
                       w.probe.errors)
                expect(len(w.probe.connections()) == 1, w.probe.json)
                left = tc_state(other, 'near')
                expect('probe' not in left, 'filters left on the moved interface', left)
                netns.sh(other, 'ip', 'link', 'del', 'near')
            with VethPair('--hook', hook, '--follow') as w:
                netns.sh(w.name, 'ip', 'link', 'set', 'near', 'netns', other)
                wait_for_message(w.probe, 'near was moved to another network namespace; waiting')
                netns.sh(other, 'ip', 'link', 'set', 'near', 'netns', w.name)
                wait_for_message(w.probe, 'near is back')
                bring_up(w.name, 'near', 'far')
                w.send(*conversation())
                w.probe.stop()
                expect(w.probe.status == 0 and len(w.probe.connections(settled_by='payload')) == 1, w.probe.json)
        finally:
            subprocess.run(['ip', 'netns', 'del', other], check=True)


def set_offload(iface, command, value):
    """Does what ethtool -K does, by ioctl."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    data = bytearray(struct.pack('II', command, value))
    buffer = ctypes.create_string_buffer(bytes(data))
    request = struct.pack('16sP', iface.encode(), ctypes.addressof(buffer)) + b'\0' * 16
    fcntl.ioctl(s, 0x8946, request)  # SIOCETHTOOL


def test_mtu_and_offloads():
    """changes of MTU and offloads during a run lose no connection before, between and after them"""
    for hook in HOOKS:
        with Serve(WAN, WEB), Probe('--hook', hook) as p:
            netns.run(A, netns.browse, SERVER4, 80, 0, b'x' * 60000)
            netns.sh(GATEWAY, 'ip', 'link', 'set', 'eth0', 'mtu', '1280')
            netns.run(A, netns.browse, SERVER4, 80, 0, b'x' * 60000)
            for command in (0x17, 0x24, 0x1f, 0x2c):  # ETHTOOL_STXCSUM, SGSO, STSO, SGRO
                try:
                    netns.run(GATEWAY, set_offload, 'eth0', command, 0)
                except RuntimeError:
                    continue  # not every device supports every setting
            netns.run(A, netns.browse, SERVER4, 80, 0, b'x' * 60000)
            netns.sh(GATEWAY, 'ip', 'link', 'set', 'eth0', 'mtu', '1500')
            netns.run(A, netns.browse, SERVER4, 80, 0, b'x' * 60000)
            p.stop()
            expect(p.status == 0 and len(p.connections(settled_by='payload')) == 4, p.json)
            expect(p.summary['lost']['sum'] == 0 and [n['text'] for n in p.of('notice')] == [
                'the MTU of eth0 changed from 1500 to 1280', 'the MTU of eth0 changed from 1280 to 1500'], p.json)


def test_netns():
    """--netns watches an interface of another namespace, by name and by process, and leaves nothing there"""
    for hook in HOOKS:
        with Serve(WAN, WEB):
            holder = subprocess.Popen(['nsenter', '--net=/run/netns/' + GATEWAY, 'sleep', '1000'])
            try:
                wait_for(lambda: os.stat('/proc/%d/ns/net' % holder.pid).st_ino ==
                         os.stat('/run/netns/' + GATEWAY).st_ino, 'the process in its namespace')
                for name in (GATEWAY, str(holder.pid)):
                    p = Probe('--hook', hook, '--netns', name)
                    p.namespace = A  # start the probe in another namespace
                    with p:
                        netns.run(A, netns.browse, SERVER4, 80)
                        p.stop()
                        expect(p.status == 0 and len(p.connections(settled_by='payload')) == 1, name, p.json)
            finally:
                holder.kill()
                holder.wait()
        left = tc_state(GATEWAY, 'eth0')
        expect('clsact' not in left, left)
    for name, words in (('nowhere', 'cannot open /run/netns/nowhere'), ('999999999', 'cannot open /proc/999999999')):
        r = subprocess.run([PROBE, '-i', 'eth0', '--netns', name], capture_output=True, text=True)
        expect(r.returncode == 1 and words in r.stderr and 'No such file' in r.stderr, r)


# ---- privileges ----

NET_ADMIN = 1 << 12


def test_rights_dropped():
    """after the attach the probe drops all capabilities that the hook does not need, for good, and works to its end"""
    for hook, kept in (('tcx', 0), ('clsact', NET_ADMIN)):
        for follow in ((), ('--follow',)):
            with Probe('--hook', hook, *follow) as p:
                status = netns.confined(p.process.pid)
                for name in ('CapPrm', 'CapEff'):
                    expect(int(status[name], 16) == kept, hook, name, status[name])
                for name in ('CapInh', 'CapAmb'):
                    expect(int(status[name], 16) == 0, hook, name, status[name])
                # A settlement at the end of a run takes a kernel path that could need capabilities.
                netns.run(A, netns.try_connect, netns.DEAD4, 5274, 0.3)
                p.stop()
                expect(p.status == 0 and len(p.connections(settled_by='end')) == 1, p.json, p.errors)


def unprivileged(folder, capabilities):
    """Returns a copy that another user may run, and a command prefix that runs it with only these capabilities."""
    os.chmod(folder, 0o755)
    copy = os.path.join(folder, 'probe')
    if not os.path.exists(copy):
        subprocess.run(['cp', PROBE, copy], check=True)
    some = ','.join('+' + c for c in capabilities)
    prefix = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    if capabilities:
        prefix += ['--inh-caps=-all,' + some, '--ambient-caps=-all,' + some, '--bounding-set=-all,' + some]
    return prefix + [copy]


def test_without_root():
    """without root, CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are sufficient on both hooks"""
    with tempfile.TemporaryDirectory() as folder, Serve(WAN, WEB):
        for hook in HOOKS:
            p = Probe('--hook', hook)
            p.command = unprivileged(folder, ('bpf', 'net_admin', 'perfmon')) + ['-i', 'eth0', '--hook', hook]
            with p:
                status = netns.status_of(p.process.pid)
                expect(status['Uid'].split()[1] == '65534', status['Uid'])
                expect(int(status['CapEff'], 16) == (0 if hook == 'tcx' else NET_ADMIN), status['CapEff'])
                netns.run(A, netns.browse, SERVER4, 80)
                p.stop()
                expect(p.status == 0 and len(p.connections(settled_by='payload')) == 1, p.json, p.errors)
            left = tc_state(GATEWAY, 'eth0')
            expect('clsact' not in left, left)


def test_rights_missing():
    """the message about missing capabilities names them and a remedy"""
    with tempfile.TemporaryDirectory() as folder:
        for capabilities, missing in (((), 'missing here: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON'),
                                      (('bpf', 'net_admin'), 'missing here: CAP_PERFMON'),
                                      (('net_admin', 'perfmon'), 'missing here: CAP_BPF')):
            r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY] + unprivileged(folder, capabilities) +
                               ['-i', 'eth0', '-d', '1'], capture_output=True, text=True)
            expect(r.returncode == 1 and missing in r.stderr and 'run it as root (sudo)' in r.stderr, r)
            expect('libbpf' not in r.stderr, 'misleading hints of libbpf', r.stderr)
        with Probe('--hook=clsact') as p:
            kill(p)
        r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY] + unprivileged(folder, ()) + ['--cleanup'],
                           capture_output=True, text=True)
        expect(r.returncode == 1 and 'missing here: CAP_NET_ADMIN' in r.stderr, r)
        expect(cleanup().returncode == 0, 'cleanup')
        r = subprocess.run(unprivileged(folder, ()) + ['-i', 'lo', '--netns', GATEWAY], capture_output=True, text=True)
        expect(r.returncode == 1 and '--netns' in r.stderr and 'CAP_SYS_ADMIN' in r.stderr, r)


def broken_probe(folder):
    """Returns a copy whose first program the verifier rejects: r6 = r9, which was never written."""
    with open(os.path.join(ROOT, 'build', 'probe.bpf.o'), 'rb') as f:
        program = f.read()
    with open(PROBE, 'rb') as f:
        binary = f.read()
    at = section(program, b'tc')
    where = binary.find(program[at:at + 512])
    expect(where > 0, 'the object is not found in the binary')
    broken = os.path.join(folder, 'probe')
    with open(broken, 'wb') as f:
        f.write(binary[:where] + bytes([0xbf, 0x96, 0, 0, 0, 0, 0, 0]) + binary[where + 8:])
    os.chmod(broken, 0o755)
    return broken


def test_verifier_rejects():
    """a rejection by the verifier is shown with its last lines, the kernel version, and what to send"""
    with tempfile.TemporaryDirectory() as folder:
        r = subprocess.run([broken_probe(folder), '-i', 'lo', '-d', '1'], capture_output=True, text=True)
    expect(r.returncode == 1 and 'R9 !read_ok' in r.stderr, r.stderr)
    expect('the verifier of this kernel (%s) rejects the program slow_path' % os.uname().release in r.stderr, r.stderr)
    expect('Please send' in r.stderr and 'uname -a' in r.stderr, r.stderr)
    expect(len(r.stderr.splitlines()) < 30, 'too long for a screen', r.stderr)


def test_no_btf():
    """without BTF the probe runs if the verifier accepts it, and otherwise reports that BTF is missing"""
    # Make only /sys private: in a chroot the root is not a mount point.
    hidden = ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c',
              'mount --make-rprivate /sys && mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh']
    with tempfile.TemporaryDirectory() as folder:
        for binary, status, words in ((PROBE, 0, 'watching lo'),
                                      (broken_probe(folder), 1, 'has no BTF (no /sys/kernel/btf/vmlinux)')):
            r = subprocess.run(hidden + [binary, '-i', 'lo', '-d', '0.5'], capture_output=True, text=True)
            expect(r.returncode == status and words in r.stderr, r)


def test_user_namespace():
    """root in a rootless container gets a message that its privileges are not sufficient"""
    r = subprocess.run(['unshare', '--user', '--map-root-user', PROBE, '-i', 'lo', '-d', '1'], capture_output=True,
                       text=True)
    if r.stderr.startswith('unshare:'):
        pytest.skip('a chroot may not make a user namespace')
    expect(r.returncode == 1 and 'user namespace' in r.stderr and '--netns PID' in r.stderr, r)


def section(elf, name):
    """Returns the offset of an ELF section's bytes."""
    table, = struct.unpack_from('<Q', elf, 40)
    size, count, names = struct.unpack_from('<HHH', elf, 58)
    headers = [struct.unpack_from('<IIQQQQ', elf, table + i * size) for i in range(count)]
    for h in headers:
        start = headers[names][4] + h[0]
        if elf[start:elf.index(b'\0', start)] == name:
            return h[4]
    raise AssertionError('no section')
