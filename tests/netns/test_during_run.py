"""What happens to the interface and to the reader during a run: the report must not hide it, and no file may suffer."""
import os
import subprocess
import tempfile
import threading
import time

import netns
import schema
from netns import CLIENTS, GATEWAY, SERVER4, WAN, WEB, Probe, Serve, require_lab
from probe import PROBE, SECOND, expect, wait_until_watching

require_lab(clients=4)

A = CLIENTS[0]
INSIDE = ['nsenter', '--net=/run/netns/' + GATEWAY]


def link(*arguments):
    netns.sh(GATEWAY, 'ip', 'link', 'set', 'eth0', *arguments)


def test_link():
    """a report that says "all served" also says that the interface was down for a part of the run, and what changed"""
    with Serve(WAN, WEB), Probe() as p:
        netns.run(A, netns.browse, SERVER4, 80)
        link('mtu', '1400')
        link('mtu', '1500')
        link('down')
        time.sleep(2)
        link('up')
        time.sleep(0.5)
        netns.run(A, netns.browse, SERVER4, 80)
        p.stop()
        what = p.text.split('DURING THE RUN')[1].split('\n\n')[0]
        for words in ('the MTU of eth0 changed from 1500 to 1400', 'eth0 is down', 'eth0 is up again'):
            expect(words in what, words, p.text)
        down = p.summary['interfaces'][0]['down']
        expect(2 * SECOND <= down < p.summary['duration'], p.summary)
        expect(p.summary['state'] == 'unknown' and 'an interface was down for 2' in p.text, p.summary, p.text)


def test_count():
    """--count ends the run after so many connects, and the report says why it ended"""
    with Serve(WAN, WEB), Probe('--count', '5') as p:
        for _ in range(20):
            if p.process.poll() is None:
                netns.run(A, netns.browse, SERVER4, 80)
        expect(p.process.wait(10) == 0, p.errors)
        p.stop()
        expect('the run ended after' in p.text and '(--count)' in p.text and p.summary['connections'] >= 5, p.text)


def test_quiet():
    """--quiet prints the report and nothing else, even when the interface changes"""
    with Serve(WAN, WEB), tempfile.TemporaryDirectory() as folder:
        evidence = os.path.join(folder, 'evidence')
        with subprocess.Popen(INSIDE + [PROBE, '-i', 'eth0', '-q', '-w', evidence], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as p:
            wait_until_watching(p.pid)
            netns.run(A, netns.browse, SERVER4, 80)
            netns.run(A, netns.try_connect, '10.200.7.9', 5274, 4)
            link('mtu', '1400')
            link('mtu', '1500')
            time.sleep(0.5)
            p.terminate()
            out, errors = p.communicate()
            expect(not errors and p.returncode == 0, errors)
            expect(out.split('\n')[0].endswith('lost') and 'MTU of eth0' in out, out)


def test_reader_leaves():
    """after `| head -1` the files are complete, nobody complains, and without a file the run ends"""
    with Serve(WAN, WEB), tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'out.json')
        for files, ends in ([], True), (['--json=' + path], False):
            with subprocess.Popen(INSIDE + [PROBE, '-i', 'eth0'] + files, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as p:
                expect('watching' in p.stderr.readline())
                p.stdout.close()
                for _ in range(5):
                    netns.run(A, netns.browse, SERVER4, 80)
                silent = threading.Thread(target=netns.run, args=(A, netns.try_connect, '10.200.7.9', 5274, 4))
                silent.start()
                silent.join()
                time.sleep(0.5)
                expect((p.poll() is not None) == ends, files, p.returncode)
                if not ends:
                    p.terminate()
                errors = p.stderr.read()
                expect(p.wait(10) == 0 and not errors, p.returncode, errors)
        with open(path) as f:
            lines = schema.load(f)
        expect(lines[-1]['type'] == 'summary' and lines[-1]['connections'] == 6, lines[-1])
