"""The resolvers of the field, in namespaces: dnsmasq, unbound and systemd-resolved.

The packages of unbound and systemd-resolved would start a service or take over /etc/resolv.conf. So
scripts/install-deps test-all only unpacks them.
"""
import os
import socket

import netns
from dns_clients import mount, own_mounts, replace
from netns import Background
from probe import ROOT, expect, wait_for

UNPACKED = os.path.join(ROOT, 'build', 'unpacked')
STUB = '127.0.0.53'


class Resolver(Background):
    """A resolver in a namespace. The with block begins when it accepts questions at this address."""

    def __init__(self, namespace, address, program, *arguments):
        super().__init__(namespace, program, *arguments)
        self.namespace, self.address = namespace, address

    def __enter__(self):
        super().__enter__()
        netns.run(self.namespace, wait_for, self.listens, 'the resolver at ' + self.address)
        return self

    def listens(self):
        with socket.socket() as s:
            return not s.connect_ex((self.address, 53))


def become(path, *arguments, **environment):
    null = os.open('/dev/null', os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.execve(path, (path,) + arguments, dict(os.environ, **environment))


def become_unpacked(program, *arguments):
    path = os.path.join(UNPACKED, program)
    expect(os.path.exists(path), program, 'is missing: sudo scripts/install-deps test-all')
    libraries = os.path.join(UNPACKED, 'usr', 'lib', os.uname().machine + '-linux-gnu')
    become(path, *arguments, LD_LIBRARY_PATH='%s:%s/systemd' % (libraries, libraries))


def in_own_run(path, text):
    """Gives this process an empty /run, with one file."""
    own_mounts()
    mount('run', '/run', 'tmpfs')
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)


def dnsmasq(namespace, address, *options):
    return Resolver(namespace, address, become, '/usr/sbin/dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null',
                    '--no-resolv', '--no-hosts', '--user=root', '--pid-file=', '--bind-interfaces',
                    '--listen-address=' + address, *options)


def unbound(namespace, address, upstreams):
    return Resolver(namespace, address, run_unbound, address, upstreams)


def run_unbound(address, upstreams):
    in_own_run('/run/unbound.conf', '''server:
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "/run"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  interface: %s
  access-control: 0.0.0.0/0 allow
remote-control:
  control-enable: no
forward-zone:
  name: "."
%s''' % (address, ''.join('  forward-addr: %s\n' % u for u in upstreams)))
    become_unpacked('usr/sbin/unbound', '-d', '-c', '/run/unbound.conf')


def systemd_resolved(namespace, upstreams, *settings):
    """Listens at STUB."""
    return Resolver(namespace, STUB, run_resolved, upstreams, settings)


def run_resolved(upstreams, settings):
    lines = ['[Resolve]', 'DNS=' + ' '.join(upstreams), 'FallbackDNS=', 'Domains=~.', 'DNSSEC=no', 'LLMNR=no',
             'MulticastDNS=no'] + list(settings)
    in_own_run('/run/systemd/resolved.conf.d/test.conf', '\n'.join(lines) + '\n')
    for path, line in (('/etc/passwd', 'systemd-resolve:x:64999:64999::/:/bin/false\n'),
                       ('/etc/group', 'systemd-resolve:x:64999:\n')):
        with open(path) as f:
            replace(path, f.read() + line)
    become_unpacked('lib/systemd/systemd-resolved')
