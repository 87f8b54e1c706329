"""What an OFD package is refused for: container, XML, document. Codes `ofd.zip.…`, `ofd.xml.…`, `ofd.document.…`.

A limit that is passed is a ResourceLimitError, everything else an UnreadableError. Faults of seals are no errors:
they are codes in `SealFacts.faults` (formats.ofd.integrity). No message holds text out of the file.
"""

from __future__ import annotations

from mingzheng.formats.errors import ResourceLimitError, UnreadableError

# Container


class OfdZipError(UnreadableError):
    """The ZIP directory cannot be read."""

    code = "ofd.zip.malformed"


class OfdNameError(OfdZipError):
    """An entry name with a character, length or spelling that is not allowed."""

    code = "ofd.zip.name"


class OfdPathError(OfdZipError):
    """An entry name that is absolute, leaves the package or takes a detour."""

    code = "ofd.zip.path"


class OfdDuplicateError(OfdZipError):
    """Two entries of one name, also when only capital letters differ."""

    code = "ofd.zip.duplicate"


class OfdAliasError(OfdZipError):
    """Two entries that another reader may take for one: file and folder, or one name in two encodings."""

    code = "ofd.zip.alias"


class OfdHeaderError(OfdZipError):
    """The header before an entry says something else than the directory, or has fields we do not know."""

    code = "ofd.zip.header"


class OfdOutsideError(OfdZipError):
    """Bytes that belong to no entry: before, between or behind them."""

    code = "ofd.zip.outside"


class OfdOverlapError(OfdZipError):
    """Two entries share bytes."""

    code = "ofd.zip.overlap"


class OfdEncryptedError(OfdZipError):
    """An entry is encrypted."""

    code = "ofd.zip.encrypted"


class OfdMethodError(OfdZipError):
    """An entry is compressed in another way than deflate."""

    code = "ofd.zip.method"


class OfdDamagedError(OfdZipError):
    """An entry does not unpack to the bytes its header promises."""

    code = "ofd.zip.damaged"


class OfdEntriesError(ResourceLimitError):
    """More entries than allowed."""

    code = "ofd.zip.entries"


class OfdSizeError(ResourceLimitError):
    """More bytes than allowed, packed or unpacked."""

    code = "ofd.zip.size"


class OfdRatioError(ResourceLimitError):
    """An entry grows more than allowed when unpacked."""

    code = "ofd.zip.ratio"


# XML


class OfdXmlError(UnreadableError):
    """Not well-formed XML."""

    code = "ofd.xml.malformed"


class OfdXmlDoctypeError(OfdXmlError):
    """A document type declaration: the door for entities."""

    code = "ofd.xml.doctype"


class OfdXmlEncodingError(OfdXmlError):
    """Another encoding than UTF-8, or bytes that are not UTF-8."""

    code = "ofd.xml.encoding"


class OfdXmlInstructionError(OfdXmlError):
    """A processing instruction, or an element that includes other files."""

    code = "ofd.xml.instruction"


class OfdXmlSizeError(ResourceLimitError):
    """An XML file of more bytes than allowed."""

    code = "ofd.xml.size"


class OfdXmlDepthError(ResourceLimitError):
    """Elements nested deeper than allowed."""

    code = "ofd.xml.depth"


class OfdXmlAttributesError(ResourceLimitError):
    """An element with more attributes than allowed."""

    code = "ofd.xml.attributes"


class OfdXmlNodesError(ResourceLimitError):
    """More elements than allowed."""

    code = "ofd.xml.nodes"


# Document


class OfdDocumentError(UnreadableError):
    """The package is not an OFD document: its root, its document or its pages are missing or senseless."""

    code = "ofd.document.malformed"


class OfdDocumentLimitError(ResourceLimitError):
    """More pages, attachments, signatures or resources than allowed."""

    code = "ofd.document.limit"
