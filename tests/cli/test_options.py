"""Habits from tcpdump, repeated options and options without effect: each works, or its error says what to do."""
import os
import subprocess

import pytest

from captures import Files, START, SECOND, connection, of, pcap, read
from probe import PROBE, expect


def run(*arguments, **more):
    return subprocess.run([PROBE] + list(arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def refused(words, *arguments):
    """The arguments are wrong usage, and the message has these words."""
    done = run(*arguments)
    expect(done.returncode == 2 and words in ' '.join(done.stderr.split()) and not done.stdout, arguments, words, done)


def accepted(*arguments):
    """The arguments pass the checks: the run fails only at its missing file."""
    done = run(*arguments, '-r', '/nowhere')
    expect(done.returncode == 1 and done.stderr.startswith('probe: cannot read /nowhere'), arguments, done.stderr)


def watches(name, *arguments):
    """The arguments pass the checks: the run fails only at the missing interface."""
    done = run(*arguments)
    expect(done.returncode == 1 and name + ': no such interface (there are: ' in done.stderr, arguments, done.stderr)


def test_words():
    """a first word names an interface, and a filter or a file in its place is explained"""
    watches('eth77', 'eth77')
    watches('eth77', 'eth77', 'eth78')
    watches('eth77', '--interface', 'eth77', '-nn', '-l', '-vv')
    refused('port 80: unexpected argument. A filter applies to --read', 'port', '80')
    refused('port 80: unexpected argument. A filter applies to --read', 'eth77', 'port', '80')
    refused('host 10.1.4.21: unexpected argument', '-i', 'eth77', 'host', '10.1.4.21')
    refused('to watch it as well: --iface lo', '-i', 'eth77', 'lo')
    refused('probe --read ' + __file__, __file__)
    refused('Choose the one on the clients\' side', '-i', 'any')
    done = run('any')
    expect(done.returncode == 2 and not done.stdout, done)
    for name in os.listdir('/sys/class/net'):
        expect(name in done.stderr, name, done.stderr)


def test_count():
    """-c is a number of connects, and an old script that means --client fails clearly"""
    refused('use --client 10.1.4.0/24', '-c', '10.1.4.0/24', '-i', 'lo')
    refused('use --client fd00::/8', '-c', 'fd00::/8', '-i', 'lo')
    refused('not a number of connects', '-c', '0', '-i', 'lo')
    refused('not a number of connects', '-c', 'ten', '-i', 'lo')
    accepted('-c', '10')


def test_durations():
    """durations have units, and tcpdump's -s is not taken for a threshold"""
    for text in ('10', '0.5', '200ms', '10m', '8h', '1d', '90s'):
        watches('eth77', '-i', 'eth77', '-d', text)
    for text in ('x', '10x', '1h30m', '', '-1', '0', '5ms', 'inf', '1e9'):
        refused('not a number of seconds', '-d', text, '-i', 'lo')
    for text in ('96', '65535', '61'):
        refused('--snap %s for the snap length' % text, '-s', text, '-i', 'lo')
    refused('not the snap length', '-s0', '-i', 'lo')
    for text in ('60', '96s', '200ms', '5m'):
        accepted('-s', text)


def test_repeated():
    """lists add up, flags may be repeated, and a second value of another option is an error"""
    for option, first, second in (('--duration', '1', '2'), ('--stall', '1', '2'), ('--snap', '96', '96'), ('--count', '1', '2'),
                                  ('--max-flows', '2048', '4096'), ('--ring-size', '8', '16'), ('--hook', 'tcx', 'clsact'),
                                  ('--names', 'all', 'none'), ('--netns', 'a', 'b'), ('--html', 'a', 'b'), ('--write', 'a', 'b'),
                                  ('--doctor', 'lo', 'lo')):
        refused(option + ' may be given once', option, first, option, second)
    refused('--json may be given once', '--json', '--json=x', '-i', 'lo')
    accepted('-q', '-q', '-v', '-v', '--exit-code', '--exit-code')
    accepted('--client', '10.0.0.0/8', '--client', '!10.1.0.0/16', '--server', '::/0', '--server', '1.2.3.4', '-p', '80', '-p', '443',
             '--dns-port', '53', '--dns-port', '5353')
    refused('not a list of at most 8 ports', '--dns-port', '1,2,3,4', '--dns-port', '5,6,7,8,9', '-r', '/nowhere')


def test_no_effect():
    """an option that has no effect in the mode is an error that names both"""
    for option in (('--ring-size', '8'), ('--max-flows', '2048'), ('--hook', 'tcx'), ('--netns', 'x'), ('--follow',),
                   ('--follow-peers',), ('--duration', '1')):
        refused('%s has no effect with --read FILE: it is about an interface' % option[0], *option, '-r', 'x')
    for mode in (('--cleanup',), ('--list-interfaces',), ('--doctor', 'lo')):
        for option in (('--exit-code',), ('--html', 'x'), ('--count', '1'), ('--json',), ('--client', '10.1.4.1'), ('--quiet',)):
            refused('%s has no effect with %s' % (option[0], mode[0]), *option, *mode)
    refused('--iface has no effect with --list-interfaces', '-D', 'lo')
    refused('one at a time', '-D', '--cleanup')
    refused('--snap is for --write', '--snap', '96', '-i', 'lo')
    refused('--force is for', '--force', '-i', 'lo')


def test_files():
    """the file of --json follows =, and a capture does not go to standard output"""
    refused('as in --json=out.json', '-i', 'lo', '--json', 'out.json')
    refused('as in --json=out', '-i', 'lo', '--json', 'out')
    refused('as in --json=out.json', '--json', 'out.json', '-i', 'lo')
    refused('as in --json=/tmp/out', '-r', 'x', '-j', '/tmp/out')
    refused('standard output has the report', '-w', '-', '-i', 'lo')
    watches('eth77', 'eth77', '--json')


def test_tcpdump():
    """each letter of tcpdump that is no option here says what to do instead"""
    for letter in 'AbBCeEFGIJKLMOQRtTuUWxXyzZ':
        refused('-%s is tcpdump\'s: ' % letter, '-' + letter, '-i', 'lo')
    refused('--ring-size', '-B', '4096', '-i', 'lo')
    refused('--write FILE --snap', '-X', '-i', 'lo')
    refused('-t is tcpdump\'s', '-tttt', '-i', 'lo')
    refused('probe never sets promiscuous mode', '-p', '-i', 'lo')
    expect('invalid option' in run('-k').stderr, 'a letter that nobody knows')


def test_selections_refused():
    """a wrong item of a list is named, and a selection of nothing is refused"""
    for option, items, words in (('--client', '10.1.4.0/24,10.1.4.0/33', '10.1.4.0/33: not an address or network'),
                                 ('--client', '10.1.4.0/24,', 'an item is empty: not an address or network'),
                                 ('--server', 'example.net', 'example.net: not an address or network'),
                                 ('--port', '80,8100-8000', '8100-8000: not a list of ports'),
                                 ('--port', 'no-such-service', 'no-such-service: not a list of ports'),
                                 ('--port', 'https,!443', '--port leaves nothing to watch'),
                                 ('--client', '10.1.4.0/24,!10.0.0.0/8', '--client leaves nothing to watch'),
                                 ('--server', ','.join('10.0.0.%d' % i for i in range(17)), '10.0.0.16: no more than')):
        refused(words, option, items, '-r', '/nowhere')


CLIENTS = '10.1.4.21', '10.1.4.22', '10.1.5.23'
PORTS = 80, 443, 8050


@pytest.mark.parametrize('arguments, wanted', [
    ((), [(c, p) for c in CLIENTS for p in PORTS]),
    (('--client', '10.1.4.0/24,!10.1.4.22'), [('10.1.4.21', p) for p in PORTS]),
    (('--client', '!10.1.4.0/24'), [('10.1.5.23', p) for p in PORTS]),
    (('--client', '10.1.4.21', '--client', '10.1.5.0/24', '--port', 'https,8000-8100'),
     [(c, p) for c in ('10.1.4.21', '10.1.5.23') for p in (443, 8050)]),
    (('--port', '!https'), [(c, p) for c in CLIENTS for p in (80, 8050)]),
    (('--server', '!203.0.113.0/24'), []),
    (('--client', '::/0'), []),
])
def test_selection(arguments, wanted):
    """lists and exclusions select exactly the named connections, and the first JSON line has them"""
    packets = []
    for i, client in enumerate(CLIENTS):
        for j, port in enumerate(PORTS):
            packets += list(connection(START + (3 * i + j) * SECOND, SECOND // 1000, client=(client, 40000 + j),
                                       server=('203.0.113.10', port)))
    with Files() as files:
        got = read('--read', files.add('pcap', pcap(packets)), *arguments)
    expect(sorted((c['client'], c['server_port']) for c in of(got, 'connection')) == sorted(wanted), arguments, got)
    lists = {option: ','.join(arguments[i + 1] for i in range(0, len(arguments), 2) if arguments[i] == '--' + option) or None
             for option in ('client', 'server', 'port')}
    expect(all(got[0][name + '_list'] == lists[name] for name in lists) and got[0]['filter'] is None, got[0], lists)
