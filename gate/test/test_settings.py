"""Settings: what one reader says of a value every other one says of it, and nothing hangs."""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.exceptions import ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

from vjepa_gate.errors import UserError
from vjepa_gate.graph_names import check_namespace
from vjepa_gate.settings import (
    REQUIRED,
    Parser,
    add_options,
    declare_parameters,
    launch_arguments,
    make,
    option,
    parameter_value,
    read_launch,
    read_options,
    read_parameter_file,
    read_parameters,
    read_yaml,
    refuse_undeclared,
    refuse_unknown_parameters,
    setting,
    settings_of,
    text_of,
    words,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    rate: float = setting(100.0, "of targets", low=50, high=1000, unit="Hz")
    patience: int | None = setting(4, "steps without progress", low=1, high=1000)
    energy: float | None = setting(None, "at which a goal counts as reached", low=0.0)
    samples: int = setting(64, "in an iteration, 5 % of which are the best", low=1)
    objective: str = setting("l1", "distance between latents", choices=("l1", "l2"))
    device: Literal["cpu", "cuda"] = "cpu"
    task: str = setting("grasp cube", "what the scene is about")
    weights: Path = setting(Path("tiny.safetensors"), "file of weights")
    axes: Path | None = setting(None, "file of camera axes")
    dry_run: bool = setting(False, "command nothing")
    deadman: bool | None = setting(None, "move only while a person says so")
    corner: tuple[float, float, float] = setting((0.25, -0.4, 0.0), "", low=-3, high=3, unit="m")
    joints: tuple[str, ...] = setting(("left", "right"), "of the fingers")
    rules: tuple[str, ...] = setting((), "hand rules")
    axis: str = setting("", "what is given instead of searched")


FLAT = settings_of(Config)


@dataclass(frozen=True, kw_only=True)
class Section:
    name: str
    depth: int = setting(1, "messages", low=1, high=1000)


@dataclass(frozen=True, kw_only=True)
class Bound:
    min: float | None = None
    max: float | None = None

    def __post_init__(self):
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}")


@dataclass(frozen=True, kw_only=True)
class Tree:
    topic: Section
    other: Section | None = None
    bounds: Mapping[str, Bound] = dataclasses.field(default_factory=dict)
    matrix: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))


@pytest.fixture(scope="module")
def context():
    context = rclpy.Context()
    context.init()
    yield context
    context.try_shutdown()


@pytest.fixture
def make_node(context):
    nodes = []

    def make_node(name="planner", /, cli_args=(), **parameters):
        overrides = [Parameter(key, value=value) for key, value in parameters.items()]
        node = Node(
            name,
            context=context,
            cli_args=list(cli_args),
            parameter_overrides=overrides,
            start_parameter_services=False,
            enable_rosout=False,
        )
        nodes.append(node)
        return node

    yield make_node
    for node in nodes:
        node.destroy_node()


# --- the four readers, each told one setting ---------------------------------------------


def by_yaml(folder, name, value, **_):
    path = folder / "given.yaml"
    written = text(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    path.write_text(f"{name}: {written}\n")
    return read_yaml(Config, path)


def by_option(name, value, **_):
    parser = Parser()
    add_options(parser, Config)
    if isinstance(value, bool) and FLAT[name].hint is bool and not FLAT[name].optional:
        said = words({name: value})
    else:
        said = [f"{option(name)}={text(value)}"]
    return read_options(Config, parser.parse_args(said))


def by_parameter(make_node, name, value, **_):
    node = make_node(**{name: parameter_value(value)})
    try:
        declare_parameters(Config, node, defaults=False)
        return read_parameters(Config, node)
    finally:
        node.destroy_node()


def by_launch(name, value, **_):
    texts = dict.fromkeys(FLAT, "") | {name: text(value), "of_another_file": "7"}
    return read_launch(Config, SimpleNamespace(launch_configurations=texts))


def text(value):
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}".replace("inf", ".inf").replace("nan", ".nan")
    return text_of(tuple(value) if isinstance(value, list) else value)


READERS = (by_yaml, by_option, by_parameter, by_launch)


def said(reader, **how):
    """What was read, or what was said of it without the name of where it was found."""
    try:
        return reader(**how)
    except UserError as error:
        message = str(error)
    assert "\n" not in message
    assert how["name"] in message.replace("-", "_")
    return message.partition(" is ")[2] or message


NUMBERS = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.integers(-5, 1200),
    st.floats(width=64),
    st.floats(0, 1100),
    st.sampled_from([0.0, 50, 1000, 1000.0000001, 1e-320, 1e308, 5.0]),
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1)
WORDS = st.from_regex(r"[a-z]+ [a-z]+", fullmatch=True)  # that are no number and no truth
LISTS = st.one_of(
    st.lists(st.floats(-4, 4), min_size=1, max_size=4),
    st.lists(st.integers(-4, 4), min_size=1, max_size=4),
    st.lists(WORDS, min_size=1, max_size=3),
)


def values_for(name):
    """Good ones and bad ones that can be written in every reader's way."""
    about = FLAT[name]
    if about.hint in (int, float):
        values = st.one_of(NUMBERS, st.booleans(), WORDS, LISTS)
    elif about.hint is bool:
        values = st.one_of(st.booleans(), WORDS, NUMBERS) if about.optional else st.booleans()
    elif about.hint in (str, Path):
        values = st.one_of(TEXTS, st.sampled_from(about.choices or ("none",)))
    else:
        values = LISTS  # in a command one item is a list, too
    return values if about.nothing is REQUIRED else st.one_of(values, st.none())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_what_one_reader_says_of_a_value_every_other_says(tmp_path, make_node, data):
    name = data.draw(st.sampled_from(sorted(FLAT)))
    value = data.draw(values_for(name))
    how = {"folder": tmp_path, "make_node": make_node, "name": name, "value": value}
    first, *others = [said(reader, **how) for reader in READERS]
    if isinstance(value, float) and value != value:
        assert first == f"nan, expected {FLAT[name].expected()}"
    assert others == [first] * 3
    if isinstance(first, dict):
        assert list(first) == [name]
        assert type(first[name]) in (FLAT[name].hint, type(None), tuple, type(Path()))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_given_can_be_said_again(data):
    name = data.draw(st.sampled_from(sorted(FLAT)))
    value = data.draw(values_for(name))
    try:
        given = {name: FLAT[name].check(value, name)}
    except ValueError:
        return
    parser = Parser()
    add_options(parser, Config)
    if FLAT[name].hint is not bool or not FLAT[name].optional:
        assert read_options(Config, parser.parse_args(words(given))) == given
    assert FLAT[name].parse(text_of(given[name]), name) == given[name]
    assert FLAT[name].check(parameter_value(given[name]), name) == given[name]


def test_only_what_was_given(make_node):
    parser = Parser()
    add_options(parser, Config)
    assert read_options(Config, parser.parse_args([])) == {}
    assert read_launch(Config, SimpleNamespace(launch_configurations={"rate": ""})) == {}
    node = make_node(patience="none")
    declare_parameters(Config, node, defaults=False)
    assert read_parameters(Config, node) == {"patience": None}
    base = Config(rate=50.0, patience=9)
    assert FLAT["rules"].parse("[]", "rules") == ()
    assert FLAT["axis"].check("", "axis") == ""
    changed = dataclasses.replace(base, **read_parameters(Config, node))
    assert (changed.rate, changed.patience) == (50.0, None)


def test_defaults_are_values_of_their_settings():
    for name, about in FLAT.items():
        assert about.check(about.default, name) == about.default


# --- messages ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("rate", 3, "3, expected a number in [50, 1000] Hz"),
        ("rate", "fast", "'fast', expected a number in [50, 1000] Hz"),
        ("rate", float("inf"), "inf, expected a number in"),
        ("patience", 0, "0, expected a whole number in [1, 1000] or none"),
        ("patience", 2.5, "2.5, expected a whole number"),
        ("samples", 0, "0, expected a whole number of at least 1"),
        ("objective", "l3", "'l3', expected one of l1, l2"),
        ("device", "tpu", "'tpu', expected one of cpu, cuda"),
        ("corner", [0.0, 0.0], "[0.0, 0.0], expected a list of 3, each a number in [-3, 3] m"),
        ("corner", [0.0, 0.0, 250.0], "250.0, expected a number in [-3, 3] m"),
    ],
)
@pytest.mark.parametrize("reader", READERS)
def test_a_mistake_is_told(reader, tmp_path, make_node, name, value, told):
    assert told in said(reader, folder=tmp_path, make_node=make_node, name=name, value=value)


def test_messages_name_where_it_was_found(tmp_path, make_node):
    how = {"folder": tmp_path, "make_node": make_node, "name": "samples", "value": 0}
    begins = (f"{tmp_path}/given.yaml: samples", "--samples", "planner: parameter samples")
    for reader, begin in zip(READERS, (*begins, "argument samples"), strict=True):
        with pytest.raises(UserError) as error:
            reader(**how)
        assert str(error.value).startswith(f"{begin} is 0, expected")


# --- YAML --------------------------------------------------------------------------------


def written(folder, text):
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read_tree(path):
    return make(Tree, read_yaml(Tree, path), path)


def test_sections_and_mappings(tmp_path):
    text = "topic: {name: target}\nbounds:\n  a.b: {max: 1}\nmatrix: [[1, 2], [3, 4e-1]]\n"
    tree = read_tree(written(tmp_path, text))
    assert tree.topic == Section(name="target", depth=1)
    assert tree.other is None
    assert tree.bounds == {"a.b": Bound(max=1.0)}
    assert tree.matrix == ((1.0, 2.0), (3.0, 0.4))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("topik: {}", "topik is unknown, expected topic"),
        ("zzz: 1", "zzz is unknown, expected one of topic, other, bounds, matrix"),
        ("{}", "topic is missing, expected keys and values"),
        ("topic: {}", "topic.name is missing, expected a text"),
        ("topic: {name: 7}", "topic.name is 7, expected a text"),
        ("topic: {name: ''}", "topic.name is '', expected a text"),
        ("topic: {name: a, depht: 2}", "topic.depht is unknown, expected depth"),
        ("topic: {name: a, depth: yes}", "topic.depth is 'yes', expected a whole number in"),
        ("topic: {name: a, depth: true}", "topic.depth is True, expected a whole number"),
        ("topic: none", "topic is 'none', expected keys and values"),
        ("bounds: {a: {min: 2, max: 1}}", "bounds.a: min 2 is more than max 1"),
        ("bounds: {a: {min: .nan}}", "bounds.a.min is nan, expected a number or none"),
        ("matrix: [[1, 2], [3]]", "matrix[1] is [3], expected a list of 2, each a number"),
        ("", "the file is None, expected keys and values"),
        ("- 1", "the file is [1], expected keys and values"),
        ("topic: [", "not YAML: "),
        ("topic: {name: a}\ntopic: {name: b}", "line 2: topic is given twice"),
        ("other: &x {name: a}\ntopic: *x", "line 2: *x is an alias"),
        ("topic: !!python/object:os.system {}", "os.system is a tag"),
        ("? [topic]\n: 1", "line 1: a key is no text"),
        ("topic: {name: a}\n---\n{}", "more than one document"),
        ("topic: {name: a, depth: " + "9" * 400 + "}", "topic.depth is '999"),
        ("topic: {name: a, depth: 99999999999999999999}", "depth is 99999999999999999999, exp"),
        ("topic: {name: a, depth: 1e999}", "topic.depth is inf, expected a whole number"),
        ("topic: " + "[" * 3000, "mine.yaml: "),
        ("topic: " + "[" * 30 + "]" * 30, "line 1: nested deeper than 16 levels"),
        ("topic: " + "{a: " * 60_000, "mine.yaml: "),
        ("- " * 90_000, "line 1: nested deeper than 16 levels"),
        ("topic: " + "x" * 2_000_000, "larger than 200000 bytes"),
        ("a" * 500 + ": 1", "a… is unknown, expected one of"),
        ("topic: !" + "a" * 900 + " 1", "a… is a tag"),
        (b"\xff\xfe\x00", "not a text in UTF-8"),
        (b"topic: \x00", "not YAML: "),
    ],
)
@pytest.mark.timeout(20)
def test_what_is_wrong_in_a_file_is_one_line(tmp_path, text, told):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as error:
        read_tree(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert told in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.timeout(20)
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo.yaml")
    for path in (tmp_path / "fifo.yaml", tmp_path, Path("/dev/zero")):
        with pytest.raises(UserError, match=f"{path}: not a file"):
            read_tree(path)
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_tree(tmp_path / "nowhere.yaml")


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(), st.text("[]{}:,-?&*!|>'\"#%@ \n\ta1.e")))
def test_any_text_is_read_or_refused_in_a_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    message = ""
    try:
        read_tree(path)
    except UserError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(("1e-3", 0.001), ("010", 10), ("-4", -4), ("+.5", 0.5), ("5.", 5.0)),
        *(("no", "no"), ("12:30", "12:30"), ("1_000", "1_000"), ("0x10", "0x10")),
        *(("2026-11-28", "2026-11-28"), ("True", True), ("~", None), ("nULL", "nULL")),
    ],
)
def test_plain_words_mean_what_people_mean(tmp_path, word, value):
    from vjepa_gate.strict_yaml import load_yaml

    found = load_yaml(f"- {word}")[0]
    assert found == value
    assert type(found) is type(value)


# --- command line ------------------------------------------------------------------------


def parser_with_verbs():
    parser = Parser(prog="vjepa-ros")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run")
    run.add_argument("goals", nargs="*")
    add_options(run, Config)
    return parser


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--objetive", "l2"], "--objetive is unknown, expected --objective"),
        (["--objetive=l2"], "--objetive is unknown, expected --objective"),
        (["--obj", "l2"], "--obj is unknown, expected one of -h, --help, --rate"),
        (["a.png", "--dryrun"], "--dryrun is unknown, expected --dry-run"),
    ],
)
def test_an_unknown_option_is_refused(arguments, told):
    with pytest.raises(UserError) as error:
        parser_with_verbs().parse_args(["run", *arguments])
    assert str(error.value).startswith(told)


def test_options_beside_others(capsys):
    parsed = parser_with_verbs().parse_args(
        ["run", "--no-dry-run", "--task", "--odd one", "--corner", "0, 1, 2", "--", "--goal.png"]
    )
    assert parsed.goals == ["--goal.png"]
    found = read_options(Config, parsed)
    assert found == {"dry_run": False, "task": "--odd one", "corner": (0.0, 1.0, 2.0)}
    with pytest.raises(SystemExit):
        parser_with_verbs().parse_args(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--rate RATE of targets: a number in [50, 1000] Hz [100.0]" in text
    assert "5 % of which are the best: a whole number of at least 1 [64]" in text
    assert "--dry-run, --no-dry-run command nothing [false]" in text
    assert "distance between latents: one of l1, l2 [l1]" in text


@dataclass(frozen=True, kw_only=True)
class Reading:
    sources: tuple[Path, ...] = setting(REQUIRED, "bags, or folders of them")
    topics: tuple[str, ...] = setting((), "KEY=NAME of a bag's topic")


def test_arguments_by_position_and_options_that_are_repeated(capsys):
    parser = Parser()
    add_options(parser, Reading, positional=["sources"])
    parsed = parser.parse_args(
        ["a, b.mcap", "[c]", "--topics", "image=/left", "--topics", "pose=/p,clock=header"]
    )
    assert read_options(Reading, parsed) == {
        "sources": (Path("a, b.mcap"), Path("[c]")),
        "topics": ("image=/left", "pose=/p", "clock=header"),
    }
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "required: sources" in capsys.readouterr().err


def test_in_a_command_one_item_is_a_list():
    assert FLAT["joints"].parse("left", "joints") == ("left",)
    assert FLAT["joints"].parse("left, right", "joints") == ("left", "right")
    assert FLAT["joints"].parse('["left", right]', "joints") == ("left", "right")
    assert FLAT["rules"].parse("none", "rules") == ()


@dataclass(frozen=True, kw_only=True)
class Span:
    from_: int = setting(0, "first frame")
    to: int = setting(9, "last frame")
    step: int = setting(1, "frames between two")


def test_a_part_of_the_settings_and_names_that_python_keeps(capsys):
    parser = Parser(prog="cut")
    add_options(parser, Span, only=("from_", "to"), defaults=False)
    parsed = parser.parse_args(["--from", "2", "--to=4"])
    assert read_options(Span, parsed) == {"from_": 2, "to": 4}
    with pytest.raises(UserError, match="--step is unknown"):
        parser.parse_args(["--step", "3"])
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--from FROM first frame --to TO last frame" in text  # and no [9]


def test_required_settings_must_be_given(capsys):
    parser = Parser()
    add_options(parser, Section)
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "required: --name" in capsys.readouterr().err
    assert settings_of(Section)["name"].default is REQUIRED
    with pytest.raises(UserError, match=r"^here: name is missing, expected a text$"):
        make(Section, {}, "here")


def test_sections_are_for_yaml_alone():
    with pytest.raises(TypeError, match=r"Tree\.topic is a section"):
        add_options(argparse.ArgumentParser(), Tree)


# --- ROS parameters ----------------------------------------------------------------------


def test_parameters_have_types_ranges_and_descriptions(make_node):
    node = make_node()
    declare_parameters(Config, node)
    rate = node.describe_parameter("rate")
    assert rate.description == "of targets"
    assert rate.additional_constraints == "a number in [50, 1000] Hz"
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (
        50.0,
        1000.0,
    )
    samples = node.describe_parameter("samples").integer_range[0]
    assert (samples.from_value, samples.to_value, samples.step) == (1, 2**63 - 1, 1)
    assert node.describe_parameter("objective").additional_constraints == "one of l1, l2"
    found = make(Config, read_parameters(Config, node))
    assert found == Config()


def test_without_defaults_a_parameter_has_a_type_and_no_value(make_node):
    node = make_node()
    declare_parameters(Config, node, defaults=False)
    assert read_parameters(Config, node) == {}
    assert node.describe_parameter("rate").type == Parameter.Type.DOUBLE.value
    assert node.describe_parameter("corner").type == Parameter.Type.DOUBLE_ARRAY.value
    with pytest.raises(ParameterUninitializedException):
        node.get_parameter("rate")
    assert node.set_parameters([Parameter("rate", value=60.0)])[0].successful
    assert read_parameters(Config, node) == {"rate": 60.0}


@pytest.mark.parametrize("defaults", [True, False])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("rate", 1.0, "out of range"),
        ("rate", float("nan"), "out of range"),
        ("objective", "l3", "parameter objective is 'l3', expected one of l1, l2"),
        ("patience", 2.5, "parameter patience is 2.5, expected a whole number in [1, 1000] or"),
        ("energy", float("inf"), "energy"),
        ("corner", [1.0, 2.0], "parameter corner is [1.0, 2.0], expected a list of 3"),
    ],
)
def test_what_is_set_later_is_checked_too(make_node, defaults, name, value, told):
    node = make_node()
    declare_parameters(Config, node, defaults=defaults)
    before = read_parameters(Config, node)
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful
    assert told in result.reason
    assert read_parameters(Config, node) == before


def test_unknown_parameters_are_refused(make_node):
    arguments = ("--ros-args", "-p", "rate:=60", "-p", "samplse:=3", "-p", "use_sim_time:=true")
    node = make_node(cli_args=arguments)
    declare_parameters(Config, node)
    assert read_parameters(Config, node)["rate"] == 60.0
    with pytest.raises(UserError, match=r"^planner: parameter samplse is unknown, expected samp"):
        refuse_unknown_parameters([node])
    other = make_node("encoder")
    other.declare_parameter("samplse", 3)
    refuse_unknown_parameters([node, other])  # in one process they are given the same


def test_a_parameter_file_for_several_nodes(tmp_path):
    nodes = {"planner": [Config], "arm_gate": [Section]}
    path = written(
        tmp_path,
        """
        /**: {ros__parameters: {use_sim_time: true, rate: 60}}
        /lab/planner: {ros__parameters: {samples: 3, axes: none}}
        arm_gate: {ros__parameters: {name: x}}
        camera_driver: {ros__parameters: {exposure: 7}}
        """,
    )
    found = read_parameter_file(path, nodes)
    assert found == {
        "planner": {"use_sim_time": True, "rate": 60.0, "samples": 3, "axes": None},
        "arm_gate": {"use_sim_time": True, "name": "x"},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("planer: {ros__parameters: {rate: 60}}", "planer is unknown, expected planner"),
        ("planner: {ros__parameters: {rat: 60}}", "planner.rat is unknown, expected rate"),
        ("planner: {ros__parameters: {name: x}}", "planner.name is unknown, expected"),
        ("planner: {ros__parameters: {rate: 6}}", "planner.rate is 6, expected a number in"),
        ("'/**': {ros__parameters: {depht: 60}}", "/**.depht is unknown, expected depth"),
        ("planner: {rate: 60}", "planner.ros__parameters is None, expected keys and values"),
        ("rate: 60", "rate"),
    ],
)
def test_what_is_wrong_in_a_parameter_file(tmp_path, text, told):
    path = written(tmp_path, text)
    nodes = {"planner": [Config], "arm_gate": [Section], "rates": []}
    with pytest.raises(UserError) as error:
        read_parameter_file(path, nodes)
    assert str(error.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize(
    ("namespace", "good"),
    [
        *(("", True), ("/", True), ("left", True), ("/lab/left_2/", True)),
        *(("2nd", False), ("a//b", False), ("a b", False), ("~/a", False), ("a" * 90 + "!", False)),
    ],
)
@pytest.mark.timeout(10)
def test_namespaces_are_those_that_ros_takes(namespace, good):
    with contextlib.nullcontext() if good else pytest.raises(ValueError, match="namespace is"):
        check_namespace(namespace)


# --- launch ------------------------------------------------------------------------------


def launched(monkeypatch, *arguments, program="pick_place.launch.py"):
    monkeypatch.setattr(sys, "argv", ["ros2", "launch", "vjepa_ros", program, *arguments])
    where = {"current_launch_file_path": "/somewhere/pick_place.launch.py"}
    return SimpleNamespace(argv=list(arguments), get_locals_as_dict=lambda: where)


def test_undeclared_arguments_are_refused(monkeypatch):
    context = launched(monkeypatch, "deadmann:=true", "rate:=60")
    with pytest.raises(UserError, match=r"^argument deadmann is unknown, expected deadman$"):
        refuse_undeclared(context, Config, Section)
    refuse_undeclared(launched(monkeypatch, "deadman:=true", "name:=x"), Config, Section)


def test_arguments_of_a_file_that_includes_ours_are_its_own(monkeypatch):
    refuse_undeclared(launched(monkeypatch, "ip:=10.0.0.2", program="lab.launch.py"), Config)


LAUNCH_FILE = """
from dataclasses import dataclass
from launch import LaunchDescription
from launch.actions import OpaqueFunction
from vjepa_gate.settings import launch_arguments, read_launch, refuse_undeclared, setting

@dataclass(frozen=True, kw_only=True)
class Config:
    rate: float = setting(100.0, "of targets", low=50, high=1000, unit="Hz")
    patience: int | None = setting(4, "steps")
    deadman: bool = setting(False, "move only while a person says so")

def generate_launch_description():
    return LaunchDescription([*launch_arguments(Config), OpaqueFunction(function=start)])

def start(context):
    refuse_undeclared(context, Config)
    print("given", read_launch(Config, context))
"""


def test_launch_takes_them_for_real(monkeypatch, tmp_path, capfd):
    pytest.importorskip("launch.actions")  # the folder launch/ imports, too
    from launch import LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    file = tmp_path / "mine.launch.py"
    file.write_text(LAUNCH_FILE)

    def launch(*arguments):
        monkeypatch.setattr(sys, "argv", ["ros2", "launch", str(file), *arguments])
        source = PythonLaunchDescriptionSource(str(file))
        given = [argument.split(":=") for argument in arguments]
        service = LaunchService(argv=arguments, noninteractive=True)
        include = IncludeLaunchDescription(source, launch_arguments=given)
        service.include_launch_description(LaunchDescription([include]))
        ended = service.run()
        captured = capfd.readouterr()
        return ended, captured.out + captured.err

    ended, said = launch("rate:=60", "deadman:=true", "patience:=none")
    assert ended == 0
    assert "given {'rate': 60.0, 'patience': None, 'deadman': True}" in said
    ended, said = launch("deadmann:=true")
    assert ended == 1
    assert "argument deadmann is unknown, expected deadman" in said
    ended, said = launch("rate:=6")
    assert ended == 1
    assert "argument rate is 6, expected a number in [50, 1000] Hz" in said
    declared = {argument.name: argument for argument in launch_arguments(Config)}
    assert declared["rate"].description == "of targets: a number in [50, 1000] Hz [100.0]"


def test_nothing_heavy_is_imported():
    code = (
        "import sys, vjepa_gate.settings; "
        "sys.exit(bool({'rclpy', 'launch', 'torch', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
