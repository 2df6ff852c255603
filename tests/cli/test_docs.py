"""Help, manual, completion, README and exit statuses agree with the program."""
import os
import re
import subprocess
import tempfile

import pytest

import captures
from probe import PROBE, ROOT, SECOND, expect

MANUAL = os.path.join(ROOT, 'user', 'man', 'probe.8')
JSON_MANUAL = os.path.join(ROOT, 'user', 'man', 'probe-json.5')
COMPLETION = os.path.join(ROOT, 'user', 'data', 'probe.bash')


def run(*arguments):
    return subprocess.run([PROBE] + list(arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True)


def helped():
    """Returns the options that --help lists: long name -> (letter, argument)."""
    found = {}
    for line in run('--help').stdout.splitlines():
        option = re.match(r'  (?:-(\w), |    )--([a-z-]+)(\[?=\S+)?', line)
        if option:
            found[option[2]] = (option[1], option[3] or '')
    return found


def complete(*words):
    """Returns the completions that bash offers for the last word of a command line."""
    script = '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _probe; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(['bash', '-uc', script, COMPLETION, 'probe'] + list(words), capture_output=True, text=True)
    expect(done.returncode == 0 and not done.stderr, words, done.stderr)
    return done.stdout.splitlines() if done.stdout != '\n' else []


def test_help():
    """--help begins with the purpose of the tool, and the parser accepts each option that it lists"""
    done = run('--help')
    expect(done.returncode == 0 and not done.stderr, done.returncode, done.stderr)
    text = ' '.join(done.stdout.split())
    first = text[text.index('] Reports') + 2:].split('. ')[0]
    for word in ('stalled', 'do not answer', 'waited for'):
        expect(word in first, word, first)
    expect('Examples:' in text and 'Exit status:' in text, text)
    expect(len(helped()) > 15, helped())
    expect(run('-h').stdout == done.stdout, '-h')
    for name, (letter, argument) in helped().items():
        complaints = run('--' + name + ('=' if argument.startswith('=') else ''), '--nonsense').stderr
        expect('unrecognized option \'--' + name not in complaints, name, complaints)
        if letter:
            expect('invalid option' not in run('-' + letter).stderr, letter)
    expect(all(len(line) <= 80 for line in done.stdout.splitlines()), 'fits 80 columns')


def test_failed_start():
    """a run that fails to start creates no empty file and leaves an existing file unchanged"""
    with tempfile.TemporaryDirectory() as folder:
        old, paths = os.path.join(folder, 'old'), [os.path.join(folder, name) for name in ('json', 'html', 'pcapng')]
        with open(old, 'w') as f:
            f.write('of yesterday')
        for more in (['--json=' + paths[0], '--html', paths[1], '--write', paths[2]], ['--json=' + old, '--force'],
                     ['--json=' + paths[0], '--write', '/nowhere/x'], ['--json=' + paths[0], '--write', old, '--force']):
            for source in (['--read', '/nowhere/at/all'], ['--iface', 'no-such-iface']):
                done = run(*source, *more)
                expect(done.returncode == 1 and done.stderr.count('\n') == 1, more, done.stderr)
                expect(os.listdir(folder) == ['old'], source, more, os.listdir(folder))
        with open(old) as f:
            expect(f.read() == 'of yesterday', 'the earlier content of the file is gone')


def test_version():
    """--version prints one line, which a user can paste into a bug report"""
    done = run('--version')
    expect(done.returncode == 0 and re.fullmatch(r'probe \S+\n', done.stdout), done.stdout)


def test_manual_options():
    """the manual describes each option with its letter and argument, and no other option"""
    found = {}
    with open(MANUAL) as f:
        for line in f:
            tag = re.match(r'\.It Fl (?:(\w) , )?-([a-z-]+)(?: Ar (\S+)|( Ns Oo = Ns Ar (\S+) Oc))?$', line)
            if tag:
                argument = '=' + tag[3] if tag[3] else '[=' + tag[5] + ']' if tag[5] else ''
                found[tag[2]] = (tag[1], argument)
            else:
                expect(not line.startswith('.It Fl'), 'not understood', line)
    expect(found == helped(), 'manual and --help differ', set(found.items()) ^ set(helped().items()))


def test_manual_is_well_formed():
    """mandoc reports nothing about the manual, and each line fits into 80 columns"""
    done = subprocess.run(['mandoc', '-Tlint', MANUAL], capture_output=True, text=True)
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if MANUAL in line
            and 'referenced manual not found' not in line]  # this project's own page, not installed here
    expect(not complaints, complaints)
    shown = subprocess.run(['mandoc', '-Tascii', '-Owidth=78', MANUAL], capture_output=True, text=True).stdout
    shown = re.sub('.\b', '', shown)
    expect('waited for' in shown and max(map(len, shown.splitlines())) <= 80, shown)


def test_manual_statuses():
    """the program returns the exit statuses that the manual and --help list"""
    with open(MANUAL) as f:
        section = f.read().split('.Sh EXIT STATUS')[1].split('.Sh')[0]
    expect(re.findall(r'^\.It (\d)$', section, re.MULTILINE) == ['0', '1', '2', '3'], section)
    with captures.Files() as files:
        wrong = files.add('wrong', captures.pcap(captures.story()))
        well = files.add('well', captures.pcap(list(captures.connection(captures.START, SECOND // 1000))))
        broken = files.add('broken', captures.pcap(captures.story())[:-3])
        for status, arguments in ((0, ('-r', wrong)), (3, ('-r', wrong, '--exit-code')),
                                  (0, ('-r', well, '--exit-code')), (1, ('-r', broken, '--exit-code')),
                                  (1, ('-r', '/nowhere', '--exit-code')), (2, ()), (2, ('--nonsense',)),
                                  (2, ('--duration', 'long', '-i', 'lo')), (2, ('--iface',)),
                                  (2, ('--json=', '-r', well)), (1, ('-i', 'no-such-iface'))):
            done = run(*arguments)
            expect(done.returncode == status, arguments, done.returncode, done.stdout, done.stderr)
            expect(status not in (1, 2) or done.stderr, arguments, 'fails without a message')
        text = run('-r', well).stdout
        expect(not re.search(r'^\d+  ', text.split('\n', 1)[1], re.MULTILINE), 'an unexpected finding', text)


def test_kinds():
    """the manual lists the kinds that --exit-code does not count by their names in the JSON lines"""
    with open(os.path.join(ROOT, 'user', 'diagnose', 'kinds.c')) as f:
        rows = re.findall(r'\[KIND_\w+\] = { "([a-z0-9-]+)", FAMILY_\w+, RANK_\w+, (true|false),\s+"[^"]+" }', f.read())
    with open(os.path.join(ROOT, 'user', 'diagnose', 'diagnose.h')) as f:
        kinds = re.findall(r'^\tKIND_\w+,', f.read(), re.MULTILINE)
    expect(len(rows) == len(kinds) > 20, 'rows of the table that do not have the usual form', rows, kinds)
    uncounted = {name for name, is_problem in rows if is_problem == 'false'}
    with open(MANUAL) as f:
        section = f.read().split('.Sh EXIT STATUS')[1].split('.Sh')[0]
    expect(set(re.findall(r'^\.Cm ([a-z-]+)', section, re.MULTILINE)) == uncounted, uncounted, section)


def test_completion_options():
    """Tab offers every option, and nothing that is not an option"""
    expect({word.rstrip('=') for word in complete('--')} == {'--' + name for name in helped()},
           set(complete('--')) ^ {'--' + name for name in helped()})
    expect(complete('--ha') == [] and complete('--ho') == ['--hook'], complete('--ho'))
    expect(complete('-i', 'lo', '--v') == ['--verbose', '--version'], complete('-i', 'lo', '--v'))


def test_completion_arguments():
    """Tab completes interfaces, hooks and files, and offers nothing after an option without an argument"""
    interfaces = os.listdir('/sys/class/net')
    for words in (('-i', ''), ('--iface', ''), ('--iface', '=')):
        expect(sorted(complete(*words)) == sorted(interfaces), words, complete(*words))
    expect(complete('--iface', '=', 'l') == [i for i in interfaces if i.startswith('l')], complete('--iface', '=', 'l'))
    expect(complete('--hook', '') == ['tcx', 'clsact'] and complete('-H', 't') == ['tcx'], complete('-H', 't'))
    for word in complete('--hook', ''):
        expect('--hook' not in run('--hook', word, '--iface', 'no-such-iface').stderr, word)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'monday.pcap')
        with open(path, 'w'):
            for option in ('-r', '--read', '-w', '--write'):
                expect(complete(option, folder + '/m') == [path], option, complete(option, folder + '/m'))
            expect(complete('--json', '=', folder + '/') == [path], 'the file of --json')
            expect(complete('--json', folder + '/') == [], '--json takes its file only after =')
        expect('host' in complete('--read', path, '') and complete('--read', path, '--sn') == ['--snap'], 'filters')
    expect('--duration' in complete('--follow', ''), complete('--follow', ''))
    for option, (letter, argument) in helped().items():
        if argument.startswith('=') and option not in ('client', 'server', 'read', 'write', 'netns'):
            words = complete('--' + option, '')
            expect(words and not any(word.startswith('-') for word in words), option, words)
    for option in ('duration', 'stall', 'port', 'dns-port', 'max-flows', 'ring-size'):
        for word in complete('--' + option, ''):
            expect(run('--' + option, word, '-i', 'no-such-iface').returncode == 1,
                       'completion offers a word that the program refuses', option, word)


def test_dns_ports():
    """--dns-port refuses what is no short list of ports: otherwise no question would be seen"""
    for wrong in ('0', '70000', 'dns', '', '53,', ',53', '53-54', '53 ', '-53', '1,2,3,4,5,6,7,8,9'):
        done = run('--dns-port=' + wrong, '-r', '/nowhere')
        expect(done.returncode == 2 and 'not a list' in done.stderr, wrong, done)
    expect(run('--dns-port', '1,2,3,4,5,6,7,65535,1', '-r', '/nowhere').returncode == 1, 'eight ports, one of them twice')


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root: it makes a network namespace')
def test_completion_is_harmless():
    """completion never runs the name of an interface as a command"""
    name, evil = 'probe-words-%d' % os.getpid(), '$(>&2)x'
    subprocess.run(['ip', 'netns', 'add', name], check=True)
    try:
        script = 'ip link add \'%s\' type dummy 2>/dev/null || ip link add \'%s\' type veth; ' \
                 'mount --make-private /sys && mount -t sysfs s /sys; ' \
                 '. "$0"; COMP_WORDS=(probe -i ""); COMP_CWORD=2; _probe; printf "%%s\\n" "${COMPREPLY[@]}"' % (evil, evil)
        done = subprocess.run(['unshare', '--mount', '--propagation', 'unchanged',  # in a chroot / is no mount
                               'nsenter', '--net=/run/netns/' + name, 'bash', '-c', script, COMPLETION],
                              capture_output=True, text=True)
        expect(done.returncode == 0 and '\\$\\(\\>\\&2\\)x' in done.stdout.splitlines(), done.stdout, done.stderr)
    finally:
        subprocess.run(['ip', 'netns', 'del', name], check=True)


def test_json_manual():
    """probe-json(5) lists every field of the schema, and no other field"""
    done = subprocess.run([os.path.join(ROOT, 'scripts', 'json-manual'), '--check'], capture_output=True, text=True)
    expect(done.returncode == 0, done.stderr)
    done = subprocess.run(['mandoc', '-Tlint', JSON_MANUAL], capture_output=True, text=True)
    complaints = [line for line in (done.stdout + done.stderr).splitlines()
            if JSON_MANUAL in line and 'referenced manual not found' not in line]
    expect(not complaints, complaints)


def test_readme_is_short():
    """the README fits on a few screens, and each option and file that it names exists"""
    with open(os.path.join(ROOT, 'README.md')) as f:
        lines = f.read().splitlines()
    expect(len(lines) <= 160, 'lines', len(lines))
    expect(not [line for line in lines if len(line) > 100], 'over 100 columns', [line for line in lines if len(line) > 100])
    text = '\n'.join(lines)
    named = set(re.findall(r'(?<![\w-])--([a-z][a-z-]+)', text)) - {'release', 'all', 'iface'}
    expect(named <= set(helped()), 'options that do not exist', named - set(helped()))
    for path in re.findall(r'\]\(([^)#:]+)\)|(?:src|srcset)="([^"]+)"', text):
        expect(os.path.exists(os.path.join(ROOT, ''.join(path))), 'no such file', path)


def test_kinds_documented():
    """README and manual name every kind of finding, and no other: whoever reads a report finds its kind there"""
    with open(os.path.join(ROOT, 'user', 'diagnose', 'kinds.c')) as f:
        kinds = re.findall(r'\[KIND_\w+\] = { "([a-z0-9-]+)"', f.read())
    with open(os.path.join(ROOT, 'README.md')) as f:
        table = f.read().split('\n| kind | meaning |\n')[1].split('\n\n')[0]
    named = {name for row in table.splitlines() for name in re.findall(r'`([a-z0-9-]+)`', row.split('|')[1])}
    expect(named == set(kinds), named ^ set(kinds))
    with open(MANUAL) as f:
        section = f.read().split('BEGIN KINDS')[1].split('END KINDS')[0]
    expect(re.findall(r'^\.It Cm ([a-z0-9-]+)$', section, re.MULTILINE) == kinds, section)


def test_names_options():
    """-n means numbers as in tcpdump, --netns has moved to -N, and a wrong mode of --names lists the right ones"""
    expect(helped()['netns'][0] == 'N' and helped()['numeric'] == ('n', ''), helped())
    done = run('--names', 'foo', '-r', '/nowhere')
    expect(done.returncode == 2 and '--names foo: there are none, evidence and all' in done.stderr, done.stderr)
    for words in (('-n',), ('-nn',), ('--names', 'none'), ('--names=evidence',), ('--names', 'all', '-n')):
        done = run(*words, '-r', '/nowhere')
        expect(done.returncode == 1 and done.stderr.startswith('probe: cannot read /nowhere'), words, done.stderr)
    expect(complete('--names', '') == ['none', 'evidence', 'all'], complete('--names', ''))
    expect('probe: web: unexpected argument' in run('-n', 'web', '-i', 'lo').stderr, 'the old meaning of -n')
