"""What every test starts from."""

import signal

# A shell ignores SIGINT in what it puts in the background, and that is inherited: the tests that press Ctrl-C
# would wait for ever. With Python's own handler here, processes started from here begin with the default.
signal.signal(signal.SIGINT, signal.default_int_handler)
