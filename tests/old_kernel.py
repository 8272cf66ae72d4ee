# SPDX-License-Identifier: Apache-2.0
"""Runs a program as if the kernel were old: without openat2 (Linux 5.6), faccessat2
(5.8), fchmodat2 (6.6) and PAGEMAP_SCAN (6.7), of which a filter says what such a kernel
says. It holds for all processes that the program starts.

    old_kernel.py PROGRAM [ARGUMENT...]
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# linux/prctl.h, linux/seccomp.h, linux/filter.h
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 2, 0x7fff0000, 0x00050000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, SECOND_ARGUMENT = 0, 24   # in struct seccomp_data

OPENAT2, FACCESSAT2, FCHMODAT2 = 437, 439, 452
IOCTL = {"x86_64": 16, "aarch64": 29}[platform.machine()]
PAGEMAP_SCAN = 0xc0606610


def instruction(code, if_true, if_false, value):
    return struct.pack("=HBBI", code, if_true, if_false, value)


PROGRAM = b"".join([
    instruction(LOAD, 0, 0, NUMBER),
    instruction(JUMP_IF_EQUAL, 6, 0, OPENAT2),
    instruction(JUMP_IF_EQUAL, 5, 0, FACCESSAT2),
    instruction(JUMP_IF_EQUAL, 4, 0, FCHMODAT2),
    instruction(JUMP_IF_EQUAL, 0, 2, IOCTL),
    instruction(LOAD, 0, 0, SECOND_ARGUMENT),
    instruction(JUMP_IF_EQUAL, 2, 0, PAGEMAP_SCAN),
    instruction(RETURN, 0, 0, SECCOMP_RET_ALLOW),
    instruction(RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.ENOSYS),
    instruction(RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.ENOTTY),
])


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Filter(len(PROGRAM) // 8, PROGRAM)
if (libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0):
    sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
