"""Limits of associations: what is idle or silent does not keep others out, and costs no threads."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
from dicom_nodes import WAIT_S, Threshold, captured_log, receiving, synthetic_study, uids, wait_until
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage, Verification

from cardiacseg.errors import NetworkError
from cardiacseg.network.send import send
from cardiacseg.network.slots import AssociationLimits
from cardiacseg.network.studies import Limits


@contextmanager
def associations(node, count):
    """Open associations that do nothing."""
    entity = AE("IDLE")
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    entity.add_requested_context(Verification)
    made = [entity.associate(node.host, node.port, ae_title=node.title) for _ in range(count)]
    assert all(one.is_established for one in made)
    try:
        yield made
    finally:
        for one in made:
            one.abort()


def echo_until_it_ends(association):
    while association.is_established:
        try:
            if not association.send_c_echo():
                return
        except Exception:  # pynetdicom raises what it meets if the connection ends at this moment
            return
        time.sleep(0.05)


def test_associations_that_echo_hold_no_study_and_keep_none_out(tmp_path):
    """Four senders store one image each of a study and then echo for ever."""
    segment = Threshold()
    studies = [synthetic_study(tmp_path, seed) for seed in range(5)]
    limits = AssociationLimits(idle_s=1.0)
    options = {"association_limits": limits, "limits": Limits(open_studies=5, free_bytes=0)}
    options["incomplete_s"] = 3  # so that the complete study comes first
    with receiving(segment, tmp_path, ["N_INCOMPLETE"] * 4, **options) as node, associations(node, 4) as open_ones:
        echoes = []
        for association, (made, _) in zip(open_ones, studies, strict=False):
            assert association.send_c_store(made.datasets[0]).Status == 0
            echoes.append(threading.Thread(target=echo_until_it_ends, args=(association,)))
            echoes[-1].start()
        assert send(studies[4][1], node).sent == 4
        assert segment.called.acquire(timeout=WAIT_S)
        assert uids(segment.studies[0]) == uids(studies[4][0].datasets)  # it did not wait for the others
        for thread in echoes:
            thread.join(WAIT_S)
        for _ in echoes:
            assert segment.called.acquire(timeout=WAIT_S)
    assert sorted(map(len, segment.studies)) == [1, 1, 1, 1, 4]
    assert all("sent no image for too long" in text for notes in segment.notes for _, text in notes)


def test_idle_associations_give_way(tmp_path, monkeypatch):
    monkeypatch.setattr("cardiacseg.network.slots._GIVES_WAY_S", 0.2)
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    with (
        receiving(segment, tmp_path, association_limits=AssociationLimits(associations=10)) as node,
        associations(node, 10),
    ):
        assert send(folder, node).sent == 4
        assert segment.called.acquire(timeout=WAIT_S)


def test_busy_ones_do_not(tmp_path):
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    words = r"local limit exceeded \(rejected transient\)"
    for limits in AssociationLimits(associations=2), AssociationLimits(host_associations=2):
        with receiving(segment, tmp_path, association_limits=limits) as node, associations(node, 2) as open_ones:
            with captured_log() as log, pytest.raises(NetworkError, match=words):
                send(folder, node, retries=0)
            assert "refused an association: too many are open" in log.lines
            open_ones[0].release()
            assert send(folder, node).sent == 4
            assert segment.called.acquire(timeout=WAIT_S)


def threads_of_connections():
    return [one for one in threading.enumerate() if "Acceptor" in one.name or "process_request" in one.name]


def test_silent_connections_cost_no_threads(tmp_path):
    """Of three hundred, those that wait longest are closed; a sender comes through at once."""
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    before = threading.active_count()
    limits = AssociationLimits(silent=20, accept_s=2.0)
    with receiving(segment, tmp_path, association_limits=limits) as node:
        silent = [socket.create_connection((node.host, node.port)) for _ in range(300)]
        try:
            assert send(folder, node).sent == 4
            assert segment.called.acquire(timeout=WAIT_S)
            wait_until(lambda: not threads_of_connections())
            assert threading.active_count() < before + 12
            begin = time.monotonic()
            for connection in silent:  # all are closed, the last ones after accept_s
                connection.settimeout(WAIT_S)
                assert connection.recv(1) == b""
            assert time.monotonic() - begin < 20
        finally:
            for connection in silent:
                connection.close()


def test_half_a_request_ends_soon(tmp_path):
    segment, (_, folder) = Threshold(), synthetic_study(tmp_path)
    limits = AssociationLimits(associations=4, requests=4, accept_s=2.0)
    with receiving(segment, tmp_path, association_limits=limits) as node:
        half = [socket.create_connection((node.host, node.port)) for _ in range(6)]
        try:
            for connection in half:
                connection.sendall(b"\x01\x00\x00")
            wait_until(lambda: len(threads_of_connections()) >= limits.requests)
            assert send(folder, node).sent == 4  # the oldest gives way
            wait_until(lambda: not threads_of_connections())
            assert segment.called.acquire(timeout=WAIT_S)
        finally:
            for connection in half:
                connection.close()
