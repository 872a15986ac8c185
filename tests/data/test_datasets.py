"""Catalogue, finding, downloading and describing tables; the embedded table `alerts`."""

import contextlib
import csv
import gzip
import hashlib
import io
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from alert_panels import alert_panels
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from screening.data import alerts_table, catalogue, datasets, downloads
from screening.data.alerts_table import FEWEST_ACTIVES, MISSING, alerts_library, hide_labels
from screening.data.assay_table import AssayTable
from screening.data.assays import read_assays
from screening.data.catalogue import known_counts
from screening.data.catalogue_check import compare_with_catalogue
from screening.data.datasets import fetch, find, load_dataset
from screening.data.describing import Description, describe
from screening.data.splits import splits
from screening.data.tables import open_table
from screening.errors import ConfigError, DataError, ScreeningError

ROOT = Path(__file__).parents[2]
NAMES = (
    "tox21",
    "toxcast",
    "muv",
    "pcba",
    "sider",
    "clintox",
    "hiv",
    "bbbp",
    "bace",
    "alerts",
    "moleculeace",
)
SMALL = "clintox"
"""The table that the download tests pretend to serve."""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder without SCREENING_DATA; its cache is `tmp_path / "cache" / "screening"`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCREENING_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


# --- the catalogue ------------------------------------------------------------------------------------


def test_the_catalogue_has_the_tables_of_the_field_and_says_everything_of_each() -> None:
    assert set(datasets.catalogue) == set(NAMES)
    for row in datasets.catalogue.values():
        assert all((row.summary, row.licence, row.source, row.defects, row.files, row.smiles))
        assert row.split in splits.names()
        assert row.metric in ("roc_auc", "average_precision", "rmse")
        if row.address is not None:
            assert row.address.startswith("https://")
            assert row.address.endswith(f"/{row.files[0]}")
            assert row.tasks is not None
            assert len(row.tasks) == len(set(row.tasks)) == row.n_tasks


def test_counts_add_up_to_the_published_totals() -> None:
    totals = {
        key: (sum(c.labels for c in counts), sum(c.actives or 0 for c in counts))
        for key, counts in known_counts().items()
    }
    assert totals["tox21", 7_831] == (77_946, 5_862)
    assert totals["toxcast", 8_576][0] == 1_533_660
    assert totals["pcba", 439_863] == (34_102_813, 475_686)
    assert totals["muv", 93_087][0] == 249_886
    for (name, rows), counts in known_counts().items():
        assert rows in (datasets.catalogue[name].rows, *datasets.catalogue[name].other_rows)
        assert all(0 <= (count.actives or 0) <= count.labels <= rows for count in counts)


def test_the_page_about_the_data_names_every_table() -> None:
    page = (ROOT / "data" / "README.md").read_text()
    for row in datasets.catalogue.values():
        assert f"`{row.name}`" in page
        assert f"{row.rows:,}" in page
        assert row.address is None or f"`{row.files[0]}`" in page


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("tox21", "tox21.csv.gz"),
        ("tox21", "raw/tox21_8014_rows.csv.gz"),
        ("toxcast", "toxcast.csv.gz"),
        ("toxcast", "raw/toxcast_8615_rows.csv.gz"),
        ("muv", "muv.csv.gz"),
        ("clintox", "clintox.csv.gz"),
        ("bbbp", "bbbp.csv.gz"),
    ],
)
def test_both_copies_of_a_real_table_are_known(real_data: Path, name: str, file: str) -> None:
    table = load_dataset(name, data=real_data / file)
    notes = table.notes
    assert len(table.tasks) == datasets.catalogue[name].n_tasks
    assert not [note for note in notes if "is not the known table" in note]


def known_table(name: str) -> AssayTable:
    """A table with the rows, assays, labels and actives that the catalogue knows; all methane."""
    row = datasets.catalogue[name]
    labels = np.full((row.rows, row.n_tasks), np.nan, dtype=np.float32)
    for task, count in enumerate(known_counts()[name, row.rows]):
        labels[: count.labels, task] = 0
        labels[: count.actives or 0, task] = 1
    rows = np.arange(1, row.rows + 1)
    return AssayTable([""] * row.rows, ["C"] * row.rows, labels, row.tasks or (), {}, rows)


def test_differences_from_the_known_table_are_named() -> None:
    row = datasets.catalogue["tox21"]
    table = known_table("tox21")
    assert compare_with_catalogue(row, table, len(table)) == []
    assert compare_with_catalogue(row, table, 9) == ["9 rows, not 7,831 or 8,014"]
    labels = table.labels.copy()
    labels[0, 2] = 0
    found = compare_with_catalogue(row, replace(table, labels=labels), len(table))
    assert found == ["assays with other labels: 'NR-AhR' 6,549 labels and 767 actives, not 6,549 and 768"]
    found = compare_with_catalogue(row, replace(table, tasks=(*table.tasks[:-1], "other")), len(table))
    assert found[:2] == ["missing assays 'SR-p53'", "unexpected assays 'other'"]


def test_a_changed_copy_is_loaded_with_a_note(elsewhere: Path) -> None:
    (elsewhere / "clintox.csv").write_text("smiles,FDA_APPROVED,CT_TOX\nCCO,1,0\nCC,,1\n")
    table = load_dataset("clintox", data=elsewhere)
    notes = table.notes
    assert len(table) == 2
    assert any("is not the known table 'clintox': 2 rows, not 1,484" in note for note in notes)


def test_a_table_is_verified_by_what_is_known_of_it(elsewhere: Path) -> None:
    with pytest.raises(DataError, match=r"not on this machine.*screening data fetch clintox"):
        datasets.verify_table("clintox")
    (elsewhere / "data").mkdir()
    path = elsewhere / "data" / "clintox.csv"
    known = known_table("clintox")
    known.write_csv(path)
    assert datasets.verify_table("clintox") == (Path("data/clintox.csv"), [])
    labels = known.labels.copy()
    labels[-1, 0] = 1 - labels[-1, 0]
    replace(known, labels=labels).write_csv(path)
    _, (difference,) = datasets.verify_table("clintox")
    assert difference.startswith("assays with other labels: 'FDA_APPROVED' 1,484 labels and")
    path.write_bytes(b"\x1f\x8b broken")
    assert len(datasets.verify_table("clintox")[1]) == 1


# --- finding ------------------------------------------------------------------------------------------


def test_places_are_looked_at_in_the_promised_order(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, shared, user, here = (elsewhere / name for name in ("given", "shared", "cache/screening", "data"))
    for folder in (given, shared, user):
        folder.mkdir(parents=True)
        (folder / "tox21.csv.gz").touch()
    assert find("tox21") == user / "tox21.csv.gz"
    here.mkdir()
    (here / "tox21.csv").touch()
    assert find("tox21").absolute() == here / "tox21.csv", "./data, where it is there, is the cache"
    monkeypatch.setenv("SCREENING_DATA", str(shared))
    assert find("tox21") == shared / "tox21.csv.gz"
    assert find("tox21", data=given) == given / "tox21.csv.gz"
    assert find("tox21", data=here / "tox21.csv") == here / "tox21.csv"


def test_other_files_are_found_by_path_and_in_the_data_folders(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "mine.csv").touch()
    (elsewhere / "shared").mkdir()
    (elsewhere / "shared" / "theirs.csv").touch()
    assert find("mine.csv") == Path("mine.csv")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"smiles,A\nC,1\n")))
    assert find("-") == find("-")  # read once
    assert find("-").read_text() == "smiles,A\nC,1\n"
    monkeypatch.setenv("SCREENING_DATA", "shared")
    assert find("theirs.csv") == Path("shared/theirs.csv")


def test_what_cannot_be_found_is_one_paragraph(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"neither a file \(looked for.*Did you mean 'toxcast'"):
        find("toxcst")
    with pytest.raises(
        ConfigError, match=r"nowhere is no file, and there is no tox21.csv.gz or tox21.csv in it"
    ):
        find("tox21", data="nowhere")
    with pytest.raises(ConfigError, match="Did you mean 'hiv'"):
        fetch("hivv")
    monkeypatch.setenv("SCREENING_DATA", "nowhere")
    with pytest.raises(ConfigError, match="names 'nowhere', which is no folder"):
        find("tox21")


# --- downloading --------------------------------------------------------------------------------------


def as_csv(table: AssayTable) -> bytes:
    texts = np.where(np.isnan(table.labels), "", np.where(table.labels == 1, "1", "0"))
    lines = [",".join([smiles, *row]) for smiles, row in zip(table.smiles, texts, strict=True)]
    return gzip.compress("\n".join([",".join(["smiles", *table.tasks]), *lines]).encode())


class Server:
    """A web server on this machine; `answers` are given in turn, the last for ever."""

    def __init__(self) -> None:
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.n_asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.n_asked += 1
                server.answers[min(server.n_asked, len(server.answers)) - 1](self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/clintox.csv.gz"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


def content(data: bytes, claimed: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if claimed is None else claimed))
        handler.end_headers()
        with contextlib.suppress(OSError):  # who asked may hang up
            handler.wfile.write(data)

    return answer


def failure(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: handler.send_error(code)


@pytest.fixture
def server(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The address of `clintox` leads to this machine, and retries do not wait."""
    served = Server()
    row = replace(datasets.catalogue[SMALL], address=served.address, limit=1)
    monkeypatch.setattr(datasets, "catalogue", {SMALL: row})
    monkeypatch.setattr(downloads, "SCHEMES", ("http",))
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    yield served
    served.http.shutdown()
    served.http.server_close()


CACHE = Path("cache", "screening")


def in_cache(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / CACHE).iterdir())


def test_a_good_download_is_kept_and_found_again(server: Server, elsewhere: Path) -> None:
    server.answers = [failure(503), content(b"half", claimed=99), content(as_csv(known_table(SMALL)))]
    assert find(SMALL) == elsewhere / CACHE / "clintox.csv.gz"
    assert server.n_asked == 3, "two failures, then the file"
    assert in_cache(elsewhere) == ["clintox.csv.gz"]
    table = load_dataset(SMALL)
    notes = table.notes
    assert len(table) == 1_484
    assert notes == []
    assert server.n_asked == 3, "from the cache"


@pytest.mark.parametrize(
    ("answers", "n_asked", "message"),
    [
        ([failure(404)], 1, r"could not be downloaded \(HTTP Error 404: Not Found, 1 try\)"),
        ([failure(500)], 3, "500: Internal Server Error, 3 tries"),
        ([content(b"half", claimed=99)], 3, r"broke after 4 of 99 bytes, 3 tries"),
        ([content(b"x" * 1_000_001)], 1, "larger than 1 MB"),
        ([content(b"", claimed=10**12)], 1, "larger than 1 MB"),
        ([content(gzip.compress(bytes(10_000_001)))], 1, "unpacks to more than 10 MB, which it should not"),
        ([content(b"<html>Service moved</html>")], 1, "is not the table 'clintox' and was not kept"),
        ([content(as_csv(known_table(SMALL))[:-20])], 1, "is not the table 'clintox'"),
        ([content(b"smiles,FDA_APPROVED,CT_TOX\nC,1,0\n")], 1, "was not kept: 1 rows, not 1,484"),
        ([content(b"smiles,FDA_APPROVED\nC,1\n")], 1, "no column 'CT_TOX'"),
    ],
)
def test_a_bad_download_says_why_and_leaves_the_folder_as_it_was(
    server: Server, elsewhere: Path, answers: list, n_asked: int, message: str
) -> None:
    server.answers = answers
    with pytest.raises(DataError, match=message):
        find(SMALL)
    assert server.n_asked == n_asked
    assert in_cache(elsewhere) == []
    old = elsewhere / CACHE / "clintox.csv.gz"
    old.write_text("older copy")
    with pytest.raises(DataError):
        fetch(SMALL)
    assert old.read_text() == "older copy"


def test_the_sum_is_checked_where_it_is_known(server: Server, elsewhere: Path) -> None:
    published = as_csv(known_table(SMALL))
    row = replace(datasets.catalogue[SMALL], sha256=hashlib.sha256(published).hexdigest())
    datasets.catalogue[SMALL] = row  # type: ignore[index]
    server.answers = [content(gzip.compress(gzip.decompress(published), 1)), content(published)]
    with pytest.raises(DataError, match=f"its SHA-256 is [0-9a-f]{{64}}, not {row.sha256}"):
        fetch(SMALL)
    assert in_cache(elsewhere) == []
    assert fetch(SMALL).read_bytes() == published


def test_a_wrong_number_of_actives_is_refused(server: Server, elsewhere: Path) -> None:
    table = known_table(SMALL)
    labels = table.labels.copy()
    labels[-1, 0] = 1
    server.answers = [content(as_csv(replace(table, labels=labels)))]
    with pytest.raises(
        DataError, match=r"'FDA_APPROVED' 1,484 labels and 1,391 actives, not 1,484 and 1,390"
    ):
        fetch(SMALL)


def test_offline_the_message_says_which_file_goes_where(server: Server, elsewhere: Path) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DataError) as caught:
        find(SMALL)
    text = str(caught.value)
    assert "\n" not in text
    assert f"Get {server.address}" in text
    assert f"save it as {elsewhere / CACHE / 'clintox.csv.gz'}" in text
    assert "SCREENING_DATA" in text
    assert in_cache(elsewhere) == []


def test_only_https_is_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SCHEMES", ("https",))
    server.answers = [content(b"")]
    with pytest.raises(DataError, match="which is not https"):
        fetch(SMALL)


def test_a_folder_that_cannot_be_written_is_one_paragraph(server: Server, elsewhere: Path) -> None:
    (elsewhere / "cache").write_text("a file where the cache should be")
    with pytest.raises(DataError, match=r"cannot be written to .*XDG_CACHE_HOME"):
        fetch(SMALL)


# --- describing ---------------------------------------------------------------------------------------


def test_description_adds_up(elsewhere: Path) -> None:
    (elsewhere / "t.csv").write_text(
        "id,smiles,a,b\n1,CCO,1,\n2,OCC,0,1\n3,no molecule,1,1\n4,[Na+].[Cl-],,0\n5,C,0,0,7\n6,CC,,\n"
    )
    found = describe("t.csv", workers=1)
    assert (found.n_rows, found.n_unread, found.n_unusable) == (6, 1, 1)
    assert (found.n_duplicates, found.n_several) == (1, 1)
    assert [tuple(assay) for assay in found.assays] == [("a", 3, 2), ("b", 3, 2)]
    assert [rejected.row for rejected in found.rejected] == [3, 5]
    assert found.share_measured == pytest.approx(6 / 10)
    assert "6 records; 1 could not be read as rows, 1 have no usable structure, 1 repeat" in str(found)


def test_structures_of_one_parent_are_counted(elsewhere: Path) -> None:
    """An acid and its salt, two stereoisomers; ethanol twice is a duplicate, and an amine is alone."""
    texts = ["CC(=O)O", "CC(=O)[O-].[Na+]", "C[C@H](F)Cl", "C[C@@H](F)Cl", "CCO", "OCC", "CCN"]
    rows = "".join(f"{text},{row % 2}\n" for row, text in enumerate(texts))
    (elsewhere / "forms.csv").write_text("smiles,A\n" + rows)
    notes = describe("forms.csv", workers=0).notes
    assert any(note.startswith("2 of 6 structures have the parent of another") for note in notes)
    (elsewhere / "plain.csv").write_text("smiles,A\nCCO,1\nOCC,0\nCCN,0\n")
    assert not any("parent of another" in note for note in describe("plain.csv", workers=0).notes)


def described_or_refused(path: Path) -> Description | str:
    try:
        return describe(str(path), workers=1)
    except ScreeningError as problem:
        return str(problem)


def test_bad_files_are_described_or_refused_in_one_paragraph(real_data: Path) -> None:
    files = [path for path in (real_data / "dirty").rglob("*") if path.is_file()]
    assert len(files) > 30
    for path in files:
        found = described_or_refused(path)
        if isinstance(found, str):
            assert "\n" not in found, path.name
            assert path.name in found
        else:
            assert found.n_rows >= found.n_unread + found.n_unusable + found.n_duplicates
            assert str(found)


@pytest.mark.parametrize(
    ("name", "unusable", "duplicates"), [("tox21", 8, 0), ("clintox", 4, 19), ("bbbp", 11, 64)]
)
def test_real_tables_have_the_problems_that_are_known(
    real_data: Path, name: str, unusable: int, duplicates: int
) -> None:
    found = describe(name, data=real_data)
    assert (found.n_unread, found.n_unusable, found.n_duplicates) == (0, unusable, duplicates)
    assert found.entry is datasets.catalogue[name]
    assert f"known defects: {found.entry.defects}" in str(found)


# --- the embedded table -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> AssayTable:
    """`alerts` from the cache; made there the first time (some seconds on two free cores)."""
    return load_dataset("alerts")


def test_alerts_is_as_sparse_and_imbalanced_as_a_screen(table: AssayTable) -> None:
    row = datasets.catalogue["alerts"]
    assert (len(table), len(table.tasks)) == (row.rows, row.n_tasks)
    missing = np.isnan(table.labels).mean(axis=0)
    assert missing.min() >= MISSING[0] - 0.001
    assert missing.max() <= MISSING[1]
    assert missing.max() > 0.85, "some assays are nearly empty"
    assert 0.35 < missing.mean() < 0.6
    actives = (table.labels == 1).sum(axis=0)
    assert actives.min() >= FEWEST_ACTIVES
    share = np.nanmean(table.labels, axis=0)
    assert share.min() > 0.005
    assert share.max() < 0.25
    assert np.median(share) < 0.05


def test_alerts_says_that_its_labels_are_computed() -> None:
    table = load_dataset("alerts")
    notes = table.notes
    assert any("computed by RDKit rules, not measured" in note for note in notes)
    row = datasets.catalogue["alerts"]
    assert "COMPUTED" in row.summary
    assert "No label was measured" in row.defects
    assert "COMPUTED" in (alerts_table.__doc__ or "")


def test_alerts_can_be_read_by_the_program_that_reads_any_table(table: AssayTable) -> None:
    found = describe("alerts", workers=1)
    assert (found.n_unread, found.n_unusable, found.n_duplicates) == (0, 0, 0)
    assert table.ids[0].startswith("NCI-")
    assert len(set(table.ids)) == len(table)


def test_panels_with_a_pattern_are_that_pattern(table: AssayTable) -> None:
    panels = alert_panels()
    assert tuple(panel.name for panel in panels) == table.tasks
    mols = [Chem.MolFromSmiles(text) for text in table.smiles[::7]]
    patterned = [place for place, panel in enumerate(panels) if panel.kind == "substructure"]
    assert len(patterned) > 60
    for place in patterned:
        pattern = Chem.MolFromSmarts(panels[place].smarts)
        active = np.array([mol.HasSubstructMatch(pattern) for mol in mols])
        labels = table.labels[::7, place]
        measured = ~np.isnan(labels)
        assert (labels[measured] == active[measured]).all(), panels[place].name
    for panel in panels:
        assert bool(panel.smarts) == (panel.kind in ("substructure", "repeated"))
        assert panel.kind in ("substructure", "repeated", "rule", "set", "threshold")


def test_thresholds_are_what_they_say(table: AssayTable) -> None:
    from rdkit.Chem import Crippen

    values = np.array([Crippen.MolLogP(Chem.MolFromSmiles(text)) for text in table.smiles[::20]])
    labels = table.labels[::20, table.tasks.index("logP_above_5")]
    measured = ~np.isnan(labels)
    assert (labels[measured] == (values > 5)[measured]).all()


@pytest.mark.slow
def test_alerts_is_the_same_every_time(tmp_path: Path, table: AssayTable) -> None:
    made = datasets.make_alerts(tmp_path)
    assert made.read_bytes() == (datasets.cache_folder() / made.name).read_bytes()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".gz"]


def test_the_library_of_alerts_is_read_as_a_table() -> None:
    reader = open_table(alerts_library())
    rows = sum(len(block) for block in reader)
    assert rows == 100
    assert "chembl" in Path(reader.path).name.lower()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 8), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_hidden_labels_leave_the_others_as_they_are(n: int, n_tasks: int, seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    active = generator.random((n, n_tasks)) < share
    labels = hide_labels(active, np.random.default_rng(seed))
    assert labels.dtype == np.float32
    measured = ~np.isnan(labels)
    assert (labels[measured] == active[measured]).all()
    hidden = (~measured).sum(axis=0)
    assert (hidden >= np.floor(MISSING[0] * n)).all()
    assert (hidden <= np.ceil(MISSING[1] * n)).all()
    assert np.array_equal(labels, hide_labels(active, np.random.default_rng(seed)), equal_nan=True)


def test_counts_file_has_no_row_twice() -> None:
    with (Path(catalogue.__file__).parent / "assay_counts.csv").open(newline="") as file:
        rows = [(line["data_set"], line["rows"], line["assay"]) for line in csv.DictReader(file)]
    assert len(rows) == len(set(rows))


def test_a_missing_file_of_rdkit_is_one_paragraph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from rdkit import RDConfig

    monkeypatch.setattr(RDConfig, "RDDataDir", str(tmp_path))
    with pytest.raises(DataError, match="comes without its data files"):
        datasets.make_alerts(tmp_path)


def test_read_assays_finds_the_same_table_without_the_catalogue(real_data: Path) -> None:
    plain = read_assays(real_data / "clintox.csv.gz")
    assert plain.tasks == load_dataset("clintox", data=real_data).tasks


def test_every_hop_of_a_redirect_is_https() -> None:
    """What is asked for next is looked at before it is asked for, though the last address may be https."""
    request = urllib.request.Request("https://a.example/table.csv")
    hop = downloads._Redirects().redirect_request
    for target in ("http://b.example/x", "ftp://b.example/x", "HTTP://b.example/x"):
        with pytest.raises(DataError, match=r"a\.example.*leads to.*which is not https"):
            hop(request, None, 302, "Found", {}, target)
    assert hop(request, None, 302, "Found", {}, "https://b.example/x").full_url == "https://b.example/x"
