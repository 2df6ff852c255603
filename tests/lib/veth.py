"""The probe on a veth pair, for frames that no TCP stack would send, and a conversation of such frames."""
import os
import socket
import subprocess

import netns
from captures import frame
from netns import Probe


class VethPair:
    """A veth pair in its own namespace: the probe watches near; both ends can send frames."""

    def __init__(self, *arguments):
        self.name = os.environ['LAB_ID'] + '-veth'  # scripts/lab removes it in any case
        self.arguments = arguments

    def __enter__(self):
        subprocess.run(['ip', 'netns', 'add', self.name], check=True)
        try:
            for command in ('ip link add near type veth peer name far', 'ip link set near mtu 65535 up',
                            'ip link set far mtu 65535 up'):
                netns.sh(self.name, *command.split())
            self.probe = Probe(*self.arguments, namespace=self.name, iface='near').__enter__()
        except BaseException:
            subprocess.run(['ip', 'netns', 'del', self.name], check=True)
            raise
        return self

    def send(self, *frames):
        """Sends each (end, bytes): a frame from far arrives as ingress of near, a frame from near is its egress."""
        def go():
            ends = {}
            for end in {end for end, _ in frames}:
                ends[end] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
                ends[end].bind((end, 0))
            for end, data in frames:
                ends[end].send(data)
        netns.run(self.name, go)

    def __exit__(self, *exception):
        self.probe.__exit__(*exception)
        subprocess.run(['ip', 'netns', 'del', self.name], check=True)


C, S = ('10.1.4.23', 51544), ('174.143.213.184', 80)
SYN, ACK, SYNACK = 2, 16, 18


def conversation(request=b'GET', vlans=()):
    f = lambda *a, **k: frame(*a, vlans=vlans, **k)
    return [('far', f(C, S, SYN, 100, 0)), ('near', f(S, C, SYNACK, 900, 101)), ('far', f(C, S, ACK, 101, 901)),
            ('far', f(C, S, ACK, 101, 901, request)), ('near', f(S, C, ACK, 901, 101 + len(request), b'answer'))]
