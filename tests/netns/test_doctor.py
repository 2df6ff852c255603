"""-D and --doctor: which interface to watch, and what prevents or limits a run on it.

If this fails, a user watches the wrong interface, searches for a cause that the program could have named, or sends
addresses of his network with a bug report.
"""
import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import netns
from captures import frame
from foreign_program import Foreign
from netns import CLIENTS, GATEWAY, SERVER4, SERVER6, WAN, WEB, Probe, Serve, require_lab, sh
from probe import PROBE, expect, wait_for
from veth import SYN, C, S

require_lab(clients=2)

A, B = CLIENTS[:2]
SWITCH = os.environ['LAB_SWITCH']
ADDRESSES = (r'\b\d{1,3}(\.\d{1,3}){3}\b', r'\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b', r'[0-9a-f]{1,4}:[0-9a-f:]*:[0-9a-f]{1,4}')


def ask(namespace, *arguments, prefix=()):
    """Runs the probe in a namespace. Returns its status and its output, with each sentence on one line."""
    r = subprocess.run(['nsenter', '--net=/run/netns/' + namespace, *prefix, PROBE, *arguments], capture_output=True,
                       text=True, timeout=120, env=dict(os.environ, LC_ALL='C.UTF-8'))
    return r.returncode, re.sub(r'\n {10,}(?!->)', ' ', r.stdout) + r.stderr


def doctor(namespace, iface, *arguments, status=0, prefix=()):
    """Returns the output of --doctor, which has this exit status and contains no address."""
    got, text = ask(namespace, '--doctor', iface, *arguments, prefix=prefix)
    expect(got == status, 'status', got, 'instead of', status, text)
    for pattern in ADDRESSES:
        expect(not re.search(pattern, text), 'an address is in the output:', re.search(pattern, text), text)
    if status == 0:
        expect('ERROR' not in text, text)
    return text


def says(text, *sentences):
    for sentence in sentences:
        expect(sentence in text, 'missing:', sentence, text)


@contextlib.contextmanager
def traffic(address=SERVER4):
    """A client opens connections for the time of a with block."""
    def browse_on():
        while True:
            netns.browse(address, 80)

    with Serve(WAN, WEB), netns.Background(A, browse_on):
        yield


def hook_state(namespace, iface):
    return sh(namespace, 'tc', 'qdisc', 'show', 'dev', iface) + ''.join(
        sh(namespace, 'tc', 'filter', 'show', 'dev', iface, side, check=False) for side in ('ingress', 'egress'))


# ---- -D ----

def listed(namespace):
    """Returns the paragraphs of -D by interface."""
    status, text = ask(namespace, '-D')
    expect(status == 0, text)
    return {part.split()[0]: ' '.join(part.split()) for part in re.split(r'\n(?=\S)', text) if part.strip()}


def test_list():
    """-D shows both sides of a gateway, how many hosts are behind each, and the command for the best choice"""
    with Serve(WAN, WEB):
        for client in (A, B):
            for address in (SERVER4, SERVER6):
                netns.run(client, netns.browse, address, 80)
        links = listed(GATEWAY)
    says(links['eth0'], 'up', '10.1.4.1/24', 'fd00:1:4::1/64', 'LAN side: 2 neighbours', 'best choice: probe -i eth0')
    says(links['eth1'], '198.51.100.1/24', 'WAN side: default route')
    says(links['lo'], 'loopback: nothing to see')
    expect(sum('best choice' in text for text in links.values()) == 1, links)


def test_other_namespace():
    """-D and --doctor with --netns look at that namespace, and a reader such as head may leave at any time"""
    command = [PROBE, '-N', GATEWAY]
    got = subprocess.run(command + ['-D'], capture_output=True, text=True)
    expect(got.returncode == 0 and got.stdout == ask(GATEWAY, '-D')[1], got)
    got = subprocess.run(command + ['--doctor', 'eth1'], capture_output=True, text=True)
    expect(got.returncode == 0 and 'WAN side' in got.stdout, got)
    for what in ['-D'], ['--doctor', 'eth0', '-d', '0.2']:
        p = subprocess.Popen(command + what, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        p.stdout.close()
        expect(p.stderr.read() == '' and p.wait(60) == 0, what, p.returncode)


RELATED = '''link add near type veth peer name far
link add m1 type dummy
link add bond0 type bond
link set m1 master bond0
link add br0 type bridge
link set far master br0
link add link near name near.7 type vlan id 7
link add vrf0 type vrf table 10
link add red type dummy
link set red master vrf0
link add wg0 type wireguard
link add gre0x type gre local 192.0.2.1 remote 192.0.2.2
link add ipip0x type ipip local 192.0.2.1 remote 192.0.2.2
link add sit0x type sit local 192.0.2.1 remote 192.0.2.2
link add link near name mac0 type macvlan mode bridge
link set lo up'''


class Devices:
    """A namespace with devices of all kinds that this kernel has, all up."""

    def __enter__(self):
        self.name = os.environ['LAB_ID'] + '-doctor'  # scripts/lab removes it in any case
        subprocess.run(['ip', 'netns', 'add', self.name], check=True)
        for line in RELATED.splitlines():
            sh(self.name, 'ip', *line.split(), check=False)
        for iface in ('near', 'far'):  # no packets of its own
            sh(self.name, 'sysctl', '-qw', 'net.ipv6.conf.%s.disable_ipv6=1' % iface)
        self.there = re.findall(r'^\d+: ([^:@]+)', sh(self.name, 'ip', 'link'), re.M)
        for iface in self.there:
            sh(self.name, 'ip', 'link', 'set', iface, 'up', check=False)
        wait_for(lambda: 'no carrier' not in listed(self.name)['br0'], 'the carrier of the bridge')
        return self

    def __exit__(self, *_):
        subprocess.run(['ip', 'netns', 'del', self.name], check=True)


def test_relations():
    """-D sends the user of a member to its bond or bridge, and names VLANs, VRFs and tunnels"""
    wanted = {'m1': 'member of bond0: watch bond0, since', 'bond0': 'members: m1', 'far': 'member of br0: watch br0, or',
              'br0': 'members: far', 'near.7': 'VLAN 7 of near', 'near': 'shows the VLANs of near.7', 'red': 'in vrf vrf0',
              'vrf0': 'VRF: watch its members', 'wg0': 'WireGuard: ', 'mac0': 'on near'}
    with Devices() as devices:
        links = listed(devices.name)
        expect(set(links) == set(devices.there), links)
        if 'near.7' not in links:  # this kernel has no VLANs
            del wanted['near']
        found = [iface for iface in wanted if iface in links]
        expect('LAB_MUST_HAVE' not in os.environ or len(found) == len(wanted), 'missing devices', links)
        for iface in found:
            says(links[iface], wanted[iface])


def test_bridge_alone():
    """a switch without addresses still has a best choice: the bridge"""
    links = listed(SWITCH)
    says(links['br0'], 'bridge without an address', 'best choice: probe -i br0')
    says(links['c1'], 'member of br0: watch br0')


# ---- --doctor ----

def test_well():
    """on both sides of a healthy gateway nothing is wrong, and the SYNs are counted in their direction"""
    for address in (SERVER4, SERVER6):
        with traffic(address):
            lan = doctor(GATEWAY, 'eth0')
            wan = doctor(GATEWAY, 'eth1')
        says(lan, 'kernel ', 'all capabilities', 'LAN side', 'no XDP program', 'in both directions', 'forwards IPv4 and IPv6')
        says(wan, 'WAN side: default route')
        expect(re.search(r' [1-9]\d* SYNs? in, 0 out; 0 SYN-ACKs in, [1-9]\d* out', lan), lan)
        expect(re.search(r' 0 SYNs in, [1-9]\d* out; [1-9]\d* SYN-ACKs? in, 0 out', wan), wan)


def test_nat():
    """on the outer side of NAT it says so, finds the clients by conntrack, and names the better side"""
    rules = 'chain n { type nat hook postrouting priority 100; oifname "eth1" masquerade }'
    with netns.Rules(GATEWAY, rules), traffic():
        text = doctor(GATEWAY, 'eth1')
    says(text, 'nf_conntrack is loaded', 'where only conntrack knows the clients. The other side is better: probe -i eth0')
    expect(re.search("outer side of this host's NAT: conntrack knows the clients of [1-9]", text), text)


def test_result():
    """the last sentence of a healthy interface is the command of the run"""
    with traffic():
        text = doctor(GATEWAY, 'eth0')
    if 'WARNING' not in text:  # this host may drop packets meanwhile
        says(text, 'all well: probe -i eth0')


def test_idle():
    """an interface without packets is not called well: the user is sent to the clients' interface"""
    with Devices() as devices:
        text = doctor(devices.name, 'br0')
        if 'no packet passed' not in text:  # neighbour discovery
            says(text, 'no TCP connection was opened')


def test_nothing_left():
    """a check leaves the hooks as they were, whichever it used"""
    before = hook_state(GATEWAY, 'eth0')
    for hook in ('tcx', 'clsact'):
        doctor(GATEWAY, 'eth0', '--hook', hook)
        expect(hook_state(GATEWAY, 'eth0') == before, hook, hook_state(GATEWAY, 'eth0'))


def test_programs():
    """programs of others are named with id and order, and only those before probe's are a warning"""
    with Foreign(GATEWAY, 'eth0', 'ingress', 'front'), Foreign(GATEWAY, 'eth0', 'ingress', 'back'), \
            Foreign(GATEWAY, 'eth0', 'egress', 1):
        tcx, clsact = doctor(GATEWAY, 'eth0'), doctor(GATEWAY, 'eth0', '--hook', 'clsact')
    sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact')  # the foreign filter's
    for text in tcx, clsact:
        expect(re.search(r'ingress, TCX, in this order: 1\. foreign \(id \d+\), 2\. foreign \(id \d+\)', text), text)
        expect(re.search(r'egress, clsact: bpf foreign \(id \d+, priority 1\)', text), text)
    expect('hide nothing from it' in tcx and 'may drop or redirect' not in tcx, tcx)
    expect(clsact.count('may drop or redirect') == 2, clsact)
    says(clsact, 'leave --hook clsact out')


def test_other_probe():
    """another probe on the hooks is recognised as one"""
    with Probe():
        says(doctor(GATEWAY, 'eth0'), 'another probe runs here')


def test_full_name():
    """a program is called by its complete name in BTF, where the kernel keeps 15 characters"""
    with Devices() as devices, netns.Background(devices.name, hold_tun):
        wait_for(lambda: 'tun7' in sh(devices.name, 'ip', 'link'), 'the device')
        sh(devices.name, 'ip', 'link', 'set', 'tun7', 'up')
        with Probe(namespace=devices.name, iface='tun7'):
            text = doctor(devices.name, 'tun7')
            expect(re.search(r'1\. probe_ingress_ip \(id', text), text)


def hold_tun():
    with open('/dev/net/tun', 'r+b', buffering=0) as f:
        fcntl.ioctl(f, 0x400454ca, struct.pack('16sH22x', b'tun7', 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        time.sleep(1000)


def test_xdp():
    """an XDP program is named with its id and mode; if it takes the packets, the interface is blind"""
    with Foreign(GATEWAY, 'eth0', 'ingress', 'xdp'), traffic():
        text = doctor(GATEWAY, 'eth0')
        expect(re.search(r'XDP program foreign \(id \d+\), generic mode', text), text)
    netns.run(A, netns.try_connect, SERVER4, 81, 5)  # so that it knows the gateway's MAC
    with Foreign(GATEWAY, 'eth0', 'ingress', 'xdp', 'end'), netns.Background(A, flood):
        text = doctor(GATEWAY, 'eth0', status=1)
        expect(re.search(r'ERROR +BLIND: eth0 received \d+ packets, and none reached the hook', text), text)
        says(text, 'fails or is blind')


def flood():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        s.sendto(b'', (SERVER4, 9))
        time.sleep(0.001)


def test_one_direction():
    """if packets only come in, as on a mirror port, the output says so"""
    with Devices() as devices:
        sh(devices.name, 'ip', 'link', 'set', 'far', 'nomaster')
        with netns.Background(devices.name, mirror):
            text = doctor(devices.name, 'near')
        says(text, 'packets come in on near, and hardly any leave: a mirror port')


def mirror():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(('far', 0))
    n = 0
    while True:
        n += 1
        s.send(frame((C[0], 1024 + n % 60000), S, SYN, n, 0))
        time.sleep(0.01)


def test_leftovers():
    """filters of a killed run are reported with the command that removes them, and are left in place"""
    p = subprocess.Popen(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', 'eth0', '--hook', 'clsact'],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    expect('watching' in p.stderr.readline(), 'not started')
    p.kill()
    p.communicate()
    before = hook_state(GATEWAY, 'eth0')
    try:
        for hook in ('tcx', 'clsact'):
            says(doctor(GATEWAY, 'eth0', '--hook', hook), 'a killed run of probe left 2 filters', 'probe --cleanup -i eth0')
            expect(hook_state(GATEWAY, 'eth0') == before, hook, hook_state(GATEWAY, 'eth0'))
    finally:
        sh(GATEWAY, PROBE, '--cleanup')


def test_ingress_qdisc():
    """an ingress qdisc in the way is an error with a remedy only where probe needs its place"""
    sh(GATEWAY, 'tc', 'qdisc', 'add', 'dev', 'eth0', 'ingress')
    try:
        doctor(GATEWAY, 'eth0')
        says(doctor(GATEWAY, 'eth0', '--hook', 'clsact', status=1), 'ERROR', 'an ingress qdisc is in the place of clsact',
             'tc qdisc del dev eth0 ingress')
    finally:
        sh(GATEWAY, 'tc', 'qdisc', 'del', 'dev', 'eth0', 'ingress')


def test_member():
    """the member of a bridge works, with the advice to watch the bridge"""
    says(doctor(SWITCH, 'c1'), 'member of br0: watch br0')


def test_kinds():
    """each kind of link is checked without an error, or names the interface to watch instead"""
    with Devices() as devices:
        for iface in devices.there:
            status, text = ask(devices.name, '--doctor', iface, '-d', '0.3')
            expect(status == 0 and 'attached' in text or 'is not understood' in text, iface, text)


def test_no_interface():
    """a name that does not exist is an error that lists the interfaces"""
    status, text = ask(GATEWAY, '--doctor', 'eth7')
    expect(status == 1 and 'eth7: no such interface (there are: lo, eth0, eth1)' in text, status, text)


def test_unprivileged():
    """without root it names the missing rights and what root would add, and reports the rest"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        copy = shutil.copy(PROBE, folder)
        r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, 'setpriv', '--reuid=65534', '--regid=65534',
                            '--clear-groups', copy, '--doctor', 'eth0'], capture_output=True, text=True)
        text = ' '.join(r.stdout.split())
        expect(r.returncode == 1 and not r.stderr, r)
        says(text, 'CAP_BPF is missing', 'CAP_NET_ADMIN is missing', 'root also shows', 'LAN side', 'driver: veth',
             'no XDP program', 'not tried')
        r = subprocess.run(['nsenter', '--net=/run/netns/' + GATEWAY, 'setpriv', '--reuid=65534', '--regid=65534',
                            '--clear-groups', copy, '-D'], capture_output=True, text=True)
        expect(r.returncode == 0 and 'best choice: probe -i eth0' in r.stdout, r)


def test_interrupted():
    """Ctrl-C ends the trial, prints the rest, and leaves nothing behind"""
    before = hook_state(GATEWAY, 'eth0')
    p = subprocess.Popen(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '--doctor', 'eth0', '--hook', 'clsact', '-d', '60'],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: 'clsact' in hook_state(GATEWAY, 'eth0'), 'the filters')
    wait_for(lambda: netns.status_of(p.pid)['NoNewPrivs'] == '1', 'the start of the trial')
    p.send_signal(signal.SIGINT)
    text = p.communicate(timeout=60)[0]
    expect(p.returncode == 0 and 'Result' in text, p.returncode, text)
    expect(hook_state(GATEWAY, 'eth0') == before, hook_state(GATEWAY, 'eth0'))
