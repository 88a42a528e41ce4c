"""What a forked child does with what is its parent's: the number of a socket leads nowhere, and the socket stays."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from chatport.basics.forks import leave_to_parent
from chatport.transport.failures import broken

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def test_a_number_that_is_left_to_the_parent_leads_nowhere_and_the_connection_stays() -> None:
    mine, peer = socket.socketpair()
    with mine, peer, mine.dup() as of_parent:
        number = mine.fileno()
        leave_to_parent(number)
        for use in (lambda: mine.send(b"x"), lambda: mine.recv(1), lambda: mine.shutdown(socket.SHUT_RDWR)):
            with pytest.raises(OSError) as caught:  # noqa: PT011  # its number says which
                use()
            assert caught.value.errno == errno.ENOTSOCK
        assert mine.fileno() == number
        assert not os.get_inheritable(number)
        of_parent.sendall(b"still")
        assert peer.recv(10) == b"still"
        peer.sendall(b"here")
        assert of_parent.recv(10) == b"here"
        words = "The connection belongs to the process from which this one was forked: make the call again here"
        assert str(broken(caught.value, "head")) == words


def test_nothing_is_left_open_for_it() -> None:
    """Also where there is no such number."""
    mine, peer = socket.socketpair()
    with mine, peer:
        leave_to_parent(mine.fileno())
        lowest = os.dup(0)
        os.close(lowest)
        for number in (-1, 1_000_000):
            leave_to_parent(number)
        leave_to_parent(mine.fileno())
        again = os.dup(0)
        os.close(again)
    assert again == lowest
