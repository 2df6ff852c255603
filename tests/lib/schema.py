"""Reads JSON lines for the tests: validates each against user/data/report.schema.json, and checks each complete
report for contradictions (lib/report_check.py).

Lines that differ only in integers between the same bounds of the schema are validated once. For a test with 10 000
connections this takes seconds instead of minutes.

UNCHECKED_JSON is for an emulated machine, which has no validator: what the probe writes does not depend on it.
"""
import bisect
import json
import os

import report_check

UNCHECKED = os.environ.get('UNCHECKED_JSON')
if not UNCHECKED:
    import jsonschema

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = os.path.join(ROOT, 'user', 'data', 'report.schema.json')

SCHEMA = {'oneOf': [], '$defs': {}}
if not UNCHECKED:
    with open(PATH) as file:
        SCHEMA = json.load(file)
TYPES = [line['$ref'].rsplit('/', 1)[1] for line in SCHEMA['oneOf']]


def bounds_of(schema):
    """Returns every number with which the schema compares an integer."""
    if isinstance(schema, list):
        return {bound for part in schema for bound in bounds_of(part)}
    if not isinstance(schema, dict):
        return set()
    own = {value for key, value in schema.items() if key in ('minimum', 'maximum', 'const')
           and isinstance(value, (int, float))}
    return own | {bound for part in schema.values() for bound in bounds_of(part)}


BOUNDS = sorted(bounds_of(SCHEMA))
# The type of an object selects its part of the schema, so that an error refers to one part, not to all nine.
VALIDATORS = {name: jsonschema.Draft202012Validator({'$ref': '#/$defs/' + name, '$defs': SCHEMA['$defs']}) for name in TYPES}
seen = set()


def shape(value):
    if isinstance(value, dict):
        return tuple((key, shape(part)) for key, part in value.items())
    if isinstance(value, list):
        return ('list',) + tuple(shape(part) for part in value)
    if type(value) is int:
        return 'int', bisect.bisect_left(BOUNDS, value), bisect.bisect_right(BOUNDS, value)
    return type(value), value


def faults(line):
    """Returns a list of an object's violations, in words."""
    if not isinstance(line, dict) or line.get('type') not in TYPES:
        return ['no line of a known type']
    return ['%s: %s' % ('/'.join(map(str, e.absolute_path)), e.message[:300])
            for e in VALIDATORS[line['type']].iter_errors(line)]


def loads(text):
    """Returns the object of a line, after validating it."""
    line = json.loads(text)
    if UNCHECKED:
        return line
    known = shape(line)
    if known not in seen:
        wrong = faults(line)
        if wrong:
            raise AssertionError('against report.schema.json: %s\n%s' % ('; '.join(wrong), text))
        seen.add(known)
    return line


def load(lines):
    """Returns a list of the objects of JSON lines: a file, a string or a list.

    Fails if they are a complete report that contradicts itself.
    """
    objects = [loads(line) for line in (lines.splitlines() if isinstance(lines, str) else lines)]
    report_check.expect_sound(objects)
    return objects
