"""The network as C: what the checkpoint predicts, on any compiler, in a stream and on a chip."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from compilers import Library, compile_c, memory, need
from conftest import ROOT, voice_like, write_card
from students import mobilenet, student, tcn
from typer.testing import CliRunner

from wav2small.bundled import bundled_checkpoints
from wav2small.checkpoint import load_checkpoint
from wav2small.cli.main import app
from wav2small.models.errors import Wav2SmallError

generating = pytest.importorskip("wav2small_training.exporters.c.generate", reason="needs the extra [export]")
coding = pytest.importorskip("wav2small_training.exporters.c.codes", reason="needs the extra [export]")
exporting = pytest.importorskip("wav2small_training.exporters.export", reason="needs the extra [export]")
pytestmark = pytest.mark.export

DRIVER = ROOT / "tests" / "c"
OK, NULL, NOT_READY, NOT_FINITE, TOO_SHORT = 0, -1, -2, -3, -4
MODELS = {"tcn": lambda: tcn(width=60, activation="hardswish"), "paper": lambda: load_checkpoint(BUNDLED)}
BUNDLED = bundled_checkpoints()["wav2small-72k"]


def write_source(model, folder: Path, clips=()) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generating.generate(model, "a test", "CC0-1.0", coding.round_for_speech(model, clips)).items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    """A model of full size and the folder of its C files, with weights of 4 bits."""
    need("gcc")
    model = MODELS[request.param]()
    clips = [voice_like(2, seed=i) for i in range(4)]
    return model, write_source(model, tmp_path_factory.mktemp("c"), clips)


@pytest.fixture(scope="module")
def library(exported, tmp_path_factory):
    """The library of a number of bits, by gcc."""
    model, folder = exported
    built = {}

    def build(bits: int) -> Library:
        if bits not in built:
            out = tmp_path_factory.mktemp("library") / f"{bits}.so"
            flags = ("-O2", "-shared", "-fPIC", f"-DWAV2SMALL_BITS={bits}", "-DWAV2SMALL_WINDOW_SECONDS=1")
            built[bits] = Library(
                compile_c(out, *flags, folder / "wav2small.c"), outputs=expected(model, voice_like(1)).size
            )
        return built[bits]

    return build


def expected(model, samples: np.ndarray, padding: int = 0) -> np.ndarray:
    """What the model predicts for a clip, alone or with padding after it: with the share of speech, if it has one."""
    padded = torch.from_numpy(np.append(samples, np.zeros(padding, np.float32)))[None]
    mask = (torch.arange(padded.shape[1]) < len(samples)).long()[None]
    with torch.inference_mode():
        output = model(padded, attention_mask=mask if padding else None)
    return torch.cat([output.logits, *([output.speech] if "speech" in output else [])], dim=1)[0].numpy()


@pytest.mark.parametrize("seconds", [0.1, 0.1001, 0.4, 1.2345, 5.0, 60.0])
@pytest.mark.parametrize("padding", [0, 777])
def test_c_in_float_predicts_what_the_model_predicts(exported, library, seconds, padding):
    model, _ = exported
    samples = voice_like(seconds, seed=3) + np.float32(0.02)
    np.testing.assert_allclose(library(32).clip(samples), expected(model, samples, padding), rtol=0, atol=1e-4)


@pytest.mark.parametrize("bits", [8, 4])
def test_c_in_few_bits_is_as_near_as_the_onnx_file(exported, library, bits):
    model, _ = exported
    for seconds, bound in ((0.1, 0.1), (1.2345, 0.05), (5.0, 0.05)):
        samples = voice_like(seconds, seed=4)
        difference = np.abs(library(bits).clip(samples) - expected(model, samples)).max()
        assert difference < bound / (1 if bits == 4 else 8), f"{seconds} s"


def test_samples_of_16_bits_are_the_same_clip(library):
    steps = (voice_like(2) * 32768).round().astype(np.int16)
    np.testing.assert_allclose(library(8).clip(steps), library(8).clip(steps / np.float32(32768)), rtol=0, atol=1e-4)


def test_a_window_is_the_last_second_however_it_was_pushed(library):
    steps = (voice_like(2.5) * 32768).round().astype(np.int16)
    window = memory()
    assert library(8).call("window_reset", window) == OK
    for part in np.array_split(steps, [1, 5, 3000, 3001, 20000, 39999]):
        assert library(8).call("window_push_s16", window, part) == OK
    status, outputs = library(8).predict("window_predict", window)
    assert status == OK
    np.testing.assert_array_equal(outputs, library(8).clip(steps[-16000:]))
    library(8).call("window_reset", window)
    library(8).call("window_push_f32", window, steps[:9000] / np.float32(32768))
    np.testing.assert_array_equal(library(8).predict("window_predict", window)[1], library(8).clip(steps[:9000]))


def test_a_stream_does_not_depend_on_the_pieces_and_comes_near_the_clip(library):
    samples = np.tile(voice_like(4), 2)
    outputs = []
    for pieces in (1, 7, 500):
        running = memory()
        library(8).call("running_reset", running)
        for part in np.array_split(samples, pieces):
            assert library(8).call("running_push_f32", running, part) == OK
        status, each = library(8).predict("running_predict", running)
        assert status == OK
        outputs.append(each)
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])
    np.testing.assert_allclose(outputs[0], library(8).clip(samples), atol=0.2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e20])
def test_a_sample_that_is_no_number_is_refused_and_changes_nothing(library, bad):
    samples = voice_like(1)
    broken = samples.copy()
    broken[777] = bad
    assert library(8).predict("predict_f32", memory(), broken)[0] == NOT_FINITE
    for kind in ("window", "running"):
        state = memory()
        library(8).call(f"{kind}_reset", state)
        library(8).call(f"{kind}_push_f32", state, samples)
        before = library(8).predict(f"{kind}_predict", state)[1]
        assert library(8).call(f"{kind}_push_f32", state, broken) == NOT_FINITE
        np.testing.assert_array_equal(library(8).predict(f"{kind}_predict", state)[1], before)


@pytest.mark.parametrize("kind", ["window", "running"])
def test_misuse_gives_a_code(library, kind):
    samples, state = voice_like(0.003), memory()
    assert library(8).call(f"{kind}_push_f32", state, samples) == NOT_READY
    assert library(8).call(f"{kind}_push_s16", state, samples.astype(np.int16)) == NOT_READY
    assert library(8).predict(f"{kind}_predict", state)[0] == NOT_READY
    library(8).call(f"{kind}_reset", state)
    assert library(8).call(f"{kind}_push_f32", state, None) == NULL
    assert library(8).call(f"{kind}_push_f32", state, samples[:0]) == OK
    assert library(8).call(f"{kind}_push_f32", state, samples) == OK
    assert library(8).predict(f"{kind}_predict", state)[0] == TOO_SHORT
    assert library(8).predict("predict_f32", state, samples)[0] == TOO_SHORT
    assert library(8).predict("predict_f32", state, samples[:0])[0] == TOO_SHORT


def test_silence_gives_numbers(library):
    for bits in (32, 8, 4):
        assert np.isfinite(library(bits).clip(np.zeros(16000, np.float32))).all()


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """An example recording as samples of 16 bits."""
    path = tmp_path_factory.mktemp("recording") / "clip.raw"
    samples, _ = soundfile.read(ROOT / "examples" / "anger_emodb14.flac", dtype="int16")
    samples.tofile(path)
    return path


def run(*command: str | Path) -> list[list[str]]:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split() for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def on_this_machine(exported, recording, tmp_path_factory):
    """What the driver prints for the recording, of 8 and of 4 bits."""
    _, folder = exported
    out, printed = tmp_path_factory.mktemp("driver"), {}
    for bits in (8, 4):
        program = compile_c(
            out / str(bits),
            "-O2",
            f"-DWAV2SMALL_BITS={bits}",
            f"-I{folder}",
            DRIVER / "driver.c",
            folder / "wav2small.c",
        )
        printed[bits] = run(program, recording)
    return printed


@pytest.mark.parametrize(("compiler", "bits"), [("gcc", 8), ("gcc", 4), ("clang", 32)])
def test_sanitizers_find_nothing(exported, recording, tmp_path, compiler, bits):
    _, folder = exported
    flags = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-DWAV2SMALL_BITS={bits}")
    program = compile_c(
        tmp_path / "driver", *flags, f"-I{folder}", DRIVER / "driver.c", folder / "wav2small.c", compiler=compiler
    )
    run(program, recording)


@pytest.mark.slow
def test_valgrind_finds_nothing(exported, recording, tmp_path):
    _, folder = exported
    program = compile_c(tmp_path / "driver", "-g", "-O1", f"-I{folder}", DRIVER / "driver.c", folder / "wav2small.c")
    run(need("valgrind"), "--quiet", "--error-exitcode=9", program, recording)


@pytest.mark.slow
def test_a_fuzzer_finds_nothing(exported, tmp_path):
    _, folder = exported
    flags = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
    sources = (f"-I{folder}", DRIVER / "fuzz.c", folder / "wav2small.c")
    program = compile_c(tmp_path / "fuzz", *flags, *sources, compiler="clang")
    run(program, "-runs=3000", "-max_len=8192", "-seed=1", "-max_total_time=60")


CHIPS = {
    "mps2-an386": ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"),
    "mps2-an500": ("-mcpu=cortex-m7", "-mfpu=fpv5-d16"),
}


@pytest.mark.slow
@pytest.mark.parametrize("board", CHIPS)
@pytest.mark.parametrize("bits", [8, 4])
def test_a_chip_predicts_the_same(exported, on_this_machine, recording, tmp_path, board, bits):
    _, folder = exported
    emulator = need("qemu-system-arm")
    flags = ("-O2", "-mthumb", "-mfloat-abi=hard", *CHIPS[board], "--specs=rdimon.specs", f"-DWAV2SMALL_BITS={bits}")
    sources = (DRIVER / "driver.c", DRIVER / "cortex_m.c", folder / "wav2small.c")
    program = compile_c(
        tmp_path / "chip.elf",
        *flags,
        f"-I{folder}",
        *sources,
        "-T",
        DRIVER / "cortex_m.ld",
        compiler="arm-none-eabi-gcc",
    )
    board_options = ("-M", board, "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0")
    arguments = f"enable=on,target=native,arg=driver,arg={recording}"
    printed = run(emulator, *board_options, "-semihosting-config", arguments, "-kernel", program)
    for (name, *here, _), (chip_name, *there, _) in zip(on_this_machine[bits], printed, strict=True):
        assert name == chip_name
        np.testing.assert_allclose(np.array(there, float), np.array(here, float), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"activation": "gelu", "window_length": 320, "hop_length": 250, "n_fft": 1024, "heads": 1},
        {"activation": "relu", "stem_kernel": 1, "stem_stride": 1, "kernel_sizes": (1, 2), "dilations": (3, 2)},
        {
            "stem_kernel": 4,
            "stem_stride": 3,
            "stem_groups": 4,
            "kernel_sizes": (7,),
            "dilations": (2,),
            "max_look_ahead": 0.05,
        },
        {
            "n_fft": 256,
            "window_length": 256,
            "hop_length": 80,
            "n_mels": 40,
            "stem_groups": 1,
            "expansion": 3,
            "width": 24,
        },
        {"maps": [3, 5], "n_mels": 30, "stem_kernel": 2, "stem_groups": 1},
        {"maps": [4], "stem_stride": 3, "stem_kernel": 1, "stem_groups": 1, "max_look_ahead": 0.03},
    ],
)
def test_any_network_of_the_kind_becomes_c(config, tmp_path):
    model = tcn(**{"width": 16, **config})
    folder = write_source(model, tmp_path)
    for compiler, bits, tolerance in (("gcc", 32, 1e-4), ("gcc", 8, 0.05)):
        out = compile_c(
            tmp_path / f"{bits}.so",
            "-O1",
            "-shared",
            "-fPIC",
            f"-DWAV2SMALL_BITS={bits}",
            folder / "wav2small.c",
            compiler=compiler,
        )
        for seconds in (0.1, 0.35, 1.234):
            samples = voice_like(seconds, seed=5)
            np.testing.assert_allclose(Library(out, 4).clip(samples), expected(model, samples), rtol=0, atol=tolerance)


def test_the_command_writes_the_files_and_what_the_weights_were_made_from(tmp_path):
    tcn(width=8).save_pretrained(tmp_path / "model")
    write_card(tmp_path / "model", "cc-by-4.0")
    done = CliRunner().invoke(app, ["export", str(tmp_path / "model"), str(tmp_path / "out"), "--format", "c"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "provenance.json",
        "wav2small.c",
        "wav2small.h",
    ]
    header = (tmp_path / "out" / "wav2small.h").read_text()
    assert "from model (tcn_adv); licence of the weights: CC-BY-4.0" in header and "@" not in header


def test_what_has_no_form_in_c_is_refused(tmp_path):
    with pytest.raises(Wav2SmallError, match="pooling=gram"):
        write_source(student(pooling="gram"), tmp_path)
    with pytest.raises(Wav2SmallError, match="mobilenet_adv"):
        generating.generate(mobilenet(), "a mobilenet", "CC0-1.0", coding.Coder([], {}, {}))
    with pytest.raises(Wav2SmallError, match="n_fft=400"):
        write_source(tcn(n_fft=400, width=8), tmp_path)


def test_weights_of_4_bits_need_speech(tmp_path):
    need("gcc")
    folder = write_source(tcn(width=8), tmp_path)
    done = subprocess.run(
        ["gcc", "-c", "-DWAV2SMALL_BITS=4", "wav2small.c"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode and "WAV2SMALL_BITS must be one of 8, 32" in done.stderr
