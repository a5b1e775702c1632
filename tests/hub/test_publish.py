"""Publishing folders: one commit and one tag a release, again after a cut, beside others, or one line on why not."""

import re
import secrets

import pytest
from hub_clients import READER, WRITER, ClientError
from hub_repos import Blob
from published import BUILT, command, create, load, publish, write_dataset, write_results, write_reviews

from hf_xling.runs import claim, file_hash, finish

pytestmark = pytest.mark.slow  # the client's imports alone take seconds

REVIEWS = "hf_xling.dataset_scripts.tamil_movie_reviews"
FRUITS, TREES = ("apple", "mango", "banana"), ("oak", "palm", "banyan")


def names(repo, revision="main"):
    return {path for path in repo.at(revision).files if path != ".gitattributes"}


def card(repo):
    return repo.at().files["README.md"].content.decode()


def test_a_corpus_is_built_and_pushed_by_one_command(hub, call, tmp_path):
    argv = [*write_reviews(tmp_path, FRUITS), "--output_dir", str(tmp_path / "corpus")]
    push = ["--push_to_hub", "--repo_id", "org/reviews", "--private"]
    status, out, _ = call(command, REVIEWS, [*argv, *push])
    repo = hub.repos["datasets", "org/reviews"]
    assert (status, repo.private, len(repo.commits)) == (0, True, 2)
    line = f"pushed: {hub.url}/datasets/org/reviews, commit {repo.at().sha}, tag v1"
    assert out.splitlines()[-1] == line and repo.tags == {"v1": repo.at().sha}
    files = {f"{config}/{split}" for config in ("clean", "raw") for split in ("train", "test")}
    assert {path.split("-")[0] for path in names(repo)} == {"README.md", *files}
    assert 'load_dataset("org/reviews", "clean")' in card(repo)
    texts = [" ".join([f"train {fruit}"] * 5) for fruit in FRUITS]
    for options in ({}, {"streaming": True}, {"revision": "v1"}):
        assert call(load, "org/reviews", "clean", **options) == texts


def test_a_corpus_that_was_built_before_is_pushed_by_the_same_command(hub, call, tmp_path):
    argv = [*write_reviews(tmp_path, FRUITS), "--output_dir", str(tmp_path / "corpus")]
    assert call(command, REVIEWS, argv)[0] == 0
    before = file_hash(tmp_path / "corpus")
    first = call(command, REVIEWS, [*argv, "--push_to_hub", "--repo_id", "org/later"])
    commits, uploads = len(hub.asked("commit")), len(hub.asked("upload"))
    again = call(command, REVIEWS, [*argv, "--push_to_hub", "--repo_id", "org/later"])
    assert (first[0], again[0]) == (0, 0)
    assert again[1].splitlines()[-1] == first[1].splitlines()[-1].replace("pushed:", "nothing new to push:")
    assert (len(hub.asked("commit")), len(hub.asked("upload"))) == (commits, uploads)
    assert 'load_dataset("org/later", "raw")' in card(hub.repos["datasets", "org/later"])
    assert file_hash(tmp_path / "corpus") == before


def test_a_release_replaces_data_and_leaves_what_others_put_there(hub, call, tmp_path):
    folder = write_dataset(tmp_path / "data", FRUITS, ("a", "b"))
    old = call(publish, folder, "org/data")
    repo = hub.repos["datasets", "org/data"]
    repo.commit("main", "somebody else's", {"notes.txt": Blob(b"by hand"), "c/old.parquet": Blob(b"PAR1", lfs=True)})
    before = names(repo)
    write_dataset(folder, TREES, ("a",))
    (folder / "b").rename(tmp_path / "b")
    new = call(publish, folder, "org/data")
    assert (old["tag"], new["tag"], new["is_new"]) == ("v1", "v2", True)
    assert repo.tags == {"v1": old["commit"], "v2": new["commit"]} and repo.at().sha == new["commit"]
    kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names(repo) == {*kept, "notes.txt"} and len(before - names(repo)) == 3
    assert call(load, "org/data", "a", revision="v1") == [f"{fruit} a" for fruit in FRUITS]
    assert call(load, "org/data", "a") == [f"{tree} a" for tree in TREES]


def test_a_push_that_is_cut_is_made_up_for_without_sending_anything_twice(hub, call, tmp_path):
    folder = write_dataset(tmp_path / "data", [secrets.token_hex(8)], ("a", "b", "c", "d"))
    before = len(hub.asked("upload"))
    hub.cut("upload", nth=2)  # which the client does again …
    hub.fail("upload", 403, nth=3)  # … and gives up at: an address that has run out
    with pytest.raises(ClientError, match=f"{folder} is ready: the same command pushes it"):
        call(publish, folder, "org/cut")
    repo = hub.repos["datasets", "org/cut"]
    assert len(repo.commits) == 1
    for what in ("commit", "tag"):
        hub.cut(what)
        with pytest.raises(ClientError, match=r"XlingError: --repo_id org/cut: the Hub at http\S+ cannot be reached"):
            call(publish, folder, "org/cut")
    assert (len(repo.commits), repo.tags) == (2, {})
    done = call(publish, folder, "org/cut")
    assert (done["tag"], done["is_new"], repo.tags) == ("v1", False, {"v1": repo.at().sha})
    assert len(repo.commits) == 2 and hub.asked("upload")[before:].count(200) == 4
    assert call(load, "org/cut", "d") == [text.replace(" a", " d") for text in call(load, "org/cut", "a")]


def test_a_push_that_meets_another_goes_after_it(hub, call, tmp_path):
    call(publish, write_dataset(tmp_path / "data", FRUITS), "org/busy")
    repo, before = hub.repos["datasets", "org/busy"], len(hub.asked("commit"))
    hub.intrude(repo, {"notes.txt": "somebody else's", "a/theirs.parquet": "PAR1"})
    hub.intrude(repo, {"more.txt": "… and more"}, nth=2)
    done = call(publish, write_dataset(tmp_path / "data", TREES), "org/busy")
    assert hub.asked("commit")[before:] == [412, 412, 200]
    assert names(repo) >= {"notes.txt", "more.txt"} and "a/theirs.parquet" not in names(repo)
    assert repo.tags["v2"] == repo.at().sha == done["commit"]
    assert call(load, "org/busy", "a") == [f"{tree} a" for tree in TREES]


def test_a_tag_names_one_commit(hub, call, tmp_path):
    folder = write_dataset(tmp_path / "data", FRUITS)
    first = call(publish, folder, "org/tagged", tag="first")
    again = call(publish, folder, "org/tagged", tag="first")
    assert (again["commit"], again["tag"], again["is_new"]) == (first["commit"], "first", False)
    commits = len(hub.asked("commit"))
    with pytest.raises(ClientError, match="the tag first is on another commit"):
        call(publish, write_dataset(folder, TREES), "org/tagged", tag="first")
    assert len(hub.asked("commit")) == commits
    assert call(publish, folder, "org/tagged")["tag"] == "v1"


@pytest.mark.parametrize(
    ("who", "repo_id", "more", "line"),
    [
        ("nobody", "org/new", (), "there is no token for the Hub; `hf auth login` saves one"),
        ("unknown", "org/new", (), "the Hub does not accept the token"),
        ("reader", "org/new", (), "the token has no right to write there"),
        ("reader", "org/open", (), "the token has no right to write there"),
        ("reader", "org/hidden", (), "is not there, or the token may not see it|the token has no right to write there"),
        ("someone", "org/model", (), "is the name of a model; give the dataset another"),
        ("someone", "org/open", ("--private",), "is public, and --private was asked for"),
        ("someone", "org/ta g", (), "is no name of a dataset"),
    ],
)
def test_what_cannot_be_pushed_is_one_line_and_the_folder_stays(hub, call, tmp_path, who, repo_id, more, line):
    token = {"nobody": "", "unknown": "hf_unknown", "reader": READER, "someone": WRITER}[who]
    call(create, "org/model", exist_ok=True)
    call(create, "org/open", repo_type="dataset", exist_ok=True)
    call(create, "org/hidden", repo_type="dataset", private=True, exist_ok=True)
    argv = [*write_reviews(tmp_path, FRUITS), "--output_dir", str(tmp_path / "corpus")]
    if " " not in repo_id:
        assert call(command, REVIEWS, argv)[0] == 0
    before = {name: len(repo.commits) for name, repo in hub.repos.items()}
    folder = file_hash(tmp_path / "corpus") if " " not in repo_id else None
    status, out, err = call(command, REVIEWS, [*argv, "--push_to_hub", "--repo_id", repo_id, *more], token)
    *_, last = err.splitlines()
    assert (status, out) == (2, "")
    assert re.search(line, last) and last.startswith("error: --") and "Traceback" not in err
    assert {name: len(repo.commits) for name, repo in hub.repos.items()} == before
    assert not any(each in err for each in (WRITER, READER, "hf_unknown"))
    if folder is not None:
        again = "" if who == "someone" else ": the same command pushes it"  # another name or option is another command
        assert last.endswith(f"corpus is ready{again}") and file_hash(tmp_path / "corpus") == folder


def test_what_others_have_under_a_mistyped_name_stays(hub, call, tmp_path):
    folder = write_dataset(tmp_path / "data", FRUITS)
    call(create, "org/theirs", repo_type="dataset")
    repo = hub.repos["datasets", "org/theirs"]
    parts = {f"{name}.parquet": Blob(b"PAR1", lfs=True) for name in ("x", "y")}
    repo.commit("main", "without a card", parts)
    refused = (
        r"InputError: --repo_id org/theirs: holds something else \(x\.parquet and 1 more\) and no card of hf_xling"
    )
    for card_of_theirs in ({}, {"README.md": Blob(b"# Theirs")}):
        repo.commit("main", "by hand", card_of_theirs)
        before = repo.at().sha
        with pytest.raises(ClientError, match=f"{refused}; give another --repo_id, or delete the files there"):
            call(publish, folder, "org/theirs")
        assert repo.at().sha == before and repo.tags == {}
    repo.commit("main", "made room", dict.fromkeys(parts))
    assert call(publish, folder, "org/theirs")["tag"] == "v1"


def test_a_model_loses_our_older_results_and_pickles_and_keeps_those_of_others(hub, call, tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
        (tmp_path / name / "README.md").write_text(f"---\nlicense: mit\n---\n{BUILT}\n", encoding="utf-8")
        call(write_results, tmp_path / name, f"org/{name}-texts")
    call(publish, tmp_path / "old", "org/measured", "model")
    repo = hub.repos["models", "org/measured"]
    theirs = {".eval_results/theirs.yaml": Blob(b"- value: 1\n")}
    repo.commit("main", "added", {**theirs, "training_args.bin": Blob(b"\x80\x02", lfs=True)})
    assert ".eval_results/old-texts.yaml" in names(repo)
    call(publish, tmp_path / "new", "org/measured", "model")
    assert names(repo) == {"README.md", "config.json", ".eval_results/new-texts.yaml", *theirs}


def test_a_model_does_not_go_where_a_dataset_is(call, tmp_path):
    call(create, "org/taken", repo_type="dataset", exist_ok=True)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ClientError, match="InputError: --repo_id org/taken: is the name of a dataset"):
        call(publish, tmp_path, "org/taken", "model")


def test_offline_is_one_line(tmp_path):
    """As the tests' own process is, where the Hub is nowhere."""
    argv = [*write_reviews(tmp_path, FRUITS), "--output_dir", str(tmp_path / "corpus")]
    status, out, err = command(REVIEWS, [*argv, "--push_to_hub", "--repo_id", "org/name"])
    said = "error: --repo_id org/name: HF_HUB_OFFLINE is set, so the Hub is not asked; "
    assert (status, out) == (1, "") and err.splitlines()[-1] == said + "nothing has been done yet"
    assert command(REVIEWS, argv)[0] == 0
    status, out, err = command(REVIEWS, [*argv, "--push_to_hub", "--repo_id", "org/name"])
    ready = f"{tmp_path}/corpus is ready: the same command pushes it"
    assert (status, out) == (1, "") and err.splitlines()[-1] == said + ready


def test_rights_and_tag_are_asked_for_before_a_corpus_is_built(hub, call, tmp_path):
    argv = [*write_reviews(tmp_path, FRUITS), "--output_dir", str(tmp_path / "corpus"), "--push_to_hub"]
    call(publish, write_dataset(tmp_path / "data", FRUITS), "org/released", tag="v1")
    for repo_id, token, line in (
        ("org/new", READER, "has no right to write there"),
        ("org/released", WRITER, "the tag v1 is on another commit"),
    ):
        status, _, err = call(command, REVIEWS, [*argv, "--repo_id", repo_id, "--tag", "v1"], token)
        assert status == 2 and line in err and err.rstrip().endswith("nothing has been done yet")
    assert not (tmp_path / "corpus").exists()


def test_a_corpus_whose_record_bars_it_is_refused_by_the_door_too(hub, call, tmp_path):
    claim(tmp_path / "data", "build", {})
    write_dataset(tmp_path / "data", FRUITS)
    finish(tmp_path / "data", barred="SICK may not be sold, and the licence asked for allows it")
    asked = len(hub.log)
    with pytest.raises(ClientError, match=r"InputError: \S+/data: SICK may not be sold, and the licence asked for"):
        call(publish, tmp_path / "data", "org/barred")
    assert len(hub.log) == asked


def test_text_that_may_not_be_republished_is_not_pushed(hub, call, tmp_path):
    asked, imdb = len(hub.log), REVIEWS.replace("tamil_movie_reviews", "imdb_ratings")
    files = write_reviews(tmp_path, FRUITS)
    (tmp_path / "imdb_train.csv").write_bytes((tmp_path / "train.csv").read_bytes())
    more = ["--output_dir", str(tmp_path / "corpus"), "--push_to_hub"]
    for script, argv in ((imdb, files), (REVIEWS, ["--train_file", str(tmp_path / "imdb_train.csv")])):
        status, _, err = call(command, script, [*argv, *more, "--repo_id", "org/imdb"])
        assert status == 2 and "IMDB states no licence" in err
    assert call(command, imdb, [*files, *more])[2].startswith("error: --push_to_hub: --repo_id ORG/NAME is needed")
    assert len(hub.log) == asked and not (tmp_path / "corpus").exists()
