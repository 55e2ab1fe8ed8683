"""Barcodes of products: entered by a person, read from photos, looked up for a till. Each belongs to one product."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from catalog.errors import BarcodeTakenError, ConflictError, Faults, InvalidInputError, NotFoundError
from catalog.storage import Database, audit_log
from catalog.storage.product_rows import find_owners, lock_product
from catalog.storage.tables import Barcode, Product
from embedder.barcodes import Barcode as ReadBarcode
from embedder.barcodes import gtin
from embedder.errors import GtinError

MAX_BARCODES = 50  # of one product, in one request


@dataclass(frozen=True)
class FoundBarcode:
    """A barcode that was read from a photo: 14 digits, and the SKU of the product that has it ("" if none has)."""

    gtin: str
    sku: str

    @property
    def printed(self) -> str:
        """The number as it is printed on the pack."""
        return gtin.printed_gtin(self.gtin)


def check(text: str) -> str:
    """Validate a barcode that a person entered -> GTIN of 14 digits. Raises InvalidInputError."""
    try:
        return gtin.parse_gtin(text)
    except GtinError as error:
        raise InvalidInputError("barcode", str(error)) from error


def checked(texts: Iterable[str]) -> tuple[str, ...]:
    """Validate barcodes that a person entered -> GTINs of 14 digits, without duplicates.

    Raises InvalidInputError, which names all at fault.
    """
    faults, found = Faults(), []
    for index, text in enumerate(texts):
        with faults.collected(index):
            found.append(check(text))
    faults.raise_any()
    numbers = tuple(dict.fromkeys(found))
    if len(numbers) > MAX_BARCODES:
        raise InvalidInputError("barcode", f"{len(numbers)} barcodes at once; at most {MAX_BARCODES} are possible.")
    return numbers


def owners(session: Session, gtins: Sequence[str]) -> dict[str, str]:
    """Barcodes (14 digits) -> the SKU of the product, active or retired, that has each; unused ones are omitted."""
    query = select(Barcode.gtin, Product.sku).join(Product, Product.id == Barcode.product_id)
    return dict(session.execute(query.where(Barcode.gtin.in_(gtins))).all())


def owner_of(session: Session, search: str) -> str | None:
    """The SKU of the product that has this barcode, typed or scanned; None also for a text that is no barcode."""
    try:
        numbers = gtin.readings(search)
    except GtinError:
        return None
    named = find_owners(session, numbers)
    return next((named[number].sku for number in numbers if number in named), None)


def refuse_taken(session: Session, gtins: Sequence[str], sku: str) -> None:
    """Raises BarcodeTakenError when a product other than this one has one of these barcodes."""
    for number, owner in owners(session, gtins).items():
        if owner != sku:
            message = f"The barcode {gtin.printed_gtin(number)} belongs to the product {owner!r}."
            raise BarcodeTakenError(number, owner, message)


def claim(session: Session, product: Product, gtins: Sequence[str]) -> None:
    """Assign barcodes to a product, in the caller's transaction. Raises BarcodeTakenError."""
    refuse_taken(session, gtins, product.sku)
    # Sorted, so that two transactions that claim the same barcodes never deadlock.
    new = sorted(set(gtins) - {barcode.gtin for barcode in product.barcodes})
    try:
        with session.begin_nested():
            product.barcodes.extend(Barcode(gtin=number) for number in new)
    except IntegrityError as error:  # another transaction was faster, between the check and the insert
        refuse_taken(session, new, product.sku)
        raise ConflictError("The barcodes were changed by somebody else just now; try again.") from error


def replace(session: Session, product: Product, gtins: Sequence[str]) -> None:
    """Make these (14 digits) the barcodes of a product, in the caller's transaction. Raises BarcodeTakenError."""
    product.barcodes = [barcode for barcode in product.barcodes if barcode.gtin in gtins]
    claim(session, product, gtins)


def add(database: Database, sku: str, text: str, *, actor: str) -> None:
    """Add a barcode to a product. Raises InvalidInputError, NotFoundError or BarcodeTakenError."""
    number = check(text)
    with database.write() as session:
        product = lock_product(session, sku)
        with audit_log.recorded(session, actor, "barcode.add", product):
            claim(session, product, [number])


def remove(database: Database, sku: str, text: str, *, actor: str) -> None:
    """Remove a barcode from a product. Raises InvalidInputError, or NotFoundError when the product lacks it."""
    number = check(text)
    with database.write() as session:
        product = lock_product(session, sku)
        barcode = next((barcode for barcode in product.barcodes if barcode.gtin == number), None)
        if barcode is None:
            raise NotFoundError(f"The product {product.sku!r} has no barcode {gtin.printed_gtin(number)}.")
        with audit_log.recorded(session, actor, "barcode.remove", product):
            product.barcodes.remove(barcode)


def numbers_on(read: Iterable[Sequence[ReadBarcode]]) -> list[str]:
    """Barcodes that were read from photos -> GTINs of 14 digits, each once.

    Restricted numbers, as a shop's scales print them, are left out: the next pack has another.
    """
    numbers = [barcode.gtin for barcodes in read for barcode in barcodes]
    return [number for number in dict.fromkeys(numbers) if not gtin.is_restricted(number)]


def found(session: Session, gtins: Sequence[str]) -> tuple[FoundBarcode, ...]:
    """Barcodes that were read (14 digits), each with its owner."""
    known = owners(session, gtins)
    return tuple(FoundBarcode(number, known.get(number, "")) for number in gtins)


def look_up(database: Database, texts: Iterable[str]) -> tuple[FoundBarcode, ...]:
    """Validate barcodes and find their owners. Raises InvalidInputError."""
    numbers = checked(texts)
    with database.read() as session:
        return found(session, numbers)
