"""Why bits are not a valid EPC: one error class, and one code, for each reason."""

from devices.errors import EpcError


class EpcHexError(EpcError):
    """The text is not hexadecimal."""

    code = "epc_hex_invalid"

    def __init__(self, *, epc_hex: str) -> None:
        super().__init__(f"{epc_hex[:80]!r} is not hexadecimal")
        self.epc_hex = epc_hex


class EpcHeaderError(EpcError):
    """The first byte is no header of a scheme that this package decodes.

    Its code tells four cases apart: `epc_unprogrammed` (header 00), `epc_tid_copy` (E2, the first byte of a TID:
    a factory default), `epc_scheme_unsupported` (a GS1 scheme that is left alone) and `epc_header_unknown`.
    """

    code = "epc_header_unknown"

    def __init__(self, *, epc_hex: str, code: str) -> None:
        super().__init__(f"EPC {epc_hex} has header {epc_hex[:2]}, which names no scheme decoded here", code=code)
        self.epc_hex = epc_hex


class EpcLengthError(EpcError):
    """There are too few bits for the scheme, or more than EPC memory holds."""

    code = "epc_length_invalid"

    def __init__(self, *, bits: int, wanted: str) -> None:
        super().__init__(f"EPC has {bits} bits, {wanted}")
        self.bits = bits


class EpcPartitionError(EpcError):
    """The partition value is not in the coding table."""

    code = "epc_partition_invalid"

    def __init__(self, *, scheme: str, epc_partition: int) -> None:
        super().__init__(f"{scheme} has partition value {epc_partition}, expected 0 to 6")
        self.scheme, self.epc_partition = scheme, epc_partition


class EpcRangeError(EpcError):
    """A field's value is outside what its number of digits, or its meaning, allows."""

    code = "epc_value_out_of_range"

    def __init__(self, *, field: str, value: int | str, wanted: str) -> None:
        super().__init__(f"{field} is {value}, expected {wanted}")
        self.field, self.value = field, value


class EpcCharacterError(EpcError):
    """A text field holds bits that stand for no character allowed there, or holds nothing."""

    code = "epc_character_invalid"

    def __init__(self, *, field: str, found: str) -> None:
        super().__init__(f"{field} holds {found}")
        self.field, self.found = field, found


class EpcReservedBitsError(EpcError):
    """Bits that the standard wants zero are not: reserved ones, or padding behind the EPC."""

    code = "epc_reserved_bits_set"

    def __init__(self, *, where: str) -> None:
        super().__init__(f"{where} are not all zero")
        self.where = where


class EpcCheckDigitError(EpcError):
    """A GS1 key's check digit does not fit its other digits."""

    code = "epc_check_digit_invalid"

    def __init__(self, *, key: str, digits: str) -> None:
        super().__init__(f"{key} {digits} has a wrong check digit")
        self.key, self.digits = key, digits


class EpcFormatError(EpcError):
    """What is to be encoded is not of the form that its scheme wants."""

    code = "epc_format_invalid"

    def __init__(self, *, what: str, value: str, wanted: str) -> None:
        super().__init__(f"{what} {value[:80]!r} cannot be encoded: expected {wanted}")
        self.what, self.value = what, value
