"""`wav2small listen` through PortAudio, ALSA and PulseAudio, with a sink without a loudspeaker as the microphone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, spoken

ALSA = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
PACKAGES = "pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
PULSE_PLUGIN = "alsa-lib/libasound_module_pcm_pulse.so"
START = 20  # s for PulseAudio to start

pytestmark = pytest.mark.slow


@pytest.fixture
def sound_server(tmp_path):
    """The environment of a PulseAudio server whose only microphone hears what is played into its null sink."""
    pytest.importorskip("sounddevice", reason="needs the extra [microphone]", exc_type=(ImportError, OSError))
    plugins = [folder / PULSE_PLUGIN for folder in Path("/usr/lib").glob("*-linux-gnu")]
    if not shutil.which("pulseaudio") or not shutil.which("paplay") or not any(path.exists() for path in plugins):
        pytest.skip(f"needs the Debian packages {PACKAGES}")
    (tmp_path / "asound.conf").write_text(ALSA)
    runtime = tmp_path / "pulse"
    runtime.mkdir(mode=0o700)
    environment = {
        **os.environ, "PULSE_RUNTIME_PATH": str(runtime), "PULSE_STATE_PATH": str(runtime),
        "PULSE_COOKIE": str(runtime / "cookie"), "PULSE_SERVER": f"unix:{runtime}/native",
        "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"),
    }  # fmt: skip
    modules = [
        f"--load=module-native-protocol-unix socket={runtime}/native auth-anonymous=1",
        "--load=module-null-sink sink_name=wires rate=48000 channels=2",
    ]
    server = subprocess.Popen(
        ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm", *modules],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for _ in range(START * 10):
            if subprocess.run(["pactl", "info"], env=environment, capture_output=True).returncode == 0:
                break
            if server.poll() is not None:
                pytest.skip(f"PulseAudio does not start here: {server.stderr.read()[-300:]}")
            time.sleep(0.1)
        else:
            pytest.skip("PulseAudio did not start")
        yield environment
    finally:
        server.terminate()
        server.wait()


def test_a_voice_that_is_played_is_heard_and_ctrl_c_stops(sound_server, tmp_path):
    clip = np.concatenate([spoken(8), np.zeros(8 * RATE, np.float32)])
    soundfile.write(tmp_path / "voice.wav", clip, RATE)
    player = subprocess.Popen(["paplay", "--device=wires", tmp_path / "voice.wav"], env=sound_server)
    listener = subprocess.Popen(
        [sys.executable, "-c", "from wav2small.cli.main import main; main()", "listen", "--json"],
        env=sound_server, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    try:
        rows = []
        for line in listener.stdout:
            rows.append(json.loads(line))
            if rows[-1]["word"] == "silence" and any(row["arousal"] is not None for row in rows):
                break
        listener.send_signal(signal.SIGINT)
        _, errors = listener.communicate(timeout=60)
    finally:
        listener.kill()
        player.kill()
        player.wait()
    assert listener.returncode == 0, errors
    heard = [row for row in rows if row["arousal"] is not None]
    assert heard and all(0 < row["speech"] <= 1 for row in heard)
    assert "Traceback" not in errors and "Tell everybody" in errors
