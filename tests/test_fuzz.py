"""Hundreds of broken recordings and zips: each is read or refused in one sentence, in bounded memory."""

import io
from pathlib import Path

import fuzz_files
import numpy as np
import pytest
from processes import result

pytestmark = pytest.mark.slow
MEMORY_MB = 700  # of the process that reads them: with its imports 250 to 350


def read_all(folder: str) -> None:
    """Read each recording as a path, as bytes and as a file object; print what happened and the peak of the memory."""
    import json
    import resource
    import sys

    from wav2small import Wav2SmallError
    from wav2small.models.audio import read_audio

    counts, faults = {"read": 0, "refused": 0}, []
    for file in sorted(Path(folder).iterdir()):
        for source in (file, file.read_bytes(), io.BytesIO(file.read_bytes())):
            try:
                samples = read_audio(source, max_seconds=600)
                fine = bool(samples.ndim == 1 and np.isfinite(samples).all())
                counts["read"] += 1
            except Wav2SmallError as error:
                fine = "\n" not in str(error)
                counts["refused"] += 1
            except BaseException as error:
                fine = False
                faults.append(f"{file.name}: {error!r}")
            if not fine:
                faults.append(file.name)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps({**counts, "faults": faults, "peak_mb": peak}) + "\n")


def test_broken_recordings_are_read_or_refused_in_one_sentence_in_bounded_memory(tmp_path):
    for name, content in fuzz_files.recordings():
        (tmp_path / name).write_bytes(content)
    found = result(read_all, str(tmp_path))
    assert found["faults"] == []
    assert found["read"] > 100 and found["refused"] > 100, "a set that is all of one kind shows little"
    assert found["peak_mb"] < MEMORY_MB


def test_the_set_is_always_the_same_and_large_enough():
    first, second = (dict(fuzz_files.recordings()) for _ in range(2))
    assert first == second and len(first) >= 500


def unpack_all(folder: str) -> None:
    """Open each member of each zip as the page does; print what happened and the peak of the memory."""
    import json
    import resource
    import sys

    from wav2small import Wav2SmallError
    from wav2small_demo import batch

    opened, faults = 0, []
    for file in sorted(Path(folder).iterdir()):
        try:
            for _, open_source in batch.sources([file]):
                try:
                    open_source().read()
                    opened += 1
                except Wav2SmallError:
                    pass
        except Wav2SmallError:
            pass
        except BaseException as error:
            faults.append(f"{file.name}: {error!r}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps({"opened": opened, "faults": faults, "peak_mb": peak}) + "\n")


def test_broken_zips_cost_a_member_or_themselves_and_no_memory(tmp_path):
    pytest.importorskip("gradio", reason="the demo needs the extra [space]")
    (tmp_path / "lies.zip").write_bytes(fuzz_files.lying_zip())
    for name, content in fuzz_files.zips():
        (tmp_path / name).write_bytes(content)
    found = result(unpack_all, str(tmp_path))
    assert found["faults"] == [] and found["opened"] > 30
    assert found["peak_mb"] < MEMORY_MB
