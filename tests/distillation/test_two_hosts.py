"""Two hosts, each with a network of its own, annotate, render and train together; one is lost, and nothing is."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from conftest import write_card, write_corpus
from pyarrow import parquet
from safetensors.torch import load_file
from students import student

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PORT = 29511
WAV2SMALL = str(Path(sys.executable).with_name("wav2small"))


class Hosts:
    """Two network namespaces on one cable."""

    def __init__(self):
        name = uuid.uuid4().hex[:6]
        self.names = [f"a{name}", f"b{name}"]

    def __enter__(self) -> "Hosts":
        a, b = self.names
        run("ip", "netns", "add", a)
        run("ip", "netns", "add", b)
        run("ip", "link", "add", f"v{a}", "netns", a, "type", "veth", "peer", "name", f"v{b}", "netns", b)
        for i, name in enumerate(self.names, 1):
            run("ip", "-n", name, "addr", "add", f"10.99.0.{i}/24", "dev", f"v{name}")
            for device in (f"v{name}", "lo"):
                run("ip", "-n", name, "link", "set", device, "up")
        return self

    def __exit__(self, *_) -> None:
        for name in self.names:
            lose(name)
            run("ip", "netns", "delete", name)

    def start(self, *command: object) -> list[subprocess.Popen]:
        """Run a command of `wav2small` on both, by torchrun."""
        started = []
        for rank, name in enumerate(self.names):
            launcher = ["torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank), "--nproc-per-node", "1"]
            launcher += ["--master-addr", "10.99.0.1", "--master-port", str(PORT), "--no-python", WAV2SMALL]
            variables = {**os.environ, "GLOO_SOCKET_IFNAME": f"v{name}", "ACCELERATE_USE_CPU": "true"}
            process = subprocess.Popen(
                ["ip", "netns", "exec", name, sys.executable, "-m", *launcher, *map(str, command)],
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.append(process)
        return started

    def finish(self, *command: object) -> None:
        for process in self.start(*command):
            printed = process.communicate(timeout=900)[0]
            assert process.returncode == 0, printed

    def lose_one(self, *command: object, when: Callable[[], object]) -> None:
        """Kill the second host as soon as something has happened, then the first."""
        started = self.start(*command)
        while not when():
            assert all(process.poll() is None for process in started), started[0].communicate()[0]
            time.sleep(0.01)
        for name, process in reversed(list(zip(self.names, started, strict=True))):
            lose(name)
            process.communicate()


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def lose(host: str) -> None:
    """Kill whatever runs on a host: what torchrun starts has a session of its own and would outlive torchrun."""
    while running := subprocess.run(["ip", "netns", "pids", host], check=True, capture_output=True).stdout.split():
        for process in map(int, running):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def hosts():
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip")
    try:
        with Hosts() as hosts:
            yield hosts
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not allowed here: {error}")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("hosts")
    student().save_pretrained(place / "teacher")
    write_card(place / "teacher", "mit")
    sizes = {"train": 600, "held": 20}
    corpora = [{"source": str(write_corpus(place / name, size)), "licence": "CC0-1.0"} for name, size in sizes.items()]
    recipe = {
        "name": "hosts",
        "teacher": str(place / "teacher"),
        "corpora": corpora[:1],
        "validation": {"corpora": corpora[1:], "clips": 8, "every": 4},
        "optimizer": {"learning_rate": 0.003, "warmup_steps": 2, "ema_decay": 0.5},
        "steps": 8,
        "batch": 8,
        "crop_seconds": 0.5,
        "save_every": 2,
        "workers": 1,
        "output": str(place / "run"),
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return place


def rows(folder: Path) -> list[dict]:
    found = [row for path in sorted(folder.glob("*.parquet")) for row in parquet.read_table(path).to_pylist()]
    return sorted(found, key=lambda row: (row["source"], row["id"], row.get("start", 0)))


@pytest.mark.parametrize("work", [("annotate",), ("mix", "--clips", "1536")], ids=lambda work: work[0])
def test_shards_of_two_hosts_are_those_of_one_process(hosts, place, work):
    command, *options = work
    alone, shared = place / f"{command}-alone", place / f"{command}-shared"
    run(WAV2SMALL, command, str(place / "recipe.yaml"), str(alone), *options)
    arguments = (command, place / "recipe.yaml", shared, *options)
    hosts.lose_one(*arguments, when=lambda: list(shared.glob("*.parquet")))
    assert not (shared / "provenance.json").exists(), "it was done before a host was lost"
    hosts.finish(*arguments)
    assert [path.name for path in sorted(shared.glob("*.parquet"))] == [p.name for p in sorted(alone.glob("*.parquet"))]
    for row, other in zip(rows(shared), rows(alone), strict=True):
        assert row["id"] == other["id"] and row["arousal"] == pytest.approx(other["arousal"], abs=1e-4)


def test_a_student_of_two_hosts_goes_on_after_one_was_lost(hosts, place):
    whole, lost = (place / name for name in ("whole", "lost"))
    hosts.finish("distill", place / "recipe.yaml", f"output={whole}")
    hosts.lose_one("distill", place / "recipe.yaml", f"output={lost}", when=(lost / "state").is_dir)
    hosts.finish("distill", place / "recipe.yaml", f"output={lost}", "--resume")
    expected = load_file(whole / "last" / "model.safetensors")
    for name, value in load_file(lost / "last" / "model.safetensors").items():
        assert torch.equal(value, expected[name]), name
