"""A disk that gives an error at any step, or whose power is cut there: it loses what was not synced."""

import contextlib
import errno
import os

from steadyrun.protect.disk import Disk


class PowerCutError(Exception):
    """The machine is gone."""


def full(kind):
    """A full disk takes nothing more, and gives back what is taken from it."""
    return errno.ENOSPC if kind in ("create", "write", "mkdir") else None


def dead(_kind):
    """A dying disk takes nothing at all."""
    return errno.EIO


class FragileDisk(Disk):
    """The machine's files; the power is cut at the `cut_at`-th step from now.

    A step that is cut is done not at all or, where it can be, by half. With `forgets` all is lost that was
    not on the disk: file contents that were not synced, names in folders that were not synced. With `error`
    there is an error instead, and the machine goes on: it gives the number for a kind of step, `None` for
    none, from that step on, or with `once` for that step alone.
    """

    def __init__(self, root, cut_at=None, *, forgets=False, error=None, once=False):
        super().__init__(root)
        self.left, self.forgets = cut_at, forgets
        self.error, self.once = error, once
        self.steps = 0
        self.gone = False
        self._unsaved = []

    def _step(self, kind, path, half=None):
        """Count a step; cut the power when it is the one, or raise its error."""
        if self.gone:
            raise PowerCutError
        self.steps += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0 and self.error is not None:
                self._fail(kind, path, half)
            elif self.left < 0:
                if half is not None:
                    half()
                self._cut()

    def _fail(self, kind, path, half):
        number = self.error(kind)
        if self.once:
            self.left = None
        if number is not None:
            if half is not None:
                half()
            raise OSError(number, os.strerror(number), path)

    def _cut(self):
        self.gone = True
        if self.forgets:
            for path, forget in reversed(self._unsaved):
                forget(path)
        raise PowerCutError

    def power_cut(self):
        """Cut the power now."""
        self.forgets = True
        with contextlib.suppress(PowerCutError):
            self._cut()

    def _later(self, path, forget):
        self._unsaved.append((path, forget))

    def _create(self, path, wanted):
        self._step("create", path)
        super()._create(path, wanted)
        self._later(os.path.dirname(path), lambda _: _remove(path))

    def _write(self, path, data):
        size = os.path.getsize(path)
        self._step("write", path, lambda: super(FragileDisk, self)._write(path, data[: len(data) // 2]))
        self._later(path, lambda now: os.path.exists(now) and os.truncate(now, size))
        super()._write(path, data)

    def set_value(self, path, text):
        self._step("value", path)
        super().set_value(path, text)

    def _sync(self, path):
        self._step("sync", path)
        self._unsaved = [each for each in self._unsaved if each[0] != path]

    def _truncate(self, path, size):
        self._step("truncate", path)
        before = _kept(path)
        super()._truncate(path, size)
        self._later(path, lambda now: _restore(now, before))

    def _rename(self, path, to):
        self._step("rename", path)
        before = _kept(to)
        super()._rename(path, to)
        # What was written to it is on the disk already, under either name.
        self._unsaved = [(to if where == path else where, forget) for where, forget in self._unsaved]

        def forget(_):
            os.rename(to, path)
            _restore(to, before)

        self._later(os.path.dirname(to), forget)

    def _unlink(self, path):
        self._step("unlink", path)
        before = _kept(path)
        super()._unlink(path)
        self._later(os.path.dirname(path), lambda _: _restore(path, before))

    def _mkdir(self, path):
        self._step("mkdir", path)
        super()._mkdir(path)
        self._later(os.path.dirname(path), lambda _: os.path.isdir(path) and os.rmdir(path))

    def _rmdir(self, path):
        self._step("rmdir", path)
        super()._rmdir(path)
        self._later(os.path.dirname(path), lambda _: os.mkdir(path, 0o755))


def _remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _kept(path):
    """Return content and mode of a file; `None`: there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(), os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return None


def _restore(path, kept):
    if kept is None or not os.path.isdir(os.path.dirname(path)):  # a folder that is gone took its names along
        return
    with open(path, "wb") as file:
        file.write(kept[0])
    os.chmod(path, kept[1])
