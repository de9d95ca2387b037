"""Downloads against a local server that cuts, lies, ignores Range, is slow, or has another file by now."""

from __future__ import annotations

import dataclasses
import errno
import io
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import synthetic_cifar as small

from lnlbench.data import download as module
from lnlbench.data.catalogue import DATASETS, LABEL_FILES
from lnlbench.data.download import Patience, download
from lnlbench.data.load import load_dataset
from lnlbench.errors import DataError, InvalidSetting, UnknownName

QUICK = Patience(tries=4, pause=0.0, timeout=5.0)
CONTENT = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves `content` under any name, in the way its attributes say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag = '"one"'
        self.ranges = True
        self.respects_if_range = True
        self.cuts: list[int] = []  # bytes after which each of the next responses ends
        self.statuses: list[int] = []  # what each of the next requests is answered
        self.wait = 0.0
        self.requests: list[tuple[str, str | None]] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/mirror"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        time.sleep(server.wait)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        start = self._start()
        if start >= len(server.content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        body = body[: server.cuts.pop(0)] if server.cuts else body
        self.wfile.write(body)
        server.sent += len(body)

    def _start(self) -> int:
        wanted, version = self.headers.get("Range"), self.headers.get("If-Range")
        if not self.server.ranges or wanted is None:
            return 0
        if self.server.respects_if_range and version not in (None, self.server.etag):
            return 0
        return int(wanted.removeprefix("bytes=").partition("-")[0])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def labels(monkeypatch):
    """The label file cifar10n, whose canonical content is CONTENT."""
    info = LABEL_FILES["cifar10n"]
    file = dataclasses.replace(info.file, md5=small.md5(CONTENT), bytes=len(CONTENT))
    monkeypatch.setitem(LABEL_FILES, "cifar10n", dataclasses.replace(info, file=file))
    return file


@pytest.fixture
def archive(server, monkeypatch):
    """A small canonical CIFAR-10, served."""
    server.content = small.declare_canonical(monkeypatch, "cifar10", small.cifar10_members())
    return server.content


def fetch(server: Server, folder: Path, name: str = "cifar10n", **options):
    return download(name, folder, base_url=server.url, patience=QUICK, **options)


def left(folder: Path) -> set[str]:
    """What lies in the folder, besides the lock (which Windows removes and Unix keeps)."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


class TestFile:
    def test_arrives_whole_under_its_own_name_and_nothing_else_stays(self, server, labels, tmp_path):
        (path,) = fetch(server, tmp_path / "new" / "folder")
        assert path.read_bytes() == CONTENT
        assert left(path.parent) == {"CIFAR-10_human.pt"}
        assert server.requests == [("/mirror/CIFAR-10_human.pt", None)]

    def test_second_download_asks_the_server_nothing(self, server, labels, tmp_path):
        fetch(server, tmp_path)
        fetch(server, tmp_path)
        assert len(server.requests) == 1

    def test_mirror_comes_from_the_environment(self, server, labels, tmp_path, monkeypatch):
        monkeypatch.setenv("LNLBENCH_MIRROR", server.url + "/")
        download("cifar10n", tmp_path, patience=QUICK)
        assert server.requests == [("/mirror/CIFAR-10_human.pt", None)]

    def test_mirror_that_is_no_web_address_is_refused(self, labels, tmp_path):
        with pytest.raises(InvalidSetting, match="file:///etc"):
            download("cifar10n", tmp_path, base_url="file:///etc")

    def test_progress_rises_to_the_total(self, server, labels, tmp_path):
        seen = []
        fetch(server, tmp_path, progress=lambda *state: seen.append(state))
        assert seen[0] == ("CIFAR-10_human.pt", 0, len(CONTENT))
        assert seen[-1] == ("CIFAR-10_human.pt", len(CONTENT), len(CONTENT))
        done = [state[1] for state in seen]
        assert done == sorted(done)
        assert len(done) > 3

    def test_unknown_name_is_refused(self, tmp_path):
        with pytest.raises(UnknownName, match="cifar10n"):
            download("cifar10m", tmp_path)

    def test_bundled_data_need_no_download(self, tmp_path):
        assert download("digits", tmp_path) == ()

    def test_data_that_are_not_public_say_their_terms(self, tmp_path, monkeypatch):
        info = dataclasses.replace(DATASETS["cifar10"], archive=None, terms="by request to the authors")
        monkeypatch.setitem(DATASETS, "cifar10", info)
        with pytest.raises(DataError, match="cannot be downloaded: by request to the authors"):
            download("cifar10", tmp_path)

    def test_other_file_of_that_name_is_not_overwritten(self, server, labels, tmp_path):
        (tmp_path / "CIFAR-10_human.pt").write_bytes(b"mine")
        with pytest.raises(DataError, match=r"(?s)md5 is .*\(4 of 1,024,000 bytes\).*delete it and download again"):
            fetch(server, tmp_path)
        assert (tmp_path / "CIFAR-10_human.pt").read_bytes() == b"mine"


class TestCuts:
    def test_cut_connections_are_resumed_where_they_ended(self, server, labels, tmp_path):
        server.cuts = [300_000, 300_000]
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == [None, "bytes=300000-", "bytes=600000-"]
        assert server.sent == len(CONTENT)

    def test_patience_ends_and_the_part_is_kept_for_the_next_command(self, server, labels, tmp_path):
        server.cuts = [1000] * 4
        with pytest.raises(DataError, match=r"(?s)failed 4 times.*cut at 4,000 of.*4,000 bytes are kept"):
            fetch(server, tmp_path)
        assert left(tmp_path) == {"CIFAR-10_human.pt.part", "CIFAR-10_human.pt.part.version"}
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert server.sent == len(CONTENT)

    def test_server_that_ignores_range_is_read_from_the_start(self, server, labels, tmp_path):
        server.ranges = False
        server.cuts = [300_000]
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert server.sent == 300_000 + len(CONTENT)

    @pytest.mark.parametrize("respects_if_range", [True, False])
    def test_file_changed_on_the_server_is_read_from_the_start(self, server, labels, tmp_path, respects_if_range):
        server.content, server.etag, server.cuts = CONTENT[::-1], '"old"', [1000] * 4
        with pytest.raises(DataError):
            fetch(server, tmp_path)
        server.content, server.etag, server.respects_if_range = CONTENT, '"new"', respects_if_range
        server.requests.clear()
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert len(server.requests) == (1 if respects_if_range else 2)

    def test_part_longer_than_the_file_is_given_up(self, server, labels, tmp_path):
        (tmp_path / "CIFAR-10_human.pt.part").write_bytes(CONTENT + b"more")
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT

    def test_complete_part_is_not_fetched_again(self, server, labels, tmp_path):
        (tmp_path / "CIFAR-10_human.pt.part").write_bytes(CONTENT)
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert server.sent == 0

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_server_in_trouble_is_asked_again(self, server, labels, tmp_path, status):
        server.statuses = [status, status]
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert len(server.requests) == 3

    def test_server_in_lasting_trouble_is_named(self, server, labels, tmp_path):
        server.statuses = [503] * 9
        with pytest.raises(DataError, match="failed 4 times, the last time with: 503"):
            fetch(server, tmp_path)
        assert len(server.requests) == 4

    def test_no_server_is_named(self, labels, tmp_path):
        with pytest.raises(DataError, match=r"(?s)failed 2 times.*refused.*run the same command again"):
            download("cifar10n", tmp_path, base_url="http://127.0.0.1:1", patience=Patience(2, 0.0, 1.0))

    @pytest.mark.parametrize("status", [404, 403, 410])
    def test_missing_file_is_told_at_once(self, server, labels, tmp_path, status):
        server.statuses = [status]
        with pytest.raises(DataError, match=rf"answered {status}.*\n.*LNLBENCH_MIRROR"):
            fetch(server, tmp_path)
        assert len(server.requests) == 1
        assert left(tmp_path) == set()


class TestContent:
    def test_wrong_bytes_are_refused_and_not_kept(self, server, labels, tmp_path):
        server.content = b"<html>login</html>"
        with pytest.raises(DataError, match=r"md5 is \w+, expected \w+ \(18 of 1,024,000 bytes\)"):
            fetch(server, tmp_path)
        assert left(tmp_path) == set()
        assert len(server.requests) == 1

    def test_wrong_bytes_in_a_resumed_part_are_fetched_anew_once(self, server, labels, tmp_path):
        (tmp_path / "CIFAR-10_human.pt.part").write_bytes(b"x" * 1000)
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == ["bytes=1000-", None]


class TestDisk:
    def test_too_little_room_is_told_before_the_first_byte(self, server, labels, tmp_path, monkeypatch):
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: _Usage(1000))
        with pytest.raises(DataError, match=r"(?s)1,024,000 bytes needed, 1,000 free.*--to"):
            fetch(server, tmp_path)
        assert server.requests == []

    def test_what_has_arrived_counts_as_room_not_needed(self, server, labels, tmp_path, monkeypatch):
        (tmp_path / "CIFAR-10_human.pt.part").write_bytes(CONTENT[:1_000_000])
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: _Usage(24_000))
        (path,) = fetch(server, tmp_path)
        assert path.read_bytes() == CONTENT

    def test_disk_that_fills_up_on_the_way_is_told(self, server, labels, tmp_path, monkeypatch):
        if not Path("/dev/full").exists():
            pytest.skip("no /dev/full here")
        (tmp_path / "CIFAR-10_human.pt.part").symlink_to("/dev/full")
        with pytest.raises(DataError, match=r"not enough room in .*1,024,000 bytes needed, [\d,]+ free"):
            fetch(server, tmp_path)

    def test_folder_that_cannot_be_made_is_told(self, server, labels, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(DataError, match=r"(?s)cannot write to .*LNLBENCH_DATA"):
            fetch(server, tmp_path / "file" / "below")
        assert server.requests == []

    def test_folder_without_permission_is_told(self, server, labels, tmp_path, monkeypatch):
        def refuse(self: Path, *_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))

        monkeypatch.setattr(module.Path, "mkdir", refuse)
        with pytest.raises(DataError, match=r"cannot write to .*: Permission denied"):
            fetch(server, tmp_path)


@dataclasses.dataclass
class _Usage:
    free: int


class TestArchive:
    def test_data_set_is_unpacked_and_can_be_read(self, server, archive, tmp_path):
        paths = fetch(server, tmp_path, "cifar10")
        assert [path.name for path in paths][:2] == ["data_batch_1", "data_batch_2"]
        assert all(path.is_file() for path in paths)
        assert load_dataset("cifar10", tmp_path).canonical
        assert {"cifar-10-batches-py", "cifar-10-python.tar.gz"} == {n for n in left(tmp_path) if n[0] != "."}

    def test_archive_brought_by_hand_is_only_unpacked(self, server, archive, tmp_path):
        (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive)
        fetch(server, tmp_path, "cifar10")
        assert server.requests == []
        assert DATASETS["cifar10"].unpacked(tmp_path)

    def test_unpacked_data_are_not_fetched_again(self, server, archive, tmp_path):
        small.write(tmp_path, "cifar10", small.cifar10_members())
        fetch(server, tmp_path, "cifar10")
        assert server.requests == []

    def test_other_files_in_the_way_are_not_overwritten(self, server, archive, tmp_path):
        folder = small.write(tmp_path, "cifar10", small.cifar10_members())
        (folder / "data_batch_3").write_bytes(b"mine")
        with pytest.raises(DataError, match=r"(?s)in the way: data_batch_3 .*Move the folder away"):
            fetch(server, tmp_path, "cifar10")
        assert (folder / "data_batch_3").read_bytes() == b"mine"

    def test_only_expected_members_leave_the_archive(self, server, archive, tmp_path, monkeypatch):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for name, content in small.cifar10_members().items():
                _add(tar, f"cifar-10-batches-py/{name}", content)
            _add(tar, "cifar-10-batches-py/extra.py", b"x")
            _add(tar, "../outside", b"x")
            link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        _serve(server, monkeypatch, buffer.getvalue())
        folder = tmp_path / "data"
        fetch(server, folder, "cifar10")
        assert not (tmp_path / "outside").exists()
        names = {path.name for path in (folder / "cifar-10-batches-py").iterdir()}
        assert names == set(small.cifar10_members())
        assert not (folder / "cifar-10-batches-py" / "test_batch").is_symlink()

    def test_archive_that_lacks_a_member_leaves_no_folder(self, server, archive, tmp_path, monkeypatch):
        members = small.cifar10_members()
        del members["data_batch_2"]
        _serve(server, monkeypatch, small.packed("cifar-10-batches-py", members))
        with pytest.raises(DataError, match="lacks cifar-10-batches-py/data_batch_2"):
            fetch(server, tmp_path, "cifar10")
        assert not (tmp_path / "cifar-10-batches-py").exists()

    def test_archive_that_is_none_is_told(self, server, archive, tmp_path, monkeypatch):
        _serve(server, monkeypatch, b"no archive")
        with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz: cannot be unpacked"):
            fetch(server, tmp_path, "cifar10")


class TestTwoProcesses:
    def test_second_waits_and_finds_the_file(self, server, labels, tmp_path):
        server.wait = 0.5
        code = (
            "import dataclasses, sys\n"
            "from lnlbench.data.catalogue import LABEL_FILES\n"
            "from lnlbench.data.download import download\n"
            "info = LABEL_FILES['cifar10n']\n"
            "file = dataclasses.replace(info.file, md5=sys.argv[1], bytes=None)\n"
            "LABEL_FILES['cifar10n'] = dataclasses.replace(info, file=file)\n"
            "download('cifar10n', sys.argv[2], base_url=sys.argv[3])\n"
        )
        command = [sys.executable, "-c", code, small.md5(CONTENT), str(tmp_path), server.url]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        assert [process.communicate() for process in both] == [(b"", b"")] * 2
        assert [process.returncode for process in both] == [0, 0]
        assert len(server.requests) == 1
        assert (tmp_path / "CIFAR-10_human.pt").read_bytes() == CONTENT


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    item = tarfile.TarInfo(name)
    item.size = len(content)
    tar.addfile(item, io.BytesIO(content))


def _serve(server: Server, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    info = DATASETS["cifar10"]
    server.content = content
    changed = dataclasses.replace(info.archive, md5=small.md5(content), bytes=len(content))
    monkeypatch.setitem(DATASETS, "cifar10", dataclasses.replace(info, archive=changed))
