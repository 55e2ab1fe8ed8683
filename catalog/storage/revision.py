"""The revision of the schema that this program works with."""

#: The newest revision. A test holds it against the scripts; here, so that a start need not read them.
HEAD = "0003"
#: The oldest revision whose rows fit the newest tables as they are: only tables and columns with defaults came since.
#: A migration that changes rows, renames or drops sets it to itself; older backups are then refused.
ROWS_FIT_SINCE = "0001"
