"""Network namespaces for tests: nodes with an address each, in pairs or around a hub, whose links can be cut, slowed and made lossy.

Entry: World, why_not, NodeServer. A world's addresses exist in its namespaces only, so tests can run side by side and nothing of the
machine's own network is touched. World.close ends every process that is left in them and removes them; what a killed test run left
is removed by the next world. It takes root (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF) and iproute2.
"""
import contextlib
import ctypes
import functools
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess

from . import xdp
from .resp import Client
from .server import SKUA, Server

NETWORK, NETWORK6 = "10.77.0", "fd77:0:0"
PORT = 7000
INTERFACE = "eth0"
NAMED = pathlib.Path("/run/netns")
PREFIX = "skua-test"
CLONE_NEWNET = 0x40000000
SBIN = ":/usr/sbin:/sbin"
WORLDS = itertools.count()


def run(*command):
    """A command of iproute2; returns what it wrote."""
    found = shutil.which(command[0], path=os.environ.get("PATH", "") + SBIN)
    result = subprocess.run([found or command[0], *map(str, command[1:])], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=60, check=False)
    if result.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {result.stderr.strip()}")
    return result.stdout


@functools.cache
def why_not():
    """Why no world can be made here; None: it can."""
    for program in ("ip", "tc"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + SBIN):
            return f"there is no {program} (package iproute2)"
    if os.geteuid() != 0:
        return "network namespaces and XDP programs need root"
    try:
        with World() as world:
            node, _ = world.pair("a", "b")
            node.receive_as_a_card()
    except OSError as error:
        return f"network namespaces or XDP programs are not permitted here: {error}"
    return None


@contextlib.contextmanager
def inside(namespace):
    """Sockets that this thread makes, and processes that it starts, are in the namespace; other threads stay where they are."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(handle):
        if libc.setns(handle.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")

    with open("/proc/thread-self/ns/net", "rb") as home, open(NAMED / namespace, "rb") as target:
        enter(target)
        try:
            yield
        finally:
            enter(home)


class Node:
    """One namespace with lo and `eth0`. ip, ip6: its addresses. At the other end of its link is `port` of `port_namespace`."""

    def __init__(self, world, name, number):
        self.name = name
        self.namespace = f"{world.name}-{name}"
        self.ip = f"{NETWORK}.{number}"
        self.ip6 = f"{NETWORK6}::{number}"
        self.port = self.port_namespace = None
        self.receivers = {}
        run("ip", "netns", "add", self.namespace)
        world.namespaces.append(self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")

    def inside(self):
        return inside(self.namespace)

    def raise_link(self):
        self.write("/proc/sys/net/ipv6/conf/all/keep_addr_on_down", 1)
        self.write(f"/proc/sys/net/ipv6/conf/{INTERFACE}/keep_addr_on_down", 1)
        self.add_address(self.ip)
        run("ip", "-n", self.namespace, "addr", "add", f"{self.ip6}/64", "dev", INTERFACE, "nodad")
        self.link_up()

    def write(self, path, value):
        """Writes a setting of the kernel; those of /proc/sys/net belong to the namespace. False: it has no such setting."""
        with self.inside():
            try:
                pathlib.Path(path).write_text(f"{value}\n")
            except FileNotFoundError:
                return False
        return True

    # ---- Addresses and links ----------------------------------------------------------------------------

    def add_address(self, ip):
        run("ip", "-n", self.namespace, "addr", "add", f"{ip}/24", "dev", INTERFACE)

    def change_address(self, ip):
        run("ip", "-n", self.namespace, "addr", "del", f"{self.ip}/24", "dev", INTERFACE)
        self.add_address(ip)
        self.ip = ip

    def link_down(self):
        run("ip", "-n", self.namespace, "link", "set", INTERFACE, "down")

    def link_up(self):
        run("ip", "-n", self.namespace, "link", "set", INTERFACE, "up")

    def reset_connections(self, port):
        """Ends what goes to this port elsewhere, with an RST to the other side. Returns how many there were."""
        listed = run("ss", "-N", self.namespace, "-H", "-t", "-K", "dport", "=", f":{port}")
        return len(listed.splitlines())

    def slow_down(self, rate):
        """What is sent to this node comes at this rate ("20mbit")."""
        run("tc", "-n", self.port_namespace, "qdisc", "replace", "dev", self.port, "root", "tbf", "rate", rate, "burst", "128kb",
            "latency", "200ms")

    def full_speed(self):
        run("tc", "-n", self.port_namespace, "qdisc", "del", "dev", self.port, "root")

    def bytes_received(self):
        """On its link, with the headers."""
        with self.inside():
            line, = (line for line in pathlib.Path("/proc/thread-self/net/dev").read_text().splitlines()
                     if line.strip().startswith(f"{INTERFACE}:"))
        return int(line.split(":")[1].split()[0])

    # ---- What is done with packets that arrive ----------------------------------------------------------

    def receive_as_a_card(self, interface=INTERFACE):
        """What comes is copied by a "driver": who sent it without a copy is told so."""
        self._receiver(interface)

    def lose(self, share):
        """From now on this share of the packets that arrive is lost."""
        self._receiver(INTERFACE).lose(share)

    def _receiver(self, interface):
        if interface not in self.receivers:
            with self.inside():
                self.receivers[interface] = xdp.Receiver(interface)
        return self.receivers[interface]

    def receive_on_another_processor(self):
        """What arrives is worked on by another processor than the sender's (RPS), as the receiver's would."""
        mask = (1 << os.cpu_count()) - 2 or 1
        run("ip", "netns", "exec", self.namespace, "sh", "-c",
            f"echo {mask:x} > /sys/class/net/{INTERFACE}/queues/rx-0/rps_cpus")

    # ---- Talking ----------------------------------------------------------------------------------------

    def connect(self, address, resp=2, **options):
        """A connection from this node to (ip, port)."""
        with self.inside():
            return Client(address, resp=resp, **options)


class World:
    """Nodes by name; close() ends it. One pair, or one hub."""

    def __init__(self):
        self.name = f"{PREFIX}-{os.getpid()}-{next(WORLDS)}"
        self.namespaces = []
        self.nodes = {}
        self.hub_namespace = None
        _remove_old()

    def pair(self, first, second):
        """Two nodes with one link (veth); returns them."""
        ends = self._make(first), self._make(second)
        for end, other in zip(ends, reversed(ends)):
            end.port, end.port_namespace = INTERFACE, other.namespace
        run("ip", "link", "add", INTERFACE, "netns", ends[0].namespace, "type", "veth", "peer", "name", INTERFACE,
            "netns", ends[1].namespace)
        for end in ends:
            end.raise_link()
        return ends

    def hub(self, *names):
        """Nodes that are all linked to one hub: two bridges, `together` and `apart`. Returns the nodes."""
        self.hub_namespace = f"{self.name}-hub"
        run("ip", "netns", "add", self.hub_namespace)
        self.namespaces.append(self.hub_namespace)
        for bridge in ("together", "apart"):
            run("ip", "-n", self.hub_namespace, "link", "add", "name", bridge, "type", "bridge", "mcast_snooping", 0)
            run("ip", "-n", self.hub_namespace, "link", "set", "dev", bridge, "up")
        made = [self._make(name) for name in names]
        for node in made:
            node.port, node.port_namespace = node.name, self.hub_namespace
            run("ip", "link", "add", INTERFACE, "netns", node.namespace, "type", "veth", "peer", "name", node.name,
                "netns", self.hub_namespace)
            self._plug(node, "together")
            run("ip", "-n", self.hub_namespace, "link", "set", "dev", node.name, "up")
            node.raise_link()
        return made

    def _make(self, name):
        self.nodes[name] = Node(self, name, len(self.nodes) + 1)
        return self.nodes[name]

    def _plug(self, node, bridge):
        run("ip", "-n", self.hub_namespace, "link", "set", "dev", node.port, "master", bridge)

    def cut(self, *nodes):
        """A partition: these nodes see one another and nobody else. Nobody is told: what is sent is lost."""
        for node in nodes:
            self._plug(node, "apart")

    def heal(self, *nodes):
        """These, or all, see each other again."""
        for node in nodes or self.nodes.values():
            self._plug(node, "together")

    def close(self):
        for node in self.nodes.values():
            for receiver in node.receivers.values():
                receiver.close()
        for namespace in self.namespaces:
            _remove(namespace)
        self.namespaces.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _remove(namespace):
    """With the processes in it, which were started there by a test."""
    for pid in run("ip", "netns", "pids", namespace).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    run("ip", "netns", "del", namespace)


def _remove_old():
    """What test runs that do not live any more have left."""
    for path in NAMED.glob(f"{PREFIX}-*"):
        owner = re.match(rf"{PREFIX}-(\d+)-", path.name)
        if owner and not pathlib.Path("/proc", owner[1]).exists():
            with contextlib.suppress(OSError):  # another process cleans up as well
                _remove(path.name)


class NodeServer(Server):
    """A server on a node, at its addresses. connect() goes over the Unix socket, which no partition touches."""

    def __init__(self, node, kind=SKUA, io_threads=0, hosts=None, port=PORT, **options):
        """hosts: a file that it sees as /etc/hosts."""
        super().__init__(kind, "unix", io_threads, {
            "bind": "0.0.0.0 ::", "protected-mode": "no", "repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1,
            **{name.replace("_", "-"): value for name, value in options.items()}})
        self.node = node
        self.own_port = port
        if hosts:
            self.prefix = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]

    @property
    def tcp_address(self):
        return self.node.ip, self.own_port

    def start(self, until_loaded=True):
        self.port = self.own_port
        self._write_config()
        return self.start_again(until_loaded)

    def start_again(self, until_loaded=True):
        """With the configuration as it is now, which a server may have rewritten."""
        self._launch()
        assert self._wait_ready(until_loaded), f"the server did not start ({self.process.poll()}):\n{self.log_tail()}"
        return self

    def _launch(self):
        with self.node.inside():
            super()._launch()
