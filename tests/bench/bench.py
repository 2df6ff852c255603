#!/usr/bin/env python3
"""Measures the cost of the probe for a gateway, beside an empty program and beside tcpdump.

It runs under `scripts/lab --clients 4`; scripts/bench installs, builds and starts it. All programs that carry
traffic are pinned to one core at raised priority, and the variants take turns within each round. Single runs vary by
a fifth, the ratios within a round by a few per cent.
"""
import argparse
import ctypes
import json
import mmap
import os
import platform
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lib'))
import flood  # noqa: E402
import netns  # noqa: E402
from netns import CLIENTS, DEAD4, GATEWAY, LAN_IFACE, ROOT, SERVER4, WAN  # noqa: E402

BUILD = os.path.join(ROOT, 'build')
CORE = max(os.sched_getaffinity(0))
PRIORITY = -20
LOADS = 7
FLOOD_PAIRS = 3
SETTLE = 0.15  # seconds between the start of a variant and its measurement


def note(text):
    print(text, file=sys.stderr, flush=True)


def start(namespace, *command, pinned=False, ready=None, stdin=subprocess.DEVNULL):
    """Starts a process in a namespace. ready: the output that it prints when it is ready."""
    process = subprocess.Popen(['nsenter', '--net=/run/netns/' + namespace] + list(command), stdin=stdin,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env=dict(os.environ, LC_ALL='C.UTF-8'))
    if ready:
        line = ''
        for line in process.stdout:
            if ready in line:
                break
        else:
            raise RuntimeError('%s: %s' % (command[0], line))
    if pinned:
        pin(process.pid)
    return process


def pin(pid):
    os.sched_setaffinity(pid, {CORE})
    os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)


def stop(process, how=signal.SIGINT):
    if process.poll() is None:
        process.send_signal(how)
    text = process.stdout.read()
    process.wait(30)
    process.stdout.close()
    return text


# ---- variants: the programs on the gateway's interface ----

class Variant:
    def __init__(self, key, words, command=None, ready=None):
        self.key, self.words, self.command, self.ready = key, words, command, ready

    def __enter__(self):
        if self.command:
            self.process = start(GATEWAY, *self.command, pinned=True, ready=self.ready, stdin=subprocess.PIPE)

    def __exit__(self, *_):
        if self.command:
            self.process.stdin.close()
            stop(self.process)


HOLD = [os.path.join(BUILD, 'bench-hold'), LAN_IFACE]
EMPTY = Variant('empty', 'an empty program on the same hooks', HOLD, 'ready')
VARIANTS = [
    Variant('control', 'the empty program again: the noise', HOLD, 'ready'),
    Variant('none', 'no program'),
    Variant('probe', 'probe', [netns.PROBE, '--iface', LAN_IFACE], 'watching'),
    Variant('tcpdump_syn', 'tcpdump, SYNs only',
            ['tcpdump', '-n', '-i', LAN_IFACE, '-w', '/dev/null', 'tcp[tcpflags] & tcp-syn != 0'], 'listening'),
    Variant('tcpdump', 'tcpdump, everything', ['tcpdump', '-n', '-i', LAN_IFACE, '-w', '/dev/null'], 'listening'),
]


SLICES = {'probe': 'probe', 'probe_kernel': 'its kernel side alone', 'other': 'the other build',
          'other_kernel': "the other build's kernel side alone", 'control': 'the empty program again: the noise'}


def median_interval(values):
    """Returns (median, low, high): 95 % confidence by order statistics (normal approximation)."""
    v = sorted(values)
    k = max(0, int((len(v) - 1.96 * len(v) ** 0.5) / 2))
    return statistics.median(v), v[k], v[-1 - k]


def rounds(count, seconds, traffic, read):
    """Returns {variant: (median, low, high) of its rate relative to empty's}. read() returns the traffic's counter.

    The traffic stops while a variant starts and ends: because of its priority, the kernel's own threads would hardly
    run on that core.
    """
    rates = {v.key: [] for v in VARIANTS}
    for number in range(count):
        order = [EMPTY] + VARIANTS
        turn = number % len(order)  # each variant follows different ones
        this = {}
        for variant in order[turn:] + order[:turn]:
            with variant:
                traffic.send_signal(signal.SIGCONT)
                time.sleep(SETTLE)
                began, before = time.monotonic(), read()
                time.sleep(seconds)
                this[variant.key] = (read() - before) / (time.monotonic() - began)
                traffic.send_signal(signal.SIGSTOP)
        for key, values in rates.items():
            values.append(this[key] / this['empty'])
    return {key: median_interval(values) for key, values in rates.items()}, this['empty']


class Switch:
    """Replaces a running probe's programs by the empty one, and back, within microseconds.

    The links are the probe's own. The probe is stopped meanwhile, so that its cost is in its own slices only.
    """
    SYS_BPF, SYS_PIDFD_GETFD = 321, 438
    PROG_GET_FD_BY_ID, LINK_UPDATE = 13, 29

    def __init__(self, probe, hold):
        self.pid = probe.pid
        pidfd = os.pidfd_open(probe.pid)
        self.links = [(self.call(self.SYS_PIDFD_GETFD, pidfd, fd, 0), self.program(number))
                      for fd, number in self.links_of(probe.pid)]
        self.nothing = self.program(self.links_of(hold.pid)[0][1])

    @staticmethod
    def call(*arguments):
        result = netns.libc.syscall(*arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), 'system call %d' % arguments[0])
        return result

    def bpf(self, command, *words):
        attr = ctypes.create_string_buffer(struct.pack('%dI' % len(words), *words), 64)
        return self.call(self.SYS_BPF, command, attr, 64)

    def program(self, number):
        return self.bpf(self.PROG_GET_FD_BY_ID, number)

    @staticmethod
    def links_of(pid):
        """Returns [(file descriptor, id of the program)] of the process's TCX links."""
        found = []
        for fd in os.listdir('/proc/%d/fdinfo' % pid):
            with open('/proc/%d/fdinfo/%s' % (pid, fd)) as f:
                text = f.read()
            if re.search(r'link_type:\s+tcx', text):
                found.append((int(fd), int(re.search(r'prog_id:\s+(\d+)', text).group(1))))
        return found

    def empty(self):
        os.kill(self.pid, signal.SIGSTOP)
        for link, _ in self.links:
            self.bpf(self.LINK_UPDATE, link, self.nothing, 0, 0)

    def kernel(self):
        """The kernel side alone: the probe remains stopped, and its rings hold the records of a slice."""
        for link, own in self.links:
            self.bpf(self.LINK_UPDATE, link, own, 0, 0)

    def probe(self):
        self.kernel()
        os.kill(self.pid, signal.SIGCONT)


def slices(count, seconds, traffic, read, builds):
    """Alternates quickly without stopping the traffic. Returns {KEY: (median, low, high)} of the rate relative to the
    empty program's, for each build {KEY: PROGRAM}, for KEY_kernel without its user side, and for the control.
    """
    probes = [start(GATEWAY, program, *VARIANTS[2].command[1:], pinned=True, ready=VARIANTS[2].ready)
              for program in builds.values()]
    # an empty program for each: no hook takes the same one twice
    holds = [start(GATEWAY, HOLD[0], 'lo', ready='ready', stdin=subprocess.PIPE) for _ in builds]
    ratios = {'control': []}
    try:
        turns = {}
        for key, probe, hold in zip(builds, probes, holds):
            switch = Switch(probe, hold)
            turns[key], turns[key + '_kernel'] = (switch, switch.probe), (switch, switch.kernel)
            switch.empty()
        traffic.send_signal(signal.SIGCONT)
        time.sleep(1)

        def rate():
            time.sleep(0.01)
            began, before = time.monotonic(), read()
            time.sleep(seconds)
            return (read() - before) / (time.monotonic() - began)
        for number in range(count):
            for key in list(turns)[number % len(turns):] + list(turns)[:number % len(turns)]:
                switch, turn = turns[key]
                first = rate()
                turn()
                middle = rate()
                switch.empty()
                os.kill(switch.pid, signal.SIGCONT)  # reads the rest
                time.sleep(0.06)  # it wakes up 20 times a second
                os.kill(switch.pid, signal.SIGSTOP)
                last = rate()
                if first and last:
                    ratios.setdefault(key, []).append(2 * middle / (first + last))
                    ratios['control'].append(last / first)
    finally:
        traffic.send_signal(signal.SIGSTOP)
        for key, probe in zip(builds, probes):
            os.kill(probe.pid, signal.SIGCONT)
            lost = re.search(r'([1-9]\d*) records? dropped', stop(probe))
            if lost:
                note('%s lost %s records: its kernel side did less' % (SLICES[key], lost.group(1)))
        for hold in holds:
            hold.stdin.close()
            stop(hold)
    return {key: median_interval(values) for key, values in ratios.items()}


def measure(count, seconds, traffic, read, builds):
    fine = slices(20 * count, seconds / 5, traffic, read, builds)
    if len(builds) > 1:
        return {'slices': fine}, read()
    ratios, last = rounds(count, seconds, traffic, read)
    return dict(ratios, slices=fine), last


def bulk(count, seconds, builds):
    """Measures a routed TCP flow of MTU-sized packets, all on one core."""
    for namespace in [GATEWAY, WAN, os.environ['LAB_SWITCH']] + CLIENTS:
        for link in json.loads(netns.sh(namespace, 'ip', '-j', 'link')):
            if link['ifname'] != 'lo':
                netns.sh(namespace, 'ethtool', '-K', link['ifname'], 'tso', 'off', 'gso', 'off', 'gro', 'off')
    server = start(WAN, 'iperf3', '-s', '--forceflush', ready='listening', pinned=True)
    client = start(CLIENTS[0], 'iperf3', '--forceflush', '-t', '86400', '-c', SERVER4, ready='connected', pinned=True)

    def read():
        with open('/proc/%d/net/dev' % server.pid) as f:
            for line in f:
                if 'eth0:' in line:
                    return int(line.split(':')[1].split()[0])
    try:
        client.send_signal(signal.SIGSTOP)
        return measure(count, seconds, client, read, builds)
    finally:
        stop(client, signal.SIGKILL)
        stop(server, signal.SIGKILL)


def churn(count, seconds, builds):
    """Measures consecutive new connections, each with a request and an answer, all on one core."""
    traffic = os.path.join(BUILD, 'bench-traffic')
    with tempfile.NamedTemporaryFile() as f:
        server = start(WAN, traffic, 'serve', SERVER4, '8080', ready='ready', pinned=True)
        client = start(CLIENTS[0], traffic, 'churn', SERVER4, '8080', f.name)
        pin(client.pid)
        try:
            time.sleep(0.2)
            client.send_signal(signal.SIGSTOP)
            with mmap.mmap(f.fileno(), 8) as shared:
                return measure(count, seconds, client, lambda: struct.unpack('Q', shared[:8])[0], builds)
        finally:
            stop(client, signal.SIGKILL)
            stop(server, signal.SIGKILL)


def cost(count, builds):
    """Measures at the hook, through BPF_PROG_TEST_RUN. Returns three dictionaries: {build: {case: (median, low, high)}}
    in the units of bench-cost, {case: (median, low, high)} of the ratio of this build to the other within a load, and
    {build: {program: (bytes, maps, instructions)}}. Ratios of nanoseconds include the empty program: the differences
    are near the resolution. The ratios of "empty" and "cold_empty" compare the same program: the noise.

    The kernel places the code at another address each time that it is loaded, which alone changes a result by some
    nanoseconds. So it is loaded LOADS times, and the interval is that of the loads' medians.
    """
    medians, sizes, totals = ({key: {} for key in builds} for _ in range(3))
    for load in range(LOADS):
        for key, program in list(builds.items())[::-1 if load % 2 else 1]:
            tool = os.path.join(os.path.dirname(program), 'build', 'bench-cost')
            output = subprocess.run(['nice', '-n', str(PRIORITY), 'taskset', '-c', str(CORE), tool, str(count)],
                                    check=True, stdout=subprocess.PIPE, text=True).stdout
            for words in map(str.split, output.splitlines()):
                if words[0].startswith('size_'):
                    if len(words) == 4:  # not of a checkout that prints other numbers
                        sizes[key][words[0][5:]] = tuple(map(int, words[1:]))
                else:
                    value = float(words[1])
                    medians[key].setdefault(words[0], []).append(value)
                    if words[0] not in ('empty', 'control') and words[4] == 'ns':
                        value += medians[key]['empty'][load]
                    totals[key].setdefault(words[0], []).append(value)

    def interval(v):
        return statistics.median(v), min(v), max(v)
    other = totals.get('other', {})
    ratios = {case: interval([a / b for a, b in zip(v, other[case])]) for case, v in totals['probe'].items()
              if case != 'control' and all(other.get(case, [0]))}
    return {key: {case: interval(v) for case, v in cases.items()} for key, cases in medians.items()}, ratios, sizes


def cpu_seconds(pid):
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Running:
    """A probe with its JSON lines, until the end of the with block."""

    def __init__(self, program=netns.PROBE):
        self.program = program

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.json_file = os.path.join(self.folder.name, 'out.json')
        self.process = start(GATEWAY, self.program, '--iface', LAN_IFACE, '--json=' + self.json_file, ready='watching')
        return self

    def memory_mib(self):
        with open('/proc/%d/status' % self.process.pid) as f:
            return int(re.search(r'VmHWM:\s+(\d+)', f.read()).group(1)) / 1024

    def end(self):
        began = time.monotonic()
        self.text = stop(self.process)
        self.end_seconds = time.monotonic() - began
        with open(self.json_file) as f:
            self.json = [json.loads(line) for line in f]
        self.summary = self.json[-1]
        return self

    def __exit__(self, *_):
        stop(self.process) if self.process.poll() is None else None
        self.folder.cleanup()


def start_time(count):
    """Returns the milliseconds from exec to the line that it watches, and the MiB of its maps."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        process = start(GATEWAY, netns.PROBE, '-v', '--iface', LAN_IFACE, ready='maps take')
        times.append((time.monotonic() - began) * 1000)
        stop(process)
    process = start(GATEWAY, netns.PROBE, '-v', '--iface', LAN_IFACE)
    time.sleep(1)
    memory = float(re.search(r'maps take ([\d.]+) MiB', stop(process)).group(1))
    return median_interval(times), memory


def user_side(rate, seconds):
    """Lets the real probe read this many records a second. Returns its CPU share of one core, and the losses."""
    process = start(GATEWAY, netns.PROBE, '--iface', LAN_IFACE, ready='watching')
    before = cpu_seconds(process.pid)
    output = netns.sh(GATEWAY, 'taskset', '-c', str(CORE), os.path.join(BUILD, 'bench-rate'), str(rate), str(seconds))
    share = (cpu_seconds(process.pid) - before) / seconds
    time.sleep(0.5)
    report = stop(process)
    lost = re.search(r'(\d+) records dropped: this machine', report)
    late = float(re.search(r'([\d.]+) s late', output).group(1))
    return {'records': int(output.split()[0]), 'rate': int(output.split()[0]) / (seconds + late), 'cpu': share,
            'ring_lost': int(lost.group(1)) if lost else 0,
            'connections': int(re.search(r'(\d+) connect', report).group(1))}


def compare_floods(builds, row):
    """Floods the builds in alternating pairs. The noise is the ratio of successive floods of the same build."""
    floods = {key: [] for key in builds}
    for number in range(FLOOD_PAIRS):
        for key in list(builds)[::-1 if number % 2 else 1]:
            floods[key].append(flood.measure(lambda: Running(builds[key])))
    rates = {key: [f['flood_per_second'] for f in each] for key, each in floods.items()}

    def ratio(words, above, below):
        values = [a / b for a, b in zip(above, below)]
        row(words, '%.3f [%.3f, %.3f]' % (statistics.median(values), min(values), max(values)))
    row('A FLOOD of %d SYNs, in %d pairs' % (flood.SYNS, FLOOD_PAIRS), 'median [all]')
    ratio('    SYNs a second, this build over the other', rates['probe'], rates['other'])
    for key, each in floods.items():
        ratio('    %s over itself: the noise' % SLICES[key], rates[key][1:], rates[key])
        row('        measured exactly, at worst; not counted in all', '%.2f %%; %d' % (
            100 * min(f['flood_measured'] for f in each), sum(f['flood_uncounted'] for f in each)), '99 %; 0')
    return floods


def table(rows):
    for row in rows:
        print('  %-58s %18s   %s' % row)


def machine():
    with open('/proc/cpuinfo') as f:
        model = re.search(r'model name\s*: (.*)', f.read()).group(1)
    return '%s, %d cores, Linux %s' % (model, os.cpu_count(), platform.release())


def main():
    parser = argparse.ArgumentParser(prog='bench', description=__doc__.splitlines()[0])
    parser.add_argument('--json', action='store_true', help='one object on standard output, no table')
    parser.add_argument('--rounds', type=int, default=15, help='interleaved rounds in the lab (default 15)')
    parser.add_argument('--compare', metavar='DIR', help='measure the build in this checkout beside this one, in the '
                        'same run: the parts cost, flood, bulk and churn')
    parser.add_argument('--only', default='', help='some parts: cost,bulk,churn,start,user,flood')
    args = parser.parse_args()
    # at this priority, other programs on the traffic's core would hardly run
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {CORE} or {CORE})
    os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    parts = args.only.split(',') if args.only else ['cost', 'start', 'user', 'flood', 'bulk', 'churn']
    builds = {'probe': netns.PROBE}
    if args.compare:
        parts = [part for part in parts if part in ('cost', 'flood', 'bulk', 'churn')]
        builds['other'] = os.path.join(args.compare, 'probe')
    result = {'machine': machine(), 'core': CORE, 'rounds': args.rounds}
    rows = []

    def row(words, value, goal=''):
        rows.append((words, value, goal))

    def ns(words, key, goal=''):
        row(words, '%.1f [%.1f, %.1f] ns' % c[key], goal)

    if 'cost' in parts:
        note('cost: packets at the hook, compared with an empty program ...')
        costs, cost_ratios, sizes = cost(args.rounds, builds)
        c = costs['probe']
        result.update(
            established_ns=max(c['data_v4'][0], c['data_v6'][0]), storm_ns=max(c['storm_v4'][0], c['storm_v6'][0]),
            ack_ns=max(c['ack_v4'][0], c['ack_v6'][0]),
            other_ns=max(c[k][0] for k in ('udp_v4', 'udp_v6', 'arp', 'icmp_echo_v4', 'icmp_echo_v6', 'esp_v4',
                                           'fragment_v4')),
            connection_us=c['opening'][0], false_maybe_percent=c['false_maybe'][0], cost=c, cost_ratios=cost_ratios, sizes=sizes)
        row('AT THE HOOK, more than an empty program, in %d loads' % LOADS, 'median [all]', 'goal')
        ns('(the empty program itself, with its caller)', 'empty')
        ns('the empty program against itself', 'control')
        ns('data of an established connection, IPv4', 'data_v4', '3')
        ns('                                   IPv6', 'data_v6', '3')
        ns('the same, each packet of another of 200 000 connections', 'tuples_v4')
        ns('... and 100 000 answered openings pending, IPv4', 'storm_v4', '8')
        ns('                                           IPv6', 'storm_v6', '8')
        row('    packets that the fast path could not dismiss', '%.2f %%' % c['false_maybe'][0])
        ns('pure ACK, IPv4', 'ack_v4', '3')
        ns('          IPv6', 'ack_v6', '3')
        ns('UDP, IPv4', 'udp_v4', '3')
        ns('     IPv6', 'udp_v6', '3')
        ns('ARP', 'arp', '3')
        ns('ICMP echo, IPv4', 'icmp_echo_v4', '3')
        ns('           IPv6', 'icmp_echo_v6', '3')
        ns('ESP', 'esp_v4', '3')
        ns('a fragment after the first, IPv4', 'fragment_v4', '3')
        ns('data after a VLAN tag in the frame', 'vlan_in_data', '3')
        ns('LLDP, counted by its ethertype', 'lldp')
        row('a connection from its SYN to both first payloads', '%.2f [%.2f, %.2f] us' % c['opening'], '0.7')
        row('    to its last FIN', '%.2f [%.2f, %.2f] us' % c['opening_and_closing'])
        row('    in the storm', '%.2f [%.2f, %.2f] us' % c['storm_opening'])
        row('    cold: other data in the caches of the core', '%.2f [%.2f, %.2f] us' % c['cold_opening'])
        row('        the empty program alone', '%.2f [%.2f, %.2f] us' % c['cold_empty'])
        row('        probe over the empty program', '%.2f [%.2f, %.2f]' % c['cold_ratio'])
        row('a sweep of all openings, of 1 000', '%.2f [%.2f, %.2f] ms' % c['sweep_few'])
        row('                        of 100 000, drained in between', '%.1f [%.1f, %.1f] ms' % c['sweep_storm'])
        for key, programs in sizes.items():
            if programs:
                row('EACH PROGRAM of %s' % SLICES[key], 'bytes, maps, verified', '')
            for program, numbers in programs.items():
                row('    ' + program, '%d, %d, %d' % numbers)
        if cost_ratios:
            row('THIS BUILD OVER THE OTHER, ns with the empty program', 'median [all]', '')
        for case, values in cost_ratios.items():
            row('    ' + {'empty': 'the empty program: the noise', 'cold_empty': 'the empty program, cold: the noise'}
                .get(case, case), '%.2f [%.2f, %.2f]' % values)
    if 'start' in parts:
        note('start: from exec to attached ...')
        times, memory = start_time(9)
        result.update(start_ms=times[0], memory_mib=memory)
        row('from start to attached', '%.0f [%.0f, %.0f] ms' % times, '200')
        row('memory of the maps', '%.1f MiB' % memory, '64')
    if 'user' in parts:
        note('user: 100 000 records a second ...')
        u = user_side(100000, 5)
        result.update(user=u, user_cpu=u['cpu'], user_ring_lost=u['ring_lost'])
        row('100 000 records/s: read, of one core', '%.0f/s, %.0f %%' % (u['rate'], 100 * u['cpu']), '100 %')
        row('    lost, ring full', '%d of %d' % (u['ring_lost'], u['records']), '0')
    if 'flood' in parts:
        note('flood: 1 000 000 SYNs from random sources beside real connections ...')
        if args.compare:
            result['flood'] = compare_floods(builds, row)
        else:
            f = flood.measure(Running)
            result.update(f)
            flood.rows(f, row)
    for part, function, words, goal in (('bulk', bulk, 'bytes of a routed TCP flow', '0.985'),
                                        ('churn', churn, 'new connections', '0.985')):
        if part not in parts:
            continue
        note('%s: %d rounds of six variants ...' % (part, args.rounds))
        ratios, last = function(args.rounds, 0.5, builds)
        result[part + '_ratio'] = ratios['slices']['probe'][0]
        result[part] = ratios
        result[part + '_per_second'] = last
        row('%s/s, over the empty program' % words.upper(), 'median [95 %]', 'goal')
        for key, values in sorted(ratios['slices'].items(), reverse=True):
            row('    %s, in slices of 0.1 s' % SLICES[key], '%.4f [%.4f, %.4f]' % values, goal if key == 'probe' else '')
        if args.compare:
            continue
        row('  and in %d rounds, each variant from start to end:' % args.rounds, '')
        for v in VARIANTS:
            row('    ' + v.words, '%.3f [%.3f, %.3f]' % ratios[v.key])
    if args.json:
        print(json.dumps(result))
    else:
        print('\n%s; everything on core %d\n' % (result['machine'], CORE))
        table(rows)
    return 0


if __name__ == '__main__':
    sys.exit(main())
