"""What a run without a terminal prints of its progress."""

from radepth_jax.training import progress_bar


def test_the_time_left_does_not_count_the_compilation(monkeypatch, capsys):
    clock = iter([0.0, 100.0, 130.0])  # begun; the first step is compiled and done; ten steps later
    monkeypatch.setattr(progress_bar.time, "perf_counter", lambda: next(clock))
    with progress_bar.ProgressBar(21) as bar:
        bar.update(1, {"total": 0.5})
        bar.update(11, {"total": 0.4})
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "training: compiling the first step"
    assert second == "step 1/21, loss 0.5000"
    assert third == "step 11/21, loss 0.4000, 30 s left"
