"""What Python has on POSIX only, and where source code relies on it: found by reading, without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ATTRIBUTES", "MODULES", "Reading", "Use"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODULES = _words(
    """
        fcntl grp posix pty pwd readline resource syslog termios tty curses _curses _posixsubprocess _posixshmem
        """
)
"""Modules that Windows has not."""

ATTRIBUTES: dict[str, frozenset[str]] = {
    "os": _words(
        """
        chown chroot confstr ctermid eventfd fchdir fchmod fchown fork forkpty fpathconf getegid geteuid getgid
        getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid getuid initgroups killpg
        lchown lockf login_tty memfd_create mkfifo mknod nice openpty pathconf pidfd_open pipe2 posix_fadvise
        posix_fallocate posix_openpt posix_spawn posix_spawnp pread preadv pwrite pwritev readv register_at_fork
        sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid
        setpriority setregid setresgid setresuid setreuid setsid setuid splice statvfs fstatvfs sync sysconf
        tcgetpgrp tcsetpgrp ttyname uname wait wait3 wait4 waitid WNOHANG WIFEXITED WEXITSTATUS WIFSIGNALED
        WTERMSIG writev O_CLOEXEC O_DIRECTORY O_DSYNC O_NDELAY O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC
        O_TMPFILE
        """
    ),
    "signal": _words(
        """
        SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGPOLL SIGPROF SIGQUIT SIGSTOP SIGSYS
        SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH ITIMER_REAL alarm getitimer setitimer
        pause pthread_kill pthread_sigmask siginterrupt sigpending sigtimedwait sigwait sigwaitinfo
        """
    ),
    "select": _words("epoll kevent kqueue poll POLLIN POLLOUT POLLPRI POLLERR POLLHUP EPOLLIN EPOLLOUT"),
    "socket": _words(
        """
        AF_UNIX AF_NETLINK AF_PACKET CMSG_LEN CMSG_SPACE MSG_CMSG_CLOEXEC MSG_DONTWAIT MSG_EOR MSG_NOSIGNAL
        SCM_RIGHTS SO_BINDTODEVICE SO_PEERCRED SO_REUSEPORT TCP_CORK TCP_QUICKACK TCP_USER_TIMEOUT recv_fds
        send_fds
        """
    ),
    "time": _words("clock_settime pthread_getcpuclockid tzset"),
}
"""Names that the modules of Windows do not have."""

_GUARDS = ("hasattr(", "sys.platform", "os.name", "platform.system(")
_CAUGHT = {"ImportError", "ModuleNotFoundError", "AttributeError"}


class Use(str):
    """A place in a source, and what it relies on."""


class Reading(ast.NodeVisitor):
    """Reads one file. `at_import`: what is relied on while it is imported; `anywhere`: in all of it; each unguarded."""

    def __init__(self, source: str) -> None:
        self.at_import: list[Use] = []
        self.anywhere: list[Use] = []
        self.without_encoding: list[Use] = []
        self._guards = 0
        self._functions = 0
        self.visit(ast.parse(source))

    # --- what is relied on

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] in MODULES:
                self._found(node, f"import {alias.name}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = (node.module or "").partition(".")[0]
        if node.level == 0 and module in MODULES:
            self._found(node, f"from {node.module} import")
        if node.level == 0 and module in ATTRIBUTES:
            for alias in node.names:
                if alias.name in ATTRIBUTES[module]:
                    self._found(node, f"{module}.{alias.name}")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.attr in ATTRIBUTES.get(node.value.id, ()):
            self._found(node, f"{node.value.id}.{node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _is_text_without_encoding(node):
            self.without_encoding.append(Use(f"line {node.lineno}: {ast.unparse(node)}"))
        self.generic_visit(node)

    def _found(self, node: ast.stmt | ast.expr, what: str) -> None:
        if not self._guards:
            self.anywhere.append(Use(f"line {node.lineno}: {what}"))
            if not self._functions:
                self.at_import.append(Use(f"line {node.lineno}: {what}"))

    # --- where

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outside)  # these run when the function is made
        self._functions += 1
        for inside in node.body:
            self.visit(inside)
        self._functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._functions += 1
        self.generic_visit(node)
        self._functions -= 1

    def visit_If(self, node: ast.If) -> None:
        with self._guarded(_is_guard(node.test)):
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        with self._guarded(_is_guard(node.test)):
            self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        with self._guarded(_is_guard(node.values[0])):
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        caught = {name.id for one in node.handlers for name in ast.walk(one.type or node) if isinstance(name, ast.Name)}
        with self._guarded(bool(caught & _CAUGHT)):
            for inside in node.body:
                self.visit(inside)
        for after in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(after)

    @contextmanager
    def _guarded(self, is_guard: bool) -> Iterator[None]:
        self._guards += is_guard
        yield
        self._guards -= is_guard


def _is_guard(test: ast.expr) -> bool:
    text = ast.unparse(test)
    return any(guard in text for guard in _GUARDS)


def _is_text_without_encoding(node: ast.Call) -> bool:
    """Whether a call opens a text in the encoding of the machine, which on Windows is a code page."""
    if any(keyword.arg in ("encoding", None) for keyword in node.keywords):
        return False
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name == "read_text":
        return not node.args
    if name == "write_text":
        return len(node.args) < 2
    if name not in ("open", "fdopen") or ast.unparse(node.func).startswith("os.open"):
        return False
    is_method = isinstance(node.func, ast.Attribute) and name == "open"
    place = 0 if is_method else 1
    modes = [one.value for one in node.args[place : place + 1] if isinstance(one, ast.Constant)]
    modes += [one.value.value for one in node.keywords if one.arg == "mode" and isinstance(one.value, ast.Constant)]
    if is_method:  # it may be any `open`, but with a mode it is a file's
        return bool(modes) and str(modes[0]).strip("rwaxt+") == ""
    return not modes or "b" not in str(modes[0])
