"""The loopback Hub under the clients that people use: huggingface_hub and datasets, in a process of their own."""

import pytest
from hub_clients import READER, WRITER, ClientError

pytestmark = pytest.mark.slow  # the client's imports alone take seconds

PAIRS = {"anchor": ["ஒரு பூனை", "a dog", "rain"], "positive": ["a cat", "the hound", "மழை"], "group": ["1", "2", "3"]}
SENTENCES = {"anchor": [f"sentence {number}" for number in range(50)]}


def rows(word):
    """A table of its own: contents that the Hub has, in whatever repository, are not sent again."""
    return {"anchor": [f"{word} {number}" for number in range(50)]}


# What the client process does. Nothing of Hugging Face may be imported out here.


def push(repo_id, splits, config="default", **options):
    from datasets import Dataset, DatasetDict

    parts = DatasetDict({split: Dataset.from_dict(columns) for split, columns in splits.items()})
    return parts.push_to_hub(repo_id, config, **options).oid


def load(*args, split="train", **options):
    from datasets import load_dataset

    rows = list(load_dataset(*args, split=split, **options))
    return {name: [row[name] for row in rows] for name in rows[0]}


def api(method, *args, **options):
    from huggingface_hub import HfApi

    return getattr(HfApi(), method)(*args, **options)


def paths_of(entries):
    return {entry.path: entry for entry in entries}


def names_of(repo_id, **options):
    from huggingface_hub import HfApi

    return paths_of(HfApi().list_repo_tree(repo_id, **options))


def commit(repo_id, add=None, delete=(), **options):
    """`add`: texts by path."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    operations = [CommitOperationAdd(path, text.encode()) for path, text in (add or {}).items()]
    operations += [CommitOperationDelete(path) for path in delete]
    return HfApi().create_commit(repo_id, operations, commit_message="a change", **options).oid


def read(repo_id, path, **options):
    from huggingface_hub import hf_hub_download

    with open(hf_hub_download(repo_id, path, **options), encoding="utf-8") as stream:
        return stream.read()


def read_range(repo_id, path, start, length):
    from huggingface_hub import HfFileSystem

    with HfFileSystem().open(f"{repo_id}/{path}", "rb", block_size=16, cache_type="none") as stream:
        stream.seek(start)
        return stream.read(length)


def test_a_corpus_comes_back_by_config_split_and_revision(hub, call):
    held_out = {"anchor": ["held out"]}
    push_options = {"set_default": True}
    call(push, "org/corpus", {"train": SENTENCES, "test": held_out}, "sentences", **push_options)
    old = call(push, "org/corpus", {"train": PAIRS}, "pairs")
    call(api, "create_tag", "org/corpus", tag="v1", repo_type="dataset")
    new = call(push, "org/corpus", {"train": {name: values[::-1] for name, values in PAIRS.items()}}, "pairs")

    assert call(load, "org/corpus") == SENTENCES
    assert call(load, "org/corpus", split="test") == held_out
    assert call(load, "org/corpus", "pairs")["anchor"] == PAIRS["anchor"][::-1]
    assert call(load, "org/corpus", "pairs", revision=old) == PAIRS
    assert call(load, "org/corpus", "pairs", revision="v1") == PAIRS
    assert call(load, "org/corpus", "pairs", streaming=True)["anchor"] == PAIRS["anchor"][::-1]
    assert call(load, "org/corpus", "sentences", split="test", revision="v1", streaming=True) == held_out
    assert 206 in hub.asked("resolve")

    repo = hub.repos["datasets", "org/corpus"]
    assert [each.sha for each in repo.history()][:2] == [new, old] and repo.tags == {"v1": old}
    parquet = [blob for path, blob in repo.at().files.items() if path.endswith(".parquet")]
    assert len(parquet) == 3 and all(blob.lfs for blob in parquet)
    assert not repo.at().files["README.md"].lfs


def test_an_upload_that_is_cut_is_done_again_by_the_client(hub, call):
    before = len(hub.asked("upload"))
    hub.cut("upload")
    call(push, "org/cut", {"train": rows("cut")})
    assert hub.asked("upload")[before:] == [None, 200]
    assert call(load, "org/cut") == rows("cut")


def test_a_push_that_fails_after_a_cut_changes_nothing_and_can_be_repeated(hub, call):
    before = len(hub.asked("upload"))
    hub.cut("upload")
    hub.fail("upload", 403, nth=2)  # as an address that has run out
    with pytest.raises(ClientError, match="403 Forbidden"):
        call(push, "org/repeated", {"train": rows("repeated")})
    assert hub.asked("upload")[before:] == [None, 403]
    repo = hub.repos["datasets", "org/repeated"]
    assert len(repo.commits) == 1
    call(push, "org/repeated", {"train": rows("repeated")})
    assert hub.asked("upload")[before:] == [None, 403, 200] and len(repo.commits) == 2
    assert call(load, "org/repeated") == rows("repeated")


def test_a_push_during_which_another_commit_came_is_refused_and_its_repetition_keeps_both(hub, call):
    # datasets means to retry, but looks for the status in the error's context (5.2, dataset_dict.py), where
    # huggingface_hub 1 and 2 have an error of httpx: whoever pushes a dataset has to try again.
    call(push, "org/busy", {"train": SENTENCES}, "sentences")
    before = len(hub.asked("commit"))
    repo = hub.repos["datasets", "org/busy"]
    hub.intrude(repo, {"notes.txt": "somebody else's"})
    with pytest.raises(ClientError, match="A commit has happened since"):
        call(push, "org/busy", {"train": PAIRS}, "pairs")
    call(push, "org/busy", {"train": PAIRS}, "pairs")
    assert hub.asked("commit")[before:] == [412, 200]
    assert repo.at().files["notes.txt"].content == b"somebody else's"
    assert call(load, "org/busy", "pairs") == PAIRS and call(load, "org/busy", "sentences") == SENTENCES


def test_a_parent_that_is_not_the_head_is_refused(hub, call):
    call(api, "create_repo", "org/parents")
    first = call(commit, "org/parents", {"a.txt": "1"})
    call(commit, "org/parents", {"a.txt": "2"}, parent_commit=first)
    with pytest.raises(ClientError, match="412"):
        call(commit, "org/parents", {"a.txt": "3"}, parent_commit=first)
    assert call(read, "org/parents", "a.txt") == "2"


def test_creating_needs_a_token_with_rights(hub, call):
    with pytest.raises(ClientError, match="401"):
        call(api, "create_repo", "org/new", token=False)
    with pytest.raises(ClientError, match="403 Forbidden: You don't have the rights"):
        call(api, "create_repo", "org/new", token=READER)
    with pytest.raises(ClientError, match="403 Forbidden"):
        call(push, "org/new", {"train": PAIRS}, token=READER)
    with pytest.raises(ClientError, match="401"):
        call(api, "create_repo", "org/new", token="hf_wrong")
    assert not any(name == "org/new" for _, name in hub.repos)
    call(api, "create_repo", "org/old")
    with pytest.raises(ClientError, match="409"):
        call(api, "create_repo", "org/old")
    assert call(api, "create_repo", "org/old", exist_ok=True).endswith("/org/old")
    assert call(api, "create_repo", "old").endswith("/someone/old")
    assert call(api, "whoami")["name"] == "someone"


def test_a_private_repository_is_not_found_by_others(hub, call):
    call(api, "create_repo", "org/private", private=True)
    call(commit, "org/private", {"a.txt": "secret"})
    assert call(api, "model_info", "org/private").private
    for token in (READER, False):
        with pytest.raises(ClientError, match="RepositoryNotFoundError"):
            call(api, "model_info", "org/private", token=token)


def test_what_is_not_there_is_told_apart(hub, call):
    call(api, "create_repo", "org/there")
    with pytest.raises(ClientError, match="RepositoryNotFoundError"):
        call(read, "org/missing", "a.txt")
    with pytest.raises(ClientError, match="RevisionNotFoundError"):
        call(read, "org/there", "a.txt", revision="v9")
    with pytest.raises(ClientError, match="EntryNotFoundError"):
        call(read, "org/there", "a.txt")
    with pytest.raises(ClientError, match="RepositoryNotFoundError"):  # a model of that name is no dataset
        call(api, "dataset_info", "org/there")


def test_older_revisions_stay_readable(hub, call):
    call(api, "create_repo", "org/history")
    first = call(commit, "org/history", {"a.txt": "1", "folder/b.txt": "b", "folder/deep/c.txt": "c"})
    second = call(commit, "org/history", {"a.txt": "2"}, delete=["folder/"])
    assert call(read, "org/history", "a.txt") == "2"
    assert call(read, "org/history", "a.txt", revision=first[:7]) == "1"
    assert call(read, "org/history", "folder/deep/c.txt", revision=first) == "c"
    assert [each.commit_id for each in call(api, "list_repo_commits", "org/history")][:2] == [second, first]
    call(api, "create_branch", "org/history", branch="side", revision=first)
    call(commit, "org/history", {"a.txt": "side"}, revision="side")
    assert call(read, "org/history", "a.txt", revision="side") == "side"
    refs = call(api, "list_repo_refs", "org/history")
    assert {each.name: each.target_commit for each in refs.branches}["main"] == second
    with pytest.raises(ClientError, match="409"):
        call(api, "create_branch", "org/history", branch="side")


def test_the_tree_lists_folders_files_and_their_last_commits(hub, call):
    call(api, "create_repo", "org/tree")
    first = call(commit, "org/tree", {"a.txt": "1", "folder/b.txt": "b", "folder/deep/w.safetensors": "weights"})
    second = call(commit, "org/tree", {"a.txt": "2"})
    assert list(call(names_of, "org/tree")) == ["folder", ".gitattributes", "a.txt"]
    assert list(call(names_of, "org/tree", path_in_repo="folder")) == ["folder/deep", "folder/b.txt"]
    everything = call(names_of, "org/tree", recursive=True, expand=True)
    assert set(everything) == {
        *("folder", "folder/deep", ".gitattributes", "a.txt"),
        *("folder/b.txt", "folder/deep/w.safetensors"),
    }
    weights = everything["folder/deep/w.safetensors"]
    assert weights.lfs.size == weights.size == 7 and everything["a.txt"].lfs is None
    assert everything["a.txt"].last_commit.oid == second and everything["folder"].last_commit.oid == first
    found = paths_of(call(api, "get_paths_info", "org/tree", ["a.txt", "folder", "nowhere"]))
    assert set(found) == {"a.txt", "folder"}
    info = call(api, "model_info", "org/tree", files_metadata=True)
    assert info.sha == second and {each.rfilename: each.size for each in info.siblings}["a.txt"] == 1
    assert call(read_range, "org/tree", "folder/deep/w.safetensors", 2, 3) == b"igh"


def test_what_has_not_changed_is_not_sent_again(hub, call):
    call(api, "create_repo", "org/same")
    files = {"a.txt": "the same", "w.safetensors": "these weights stand nowhere else"}
    first = call(commit, "org/same", files)
    uploads, commits = len(hub.asked("upload")), len(hub.asked("commit"))
    assert call(commit, "org/same", files) == first
    assert (len(hub.asked("upload")), len(hub.asked("commit"))) == (uploads, commits)


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ("license: [", "bad YAML"),
        ("tags: simcse", '"tags" must be an array of strings'),
        ("license: 3", '"license" must be a string or an array of strings'),
        ("base_model: /home/someone/model", "is not valid"),
        ("configs: sentences", '"configs" must be an array of objects'),
    ],
)
def test_a_card_with_bad_front_matter_is_refused(hub, call, front, message):
    call(api, "create_repo", "org/card", exist_ok=True)
    with pytest.raises(ClientError) as refused:
        call(commit, "org/card", {"README.md": f"---\n{front}\n---\n# Title\n"})
    assert "Invalid metadata in README.md" in str(refused.value) and message in str(refused.value)


def test_a_card_without_front_matter_is_warned_of(hub, call):
    call(api, "create_repo", "org/bare")
    with pytest.raises(ClientError, match="UserWarning: Warnings while validating metadata"):
        call(commit, "org/bare", {"README.md": "# Title\n"})


def test_failures_on_demand(hub, call):
    call(api, "create_repo", "org/faults")
    before = len(hub.asked("preupload"))
    hub.fail("preupload", 503, nth=2)
    call(commit, "org/faults", {"a.txt": "1"})
    call(commit, "org/faults", {"a.txt": "2"})
    assert hub.asked("preupload")[before:] == [200, 503, 200]
    hub.fail("commit", 500)
    with pytest.raises(ClientError, match="500"):
        call(commit, "org/faults", {"a.txt": "3"})
    assert call(read, "org/faults", "a.txt") == "2"


def test_tokens_are_not_kept(hub, call):
    call(api, "whoami")
    assert hub.log and not any(token in repr(vars(hub)) for token in (WRITER, READER))
