"""Plays the selected scenes in parallel, since they mostly wait. Each test waits for its own scene."""
import concurrent.futures

import pytest

from causes import keep_reports, perform
from probe import expect


@pytest.fixture(scope='session')
def performances(request):
    """Returns a dict: name of a scene -> the future of its result."""
    scenes = [item.function.scene for item in request.session.items if hasattr(item.function, 'scene')]
    running = set()
    pool = concurrent.futures.ThreadPoolExecutor(request.config.getoption('--jobs'))
    yield {s.name: pool.submit(perform, s, running) for s in scenes}
    pool.shutdown(wait=False, cancel_futures=True)
    for process in list(running):  # after Ctrl-C; scripts/lab removes its namespaces
        process.terminate()
    pool.shutdown()


@pytest.fixture
def performance(request, performances):
    def judge(scene):
        out = performances[scene.name].result()
        request.node.seconds = out['seconds']
        request.node.details = ['expected: ' + '; '.join(scene.expected), 'found:    ' + ('; '.join(out['found']) or 'nothing')]
        if request.config.getoption('--keep'):
            keep_reports(scene, out, request.config.getoption('--keep'))
        expect(not out['wrong'], '\n'.join(line.strip()[-1500:] for line in out['wrong'][:8]))
    return judge
