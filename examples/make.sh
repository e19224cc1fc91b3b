#!/usr/bin/env bash
# Makes the example recordings with flite (open voices slt and rms) and sox, both Debian packages.
#   apt-get install flite sox && bash examples/make.sh
set -euo pipefail
cd "$(dirname "$0")"
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

# say NAME VOICE STRETCH PITCH_HZ PITCH_SPREAD_HZ TEXT [sox effects...]
say() {
    local name=$1 voice=$2 stretch=$3 pitch=$4 spread=$5 text=$6
    shift 6
    flite -voice "$voice" --setf duration_stretch="$stretch" --setf int_f0_target_mean="$pitch" \
        --setf int_f0_target_stddev="$spread" -t "$text" -o "$parts/raw.wav"
    sox -D -R "$parts/raw.wav" -r 16000 -c 1 -b 16 "$name.flac" "$@"
}

say excited_woman slt 0.80 250 65 "We did it! I can not believe it, we really won the whole thing!" treble +4 norm -1
say calm_woman    slt 1.30 160 10 "Take your time. There is no hurry at all." treble -4 norm -14
say angry_man     rms 0.78 150 45 "I have told you three times. Do not touch that again!" overdrive 8 treble +6 norm -1
say sad_man       rms 1.50  78  5 "I don't know. It is all gone now, I suppose." treble -8 norm -20
say neutral_man   rms 1.00 105 15 "The next train to the city leaves from platform four." norm -8
say short_woman   slt 0.90 220 40 "Oh, yes!" norm -3

say part1 slt 1.20 165 12 "This is the evening news. Nothing much has happened today, and most people stayed at home." norm -12
say part2 slt 0.80 245 60 "Wait, we have just heard that the home team has scored, ten seconds before the end! What a finish!" norm -2
say part3 slt 1.35 160  8 "And now the weather. It will be mild, with a little rain in the night." norm -14
sox -D part1.flac part2.flac part3.flac news_woman.flac
rm part1.flac part2.flac part3.flac

sox -D -n -r 16000 -c 1 -b 16 silence.flac trim 0 2
sox -D -R -n -r 16000 -c 1 -b 16 noise.flac synth 3 pinknoise norm -12
