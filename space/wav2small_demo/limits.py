"""The limits of the page: what one visitor may ask of a server that serves many."""

from typing import Any

from wav2small.models.audio import MAX_SECONDS

MB = 2**20
# uploads
MAX_BYTES = 50 * MB  # of a recording or a zip, and of each recording in a zip
QUOTA = 2048 * MB  # of all uploads that wait for their prediction
MAX_AGE = 900  # s that an upload may wait
BLOCK_MAX_AGE = 5  # s that a block of the live microphone may wait: it is used at once or never
# recordings: of MAX_SECONDS, as for the library
MAX_FILES = 500  # recordings in a batch
MAX_ZIP_BYTES = 500 * MB  # of all recordings in a zip, unpacked
MAX_ZIP_DIRECTORY = 1 * MB  # of its table of contents
MAX_WINDOW = 30.0  # s, of a timeline
MAX_PREDICTED = 6 * MAX_SECONDS  # s of audio in all windows of a timeline
# models that a visitor names
MAX_VARIANTS = 8  # in a comparison
MAX_MODEL_BYTES = 100 * MB
MODEL_SECONDS = 20.0  # until its process is stopped
MODEL_MEMORY = 1024 * MB  # of its process
# at the same time
RECORDINGS = 4  # predictions of recordings, over all tabs and endpoints
BLOCKS = 40  # predictions of the live microphones
SESSIONS = 100  # pages whose last seconds of live audio are kept
MAX_BLOCK_SECONDS = 10.0  # of a block of the live microphone
MAX_LIVE_RATE = 96_000  # Hz, of a live microphone
AT_ONCE: dict[str, Any] = {"concurrency_id": "recordings", "concurrency_limit": RECORDINGS}  # for the events of Gradio
