"""A process that is killed at each change that it makes to the disk, one after another."""

import os
import signal
import sys

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree"}


def killed_at_each_change(work, check):
    """Call ``work`` in children that get SIGKILL before their 1st, 2nd, ... change, and ``check`` after each one.

    Ends, and gives how many were killed, with the first child that makes fewer changes. For a process without threads.
    """
    for killed in range(1000):
        child = os.fork()
        if child == 0:
            _kill_before(killed)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check()
        if not os.WIFSIGNALED(status):
            assert status == 0
            return killed
    raise AssertionError("the work does not end")


def _kill_before(number):
    left = [number]

    def count(event, arguments):
        if event in CHANGES:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
