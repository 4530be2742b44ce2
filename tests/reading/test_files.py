"""Only a regular file that really lies in its folder is read, and no further than allowed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dsbench.reading import Unparsable, read_regular


def test_a_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for size in (0, 1, 70_000, 200_000):
        path.write_bytes(os.urandom(size))
        assert read_regular(path, 200_000, inside=tmp_path) == path.read_bytes()
        assert read_regular(path, size) == path.read_bytes()
    with pytest.raises(Unparsable, match="larger than 199,999 bytes"):
        read_regular(path, 199_999)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "a", 10, inside=tmp_path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("socket", "a socket")):
            for inside in (tmp_path, None):
                with pytest.raises(Unparsable, match=kind):
                    read_regular(tmp_path / name, 10, inside=inside)
    with pytest.raises(Unparsable, match="a device"):
        read_regular(Path("/dev/zero"), 10)


def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    (inside / "own").write_text("y")
    (inside / "link").symlink_to(inside / "own")
    (inside / "away").symlink_to(outside / "secret")
    (inside / "nowhere").symlink_to(inside / "absent")
    (inside / "deep").symlink_to(outside)
    (inside / "endless").symlink_to("/dev/zero")
    assert read_regular(inside / "link", 10, inside=inside) == b"y"
    for name in ("away", "deep/secret", "endless"):
        with pytest.raises(Unparsable, match="link out of its folder"):
            read_regular(inside / name, 10, inside=inside)
    with pytest.raises(Unparsable, match="link to nothing"):
        read_regular(inside / "nowhere", 10, inside=inside)
    assert read_regular(inside / "away", 10) == b"x"  # a path that the user named may lead anywhere


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a" * 5_000, "a\0b"):
        with pytest.raises(Unparsable, match="cannot be read"):
            read_regular(tmp_path / name, 10)
