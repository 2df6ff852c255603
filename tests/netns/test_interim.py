"""Interim reports: an engineer who wants to know how it looks so far must not have to end the run."""
import signal
import subprocess
import threading
import time

import netns
import schema
from captures import office, pcap
from netns import CLIENTS, GATEWAY, SERVER4, WAN, WEB, Probe, Serve, require_lab
from probe import PROBE, expect, wait_for

require_lab(clients=4)

A, B = CLIENTS[0], CLIENTS[1]
SILENT = '10.200.7.9'


def text_so_far(p, count):
    """Waits for an interim report, the given one, and returns its text."""
    expect(p.printed('INTERIM REPORT'), p.lines, p.errors)
    wait_for(lambda: sum('NOT MEASURED' in line for line in p.lines) >= count, 'the end of an interim report')
    time.sleep(0.5)  # the sentences below it
    text = ''.join(p.lines)
    del p.lines[:]
    return text


def test_while_it_runs():
    """SIGUSR1 prints a report of what was seen so far, and the run and its files go on as if nothing had happened"""
    with Serve(WAN, WEB), Probe() as p:
        for _ in range(20):
            netns.run(A, netns.browse, SERVER4, 80)
        waiting = threading.Thread(target=netns.run, args=(B, netns.try_connect, SILENT, 5274, 6))
        waiting.start()
        expect(p.printed('no answer'), p.lines)
        p.process.send_signal(signal.SIGUSR1)
        text = text_so_far(p, 1)
        expect('21 connects' in text and '1 failed' in text and SILENT + ':5274 does not answer' in text, text)
        for _ in range(20):
            netns.run(A, netns.browse, SERVER4, 80)
        for _ in range(3):  # signals during a report are answered by one more
            p.process.send_signal(signal.SIGUSR1)
        text = text_so_far(p, 1)
        expect('41 connects' in text, text)
        waiting.join()
        time.sleep(1)
        del p.lines[:]
        p.stop()
        expect(p.status == 0 and len(p.connections()) == 41 and len(p.of('summary')) == 1, p.json, p.text)
        expect('INTERIM' not in p.text and '41 connects' in p.text, p.text)
    left = netns.sh(GATEWAY, 'tc', 'filter', 'show', 'dev', 'eth0', 'ingress', check=False)
    expect('probe' not in left, left)


def test_first_signal():
    """a signal before the first packet, and one at the end of the run, harm nothing"""
    with Probe() as p:
        p.process.send_signal(signal.SIGUSR1)
        text = text_so_far(p, 1)
        expect('0 connects' in text, text)
        p.process.send_signal(signal.SIGUSR1)
        p.stop(signal.SIGINT)
        expect(p.status == 0 and len(p.of('summary')) == 1, p.json)


def test_json_on_screen():
    """with JSON lines on standard output the interim report goes to standard error"""
    with subprocess.Popen(['nsenter', '--net=/run/netns/' + GATEWAY, PROBE, '-i', 'eth0', '--json'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        expect('watching' in p.stderr.readline())
        p.send_signal(signal.SIGUSR1)
        while True:
            line = p.stderr.readline()
            expect(line, 'no interim report')
            if 'INTERIM REPORT' in line:
                break
        p.send_signal(signal.SIGINT)
        lines = schema.load(p.stdout.read())
        expect(len(lines) == 2 and p.wait() == 0, lines)


def test_capture():
    """a capture that comes through a pipe has interim reports as well"""
    with open('/dev/null') as null, subprocess.Popen([PROBE, '-r', '-'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                    stderr=null) as p:
        capture = pcap(office())
        half = len(capture) // 2
        p.stdin.write(capture[:half])
        p.stdin.flush()
        time.sleep(0.5)
        p.send_signal(signal.SIGUSR1)
        p.stdin.write(capture[half:])
        p.stdin.close()
        text = p.stdout.read().decode()
        interim, final = text.split('NOT MEASURED')[:2]
        expect(text.count('INTERIM REPORT') == 1 and 'INTERIM REPORT' in interim and p.wait() == 0, text)
        expect('10.200.7.9:5274 does not answer, and 4 of 8 hosts wait for it' in final, text)

