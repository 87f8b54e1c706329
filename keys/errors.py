"""Every error of the room `keys`, each with a stable code.

One base, one leaf per thing a caller would do differently. Messages name what was expected and
where; never key material, never a passphrase.
"""

from typing import ClassVar


class KeysError(Exception):
    """Base of every error this room raises about its input."""

    code: ClassVar[str] = "key.error"


class UnknownAlgError(KeysError):
    """An algorithm number outside the closed set."""

    code = "key.unknown_alg"


class BadKidError(KeysError):
    """A key id that is not 8 bytes."""

    code = "key.bad_kid"


class BadSpkiError(KeysError):
    """A SubjectPublicKeyInfo that is not the one accepted spelling of a key of that algorithm."""

    code = "key.bad_spki"


class WeakKeyError(KeysError):
    """An Ed25519 point of small order, spelt non-canonically, or not on the curve."""

    code = "key.weak_point"


class BadPrivateKeyError(KeysError):
    """Private bytes that are no key of that algorithm."""

    code = "key.bad_private_key"


class SignatureInvalidError(KeysError):
    """The signature is not this key's over this message."""

    code = "key.signature_invalid"


class BadVkeyError(KeysError):
    """A verifier-key string or its parts that break C2SP signed-note."""

    code = "key.bad_vkey"


class NoteMalformedError(KeysError):
    """Bytes that are no signed note, or text that may not become one."""

    code = "note.malformed"


class NoteTooLargeError(NoteMalformedError):
    """A note over the cap of bytes or of signature lines."""

    code = "note.too_large"


class NoteSignatureInvalidError(KeysError):
    """A line of a known key whose signature does not verify: the whole note is refused."""

    code = "note.signature_invalid"

    def __init__(self, *, name: str) -> None:
        super().__init__(f"note carries an invalid signature of the known key {name!r}")
        self.name = name


class NoteUntrustedError(KeysError):
    """No line of the note is a good signature of a known key."""

    code = "note.no_trusted_sig"


class NoteKeysAmbiguousError(KeysError):
    """Two different known keys with one name and one key hash."""

    code = "note.ambiguous_keys"


class NoteSignerError(KeysError):
    """A signer whose algorithm signs no notes."""

    code = "note.bad_signer"


class TrustError(KeysError):
    """Base of the refusals of trust data."""

    code = "trust.error"


class TrustMalformedError(TrustError):
    """trust.json is not strict JSON of the stated shape."""

    code = "trust.malformed"


class TrustTooLargeError(TrustError):
    """More bytes, files or records than the caps allow."""

    code = "trust.too_large"


class TrustVersionError(TrustError):
    """trust.json of a format version this program does not know."""

    code = "trust.unknown_version"


class BadBlobNameError(TrustError):
    """A file name that is not a safe relative path."""

    code = "trust.bad_blob_name"


class KeySharedError(TrustError):
    """One public key under two records, that is, two roles or origins."""

    code = "trust.key_shared"


class DuplicateKidError(TrustError):
    """Two different public keys with one kid."""

    code = "trust.duplicate_kid"


class KidMismatchError(TrustError):
    """A record whose kid is not the one of its public key."""

    code = "trust.kid_mismatch"


class DuplicateNumberError(TrustError):
    """Two issuers, origins or bodies with one number."""

    code = "trust.duplicate_number"


class DuplicateNameError(TrustError):
    """Two origins with one name."""

    code = "trust.duplicate_name"


class BadPrefixError(TrustError):
    """A QR prefix that is not https, not ASCII, too long, not ending in '#', or taken."""

    code = "trust.bad_prefix"


class RoleAlgError(TrustError):
    """An algorithm its role may not use."""

    code = "trust.role_alg"


class OriginKeysError(TrustError):
    """A second receipt or checkpoint key of one origin."""

    code = "trust.origin_keys"


class UnknownIssuerError(TrustError):
    """A record that names an issuer the trust data does not hold."""

    code = "trust.unknown_issuer"


class UnknownOriginError(TrustError):
    """A record that names an origin the trust data does not hold."""

    code = "trust.unknown_origin"


class BadScopeError(TrustError):
    """A scope that is empty where it may not be, out of range, or does not fit its role."""

    code = "trust.bad_scope"


class RollbackError(TrustError):
    """A generation not above the stored one."""

    code = "trust.rollback"


class StoreMissingError(TrustError):
    """There is no trust store in that directory."""

    code = "trust.no_store"


class StoreDamagedError(TrustError):
    """The files of a store are not those its manifest lists."""

    code = "trust.damaged"


class StoreBusyError(TrustError):
    """Another process is writing the store."""

    code = "trust.busy"


class StoreWriteError(TrustError):
    """The store could not be written; the old generation still stands."""

    code = "trust.write_failed"


class CustodyError(KeysError):
    """Base of the refusals about private key files and passphrases."""

    code = "custody.error"


class WrongPassphraseError(CustodyError):
    """The file is whole but the passphrase does not open it; `zh`, `en`: the words of whoever knows whose it is."""

    code = "custody.wrong_passphrase"

    def __init__(self, message: str, *, zh: str | None = None, en: str | None = None) -> None:
        super().__init__(message)
        self.zh, self.en = zh, en


class KeyFileDamagedError(CustodyError):
    """The file is not what was written."""

    code = "custody.damaged"


class KeyFileUnencryptedError(CustodyError):
    """A private key in clear."""

    code = "custody.unencrypted"


class KeyFileAlgError(CustodyError):
    """The file holds a key of another algorithm than the caller expects."""

    code = "custody.alg_mismatch"


class NotPrivateError(CustodyError):
    """A secret file that others than its owner may read, or that is no regular file."""

    code = "custody.not_private"


class KeyFileExistsError(CustodyError):
    """A key file is never overwritten."""

    code = "custody.exists"


class KeyFileUnreadableError(CustodyError):
    """The file is missing or the system refuses to read or write it."""

    code = "custody.io"


class PassphraseError(CustodyError):
    """A passphrase that is missing, too short, too long or not one line."""

    code = "custody.bad_passphrase"


class DerError(KeysError):
    """Base of the refusals of DER: bytes that are not the one accepted spelling."""

    code = "der.error"


class DerTruncatedError(DerError):
    """A length that points past the end, or bytes after the end."""

    code = "der.length"


class DerTagError(DerError):
    """Another tag than the one expected, or one outside what is read here."""

    code = "der.tag"


class DerValueError(DerError):
    """Content that is no value of its type, or not its shortest spelling."""

    code = "der.value"


class DerLimitError(DerError):
    """More bytes, nesting or nodes than the caps allow."""

    code = "der.limit"


class Sm2UnavailableError(KeysError):
    """Signing with SM2 needs OpenSSL's libcrypto 3.0 or newer with SM2 inside; there is none here."""

    code = "sm2.unavailable"


class MldsaUnavailableError(KeysError):
    """Checking or making an ML-DSA-44 signature needs a newer `cryptography` library than the one here."""

    code = "mldsa.unavailable"


class Sm2FailedError(KeysError):
    """The library refused an SM2 operation that should have worked."""

    code = "sm2.failed"


class CertError(KeysError):
    """Base of the refusals of X.509 certificates."""

    code = "cert.error"


class CertMalformedError(CertError):
    """Bytes that are no X.509 version 3 certificate in DER."""

    code = "cert.malformed"


class CertKeyError(CertError):
    """A certificate of a public key that is not read here, or is too weak."""

    code = "cert.key"


class CertExtensionError(CertError):
    """A critical extension this program does not know."""

    code = "cert.critical_extension"


class CertAlgorithmError(CertError):
    """A signature algorithm outside the closed set, or one that does not fit the key."""

    code = "cert.algorithm"


class CertSignatureError(CertError):
    """The signature is not this certificate's key's over these bytes."""

    code = "cert.signature"


class CertSpecError(CertError):
    """A wish for a certificate that cannot be granted."""

    code = "cert.bad_spec"


class SealKeyMismatchError(KeysError):
    """A certificate that is not of this private key, or not of the algorithm asked for."""

    code = "key.certificate_mismatch"


class SealTokenError(KeysError):
    """A token behind PKCS #11 that cannot be used: library, token, key or PIN; or it failed while signing."""

    code = "key.token"


class Pkcs8AlgorithmError(KeysError):
    """An encrypted private key of another make than is read here."""

    code = "key.pkcs8_algorithm"


class Pkcs8PassphraseError(KeysError):
    """A passphrase that does not open an encrypted private key."""

    code = "key.pkcs8_passphrase"


class SealTableError(TrustError):
    """Base of the refusals of the table of seals in trust data."""

    code = "seals.error"


class SealChainError(SealTableError):
    """A pinned certificate that no authority of the table vouches for on any day it is pinned."""

    code = "seals.no_chain"


class SealUsageError(SealTableError):
    """A pinned certificate whose key or key usage does not fit what it is pinned for."""

    code = "seals.wrong_use"


class SealKeySharedError(SealTableError):
    """One public key for two purposes or two bodies of an issuer."""

    code = "seals.key_shared"


class SealRulesOverlapError(SealTableError):
    """Two rules, or two records of one certificate, that hold for the same case."""

    code = "seals.overlap"
