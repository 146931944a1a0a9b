"""The customer information that a create may carry: any part of it, a date of birth complete or not at all, and no identity number."""

from typing import Any, Final

from onramp.dev.stripe import form
from onramp.dev.stripe.errors import bad

_PERSON: Final = frozenset({"email", "first_name", "last_name", "dob", "address"})
_BIRTH: Final = frozenset({"year", "month", "day"})
_ADDRESS: Final = frozenset({"country", "line1", "line2", "city", "state", "postal_code"})


def check_person(tree: dict[str, Any]) -> bool:
    """True where anything was given. The guide names the parameter `customer_information`, the schema `kyc_details`."""
    given = False
    for name in ("customer_information", "kyc_details"):
        if name not in tree:
            continue
        person = form.mapping(tree, name)
        form.only(person, _PERSON, name)
        for plain in ("email", "first_name", "last_name"):
            form.text(person, plain, name)
        if "email" in person and "@" not in person["email"]:
            raise bad("email_invalid", f"Invalid email address: {person['email']}", f"{name}[email]")
        birth = form.mapping(person, "dob", name)
        form.only(birth, _BIRTH, f"{name}[dob]")
        if birth and set(birth) != _BIRTH:
            raise bad(None, "Give year, month and day of a date of birth, or none of them.", f"{name}[dob]")
        for part in birth:
            form.integer(birth, part, f"{name}[dob]")
        address = form.mapping(person, "address", name)
        form.only(address, _ADDRESS, f"{name}[address]")
        given = given or bool(person)
    return given
