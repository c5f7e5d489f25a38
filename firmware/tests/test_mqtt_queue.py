from node.core.mqtt.queue import MAX_BYTES, MAX_MESSAGES, Queue


def everything(queue):
    found = []
    item = queue.take()
    while item is not None:
        found.append(queue.render(item))
        item = queue.take()
    return found


def test_first_in_first_out_and_a_call_for_each():
    queue = Queue()
    calls = []
    queue.on_ready = lambda: calls.append(1)
    assert queue.empty()
    assert queue.put("reply", b"1", False)
    assert queue.put("reply", b"2", False)
    assert everything(queue) == [b"1", b"2"]
    assert queue.empty()
    assert len(calls) == 2


def test_bounded_in_messages():
    queue = Queue()
    assert [queue.put("reply", b"", False) for _ in range(MAX_MESSAGES + 1)] == [True] * MAX_MESSAGES + [False]


def test_bounded_in_bytes():
    queue = Queue()
    assert queue.put("reply", bytes(MAX_BYTES - 1), False)
    assert not queue.put("reply", b"12", False)
    assert queue.put("reply", b"1", False)


def test_log_lines_leave_half_of_the_room_to_the_rest():
    queue = Queue()
    while queue.put("log", b"", False):
        pass
    assert queue.put("reply", b"", False)
    assert not queue.put("log", b"", False)
    assert not Queue().put("log", bytes(MAX_BYTES // 2 + 1), False)


def test_a_newer_state_takes_the_place_of_one_that_waits():
    queue = Queue()
    for payload in (b"1", b"2", b"3"):
        assert queue.put("state", payload, True)
    assert everything(queue) == [b"3"]


def test_what_comes_back_is_first_in_line_in_its_order():
    queue = Queue()
    for payload in (b"1", b"2", b"3"):
        queue.put("reply", payload, False)
    first, second = queue.take(), queue.take()
    queue.release(second)
    queue.release(first)
    assert not queue.empty()
    assert everything(queue) == [b"1", b"2", b"3"]
