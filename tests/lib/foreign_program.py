"""Another program's filter on a hook of an interface: build/foreign, see netns/foreign.c."""
import os
import subprocess

from probe import ROOT, expect

FOREIGN = os.path.join(ROOT, 'build', 'foreign')


class Foreign:
    """A foreign program on a hook of an interface, which counts packets."""

    def __init__(self, namespace, iface, direction, place, verdict='next'):
        self.command = ['nsenter', '--net=/run/netns/' + namespace, FOREIGN, iface, direction, str(place), verdict]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline() == 'ready\n', 'not attached:', self.command)
        return self

    def count(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
