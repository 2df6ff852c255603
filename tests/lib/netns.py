"""Helpers for tests in network namespaces: run functions inside them, serve, browse, watch a probe.

Works under `scripts/lab`, which passes the names of its namespaces in the environment and removes them on any exit.
"""
import contextlib
import ctypes
import os
import pickle
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import report_check
import schema
from captures import checksum
from probe import PROBE, ROOT, SECOND, expect, wait_for, wait_until_watching  # other programs import these from here

GATEWAY = os.environ.get('LAB_GW')
WAN = os.environ.get('LAB_WAN')
CLIENTS = os.environ.get('LAB_CLIENTS', '').split()
LAN_IFACE = os.environ.get('LAB_LAN_IFACE', 'eth0')
WAN_IFACE = os.environ.get('LAB_WAN_IFACE', 'eth1')

SERVER4, SERVER6 = '203.0.113.10', '2001:db8:80::10'
DEAD4, DEAD6 = '10.200.7.9', '2001:db8:dead::9'
CLIENT4 = '10.1.4.%d'
CLIENT6 = 'fd00:1:4::%d'

libc = ctypes.CDLL(None, use_errno=True)

# A shell that starts the tests in the background makes them and their children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


def enter(namespace):
    with open('/run/netns/' + namespace) as f:
        if libc.setns(f.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), 'setns ' + namespace)


def sh(namespace, *command, check=True, text=None):
    return subprocess.run(['nsenter', '--net=/run/netns/' + namespace] + list(command), check=check,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, input=text).stdout


def fork(namespace, function, *arguments):
    """Starts function in a process of that namespace. Returns a function that waits for its result."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            enter(namespace)
            answer = pickle.dumps(function(*arguments))
            with os.fdopen(writer, 'wb') as out:
                out.write(answer)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)

    def wait():
        with os.fdopen(reader, 'rb') as f:
            answer = f.read()
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError('%s in %s failed' % (function.__name__, namespace))
        return pickle.loads(answer)
    wait.pid = pid
    return wait


def run(namespace, function, *arguments):
    return fork(namespace, function, *arguments)()


class Service:
    """A process in a namespace, until the end of the with block, which begins when start() has returned there."""

    def __enter__(self):
        ready, started = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                enter(self.namespace)
                self.start()
                os.write(started, b'x')
                self.serve()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(started)
        if os.read(ready, 1) != b'x':
            raise RuntimeError('the server did not start')
        os.close(ready)
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Serve(Service):
    """A server process with a behaviour for each (address, port), until the end of the with block.

    It accepts at once, or one connection every accept_every seconds; options apply to its listening sockets.
    """

    def __init__(self, namespace, behaviours, backlog=4096, accept_every=0, options=()):
        self.namespace, self.behaviours = namespace, behaviours
        self.backlog, self.accept_every, self.options = backlog, accept_every, options

    def start(self):
        for (address, port), behaviour in self.behaviours.items():
            s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for option in self.options:
                s.setsockopt(*option)
            s.bind((address, port))
            s.listen(self.backlog)
            threading.Thread(target=self.accept, args=(s, behaviour), daemon=True).start()

    @staticmethod
    def serve():
        signal.pause()

    def accept(self, listener, behaviour):
        while True:
            time.sleep(self.accept_every)
            s, _ = listener.accept()
            threading.Thread(target=Serve.guarded, args=(behaviour, s), daemon=True).start()

    @staticmethod
    def guarded(behaviour, s):
        try:
            with s:
                behaviour(s)
        except OSError:
            pass


class Background:
    """Runs a function in a process of that namespace, for the time of a with block."""

    def __init__(self, namespace, function, *arguments):
        self.what = namespace, function, arguments

    def __enter__(self):
        namespace, function, arguments = self.what
        self.pid = fork(namespace, self.lead, function, *arguments).pid
        with contextlib.suppress(PermissionError):  # the child may have called setpgid() and exec() already
            os.setpgid(self.pid, self.pid)
        return self

    @staticmethod
    def lead(function, *arguments):
        os.setpgid(0, 0)  # includes its children
        return function(*arguments)

    def __exit__(self, *_):
        os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Rules:
    """An nftables table for the time of a with block."""

    def __init__(self, namespace, rules, family='inet'):
        self.namespace, self.rules, self.family = namespace, rules, family

    def __enter__(self):
        rules = re.sub(r'}$', '\n}', self.rules, flags=re.MULTILINE)  # nft requires the brace on a line of its own
        text = 'table %s test {\n%s\n}' % (self.family, rules)
        sh(self.namespace, 'nft', '-f', '-', text=text)

    def __exit__(self, *_):
        sh(self.namespace, 'nft', 'delete', 'table', self.family, 'test')


def answers(s):
    """Reads a request, answers, and waits for the client to close."""
    if s.recv(65536):
        s.sendall(b'answer')
        while s.recv(65536):
            pass


WEB = {(SERVER4, 80): answers, (SERVER6, 80): answers}


def greets(delay):
    def behaviour(s):
        time.sleep(delay)
        s.sendall(b'220 ready\r\n')
        while s.recv(65536):
            pass
    return behaviour


def browse(address, port, think=0.0, request=b'GET / HTTP/1.0\r\n\r\n', port_from=0):
    """Makes one connection: handshake, think time, request, answer, close. Returns the client's port."""
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    with s:
        s.settimeout(120)  # an emulated machine may stop for long while others run
        if port_from:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('', port_from))
        s.connect((address, port))
        local = s.getsockname()[1]
        if think:
            time.sleep(think)
        s.sendall(request)
        s.recv(65536)
    return local


def try_connect(address, port, timeout):
    """Returns 'ok', or the name of the error's class."""
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    with s:
        s.settimeout(timeout)
        try:
            s.connect((address, port))
            return 'ok'
        except OSError as e:
            return type(e).__name__


class Probe:
    """The real probe on an interface of a namespace, for the time of a with block."""

    def __init__(self, *arguments, namespace=None, iface=None):
        self.namespace = namespace or GATEWAY
        self.command = [PROBE, '--iface', iface or LAN_IFACE] + list(arguments)

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        os.chmod(self.folder.name, 0o777)  # for a probe without root
        self.json_file = os.path.join(self.folder.name, 'out.json')
        self.command.append('--json=' + self.json_file)
        self.process = subprocess.Popen(['nsenter', '--net=/run/netns/' + self.namespace] + self.command,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=dict(os.environ, LC_ALL='C.UTF-8'))
        self.errors = ''
        if '--quiet' in self.command:
            wait_until_watching(self.process.pid)
        else:
            self.errors = self.process.stderr.readline()
            if not self.errors.startswith('probe: watching'):
                raise RuntimeError(self.errors + self.process.stderr.read())
        self.lines = []
        self.readers = [threading.Thread(target=read, daemon=True) for read in (self.read, self.read_errors)]
        for reader in self.readers:
            reader.start()
        return self

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def read_errors(self):
        for line in self.process.stderr:
            self.errors += line

    def printed(self, text, timeout=20):
        """Waits until a live line contains text. Reports whether one did."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if any(text in line for line in self.lines):
                return True
            time.sleep(0.05)
        return False

    def settle(self):
        time.sleep(0.2)  # records are drained every 50 ms

    def stop(self, how=signal.SIGINT):
        if self.process.poll() is None:
            self.settle()
            self.process.send_signal(how)
        self.status = self.process.wait(30)
        for reader in self.readers:
            reader.join()
        self.text = ''.join(self.lines)
        with open(self.json_file) as f:
            self.json = schema.load(f)
        report_check.expect_sound(self.json, self.text, self.status, self.command)

    def __exit__(self, kind, *_):
        if not hasattr(self, 'status'):
            self.stop()
        self.folder.cleanup()
        self.process.stdout.close()
        self.process.stderr.close()
        if kind:
            sys.stderr.write(self.errors)

    def of(self, kind, **wanted):
        return [o for o in self.json if o['type'] == kind and all(o.get(k) == v for k, v in wanted.items())]

    def connections(self, **wanted):
        return self.of('connection', **wanted)

    @property
    def summary(self):
        return self.json[-1]


def one(records, what):
    expect(len(records) == 1, what, 'gave', len(records), 'records:', records)
    return records[0]


def status_of(pid):
    """Returns the kernel's status of a process: its capabilities, its memory."""
    with open('/proc/%d/status' % pid) as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def confined(pid):
    """Returns the kernel's status of a probe that has dropped its capabilities."""
    filtered = 'UNFILTERED' not in os.environ  # see tests/long/memory

    def is_confined():
        status = status_of(pid)
        return status['NoNewPrivs'] == '1' and (status['Seccomp'] == '2' or not filtered)

    wait_for(is_confined, 'dropped capabilities: no_new_privs, a filter of system calls')
    return status_of(pid)


STORM_SOURCES = '10.96.0.0/12'


def storm(syns, target, pause=0.0):
    """Sends this many SYNs from random sources in the current namespace. target() returns an address as a number, and a
    port.
    """
    dice = random.Random(os.urandom(8))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind(('eth0', 0))
        ethernet = bytes.fromhex('02000a010401') + s.getsockname()[4] + b'\x08\0'
        for n in range(syns):
            address, port = target()
            ip = struct.pack('>BBHHHBBHII', 0x45, 0, 40, 1, 0x4000, 64, 6, 0, 0x0a600000 + dice.getrandbits(20), address)
            ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
            s.send(ethernet + ip + struct.pack('>HHIIBBHHH', dice.randint(1024, 65535), port, dice.getrandbits(32), 0,
                                               0x50, 2, 65535, 0, 0))
            if pause and n % 100 == 99:
                time.sleep(pause)


def require_lab(clients):
    """For the top of a test file: without the required namespaces, fails with the command to run the file."""
    if len(CLIENTS) < clients:
        import pytest  # only pytest runs need it, not the other programs that use this module
        path = os.path.relpath(sys._getframe(1).f_code.co_filename, ROOT)
        raise pytest.Collector.CollectError(
            'This file needs network namespaces with %d clients. As root:\n'
            '    scripts/lab --clients %d python3 -m pytest %s' % (clients, clients, path))


def require_own_network():
    """For the top of a test file that makes interfaces: keeps them out of the host's namespace, which has routes."""
    with open('/proc/self/net/route') as f:
        routes = f.read().splitlines()[1:]
    if routes or os.geteuid():
        import pytest
        path = os.path.relpath(sys._getframe(1).f_code.co_filename, ROOT)
        raise pytest.Collector.CollectError('This file makes interfaces. As root, in a network namespace of its own:\n'
                                            '    unshare --net python3 -m pytest %s' % path)


def not_here(what):
    """Skips a test because this kernel lacks a feature; where LAB_MUST_HAVE is set, fails instead."""
    import pytest
    reason = 'this kernel has no ' + what
    if 'LAB_MUST_HAVE' in os.environ:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
