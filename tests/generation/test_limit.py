from hypothesis import given
from hypothesis import strategies as st

from hf_xling.generation.pool import INCREASE, LEAST_QUEUED, Limit


def shrunk(most: int, times: int) -> Limit:
    limit = Limit(most)
    for _ in range(times):
        limit.overloaded(limit.epoch)
    return limit


def test_what_was_sent_before_a_decrease_brings_about_one_only():
    limit = Limit(100)
    for _ in range(50):
        limit.overloaded(0)
    assert int(limit) == 70 and limit.epoch == 1
    limit.overloaded(1)
    assert int(limit) == 49 and limit.epoch == 2
    limit.overloaded(0)
    assert int(limit) == 49


def test_a_limit_never_falls_below_one():
    assert int(shrunk(100, 50)) == 1
    limit = shrunk(3, 50)
    limit.waited(100.0, 1.0)
    assert int(limit) == 1


def test_a_window_of_answers_allows_a_few_more_up_to_the_most():
    limit = shrunk(100, 1)
    before = int(limit)
    for _ in range(before):
        limit.answered()
    assert before + INCREASE * 100 - 1 <= int(limit) <= before + INCREASE * 100
    for _ in range(10_000):
        limit.answered()
    assert int(limit) == 100
    small = shrunk(8, 1)
    assert int(small) == 5
    for _ in range(6):
        small.answered()
    assert int(small) == 6


def test_a_queue_that_is_longer_than_the_work_shrinks_the_limit_but_to_no_less_than_a_share():
    limit = Limit(100)
    for _ in range(2000):
        limit.waited(9.0, 1.0)
        limit.answered()
    assert int(limit) == LEAST_QUEUED * 100
    for _ in range(3000):
        limit.waited(0.0, 1.0)
        limit.answered()
    assert int(limit) == 100
    limit = shrunk(100, 20)  # overload may take more than that; a queue takes nothing away then
    before = int(limit)
    assert before < LEAST_QUEUED * 100
    for _ in range(100):
        limit.waited(9.0, 1.0)
    assert int(limit) == before


def test_after_a_decrease_the_shorter_queue_is_waited_for():
    limit = Limit(100)
    while not limit.epoch:
        limit.waited(1.5, 1.0)
    for _ in range(15):
        limit.waited(1.5, 1.0)
    assert limit.epoch == 1


def test_a_queue_as_long_as_the_work_is_left_alone_and_one_of_half_its_length_may_grow():
    limit = shrunk(100, 1)
    for _ in range(1000):
        limit.waited(0.9, 1.0)
        limit.answered()
    assert int(limit) == 70
    for _ in range(3000):
        limit.waited(0.3, 1.0)
        limit.answered()
    assert int(limit) == 100


EVENTS = st.one_of(
    st.just(("answered",)),
    st.tuples(st.just("overloaded"), st.integers(0, 5)),
    st.tuples(st.just("waited"), st.floats(0, 1e6), st.floats(0, 1e6)),
)


@given(st.integers(1, 200), st.lists(EVENTS, max_size=300))
def test_whatever_happens_a_limit_stays_between_one_and_the_most(most, events):
    limit = Limit(most)
    for name, *values in events:
        before, epoch = int(limit), limit.epoch
        getattr(limit, name)(*values)
        assert 1 <= int(limit) <= most
        assert limit.epoch in (epoch, epoch + 1)
        assert name == "answered" or int(limit) <= before
        if name == "overloaded" and values[0] != epoch:
            assert (int(limit), limit.epoch) == (before, epoch)
