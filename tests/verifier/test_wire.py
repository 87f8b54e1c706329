"""What reports of documents hold, seals, outcomes and pictures, arrives as it was sent (the wire itself: test_bulk)."""

from dataclasses import replace

import pytest
from ofdworld import Desk, open_desk

from mingzheng.formats.page import Rect
from mingzheng.keys.sm2backend import can_sign
from mingzheng.verifier.bulk import FileJudge
from mingzheng.verifier.findings import Code
from mingzheng.verifier.pageoutcome import Mismatch
from mingzheng.verifier.wire import pack_reports, unpack_reports

pytestmark = pytest.mark.skipif(not can_sign(), reason="no libcrypto that signs with SM2")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return open_desk(tmp_path_factory.mktemp("desk"))


def test_reports_of_documents_come_back_equal(desk: Desk) -> None:
    (good,) = FileJudge(desk.context, drawn=True).rows(desk.one.sealed, "good.ofd")
    assert good.verdict is Code.VALID
    assert good.seals
    assert good.pictures.pages
    assert good.outcome is not None
    place = Mismatch(name="name", page=1, rect=Rect(x_mm=1.0, y_mm=2.5, width_mm=3.0, height_mm=4.0), reason="page.box")
    bad = replace(good, outcome=replace(good.outcome, mismatches=(place,)))
    assert unpack_reports(pack_reports((good, bad), desk.context), desk.context) == (good, bad)
