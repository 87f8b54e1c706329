"""Edits after sealing, on our own sealed files: none comes out without a fault, the files themselves do."""

import hashlib
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import sealpress
from conftest import FULL
from pdfedits import BOX, DRAW, EDITS, FOREIGN, Sealed, form
from sealoffice import key_of, sealed
from stampworld import LocalStamps

from mingzheng.formats.pdf.cms import detached_cms, signer_of
from mingzheng.formats.pdf.integrity import check_pdf
from mingzheng.formats.pdf.lean import Checked, check_lean
from mingzheng.formats.pdf.objects import stream
from mingzheng.formats.pdf.outside import judge_outside
from mingzheng.formats.pdf.revise import append_revision, object_offset
from mingzheng.formats.pdf.sealform import fill_byte_range
from mingzheng.keys.sealkey import SealAlg


@pytest.fixture(scope="module")
def files(studio: Any) -> dict[int, Sealed]:
    """Our certificate with one seal and with two."""
    page, other = studio.pdf(), studio.pdf(studio.page(studio.claims(name="李四")))
    return {seals: Sealed(sealed(page, seals), sealed(other, seals)) for seals in (1, 2)}


def faults_of(checked: Checked) -> list[str]:
    seals, faults = checked
    return [fault for seal in seals for fault in seal.faults] + [code for code, _ in faults]


@pytest.mark.parametrize("seals", [1, 2])
def test_our_sealed_files_have_no_fault_either_way(files: dict[int, Sealed], seals: int) -> None:
    quick, slow = check_lean(files[seals].data), judge_outside(files[seals].data)
    assert quick is not None
    assert quick == slow == check_pdf(files[seals].data)
    assert faults_of(quick) == []
    assert [seal.place for seal in quick[0]] == ["Seal1", "Seal2"][:seals]
    assert len({seal.certificate for seal in quick[0]}) == seals
    mark = quick[0][0].marks[0]
    assert (mark.page, round(mark.rect.x_mm, 2), round(mark.rect.y_mm, 2), round(mark.rect.width_mm, 2)) == (
        1,
        140,
        220,
        42,
    )


@pytest.mark.parametrize("seals", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"png": True},
        {"alg": SealAlg.RSA},
        {"timestamps": LocalStamps(archive=False)},
        {"timestamps": LocalStamps(archive=True)},
    ],
    ids=["picture", "rsa", "stamped", "archived"],
)
def test_every_kind_of_seal_of_ours_is_good_either_way(studio: Any, options: Any, seals: int) -> None:
    """What the quick way calls good, pyHanko under our rules calls good: the same facts."""
    data = sealed(studio.pdf(), seals, **options)
    quick = check_lean(data)
    assert quick is not None
    assert faults_of(quick) == []
    assert quick == judge_outside(data)
    assert {seal.timestamped for seal in quick[0]} == {"timestamps" in options}
    late = 5 if "timestamps" in options else 0
    assert {seal.signed_at for seal in quick[0]} == {sealpress.AT + late}


@pytest.mark.parametrize("seals", [1, 2])
@pytest.mark.parametrize("name", [name for name in EDITS if name not in FOREIGN])
def test_no_edit_after_sealing_goes_unnoticed(files: dict[int, Sealed], name: str, seals: int) -> None:
    changed = EDITS[name](files[seals])
    assert changed != files[seals].data
    assert faults_of(check_pdf(changed)), name
    assert all(code.startswith(("file.", "seal.")) for code in faults_of(check_pdf(changed)))


def test_there_are_many_kinds_of_edits() -> None:
    assert len(EDITS) >= 96


def test_first_save_of_two_is_a_good_file_with_one_seal(files: dict[int, Sealed]) -> None:
    """Taking the second seal off leaves what the first one sealed: how many are needed is judged elsewhere."""
    cut = files[2].data[: files[2].skeleton.revisions[0].end]
    seals, faults = check_pdf(cut)
    assert [(seal.place, seal.faults) for seal in seals] == [("Seal1", ())]
    assert faults == ()


def _flips(file: Sealed, rounds: int) -> list[tuple[int, bytes]]:
    """Places and what is put there: bits of the signatures, bits of the text they stand in, bytes anywhere."""
    chance = random.Random(20261121)
    ranges = [match.span() for match in re.finditer(rb"/ByteRange \[.*?\] +/Contents <[0-9a-f]*>", file.data)]
    values = [match.span(1) for match in re.finditer(rb"/Contents <([0-9a-f]*?)0{100,}>", file.data)]
    digits = [(place, 1 << bit) for begin, end in values for place in range(begin, end) for bit in range(4)]
    text = [(place, 1 << bit) for begin, end in ranges for place in range(begin, end) for bit in range(8)]
    flips = digits if FULL else chance.sample(digits, rounds)
    changed = [(place, b"%x" % (int(file.data[place : place + 1], 16) ^ mask)) for place, mask in flips]
    other = chance.sample(text, 1000 if FULL else rounds // 2)
    other += [(chance.randrange(len(file.data)), chance.randrange(1, 256)) for _ in range(2000 if FULL else rounds)]
    return changed + [(place, bytes([file.data[place] ^ mask])) for place, mask in other]


@pytest.mark.parametrize("seals", [1, 2])
def test_every_flipped_bit_is_noticed(files: dict[int, Sealed], seals: int) -> None:
    """Every bit of the signatures at full counts; of range and padding, and of bytes all over the file, samples."""
    file = files[seals]
    unnoticed = []
    for place, new in _flips(file, 60):
        if not faults_of(check_pdf(file.overwrite(place, new))):
            unnoticed.append((place, new))
    assert unnoticed == []


Saving = Callable[[Sealed, dict[int, bytes]], None]


def _second_save(file: Sealed, change: Saving) -> bytes:
    """The second seal set again by its own key, on a save that changes something else as well."""
    first, second = file.skeleton.revisions
    before = Sealed(file.data[: first.end])
    objects = {number: file.body(number) for number in second.spans}
    change(file, objects)
    field = file.body(file.find(rb"/T \(Seal2\)"))
    signature = int(re.findall(rb"/V (\d+) 0 R", field)[0])
    objects[signature] = re.sub(rb"<[0-9a-f]{200,}>", lambda m: b"<%b>" % (b"0" * (len(m[0]) - 2)), objects[signature])
    size = max(file.size, *(number + 1 for number in objects))
    saved = append_revision(before.data, objects, size=size, root=file.root, info=file.info)
    out, begin, end = fill_byte_range(saved, object_offset(saved, signature))
    key = key_of(2)
    digest = hashlib.sha256(bytes(out[:begin]) + bytes(out[end:])).digest()
    cms = detached_cms(signer_of(str(key.alg), key.certificate, key.chain), digest=digest, sign=key.sign, stamp=None)
    out[begin + 1 : begin + 1 + 2 * len(cms)] = cms.hex().encode()
    return bytes(out)


def _nothing_else(file: Sealed, objects: dict[int, bytes]) -> None:
    pass


def _page_content(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.contents] = DRAW


def _font(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.find(rb"/Length1 ")] = stream(b"\0\1\0\0other", {"Length1": b"9"})


def _annotation(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.page] = re.sub(rb"/Annots \[", b"/Annots [%d 0 R " % file.size, file.body(file.page))
    objects[file.size] = b"<</Type /Annot /Subtype /Widget /FT /Sig /T (Seal3) %b>>" % BOX


def _credential(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.find(rb"/Type /EmbeddedFile")] = stream(b"\xd2other", {"Type": b"/EmbeddedFile"})


def _other_place(file: Sealed, objects: dict[int, bytes]) -> None:
    field = file.find(rb"/T \(Seal2\)")
    objects[field] = re.sub(rb"/Rect \[[^\]]*\]", b"/Rect [0 0 595 842]", objects[field])


def _first_picture(file: Sealed, objects: dict[int, bytes]) -> None:
    field = file.find(rb"/T \(Seal1\)")
    objects[field] = re.sub(rb"/AP <</N \d+ 0 R>>", b"/AP <</N %d 0 R>>" % file.size, file.body(field))
    objects[file.size] = form()


def _stowaway(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.size] = DRAW


def _title(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.info] = b"<</Title (other)>>"


def _root(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.root] = file.catalogue.replace(b"/Lang ", b"/PageMode /UseNone /Lang ")


def _tags(file: Sealed, objects: dict[int, bytes]) -> None:
    number = file.find(rb"/Type /StructElem /S /P\b")
    objects[number] = file.body(number)[:-2] + b" /ActualText (other)>>"


def test_second_seal_set_again_by_its_own_key_is_good(files: dict[int, Sealed]) -> None:
    assert faults_of(check_pdf(_second_save(files[2], _nothing_else))) == []


@pytest.mark.parametrize(
    "change",
    [_page_content, _font, _annotation, _credential, _other_place, _first_picture, _stowaway, _title, _root, _tags],
)
def test_second_sealer_cannot_change_what_the_first_one_sealed(files: dict[int, Sealed], change: Saving) -> None:
    """The key of the second seal is good, so every signature value holds: only the comparison of the saves tells."""
    seals, faults = check_pdf(_second_save(files[2], change))
    assert seals[1].faults in ((), ("file.later_change",))
    assert "file.later_change" in seals[0].faults or faults


def _reference_as_numbers(file: Sealed, objects: dict[int, bytes]) -> None:
    """5 0 R written as [5 0]: equal for Python, a page without content for every reader."""
    objects[file.page] = re.sub(rb"/Contents (\d+) 0 R", rb"/Contents [\1 0]", file.body(file.page))


def _seal_without_picture(file: Sealed, objects: dict[int, bytes]) -> None:
    field = file.find(rb"/T \(Seal1\)")
    objects[field] = re.sub(rb"/N (\d+) 0 R", rb"/N [\1 0]", file.body(field))


def _number_as_truth(file: Sealed, objects: dict[int, bytes]) -> None:
    objects[file.tree] = file.body(file.tree).replace(b"/Count 1", b"/Count true")


def _picture_of_the_stamp(file: Sealed, objects: dict[int, bytes]) -> None:
    field = file.find(rb"/T \(TimeStamp\)")
    objects[field] = re.sub(rb"/N \d+ 0 R", b"/N %d 0 R" % (file.size + 9), objects[field])
    objects[file.size + 9] = form()


PUNS = [_reference_as_numbers, _seal_without_picture, _number_as_truth]


@pytest.mark.parametrize("change", PUNS)
def test_second_sealer_cannot_write_the_same_in_another_sense(files: dict[int, Sealed], change: Saving) -> None:
    assert "file.later_change" in faults_of(check_pdf(_second_save(files[2], change)))


def _stamped_anew(file: Sealed, change: Saving) -> bytes:
    """A sealed file whose archive is taken off, with somebody else's time stamp and a change in its place."""
    base = Sealed(file.data[: file.skeleton.revisions[0].end])
    number = base.size + 5
    field = file.find(rb"/T \(TimeStamp\)")
    value = int(re.findall(rb"/V (\d+) 0 R", file.body(field))[0])
    body = re.sub(rb"<[0-9a-f]{200,}>", lambda match: b"<%b>" % (b"0" * (len(match[0]) - 2)), file.body(value))
    body = re.sub(rb"/ByteRange \[[^\]]*\] *", b"/ByteRange [%-41b] " % b"", body)
    objects = {field: re.sub(rb"/V \d+ 0 R", b"/V %d 0 R" % number, file.body(field)), number: body}
    change(base, objects)
    saved = append_revision(base.data, objects, size=max(objects) + 1, root=base.root, info=base.info)
    out, begin, end = fill_byte_range(saved, object_offset(saved, number))
    token = LocalStamps(archive=True).stamp(hashlib.sha256(bytes(out[:begin]) + bytes(out[end:])).digest())
    out[begin + 1 : begin + 1 + 2 * len(token)] = token.hex().encode()
    return bytes(out)


@pytest.mark.parametrize("change", [*PUNS, _picture_of_the_stamp, _page_content, _first_picture, _stowaway, _tags])
def test_whoever_stamps_a_file_cannot_change_it(studio: Any, change: Saving) -> None:
    """Nobody needs a key to have a file stamped, so nothing but the stamp may come with it."""
    file = Sealed(sealed(studio.pdf(), 1, timestamps=LocalStamps(archive=True)))
    assert faults_of(check_pdf(_stamped_anew(file, _nothing_else))) == []
    assert "file.later_change" in faults_of(check_pdf(_stamped_anew(file, change)))


def test_second_sealer_may_say_other_dates_in_the_properties(files: dict[int, Sealed]) -> None:
    def dates(file: Sealed, objects: dict[int, bytes]) -> None:
        body, count = re.subn(rb"/ModDate \([^)]*\)", b"/ModDate (D:20261121120000Z)", file.body(file.info))
        assert count == 1
        objects[file.info] = body

    assert faults_of(check_pdf(_second_save(files[2], dates))) == []
