# tests/c/smoke.py - gort_c.h from Python, by ctypes: smoke.py LIBRARY. tests/python_test.sh makes the library.
# SPDX-License-Identifier: BSD-2-Clause
#
# Python's threads are threads of the program's own: they block on gort's channels as goroutines do, with the GIL given
# up. Python's state belongs to the thread, and a goroutine can leave its thread in any call into gort. So a Python
# function that a goroutine calls does not call gort itself: what it has to say goes through one of Python's own queues.
import ctypes
import queue
import sys
import threading

lib = ctypes.CDLL(sys.argv[1])
P, I64, INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
FUNCTION = ctypes.CFUNCTYPE(None, P)
FOREVER = 2**63 - 1
OK, CLOSED, FULL, EMPTY, TIMEOUT = range(5)


class Case(ctypes.Structure):
    _fields_ = [("chan", P), ("dir", INT), ("elem", P), ("status", INT)]


def declare(name, result, *arguments):
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments
    return function


start = declare("gort_start", INT, P)
stop = declare("gort_stop", None)
go = declare("gort_go", None, FUNCTION, P)
now_ns = declare("gort_now_ns", I64)
status_text = declare("gort_status_text", ctypes.c_char_p, INT)
chan_make = declare("gort_chan_make", P, ctypes.c_size_t, I64)
chan_unref = declare("gort_chan_unref", None, P)
chan_send = declare("gort_chan_send", INT, P, P)
chan_recv = declare("gort_chan_recv", INT, P, P)
chan_recv_until = declare("gort_chan_recv_until", INT, P, P, I64)
chan_close = declare("gort_chan_close", INT, P)
select = declare("gort_select", INT, ctypes.POINTER(Case), INT, INT, I64)


def check(what, is_so):
    if not is_so:
        sys.exit("not so: " + what)


check("status texts", status_text(TIMEOUT) == b"timeout")
check("start", start(None) == OK)

# Two of Python's threads, and a channel between them.
numbers = chan_make(8, 2)


def produce():
    for i in range(100):
        chan_send(numbers, ctypes.byref(I64(i)))
    chan_close(numbers)


thread = threading.Thread(target=produce)
thread.start()
value, total = I64(), 0
while chan_recv(numbers, ctypes.byref(value)) == OK:
    total += value.value
thread.join()
check("the sum", total == 4950)
chan_unref(numbers)

# Goroutines that run Python, and answer.
said = queue.SimpleQueue()


@FUNCTION
def answer(arg):
    said.put((arg or 0) * 2)


for i in range(16):
    go(answer, i)
check("the answers", sum(said.get() for _ in range(16)) == 240)

# Deadlines and select.
answers = chan_make(8, 1)
check("nothing comes", chan_recv_until(answers, ctypes.byref(value), now_ns() + 1000000) == TIMEOUT)
other = chan_make(0, 0)
cases = (Case * 2)(Case(answers, 0, ctypes.addressof(value)), Case(other, 0, None))
check("nothing is ready", select(cases, 2, 1, FOREVER) == -1)
chan_close(other)
check("one is closed", select(cases, 2, 0, FOREVER) == 1 and cases[1].status == CLOSED)
chan_unref(other)
chan_unref(answers)
stop()
print("1 passed, 0 failed")
