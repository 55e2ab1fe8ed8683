"""Accounts: the staff, their roles, sessions and invitations, and the API keys of tills."""

from catalog.accounts.forms import Form, ReadOnce, read_once
from catalog.accounts.invites import INVITED_FOR, NewLink, accept, invite, invited, new_link
from catalog.accounts.keys import (
    RECOGNIZE,
    SCOPES,
    NewKey,
    add_key,
    check_key,
    get_key,
    list_keys,
    rename_key,
    revoke_key,
    set_inbox,
)
from catalog.accounts.passwords import MAX_PASSWORD, MIN_PASSWORD
from catalog.accounts.people import (
    add_user,
    first_admin,
    get_person,
    has_staff,
    list_people,
    set_active,
    set_password,
    set_role,
)
from catalog.accounts.roles import ADMIN, EDITOR, ROLES, VIEWER, covers
from catalog.accounts.sessions import (
    change_password,
    check_password,
    end_session,
    session_user,
    sign_in,
    start_session,
)

__all__ = [
    "ADMIN",
    "EDITOR",
    "INVITED_FOR",
    "MAX_PASSWORD",
    "MIN_PASSWORD",
    "RECOGNIZE",
    "ROLES",
    "SCOPES",
    "VIEWER",
    "Form",
    "NewKey",
    "NewLink",
    "ReadOnce",
    "accept",
    "add_key",
    "add_user",
    "change_password",
    "check_key",
    "check_password",
    "covers",
    "end_session",
    "first_admin",
    "get_key",
    "get_person",
    "has_staff",
    "invite",
    "invited",
    "list_keys",
    "list_people",
    "new_link",
    "read_once",
    "rename_key",
    "revoke_key",
    "session_user",
    "set_active",
    "set_inbox",
    "set_password",
    "set_role",
    "sign_in",
    "start_session",
]
