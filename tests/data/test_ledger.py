"""The ledger: nothing is refused silently, and too much of it stops the run."""

from __future__ import annotations

import json

import pytest

from triptych.data.ledger import Ledger
from triptych.errors import DataError


def refuse(ledger, number, *, dataset="photos", stage="align", kind="unreadable", first=0):
    for i in range(first, first + number):
        ledger.record(dataset, f"r{i}", "refused", kind, f"r{i}.jpg: no such file", stage=stage, step=i)


def check(ledger, seen, share=0.05, size=1000, **options):
    ledger.check(
        share, stage="align", seen={"photos": seen, "other": 50}, sizes={"photos": size, "other": 50}, **options
    )


def test_an_entry_is_one_line_with_everything_that_is_known(tmp_path):
    ledger = Ledger(tmp_path / "run" / "ledger.jsonl")
    assert ledger.record("photos", "7:x", "shortened", "too long", "2 messages\u2028left out", stage="align", step=3)
    (line,) = (tmp_path / "run" / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "stage": "align",
        "step": 3,
        "dataset": "photos",
        "record": "7:x",
        "outcome": "shortened",
        "kind": "too long",
        "reason": "2 messages\u2028left out",
    }


def test_a_record_met_again_in_a_later_epoch_is_entered_once(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    refuse(ledger, 3)
    refuse(ledger, 3)
    assert not ledger.record("photos", "r0", "refused", "unreadable", "again", stage="align", step=99)
    assert ledger.record("photos", "r0", "refused", "unreadable", "again", stage="instruct", step=0)
    assert ledger.record("photos", "r0", "shortened", "too long", "", stage="align", step=5)
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == len(ledger) == 5
    assert ledger.counts() == {("photos", "refused", "unreadable"): 4, ("photos", "shortened", "too long"): 1}
    assert ledger.counts("instruct") == {("photos", "refused", "unreadable"): 1}


def test_it_goes_on_where_it_was(tmp_path):
    path = tmp_path / "ledger.jsonl"
    refuse(Ledger(path), 3)
    again = Ledger(path)
    refuse(again, 5)
    assert [entry.record for entry in Ledger(path).entries] == ["r0", "r1", "r2", "r3", "r4"]


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_the_half_line_of_a_killed_process_is_dropped(tmp_path, cut):
    path = tmp_path / "ledger.jsonl"
    refuse(Ledger(path), 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    ledger = Ledger(path)
    assert [entry.record for entry in ledger.entries] == ["r0", "r1"]
    refuse(ledger, 3)
    assert path.read_bytes() == whole


def test_a_resumed_run_ends_with_the_ledger_of_an_undisturbed_one(tmp_path):
    undisturbed, resumed = Ledger(tmp_path / "a"), Ledger(tmp_path / "b")
    refuse(undisturbed, 10)
    refuse(resumed, 7)  # killed in step 7; the last checkpoint was written before step 4
    resumed = Ledger(tmp_path / "b")
    resumed.rewind("align", 4)
    assert len(resumed) == 4
    refuse(resumed, 6, first=4)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rewinding_a_stage_leaves_the_others_alone(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    refuse(ledger, 3, stage="align")
    refuse(ledger, 3, stage="instruct")
    ledger.rewind("instruct", 0)
    assert {entry.stage for entry in Ledger(tmp_path / "ledger.jsonl").entries} == {"align"}


def test_a_file_that_is_no_ledger_is_not_taken_for_one(tmp_path):
    (tmp_path / "ledger.jsonl").write_text('{"stage": "align"}\n{"x": 1}\n')
    with pytest.raises(DataError, match=r"ledger\.jsonl:1: not a line of a ledger"):
        Ledger(tmp_path / "ledger.jsonl")


@pytest.mark.parametrize(("refused", "seen", "stops"), [(5, 100, False), (6, 100, True), (0, 100, False)])
def test_more_than_the_stated_share_stops_the_run(refused, seen, stops):
    ledger = Ledger()
    refuse(ledger, refused)
    if stops:
        with pytest.raises(DataError, match="6 of the 100 records"):
            check(ledger, seen)
    else:
        check(ledger, seen)


def test_a_dataset_is_not_judged_by_its_first_records():
    ledger = Ledger()
    refuse(ledger, 3)
    check(ledger, seen=19)
    with pytest.raises(DataError):
        check(ledger, seen=20)
    check(ledger, seen=20, minimum=50)


def test_a_dataset_of_which_everything_is_refused_always_stops():
    ledger = Ledger()
    refuse(ledger, 4)
    check(ledger, seen=4, share=1.0, size=1000)  # it may get better
    with pytest.raises(DataError, match="4 of the 4"):
        check(ledger, seen=4, share=1.0, size=4)  # there is no more to come


def test_shortened_records_and_other_stages_do_not_count_as_refused():
    ledger = Ledger()
    refuse(ledger, 50, stage="instruct")
    for i in range(50):
        ledger.record("photos", str(i), "shortened", "too long", "", stage="align", step=0)
    check(ledger, seen=100)


def test_one_bad_dataset_in_a_good_mixture_is_found():
    ledger = Ledger()
    refuse(ledger, 25, dataset="other")
    with pytest.raises(DataError, match="dataset 'other': 25 of the 50"):
        check(ledger, seen=100_000, size=1_000_000)


def test_the_error_shows_counts_reasons_examples_and_what_to_do(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    refuse(ledger, 30)
    refuse(ledger, 10, kind="too long", first=30)
    with pytest.raises(DataError) as caught:
        check(ledger, seen=400)
    message = str(caught.value)
    for fact in ("40 of the 400", "10.0%", "5.0%", "30 × unreadable", "10 × too long", "r0.jpg: no such file"):
        assert fact in message
    assert "loading.refused_share" in message
    assert str(tmp_path / "ledger.jsonl") in message
    assert "r3.jpg" not in message  # three examples of a kind are enough


def test_the_summary_is_what_a_report_shows():
    ledger = Ledger()
    refuse(ledger, 2, kind="too long")
    refuse(ledger, 5, dataset="other")
    first, second = ledger.summary()
    assert (first["dataset"], first["kind"], first["count"]) == ("other", "unreadable", 5)
    assert first["examples"][0] == {"record": "r0", "reason": "r0.jpg: no such file"}
    assert (len(first["examples"]), len(second["examples"])) == (3, 2)
