"""Check the customer information of a create request: any part of it, a date of birth only if complete, and no identity number."""

from typing import Any, Final

from onramp.dev.stripe import form
from onramp.dev.stripe.errors import bad

_PERSON: Final = frozenset({"email", "first_name", "last_name", "dob", "address"})
_BIRTH: Final = frozenset({"year", "month", "day"})
_ADDRESS: Final = frozenset({"country", "line1", "line2", "city", "state", "postal_code"})


def check_person(tree: dict[str, Any]) -> bool:
    """Return whether any information about the customer is present. Raises StripeError if it is invalid.

    Stripe's guide names the parameter `customer_information`, its schema `kyc_details`.
    """
    is_present = False
    for name in ("customer_information", "kyc_details"):
        if name not in tree:
            continue
        person = form.mapping(tree, name)
        form.require_known(person, _PERSON, name)
        for plain in ("email", "first_name", "last_name"):
            form.text(person, plain, name)
        if "email" in person and "@" not in person["email"]:
            raise bad("email_invalid", f"Invalid email address: {person['email']}", f"{name}[email]")
        birth = form.mapping(person, "dob", name)
        form.require_known(birth, _BIRTH, f"{name}[dob]")
        if birth and set(birth) != _BIRTH:
            raise bad(None, "Give year, month and day of a date of birth, or none of them.", f"{name}[dob]")
        for part in birth:
            form.integer(birth, part, f"{name}[dob]")
        address = form.mapping(person, "address", name)
        form.require_known(address, _ADDRESS, f"{name}[address]")
        is_present = is_present or bool(person)
    return is_present
