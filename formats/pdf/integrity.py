"""Is a sealed PDF what was sealed? Facts for the verifier: no certificate is trusted here.

DESIGN §8: whole-file coverage, only our own further seals as later changes, a closed world of contents. Files
built as our own sealing builds them are judged quickly (`lean`); any other file with a signature goes to pyHanko
under our rules (`outside`), which is loaded only then. Effectful through that library.

Fault codes of a seal: seal.subfilter, seal.time, seal.cms, seal.algorithm, seal.attributes, seal.certificate,
seal.chain, seal.signature, seal.timestamp, file.coverage, file.digest, file.later_change; of the file: file.active,
file.annotation, file.attachment, file.encrypted, file.form, file.layers, file.not_judged, file.structure.
"""

from __future__ import annotations

from typing import Final

from mingzheng.formats.pdf.lean import Checked, check_lean
from mingzheng.formats.pdf.rawscan import raw_dangers

__all__ = ["check_pdf"]

_MARKS: Final = (
    b"/ByteRange",
    b"/SubFilter",
    b"/DocMDP",
    b"/Sig",
)  # any of them, so that one damaged word hides nothing


def check_pdf(data: bytes) -> Checked:
    """The seals of a PDF in the order of sealing, and the faults of the file as (code, detail). Raises nothing.

    A file without a seal has faults only for what makes it act, hide or hold more than a certificate.
    """
    checked = check_lean(data)
    if checked is not None:
        return checked
    if not any(mark in data for mark in _MARKS):
        return (), raw_dangers(data)
    from mingzheng.formats.pdf.outside import judge_outside

    return judge_outside(data)
