"""DNS servers for tests, authoritative for every name, that fail in the ways that are known from the field.

The behaviour of a server is a function: it takes a Question and returns a list of (seconds until then, message).
"""
import heapq
import os
import select
import socket
import struct
import threading
import time

from netns import Service
from workload import OTHER4, SERVER4, THIRD4, ip

A, NS, CNAME, SOA, PTR, AAAA, OPT, HTTPS = 1, 2, 5, 6, 12, 28, 41, 65
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
RESPONSE, TRUNCATED = 0x8180, 0x0200
ADDRESSES = SERVER4, THIRD4, OTHER4  # of wwwN.example.com and all other names, by their first number


def wire_name(name):
    return b''.join(bytes([len(label)]) + label.encode() for label in name.split('.') if label) + b'\0'


def read_name(message, offset):
    """Returns the name of a question, which is never compressed, and the offset behind it."""
    labels = []
    while message[offset]:
        labels.append(message[offset + 1:offset + 1 + message[offset]].decode('latin1'))
        offset += 1 + message[offset]
    return '.'.join(labels), offset + 1


class Question:
    def __init__(self, message, client=None, over_tcp=False):
        self.message, self.client, self.over_tcp = message, client, over_tcp
        self.name, self.end = read_name(message, 12)
        self.kind = struct.unpack_from('>H', message, self.end)[0]
        self.nth = 1  # of the questions of this host for this name and type


def question(name, kind, number):
    """Returns a message that asks for a name."""
    return struct.pack('>6H', number, 0x0100, 1, 0, 0, 0) + wire_name(name) + struct.pack('>HH', kind, 1)


def number_in(name):
    digits = ''.join(c for c in name.split('.')[0] if c.isdigit())
    return int(digits) if digits else 0


def address_of(name):
    return ADDRESSES[number_in(name) % len(ADDRESSES)]


def records(q):
    if q.kind == A:
        return [socket.inet_aton(address_of(q.name))]
    if q.kind == PTR:
        return [wire_name('host.example.com')]
    return []


def answer(q, rcode=NOERROR, data=None, flags=RESPONSE, number=None):
    """Returns a message that answers q. number is its id, if not that of the question."""
    data = records(q) if data is None else data
    head = q.message[:2] if number is None else struct.pack('>H', number)
    # an empty answer has no SOA record: nobody here caches it
    return head + struct.pack('>5H', flags | rcode, 1, len(data), 0, 0) + q.message[12:q.end + 4] + \
        b''.join(struct.pack('>HHHIH', 0xc00c, q.kind, 1, 300, len(d)) + d for d in data)


def well(q):
    return [(0, answer(q))]


def silent(q):
    return []


def fails(q):
    return [(0, answer(q, SERVFAIL, []))]


def no_such_name(q):
    return [(0, answer(q, NXDOMAIN, []))]


def cut(q):
    """Answers by TCP only, as for a large set of records."""
    return [(0, answer(q) if q.over_tcp else answer(q, data=[], flags=RESPONSE | TRUNCATED))]


def late(seconds, then=well):
    return lambda q: [(seconds + delay, message) for delay, message in then(q)]


def spoofed(q):
    """Somebody guesses ids before the answer arrives, and goes on after it."""
    own = struct.unpack_from('>H', q.message)[0]
    false = [(0, answer(q, data=[socket.inet_aton('10.66.66.66')] if q.kind == A else [], number=(own + k) % 65536))
             for k in range(1, 6)]
    return false + [(0.002, answer(q))] + [(0.004 + delay, message) for delay, message in false]


def where(condition, behaviour, otherwise=well):
    return lambda q: (behaviour if condition(q) else otherwise)(q)


def of_type(*kinds):
    return lambda q: q.kind in kinds


def under(*zones):
    return lambda q: any(q.name == zone or q.name.endswith('.' + zone) for zone in zones)


def first_time(q):
    return q.nth == 1


class NameServers(Service):
    """DNS servers on addresses that the namespace gets for them: a dict from an address to its behaviour."""

    def __init__(self, namespace, behaviours):
        self.namespace, self.behaviours = namespace, behaviours
        self.asked, self.due, self.lock = {}, [], threading.Lock()

    def __enter__(self):
        for address in self.behaviours:
            ip(self.namespace, 'address replace %s/32 dev lo' % address)
        return super().__enter__()

    def start(self):
        self.sockets = {}
        for address, behaviour in self.behaviours.items():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, 53))
            self.sockets[s] = behaviour
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, 53))
            listener.listen(100)
            threading.Thread(target=self.accept, args=(listener, behaviour), daemon=True).start()

    def serve(self):
        """Answers by UDP."""
        while True:
            now = time.monotonic()
            while self.due and self.due[0][0] <= now:
                _, _, s, message, client = heapq.heappop(self.due)
                s.sendto(message, client)
            wait = self.due[0][0] - now if self.due else None
            for s in select.select(list(self.sockets), [], [], wait)[0]:
                message, client = s.recvfrom(65536)
                for delay, reply in self.reply(message, client, self.sockets[s], False):
                    heapq.heappush(self.due, (time.monotonic() + delay, os.urandom(4), s, reply, client))

    def reply(self, message, client, behaviour, over_tcp):
        q = Question(message, client, over_tcp)
        with self.lock:
            key = client[0], q.name, q.kind
            self.asked[key] = q.nth = self.asked.get(key, 0) + 1
        return behaviour(q)

    def accept(self, listener, behaviour):
        while True:
            s, client = listener.accept()
            threading.Thread(target=self.answer_by_tcp, args=(s, client, behaviour), daemon=True).start()

    def answer_by_tcp(self, s, client, behaviour):
        with s:
            while True:
                length = s.recv(2, socket.MSG_WAITALL)
                if len(length) < 2:
                    return
                message = s.recv(struct.unpack('>H', length)[0], socket.MSG_WAITALL)
                for delay, reply in self.reply(message, client, behaviour, True):
                    time.sleep(delay)
                    s.sendall(struct.pack('>H', len(reply)) + reply)
