"""Runs scripts/check-deps on small source trees with one fault each.

Without these tests the script could pass because it checks nothing.
"""
import os
import subprocess
import tempfile

from probe import ROOT, expect

# A tree without a fault. It contains an include of each permitted kind.
GOOD = {
    'bpf/track.h': '#include "parse.h"',
    'bpf/parse.h': '',
    'user/connection.h': '#include "track.h"',
    'user/session.c': '#include "connection.h"\n#include "lib/format.h"',
    'user/main.c': '#include "report/text.h"\n#include "source/live.h"\n#include "generated.skel.h"',
    'user/lib/format.h': '#include "connection.h"',
    'user/host/route.h': '#include <stdio.h>\n#include "lib/format.h"',
    'user/source/live.h': '#include "host/route.h"\n#include "track.h"',
    'user/model/model.h': '#include "source/live.h"\n#include "connection.h"',
    'user/model/query.c': '#include "model.h"\n#include "model/model.h"',
    'user/diagnose/diagnose.h': '#include "model/model.h"',
    'user/report/text.h': '#include "diagnose/diagnose.h"\n#include "lib/format.h"',
}

BAD = (
    ('user/model/query.c', '\n#include "report/text.h"', 'user/model/query.c:2: model/ must not include report/text.h'),
    ('user/host/netdev.c', '#include "source/live.h"', 'user/host/netdev.c:1: host/ must not include source/live.h'),
    ('user/lib/format.c', ' # include "model/model.h"', 'user/lib/format.c:1: lib/ must not include model/model.h'),
    ('user/session.c', '#include "source/live.h"', 'user/session.c:1: a shared file of user/ must not include source/live.h'),
    ('bpf/parse.h', '#include "connection.h"', 'bpf/parse.h:1: bpf/ must not include connection.h'),
    ('user/report/text.h', '#include "../pipeline.h"', 'user/report/text.h:1: report/ must not include pipeline.h'),
)


def check(files):
    with tempfile.TemporaryDirectory() as tree:
        for path, content in files.items():
            os.makedirs(os.path.join(tree, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(tree, path), 'w') as f:
                f.write(content + '\n')
        done = subprocess.run([os.path.join(ROOT, 'scripts', 'check-deps'), tree], capture_output=True, text=True)
        expect(not done.stderr, done.stderr)
        return done.returncode, done.stdout.splitlines()


def test_allowed():
    """includes of a file's own folder, of folders before it, and of shared headers are accepted"""
    expect(check(GOOD) == (0, []), check(GOOD))


def test_forbidden():
    """each include that breaks the order of the folders is reported with its file, line and reason"""
    for path, content, words in BAD:
        status, lines = check({**GOOD, 'user/pipeline.h': '', path: content})
        expect(status == 1 and words in lines, path, status, lines)


def test_cycle():
    """headers that include each other are reported, even within one folder"""
    files = {**GOOD, 'user/model/a.h': '#include "model/b.h"', 'user/model/b.h': '#include "c.h"',
             'user/model/c.h': '\n#include "model/a.h"'}
    status, lines = check(files)
    expect(status == 1 and lines == ['user/model/c.h:2: a cycle of includes: user/model/a.h > user/model/b.h > '
                                     'user/model/c.h > user/model/a.h'], lines)
