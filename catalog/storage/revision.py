"""The schema revision that this program works with."""

#: The newest revision; a test compares it with the scripts. Here, so that a start need not read them.
HEAD = "0021"
#: The oldest revision whose rows fit the newest tables as they are: since then only tables and columns with defaults
#: were added, and columns written anew that a restore makes of others itself (DERIVED in backup/table_rows.py). A
#: migration that changes other rows, renames or drops sets it to itself; older backups are then refused.
ROWS_FIT_SINCE = "0001"
