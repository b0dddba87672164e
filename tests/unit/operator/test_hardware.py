from collections.abc import Callable

import pytest

from scoring_operator.api import Manifest, ScoringModel
from scoring_operator.errors import ModelProblem
from scoring_operator.hardware import choose_hardware


def test_named_class_is_chosen_even_when_another_is_default(
    build_model: Callable[..., ScoringModel], build_class_body: Callable[..., Manifest]
) -> None:
    classes = [build_class_body("cpu", default=True), build_class_body("gpu")]
    assert choose_hardware(build_model(hardwareClass="gpu"), classes).name == "gpu"


def test_default_class_is_chosen_when_none_is_named(
    build_model: Callable[..., ScoringModel], build_class_body: Callable[..., Manifest]
) -> None:
    classes = [build_class_body("gpu"), build_class_body("cpu", default=True)]
    assert choose_hardware(build_model(), classes).name == "cpu"


def test_choice_is_refused_when_two_classes_are_default(
    build_model: Callable[..., ScoringModel], build_class_body: Callable[..., Manifest]
) -> None:
    classes = [build_class_body("gpu", default=True), build_class_body("cpu", default=True), build_class_body("big")]
    with pytest.raises(ModelProblem) as refused:
        choose_hardware(build_model(), classes)
    assert refused.value == ModelProblem(
        "HardwareClassAmbiguous",
        "More than one HardwareClass is marked as default (cpu, gpu): name one in spec.hardwareClass.",
    )


def test_named_class_is_chosen_when_two_others_are_default(
    build_model: Callable[..., ScoringModel], build_class_body: Callable[..., Manifest]
) -> None:
    classes = [build_class_body("a", default=True), build_class_body("b", default=True), build_class_body("c")]
    assert choose_hardware(build_model(hardwareClass="c"), classes).name == "c"


@pytest.mark.parametrize(
    ("wished", "names", "message"),
    [
        (
            "tpu",
            ("gpu", "cpu"),
            "HardwareClass tpu does not exist; there are: cpu, gpu. Create it, or change spec.hardwareClass.",
        ),
        (
            "tpu",
            (),
            "HardwareClass tpu does not exist; there is none yet. Create it, or change spec.hardwareClass.",
        ),
        (
            None,
            ("gpu", "cpu"),
            "No HardwareClass is marked as default: name one in spec.hardwareClass, or set spec.default of one; there are: cpu, gpu.",
        ),
        (
            None,
            (),
            "No HardwareClass is marked as default: name one in spec.hardwareClass, or set spec.default of one; there is none yet.",
        ),
    ],
)
def test_message_names_the_classes_there_are_when_none_fits(
    build_model: Callable[..., ScoringModel],
    build_class_body: Callable[..., Manifest],
    wished: str | None,
    names: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(ModelProblem) as refused:
        choose_hardware(build_model(hardwareClass=wished), [build_class_body(name) for name in names])
    assert refused.value == ModelProblem("HardwareClassNotFound", message)


def test_choice_is_refused_when_the_class_itself_is_wrong(
    build_model: Callable[..., ScoringModel], build_class_body: Callable[..., Manifest]
) -> None:
    with pytest.raises(ModelProblem, match=r"^InvalidSpec: HardwareClass cpu: spec\.threads"):
        choose_hardware(build_model(hardwareClass="cpu"), [build_class_body("cpu", threads=-1)])
