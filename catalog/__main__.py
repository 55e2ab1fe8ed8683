"""`python -m catalog`: the same as the `catalog` command."""

import signal

# Until the command runs, Ctrl+C ends it at once: a traceback of what was being imported would tell nobody anything.
handler = signal.getsignal(signal.SIGINT)
if handler is signal.default_int_handler:  # else it is ignored, as in the background of a shell
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from catalog.cli import main  # noqa: E402

signal.signal(signal.SIGINT, handler)
main()
