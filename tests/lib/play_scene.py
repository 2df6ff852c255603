"""Stages one scene of a file of netns/causes: scripts/lab ... play_scene.py FILE NAME (see causes.perform()).

It writes the result to standard output as JSON.
"""
import json
import runpy
import sys
import traceback

from causes import show


def play(scene):
    out = {'found': [], 'wrong': [], 'text': '', 'json': []}
    try:
        p = scene.stage()
        out['found'] = [show(f) for f in p.of('finding')]
        out['wrong'] = scene.judge(p.of('finding'), p.text)
        if p.status:
            out['wrong'].append('the probe ended with status %d: %s' % (p.status, p.errors))
        out['text'], out['json'] = p.text, p.json
        if scene.check:
            scene.check(p)
    except AssertionError as e:
        out['wrong'].append('the scene: %s' % e)
    except BaseException:
        out['wrong'].append('not staged: ' + traceback.format_exc())
    print(json.dumps(out))


if __name__ == '__main__':
    play(runpy.run_path(sys.argv[1])[sys.argv[2]].scene)
