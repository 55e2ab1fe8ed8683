"""What a member of the staff may do. Each role may do what those before it may."""

from __future__ import annotations

from catalog.errors import InvalidInputError

#: Sees products; changes them and decides about the inbox; manages people and keys, and reads the audit log.
VIEWER, EDITOR, ADMIN = "viewer", "editor", "admin"
#: From the least to the most.
ROLES = (VIEWER, EDITOR, ADMIN)


def covers(role: str, needed: str) -> bool:
    """Whether somebody of this role may do what needs the other one."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


def checked_role(role: str) -> str:
    """Raises InvalidInputError for what is no role."""
    if role not in ROLES:
        raise InvalidInputError("role", f"A role is {', '.join(ROLES[:-1])} or {ROLES[-1]}.")
    return role
