"""The public corpora of the recipes: home, licence, amount, and which row of metadata.csv a file of the archive is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

Row = dict[str, str]
Texts = Mapping[str, str]


@dataclass(frozen=True)
class PublicCorpus:
    """A corpus in one archive.

    Attributes:
        name: of its folder.
        title: and authors, for attributions.
        home: page that describes it.
        licence: and what it asks for.
        amount: clips and length, as published.
        url: of the archive, .zip or .tar with any compression.
        file: name of the archive on disk.
        row: path in the archive, and the texts -> columns of metadata.csv with `file_name` (without suffix); `None`
            leaves the file out.
        texts: pattern of paths whose texts `row` needs: labels, speakers, licences.
        sha256: of the archive; `None` where none is published.
    """

    name: str
    title: str
    home: str
    licence: str
    amount: str
    url: str
    file: str
    row: Callable[[str, Texts], Row | None]
    texts: str | None = None
    sha256: str | None = None


EMODB_EMOTIONS = {  # their first letters in German
    **{"W": "anger", "L": "boredom", "E": "disgust", "A": "fear"},
    **{"F": "happiness", "T": "sadness", "N": "neutral"},
}
EMODB_MEN = frozenset({"03", "10", "11", "12", "15"})
EMODB_VALIDATION = frozenset({"14", "15"})


def emodb(path: str, texts: Texts) -> Row | None:
    """wav/03a01Fa.wav: speaker 03, text a01, emotion F; the tables have the share of listeners who recognised it."""
    match = re.search(r"(?:^|/)((\d\d)([ab]\d\d)([WLEAFTN])\w)\.wav$", path)
    rated = match and re.search(rf"{match[1]}\.wav,\w+,([\d.]+)", "\n".join(texts.values()))
    if match is None or rated is None:
        return None
    return {
        "file_name": match[1],
        "split": "validation" if match[2] in EMODB_VALIDATION else "train",
        "speaker": f"emodb_{match[2]}",
        "sex": "m" if match[2] in EMODB_MEN else "f",
        "language": "de",
        "text_id": match[3],
        "emotion": EMODB_EMOTIONS[match[4]],
        "rater_agreement": f"{float(rated[1]):g}",
    }


EMOGATOR_EMOTIONS = (
    *("adoration", "amusement", "anger", "awe", "confusion", "contempt", "contentment", "desire", "disappointment"),
    *("disgust", "distress", "ecstasy", "elation", "embarrassment", "fear", "guilt", "interest", "neutral", "pain"),
    *("pride", "realization", "relief", "romantic love", "sadness", "serenity", "shame", "negative surprise"),
    *("positive surprise", "sympathy", "triumph"),
)
EMOGATOR_VALIDATION = frozenset(  # a tenth of the people, drawn once
    (
        *(3, 5, 8, 13, 15, 17, 28, 35, 55, 66, 71, 75, 76, 81, 87, 129, 140, 142, 143, 150, 155, 156, 161, 171, 174),
        *(193, 202, 218, 232, 238, 241, 253, 304, 322, 325, 344),
    )
)


def emogator(path: str, texts: Texts) -> Row | None:
    """data/mp3/000001-01-3.mp3: person, emotion, which of three."""
    match = re.search(r"(?:^|/)data/mp3/((\d{6})-(\d\d)-\d)\.mp3$", path)
    if match is None:
        return None
    return {
        "file_name": match[1],
        "split": "validation" if int(match[2]) in EMOGATOR_VALIDATION else "train",
        "speaker": f"emogator_{match[2]}",
        "emotion": EMOGATOR_EMOTIONS[int(match[3]) - 1],
    }


def librispeech(path: str, texts: Texts) -> Row | None:
    """LibriSpeech/dev-clean/84/121123/84-121123-0001.flac; SPEAKERS.TXT has lines such as `84 | F | dev-clean | …`."""
    match = re.search(r"/((\d+)-\d+-\d+)\.flac$", path)
    if match is None:
        return None
    sex = re.search(rf"^{match[2]}\s*\|\s*([MF])", "\n".join(texts.values()), re.MULTILINE)
    return {
        "file_name": match[1],
        "split": "train",
        "speaker": f"libri_{match[2]}",
        "sex": sex[1].lower() if sex else "",
        "language": "en",
        "text_id": match[1],
    }


def ljspeech(path: str, texts: Texts) -> Row | None:
    """LJSpeech-1.1/wavs/LJ001-0001.wav: one reader, of whom the first 32 sentences are enough."""
    match = re.search(r"/wavs/(LJ001-00(?:[0-2]\d|3[0-2]))\.wav$", path)
    if match is None:
        return None
    return {
        "file_name": match[1],
        "split": "train",
        "speaker": "ljspeech",
        "sex": "f",
        "language": "en",
        "text_id": match[1],
    }


def pico_commands(path: str, texts: Texts) -> Row | None:
    """data/speech/clean/0075d273-….wav: no speakers are given."""
    match = re.search(r"/data/speech/clean/([\w-]+)\.wav$", path)
    if match is None:
        return None
    return {"file_name": match[1], "language": "en", "text_id": match[1]}


def pico_wakewords(path: str, texts: Texts) -> Row | None:
    """audio/smart mirror/007b….flac: the folder is the word."""
    match = re.search(r"/audio/([\w ]+)/([\w-]+)\.flac$", path)
    if match is None:
        return None
    word = match[1].replace(" ", "_")
    return {"file_name": f"{word}_{match[2]}", "language": "en", "text_id": word}


def precise_pd(path: str, texts: Texts) -> Row | None:
    """athena/en/athena-….wav: a word, a language; only files that a text in licenses/ gives to the public domain."""
    match = re.search(r"/([\w-]+)/(en|es)/(?:[^/]+/)*([\w-]+)\.wav$", path)
    given = (text for text in texts.values() if "public domain" in text)
    if match is None or not any(re.search(rf"(^|/){match[3]}\.wav\s*$", text, re.MULTILINE) for text in given):
        return None
    return {"file_name": match[3], "language": match[2], "text_id": match[1]}


def esc10(path: str, texts: Texts) -> Row | None:
    """audio/1-100032-A-0.wav; meta/esc50.csv says which of the clips are of ESC-10, whose licence is permissive."""
    match = re.search(r"/audio/([\w-]+)\.wav$", path)
    listed = match and re.search(rf"^{match[1]}\.wav,\d+,\d+,(\w+),True,", "\n".join(texts.values()), re.MULTILINE)
    if match is None or listed is None:
        return None
    return {"file_name": match[1], "sound": listed[1]}


def rooms(path: str, texts: Texts) -> Row | None:
    """Impulse responses that were measured in rooms; effects beside them, and responses for two ears, are left out."""
    match = re.search(r"/impulse-responses/(house-impulses|tim-warehouse|medium-room\d)[/.](?:.*\.)?(?:wav|aif)$", path)
    if match is None or "stereo" in path or "level" in path:
        return None
    return {"file_name": PurePosixPath(path).stem, "room": match[1]}


def nemo(path: str, texts: Texts) -> Row | None:
    """samples/EB0_anger_1.wav: speaker, emotion, sentence."""
    match = re.search(r"/samples/(([A-Z]{2}\d)_([a-z]+)_(\d+))\.wav$", path)
    if match is None:
        return None
    return {
        "file_name": match[1],
        "split": "evaluation",
        "speaker": f"nemo_{match[2]}",
        "language": "pl",
        "text_id": match[4],
        "emotion": match[3].removesuffix("d"),
    }


def github(repository: str, commit: str) -> str:
    """Archive of a repository as it was at a commit, or at the head of a branch."""
    return f"https://github.com/{repository}/archive/{commit}.tar.gz"


CORPORA = {
    corpus.name: corpus
    for corpus in (
        PublicCorpus(
            name="emodb",
            title="Berlin Database of Emotional Speech (Burkhardt et al. 2005)",
            home="https://zenodo.org/records/17651657",
            licence="CC-BY-4.0: any use, name the source",
            amount="German actors, seven emotions; 535 clips, 25 min",
            url="https://zenodo.org/records/17651657/files/emodb_2.0.zip?download=1",
            file="emodb_2.0.zip",
            row=emodb,
            texts=r"(^|/)db\.emotion[^/]*\.csv$",
        ),
        PublicCorpus(
            name="emogator",
            title="EmoGator (Buhl 2023)",
            home="https://github.com/fredbuhl/EmoGator",
            licence="Apache-2.0: any use, keep its notices",
            amount="vocal bursts of 357 people, 30 emotions; some 32,000 clips, 17 h",
            url=github("fredbuhl/EmoGator", "0339361a15afd32be41e986cd9380aa1bcac4468"),
            file="emogator.tar.gz",
            row=emogator,
        ),
        PublicCorpus(
            name="librispeech_mini",
            title="LibriSpeech (Panayotov et al. 2015)",
            home="https://www.openslr.org/12",
            licence="CC-BY-4.0: any use, name the source",
            amount="read English, dev-clean; 2,703 clips, 5.4 h; archive 338 MB",
            url="https://www.openslr.org/resources/12/dev-clean.tar.gz",
            file="dev-clean.tar.gz",
            row=librispeech,
            texts=r"/SPEAKERS\.TXT$",
            sha256="76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
        ),
        PublicCorpus(
            name="ljspeech_mini",
            title="LJ Speech (Ito and Johnson 2017)",
            home="https://keithito.com/LJ-Speech-Dataset",
            licence="public domain",
            amount="one reader; 32 clips, 4 min, out of an archive of 2.7 GB",
            url="https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
            file="LJSpeech-1.1.tar.bz2",
            row=ljspeech,
            sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
        ),
        PublicCorpus(
            name="pico_commands",
            title="Picovoice speech-to-intent benchmark",
            home="https://github.com/Picovoice/speech-to-intent-benchmark",
            licence="Apache-2.0: any use, keep its notices",
            amount="people order coffee; 619 clips, 89 min",
            url=github("Picovoice/speech-to-intent-benchmark", "0a2397b26b4767ba6a655c4e351f73a264e62034"),
            file="pico_commands.tar.gz",
            row=pico_commands,
        ),
        PublicCorpus(
            name="pico_wakewords",
            title="Picovoice wake-word benchmark",
            home="https://github.com/Picovoice/wake-word-benchmark",
            licence="Apache-2.0: any use, keep its notices",
            amount="six words by more than 50 people; some 2,300 clips, 110 min",
            url=github("Picovoice/wake-word-benchmark", "fb755608b5a407f87aa9119f274fd03f0d766dd2"),
            file="pico_wakewords.tar.gz",
            row=pico_wakewords,
        ),
        PublicCorpus(
            name="precise_pd",
            title="Mycroft Precise community data",
            home="https://github.com/MycroftAI/Precise-Community-Data",
            licence="public domain: only files with a dedication",
            amount="wake words, English and Spanish; some 860 clips, 26 min",
            url=github("MycroftAI/Precise-Community-Data", "refs/heads/master"),
            file="precise_pd.tar.gz",
            row=precise_pd,
            texts=r"/licenses/[^/]+\.txt$",
        ),
        PublicCorpus(
            name="noise",
            title="ESC-10 (Piczak 2015)",
            home="https://github.com/karolpiczak/ESC-50",
            licence="CC-BY-3.0: any use, name the source",
            amount="environmental sounds; 400 clips, 33 min",
            url=github("karolpiczak/ESC-50", "refs/heads/master"),
            file="esc50.tar.gz",
            row=esc10,
            texts=r"/meta/esc50\.csv$",
        ),
        PublicCorpus(
            name="rooms",
            title="impulse responses of the Web Audio samples (Google)",
            home="https://github.com/GoogleChromeLabs/web-audio-samples",
            licence="Apache-2.0: any use, keep its notices",
            amount="room impulse responses; some 30 files",
            url=github("GoogleChromeLabs/web-audio-samples", "fd0dec0a2471a41e5346ff731ee3d7ebf3a7e9c2"),
            file="web_audio_samples.tar.gz",
            row=rooms,
        ),
        PublicCorpus(
            name="nemo",
            title="nEMO (Christop 2024)",
            home="https://github.com/amu-cai/nEMO",
            licence="CC-BY-NC-SA-4.0: NON-COMMERCIAL, for evaluation alone",
            amount="Polish actors, six emotions; 4,481 clips",
            url=github("amu-cai/nEMO", "06f1f83dde8f1a780443a57d53b2af3971af34ab"),
            file="nemo.tar.gz",
            row=nemo,
        ),
    )
}
