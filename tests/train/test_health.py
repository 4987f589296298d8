from radepth_jax.train.health import CollapseDetector


def watch(variation, automasked, steps=60):
    detector = CollapseDetector(memory=50)
    return [detector.update(variation, automasked) for _ in range(steps)]


def test_a_healthy_run_is_left_alone():
    assert watch(0.5, 0.4) == [None] * 60


def test_flat_disparity_is_a_collapse():
    messages = watch(0.001, 0.4)
    assert messages[:49] == [None] * 49  # not before it has seen enough
    assert "varies by only 0.10%" in messages[-1]
    assert "consistency_ramp" in messages[-1]


def test_everything_auto_masked_is_a_collapse():
    assert "99.0% of the pixels are auto-masked" in watch(0.5, 0.99)[-1]


def test_one_bad_step_is_no_collapse():
    detector = CollapseDetector(memory=50)
    for _ in range(100):
        detector.update(0.5, 0.3)
    assert detector.update(0.0, 1.0) is None
