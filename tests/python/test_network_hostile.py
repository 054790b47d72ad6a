"""What a sender may do wrong, by accident or on purpose: the receiver refuses it, and serves the next one."""

import socket
import struct

import pydicom
import pytest
from dicom_nodes import WAIT_S, Threshold, receiving, synthetic_study, uids, wait_until
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from cardiacseg.network.send import send
from cardiacseg.network.studies import Limits


def raw_association(node, *kinds):
    entity = AE("RAW")
    for kind in kinds or [MRImageStorage]:
        entity.add_requested_context(kind, ExplicitVRLittleEndian)
    association = entity.associate(node.host, node.port, ae_title=node.title)
    assert association.is_established
    return association


def store(association, dataset):
    """Status of a C-STORE of a dataset as it is, however odd."""
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return association.send_c_store(dataset).Status


def test_instances_that_make_no_sense(tmp_path):
    segment = Threshold()
    with receiving(segment, tmp_path, ["N_INCOMPLETE"]) as node:
        association = raw_association(node)
        made, _ = synthetic_study(tmp_path)
        bare = pydicom.Dataset()
        bare.SOPClassUID, bare.SOPInstanceUID = MRImageStorage, "1.2.3"
        assert store(association, bare) == 0xA900
        for nonsense in ("", "../../etc/passwd", "1." * 80):
            with pydicom.config.disable_value_validation():
                bare.StudyInstanceUID = nonsense
                assert store(association, bare) == 0xA900
        assert store(association, made.datasets[0]) == 0
        association.release()
        assert segment.called.acquire(timeout=WAIT_S)
    assert [uids(study) for study in segment.studies] == [{made.datasets[0].SOPInstanceUID}]


def test_a_broken_connection_does_not_hold_the_study(tmp_path):
    segment = Threshold()
    made, _ = synthetic_study(tmp_path)
    with receiving(segment, tmp_path, ["N_INCOMPLETE"]) as node:
        association = raw_association(node)
        assert store(association, made.datasets[0]) == 0
        association.abort()
        assert segment.called.acquire(timeout=WAIT_S)


def test_a_message_without_an_end_is_cut(tmp_path):
    """A sender that never says "last fragment" must not fill the memory."""
    with receiving(Threshold(), tmp_path, limits=Limits(study_bytes=1 << 20, free_bytes=0)) as node:
        association = raw_association(node)
        fragment = P_DATA()
        fragment.presentation_data_value_list = [[1, b"\x01" + bytes(60_000)]]
        for _ in range(200):  # 12 MB of a command, unless someone stops it
            association.dul.send_pdu(fragment)
            if not association.is_established:
                break
        association.join(WAIT_S)
        assert association.is_aborted


def test_many_messages_without_an_end_are_cut_too(tmp_path):
    fragment = P_DATA()
    fragment.presentation_data_value_list = [[1, b"\x00" + bytes(60_000)]]
    with receiving(Threshold(), tmp_path, limits=Limits(study_bytes=1 << 20, free_bytes=0)) as node:
        associations = [raw_association(node) for _ in range(3)]
        for association in associations:
            for _ in range(20):  # 1.2 MB of 2 MiB
                association.dul.send_pdu(fragment)
        wait_until(lambda: any(association.is_aborted for association in associations), 20)
        for association in associations:
            association.abort()


@pytest.mark.parametrize("kind", [1, 4])
def test_a_length_of_four_gigabytes_is_not_read(tmp_path, kind):
    segment = Threshold()
    with receiving(segment, tmp_path) as node:
        with socket.create_connection((node.host, node.port), timeout=WAIT_S) as connection:
            connection.sendall(struct.pack(">BBL", kind, 0, 0xFFFFFFFF))
            ended = connection.recv(100)  # an abort or nothing, but at once, not after 4 GiB
            assert ended == b"" or ended[0] == 7
        send(synthetic_study(tmp_path)[1], node)
        assert segment.called.acquire(timeout=WAIT_S)


def test_deflated_files_are_not_offered_a_context(tmp_path):
    entity = AE("RAW")
    entity.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1.99")
    with receiving(Threshold(), tmp_path) as node:
        association = entity.associate(node.host, node.port, ae_title=node.title)
        assert not association.accepted_contexts
        association.abort()
