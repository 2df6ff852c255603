"""report.schema.json refuses wrong lines, and the jq recipes of probe-json(5) work.

Wherever a test reads a JSON line, lib/schema.py validates it. Without the tests of this file, a schema that permits
everything would pass there.
"""
import copy
import os
import re
import subprocess
import tempfile

import schema
from captures import Files, connection, lookup, office, pcap, read, START
from probe import PROBE, ROOT, expect


def lines():
    """Returns at least one line of each type, including those that only a live run writes."""
    with Files() as files:
        got = read('--read', files.add('office', pcap(office())))
        packets = [*lookup(START, '10.1.4.1', b'www.example', '198.51.100.7'),
                   *connection(START + 2 * 10**6, 1000, ('10.1.4.1', 50001))]
        got += read('--read', files.add('names', pcap(packets)), '--names', 'all')
    live = dict(got[0], iface='eth0', file=None, hook='tcx', kernel='6.12.1', link='ethernet')
    icmp = dict(next(o for o in got if o['type'] == 'connection'), outcome='unreachable',
                icmp={'time': 5, 'type': 3, 'code': 1, 'from': '10.1.4.1'})
    cut = dict(got[-1], cut='eth0 went away', not_understood=dict(got[-1]['not_understood'], ethertypes={'0x88cc': 3}))
    more = [live, icmp, cut, {'type': 'notice', 'time': 7, 'text': 'eth0 is down'}]
    for line in more:
        expect(not schema.faults(line), line, schema.faults(line))
    expect({o['type'] for o in got + more} == set(schema.TYPES), 'a type without a line to test')
    return got + more


def places(value, path=()):
    """Returns the paths of a value and of everything in it."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, path + (key,))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def spoiled(line):
    """Yields (change, changed line): the schema must refuse each line."""
    for path in places(line):
        value = at(line, path)

        def put(new):
            if not path:
                return new
            other = copy.deepcopy(line)
            at(other, path[:-1])[path[-1]] = new
            return other

        yield 'an unknown object', put({'nobody': 'knows'})
        if isinstance(value, dict):
            yield 'a name more', put(dict(value, surprise=1))
            for key in value if path[-1:] != ('ethertypes',) else ():
                yield 'without ' + key, put({k: v for k, v in value.items() if k != key})
        elif isinstance(value, list):
            yield 'no list', put('list')
            yield 'a list too long', put(value + [value[0] if value else 'x'] * 500)
        elif isinstance(value, bool):
            yield 'no flag', put(1)
        elif isinstance(value, str):
            yield 'a number instead of a text', put(7)
            if path[-1] not in ('label', 'text', 'verdict', 'version', 'iface', 'file', 'link', 'kernel', 'cut', 'service',
                                'name'):
                yield 'an unknown word', put('nowhere')
        elif isinstance(value, (int, float)):
            yield 'a text instead of a number', put(str(value))
            yield 'a flag instead of a number', put(True)
            if path[-1] != 'p_value':
                yield 'half a nanosecond', put(value + 0.5)
            if path[-1] in ('port', 'client_port', 'server_port', 'size', 'mss', 'code'):
                yield 'a number too large', put(70000)
            if re.search(r'count|port|hosts|stalls|tried|others|number|answered|acked|sum|full|^p50$', str(path[-1])):
                yield 'a negative number', put(-1 if path[-1] != 'p50' else 'none')


def test_refuses():
    """missing, misspelt, wrongly typed and out-of-range values are refused in every field of every type of line"""
    tried, once = {}, set()
    for line in lines():
        if schema.shape(line) in once or tried.get(line['type'], 0) > 1500:
            continue
        once.add(schema.shape(line))
        for what, bad in spoiled(line):
            tried[line['type']] = tried.get(line['type'], 0) + 1
            expect(schema.faults(bad), 'allowed:', what, str(bad)[:800])
    expect(set(tried) == set(schema.TYPES) and min(tried.values()) > 5, tried)


def test_one_of_each():
    """the whole schema gives the same result as the part for one type of line"""
    whole = schema.jsonschema.Draft202012Validator(schema.SCHEMA)
    whole.check_schema(schema.SCHEMA)
    for kind in schema.TYPES:
        line = next(o for o in lines() if o['type'] == kind)
        expect(whole.is_valid(line), line)
        expect(not whole.is_valid(dict(line, surprise=1)), kind)
        expect(not whole.is_valid(dict(line, type='nothing')), kind)


def test_words():
    """the enumerations of the schema are exactly the words that the program writes"""
    def words(file, pattern):
        with open(os.path.join(ROOT, 'user', file)) as f:
            return re.findall(r'\[%s\w+\]\s*=\s*(?:\{ )?"([^"]+)"' % pattern, f.read())

    def allowed(kind, name):
        return schema.SCHEMA['$defs'][kind]['properties'][name]['enum']

    def same(one, two):
        expect(one and sorted(one) == sorted(two), one, two)

    same(words('diagnose/kinds.c', 'KIND_'), allowed('finding', 'kind'))
    same(words('diagnose/kinds.c', 'CONFIDENCE_'), allowed('finding', 'confidence'))
    same(words('connection.c', 'OUTCOME_'), allowed('connection', 'outcome'))
    same(words('connection.c', 'END_'), allowed('connection', 'settled_by') + ['not'])
    summary = schema.SCHEMA['$defs']['summary']['properties']
    same(words('diagnose/verdict.c', 'STATE_'), summary['state']['enum'])
    rows = summary['ledger']['properties']['rows']['items']['properties']
    for name, prefix in (('row', 'ROW_'), ('stage', 'STAGE_'), ('how', 'MANNER_')):
        same(words('model/ledger.c', prefix), [word for word in rows[name]['enum'] if word])
    lost = summary['lost']['properties']
    same(words('session.c', 'COUNT_LOST_') + ['sum'], lost)


def test_described():
    """every field has a description, so that a reader need not guess"""
    def bare(part, path):
        if '$ref' in part and 'description' not in part:
            part = schema.SCHEMA['$defs'][part['$ref'].rsplit('/', 1)[1]]
        if path and 'description' not in part and 'const' not in part:
            yield path
        for name, inner in part.get('properties', {}).items():
            yield from bare(inner, path + '/' + name)

    for kind in schema.TYPES:
        missing = list(bare(schema.SCHEMA['$defs'][kind], ''))
        expect(not missing, kind, missing)


ANSWERS = {
    'Findings with high confidence': ['10.200.7.9:5274 does not answer, and 4 of 8 hosts wait for it'],
    'Hosts by their longest wait': ['5.004\t10.1.4.4\t3', '5.003\t10.1.4.3\t3', '5.002\t10.1.4.2\t3', '5.001\t10.1.4.1\t3'],
    'Servers that fail, since when, and how often': ['2023-11-14T22:13:20Z\t10.200.7.9:5274\t12 failures'],
    'What came of the connects, by row of the ledger, stage and manner': [
        '12\tin_time\t\t', '12\tlate\thold\tslow', '12\tfailed\tconnect\tsilent'],
    'Connections that waited because of the first finding': [
        '%s\t10.1.4.%d:%d\t5.00%d' % (to, n, 50000 + page, n) for page, n, to in sorted(
            ((page, n, ('198.51.100.7:80', '203.0.113.9:443')[page % 2]) for n in range(1, 5) for page in range(3)),
            key=lambda x: (7 * x[0] + 40 * (x[1] % 3)) + x[1] / 1000)],
    'Median round trip to each server, in milliseconds': ['198.51.100.7\t10.000001', '203.0.113.9\t10.000001'],
    'Bytes that were not analysed': ['0'],
}


def test_questions():
    """the jq recipes of probe-json(5) work as printed and return the results that their titles promise"""
    with open(os.path.join(ROOT, 'user', 'man', 'probe-json.5')) as f:
        section = f.read().split('.Sh EXAMPLES\n')[1].split('.Sh ')[0]
    asked = {title: command.replace('\\e', '\\') for title, command in
             re.findall(r'^([A-Z][^:]*):\n\.Bd [^\n]*\n(.*?)\.Ed', section, re.M | re.S)}
    expect(set(asked) == set(ANSWERS), sorted(asked), sorted(ANSWERS))
    with Files() as files, tempfile.TemporaryDirectory() as folder:
        subprocess.run([PROBE, '--read', files.add('office', pcap(office())),
                        '--json=' + os.path.join(folder, 'out.json')], check=True, stdout=subprocess.DEVNULL)
        for question, command in asked.items():
            done = subprocess.run(['bash', '-o', 'pipefail', '-c', command], cwd=folder, capture_output=True, text=True)
            expect(done.returncode == 0 and not done.stderr, question, done.stderr)
            expect(done.stdout.splitlines() == ANSWERS[question], question, done.stdout)
