"""The rig itself: where the kernel copies what was sent without a copy, and where it does not; what cut, lossy and slow links are.
If one of these fails, the other specs in this folder say nothing."""
import dataclasses
import select
import socket

import pytest

from harness.resp import eventually
from netns.zerocopy import MSG_ZEROCOPY, SO_ZEROCOPY, Count, dissolve, send_all


@pytest.fixture(params=["IPv4", "IPv6"])
def address_of(request):
    return (lambda node: node.ip) if request.param == "IPv4" else (lambda node: node.ip6)


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
def test_over_lo_everything_is_copied_and_the_kernel_says_so(world, loopback):
    node, _ = world.pair("a", "b")
    assert send_all(node, node, loopback).not_copied == 0


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1"])
def test_over_lo_that_receives_as_a_card_nothing_is_copied(world, loopback):
    node, _ = world.pair("a", "b")
    node.receive_as_a_card("lo")
    assert send_all(node, node, loopback).copied == 0


def test_between_two_nodes_everything_is_copied(world, address_of):
    sender, receiver = world.pair("a", "b")
    assert send_all(sender, receiver, address_of(receiver)).not_copied == 0


def test_to_a_node_that_receives_as_a_card_nothing_is_copied(world, address_of):
    sender, receiver = world.pair("a", "b")
    receiver.receive_as_a_card()
    assert send_all(sender, receiver, address_of(receiver)).copied == 0


def test_over_a_hub_nothing_is_copied_either(world, address_of):
    sender, receiver, _ = world.hub("a", "b", "c")
    receiver.receive_as_a_card()
    assert send_all(sender, receiver, address_of(receiver)).copied == 0


def test_what_a_stalled_receiver_holds_is_let_go_when_the_connection_is_dissolved_and_not_by_shutdown(world):
    sender_node, receiver_node = world.pair("a", "b")
    receiver_node.receive_as_a_card()
    with receiver_node.inside():
        listener = socket.create_server((receiver_node.ip, 0))
    with sender_node.inside():
        sender = socket.create_connection((receiver_node.ip, listener.getsockname()[1]))
    receiver, _ = listener.accept()
    with listener, sender, receiver:
        sender.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        sender.setblocking(False)
        piece, sent, count = bytes(200_000), 0, Count()
        with pytest.raises(BlockingIOError):
            while True:
                sender.send(piece, MSG_ZEROCOPY)
                sent += 1
        poll = select.poll()
        poll.register(sender, 0)
        while poll.poll(500):  # those that have arrived
            count.read(sender)
        assert count.copied + count.not_copied < sent
        sender.shutdown(socket.SHUT_RDWR)
        before = dataclasses.replace(count)
        count.read(sender)
        assert count == before
        dissolve(sender)
        while count.copied + count.not_copied < sent:
            assert poll.poll(60_000)
            count.read(sender)
        assert count.copied == 0


def reaches(sender, receiver, limit_s=60):
    """Whether a connection comes about. What shows that none does is short: it can only be wrong in saying so."""
    with receiver.inside():
        listener = socket.create_server((receiver.ip, 0))
    with listener, sender.inside():
        try:
            socket.create_connection((receiver.ip, listener.getsockname()[1]), timeout=limit_s).close()
        except OSError:
            return False
        return True


def test_a_partition_separates_those_that_are_cut_off_from_the_others(world):
    a, b, c, d = world.hub("a", "b", "c", "d")
    world.cut(a, b)
    assert reaches(a, b) and reaches(c, d)
    assert not reaches(a, c, limit_s=2)
    world.heal()
    # The kernel may still be about to give up looking for the neighbour.
    eventually(lambda: reaches(a, c), "it reaches the other", timeout_s=60)


def test_a_link_that_is_down_can_be_raised_again(world, address_of):
    sender, receiver = world.pair("a", "b")
    receiver.link_down()
    assert not reaches(sender, receiver, limit_s=2)
    receiver.link_up()
    eventually(lambda: reaches(sender, receiver), "it reaches the other", timeout_s=60)
    assert send_all(sender, receiver, address_of(receiver), count=2).copied > 0


def test_what_a_lossy_link_loses_is_sent_again(world):
    sender, receiver = world.pair("a", "b")
    receiver.lose(0.02)
    before = receiver.bytes_received()
    send_all(sender, receiver, receiver.ip, count=20)
    assert receiver.bytes_received() > before + 20 * 200_000
    receiver.lose(1)
    assert not reaches(sender, receiver, limit_s=2)


def test_connections_are_reset_at_both_ends(world):
    near, far = world.pair("a", "b")
    with far.inside():
        listener = socket.create_server((far.ip, 0))
    port = listener.getsockname()[1]
    with near.inside():
        client = socket.create_connection((far.ip, port), timeout=60)
    with listener:
        served, _ = listener.accept()
    served.settimeout(60)
    assert near.reset_connections(port) == 1
    for end in (client, served):
        with end, pytest.raises((ConnectionAbortedError, ConnectionResetError)):
            end.recv(1)


def test_an_option_of_the_kernel_is_the_namespaces_own(world):
    node, other = world.pair("a", "b")
    path = "/proc/sys/net/core/optmem_max"
    if not node.write(path, 20480):
        pytest.skip("this kernel has one net.core.optmem_max for all namespaces")
    with other.inside(), open(path, encoding="ascii") as file:
        assert int(file.read()) != 20480
