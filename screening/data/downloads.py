"""One file over https: several tries, a size limit, a progress bar, and a check before it gets its name."""

import contextlib
import gzip
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..runtime.files import atomic_write, file_sha256, half_written, sweep_old
from ..runtime.progress import progress

TRIES = 3
PAUSE = 1.0
"""Seconds before the second try; four times as long before the third."""
TIMEOUT = 30.0
"""Seconds without a byte after which a try has failed."""
UNPACKED = 10
"""A packed file may unpack to so many times the bytes that are accepted of it."""
SCHEMES = ("https",)
BROKEN = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
"""What is worth another try. Errors in writing the file are not."""


class DownloadError(Exception):
    """The address gave nothing, after all tries."""


def download(
    address: str, path: Path, *, limit: int, check: Callable[[Path], None], sha256: str | None = None
) -> None:
    """Fetch `address` to `path`; the file gets its name, replacing what is there, once `check` has passed.

    Parameters
    ----------
    limit : most bytes accepted; of a gzip file, UNPACKED times as many unpacked.
    sha256 : sum of the file, where it is known.
    check : called with the file under a temporary name that ends in its own; raises to refuse it.

    Raises
    ------
    DownloadError : no network, no such file, or the connection broke, after TRIES tries.
    DataError : larger than `limit`, packed or unpacked, of another sum, or not https to the end.
    OSError : the file cannot be written.
    """
    sweep_old(path.parent, half_written(r".+"))
    with atomic_write(path) as work:
        _fetch(address, work, limit)
        _check_sum(work, address, sha256)
        _check_unpacked(work, address, limit * UNPACKED)
        check(work)


def _fetch(address: str, work: Path, limit: int) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            with work.open("wb") as file:
                return _stream(address, file.write, limit)
        except BROKEN as problem:
            is_final = isinstance(problem, urllib.error.HTTPError) and problem.code < 500
            if is_final or attempt == TRIES:
                tries = "try" if attempt == 1 else "tries"
                raise DownloadError(f"{problem}, {attempt} {tries}") from problem
            time.sleep(PAUSE * 4 ** (attempt - 1))


def _stream(address: str, write: Callable[[bytes], object], limit: int) -> None:
    request = urllib.request.Request(address, headers={"User-Agent": "screening"})
    _check_scheme(address, address)
    with urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT) as answer:
        size = int(answer.headers.get("Content-Length") or 0)
        done = 0
        _check_size(size, address, limit)
        with progress(f"downloading {address.rsplit('/', 1)[-1]}", size or None) as advance:
            while block := answer.read(1 << 16):
                done += len(block)
                _check_size(done, address, limit)
                write(block)
                advance(len(block))
        if done < size:
            raise HTTPException(f"the connection broke after {done:,} of {size:,} bytes")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Every address on the way has to be https: one that is not could be read or changed by others."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        _check_scheme(req.full_url, newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_scheme(address: str, target: str) -> None:
    if target.split(":")[0].lower() not in SCHEMES:
        raise DataError(f"{address} leads to {target}, which is not https: not downloaded.")


def _check_size(size: int, address: str, limit: int) -> None:
    if size > limit:
        raise DataError(
            f"{address} is larger than {limit / 1e6:,.0f} MB, which it should not be: not downloaded."
        )


def _check_sum(work: Path, address: str, sha256: str | None) -> None:
    given = file_sha256(work)
    if sha256 is not None and given != sha256:
        raise DataError(
            f"What {address} gave is not the published file and was not kept: its SHA-256 is {given}, not "
            f"{sha256}. Fetch it again; if it is what you want all the same, save it yourself and name "
            "the file with `data`."
        )


def _check_unpacked(work: Path, address: str, limit: int) -> None:
    """Count what a gzip file unpacks to, a megabyte at a time; a broken one is left to who reads it."""
    n_bytes = 0
    with work.open("rb") as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            return
        with contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile), gzip.GzipFile(fileobj=file) as text:
            while block := text.read1(1 << 20):
                n_bytes += len(block)
                if n_bytes > limit:
                    break
    if n_bytes > limit:
        raise DataError(
            f"{address} unpacks to more than {limit / 1e6:,.0f} MB, which it should not do: not kept."
        )
