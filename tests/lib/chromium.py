"""A headless Chromium that a test controls by the DevTools protocol, through a pair of pipes.

Console messages, exceptions, violations of the Content-Security-Policy and network requests of the page are stored.
A test ends with quiet(), which checks that there were none.
"""
import base64
import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time

START_SECONDS = 120


class Chromium:
    """A browser, for a with block."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        # Chromium uses descriptors 3 and 4 for the protocol.
        command = ['bash', '-c', 'exec chromium "$@" 3<&%d 4>&%d' % (commands, answers), 'chromium', '--headless=new',
                   '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking',
                   '--disable-component-update', '--disable-sync', '--no-first-run', '--no-default-browser-check',
                   '--disable-extensions', '--hide-scrollbars', '--force-color-profile=srgb',
                   '--user-data-dir=' + self.folder.name, '--remote-debugging-pipe', 'about:blank']
        self.log = open(os.path.join(self.folder.name, 'chromium.log'), 'w+b')
        self.process = subprocess.Popen(command, pass_fds=(commands, answers), stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        os.close(commands)
        os.close(answers)
        self.buffer, self.serial, self.session = b'', 0, None
        self.events, self.loaded = [], 0
        try:
            pages = []
            end = time.monotonic() + START_SECONDS
            while not pages and time.monotonic() < end:
                pages = [t for t in self.call('Target.getTargets')['targetInfos'] if t['type'] == 'page']
            self.session = self.call('Target.attachToTarget', targetId=pages[0]['targetId'], flatten=True)['sessionId']
            for domain in ('Page', 'Runtime', 'Log', 'Network'):
                self.call(domain + '.enable')
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        os.close(self.commands)
        os.close(self.answers)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # the session contains all of Chromium's processes
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def call(self, method, **parameters):
        """Returns Chromium's answer."""
        self.serial += 1
        message = {'id': self.serial, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.commands, json.dumps(message).encode() + b'\0')
        while True:
            answer = self.next()
            if answer.get('id') == self.serial:
                if 'error' in answer:
                    raise RuntimeError('%s: %s' % (method, answer['error']))
                return answer['result']
            self.note(answer)

    def next(self):
        while b'\0' not in self.buffer:
            if not select.select([self.answers], [], [], START_SECONDS)[0]:
                raise RuntimeError('Chromium does not answer')
            part = os.read(self.answers, 1 << 20)
            if not part:
                self.log.seek(0)
                raise RuntimeError('Chromium has ended: %s' % self.log.read()[-2000:])
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b'\0')
        return json.loads(message)

    def note(self, event):
        what, about = event.get('method'), event.get('params', {})
        if what == 'Page.loadEventFired':
            self.loaded += 1
        elif what in ('Runtime.consoleAPICalled', 'Runtime.exceptionThrown', 'Log.entryAdded'):
            self.events.append(json.dumps(about))
        elif what == 'Network.requestWillBeSent' and about['request']['url'] != self.url:
            self.events.append('request for ' + about['request']['url'])

    def open(self, url, width=1280, height=900, scripts=True, dark=False):
        self.url, self.scripts = url, scripts
        self.events.clear()
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call('Emulation.setScriptExecutionDisabled', value=not scripts)
        self.medium('', dark)
        before = self.loaded
        self.call('Page.navigate', url=url)
        while self.loaded == before:
            self.note(self.next())

    def medium(self, medium, dark=False):
        self.call('Emulation.setEmulatedMedia', media=medium,
                  features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def ask(self, expression):
        """Returns the value of an expression in the page, passed as JSON."""
        answer = self.call('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in answer:
            raise RuntimeError('%s: %s' % (expression, answer['exceptionDetails']))
        return answer['result'].get('value')

    def settle(self):
        """Waits until the page is drawn."""
        if self.scripts:
            self.ask('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')

    def press(self, key):
        code = {'Tab': 9, 'Escape': 27, 'End': 35, 'Home': 36, 'ArrowLeft': 37, 'ArrowUp': 38, 'ArrowRight': 39,
                'ArrowDown': 40}[key]
        for kind in ('rawKeyDown', 'keyUp'):
            self.call('Input.dispatchKeyEvent', type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def point(self, x, y):
        self.call('Input.dispatchMouseEvent', type='mouseMoved', x=x, y=y)

    def pdf(self):
        return base64.b64decode(self.call('Page.printToPDF', printBackground=True)['data'])

    def screenshot(self, path, height=None):
        """Stores an image of the whole page, or of this height from its top."""
        size = self.call('Page.getLayoutMetrics')['cssContentSize']
        clip = {'x': 0, 'y': 0, 'width': size['width'], 'height': height or size['height'], 'scale': 1}
        with open(path, 'wb') as f:
            f.write(base64.b64decode(self.call('Page.captureScreenshot', clip=clip, captureBeyondViewport=True)['data']))

    def quiet(self):
        self.settle()
        if self.events:
            raise AssertionError('messages, exceptions or requests of the page: %s' % self.events)
