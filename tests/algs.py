"""The algorithms as test parameters: SM2 is skipped, with the reason, where no library signs with it."""

import pytest

from mingzheng.keys.alg import Alg
from mingzheng.keys.sm2backend import can_sign

HERE = tuple(alg for alg in Alg if alg is not Alg.SM2 or can_sign())
NEEDS_SM2 = pytest.mark.skipif(not can_sign(), reason="no OpenSSL 3 with SM2 on this machine")
ALGS = [pytest.param(alg, marks=NEEDS_SM2) if alg is Alg.SM2 else alg for alg in Alg]
DISTINCT = [Alg.ED25519, Alg.ESP256, pytest.param(Alg.SM2, marks=NEEDS_SM2)]
