"""Entry point of the command line: `seedmint` and `python -m seedmint`.

Handles signals before any slow import. `seedmint serve` promises exit status 0 after SIGTERM, and the kernel ignores signals
that process 1 of a container does not handle.
"""

import os
import signal
import sys

_SIGNALS = (signal.SIGTERM, signal.SIGINT) if sys.platform == "win32" else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> None:
    """Run the command line.

    `seedmint serve` exits at once with status 0 after SIGTERM, SIGINT or SIGHUP, until the command installs its own handlers. A
    parent process can block the signals until then, so that none arrives too early: this function unblocks them.

    Raises:
        SystemExit: Always.
    """
    if sys.argv[1:2] == ["serve"]:
        for number in _SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` ignores SIGHUP
                signal.signal(number, lambda *_: os._exit(0))  # an exception in a callback of an import would be lost
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    from seedmint.cli import main as run

    run()


if __name__ == "__main__":
    main()
