"""What the EU AI Act asks of those who use emotion recognition, and a text with which they can inform people."""

LAW = """\
The EU AI Act (Regulation 2024/1689) counts this as emotion recognition, a use that the deployer answers for:
- Article 5(1)(f), since 2 February 2025: forbidden at work and in education, but for medical or safety reasons.
- Article 50(3), since 2 August 2026: tell the people who are exposed to it, and process their data lawfully.
- Annex III, point 1(c): elsewhere it is high-risk: Articles 8 to 27, from 2 December 2027 (as amended in 2026).

This is not legal advice."""

NOTICE = """\
Notice: emotion recognition

[WHO] uses software that estimates from the sound of your voice how excited, how in control and how positive it sounds.
It does so [WHEN AND WHERE], in order to [PURPOSE]. The software is wav2small; it runs on [OUR SERVERS / YOUR DEVICE].
The words you say are not used. The recording is [NOT STORED / DELETED AFTER ...]; the estimates are [NOT STORED / KEPT
FOR ...]. The estimates say how a voice is heard, not what you feel, and they are often wrong.
No decision about you rests on them alone. You can object, ask for your data and have them erased: [CONTACT]."""
